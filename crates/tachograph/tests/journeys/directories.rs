//! Data directories that are not fit, and two writers for one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::env::{ECHO, Env, Session, of_type, until};

/// Both kinds of writer refuse before the server is started.
fn check_refused(env: &Env, words: &[&str]) {
    let marker = env.path("server-was-started");
    let script = format!("touch {}", marker.display());
    for options in [&["run"][..], &["run", "--in-process"]] {
        let args = [options, &["--", "sh", "-c", &script]].concat();
        let done = env.done(&args);
        assert_eq!(done.status.code(), Some(125), "{options:?}: {done:?}");
        for word in words {
            assert!(done.stderr.contains(word), "{word}: {done:?}");
        }
        assert!(!marker.exists(), "{options:?}: the server ran");
    }
    let done = env.done(&["serve"]);
    assert_eq!(done.status.code(), Some(4), "{done:?}");
    let doctor = env.done(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
    assert!(doctor.text().contains("FAIL"), "{doctor:?}");
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    for mode in [0o770, 0o707, 0o1777] {
        let env = Env::new();
        std::fs::create_dir(env.data()).unwrap();
        std::fs::set_permissions(env.data(), std::fs::Permissions::from_mode(mode)).unwrap();
        check_refused(&env, &["data", "writ"]);
        let inside = std::fs::read_dir(env.data()).unwrap().count();
        assert_eq!(inside, 0, "nothing is put into it");
    }
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    if rustix::process::geteuid().is_root() {
        let env = Env::new();
        std::fs::create_dir(env.data()).unwrap();
        std::fs::set_permissions(env.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(env.data(), Some(12_345), None).unwrap();
        check_refused(&env, &["data", "12345"]);
    } else {
        check_refused(&Env::at("/usr".into()), &["/usr", "0"]);
    }
}

/// Only a mount is read-only to everybody, root included.
#[test]
fn a_read_only_directory_is_refused() {
    let place = Mount::new("1m");
    place.remount("ro");
    let env = Env::at(place.path().join("data"));
    check_refused(&env, &["data", "Read-only"]);
}

/// It was fine when the log was begun.
#[test]
fn a_directory_that_became_read_only_refuses_calls() {
    let place = Mount::new("8m");
    let env = Env::at(place.path().join("data"));
    let mut session = env.session(&[], ECHO);
    assert!(session.call("1")["result"].is_object());
    session.close();
    env.stop_and_verify();
    place.remount("ro");
    let mut session = env.session(&[], ECHO);
    let refused = session.call("2");
    let why = refused["error"]["message"].as_str().unwrap();
    assert!(why.contains("Read-only"), "{refused}");
    session.close();
    place.remount("rw");
    let mut session = env.session(&[], ECHO);
    assert!(session.call("3")["result"].is_object());
    session.close();
    env.stop_and_verify();
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() {
    let env = Env::new();
    std::fs::write(env.data(), "no directory").unwrap();
    check_refused(&env, &["data"]);
}

#[test]
fn a_second_writer_is_refused() {
    let env = Env::new();
    let mut session = env.session(&[], ECHO);
    session.call("1");
    let second = env.done(&["serve"]);
    assert_eq!(second.status.code(), Some(4), "{second:?}");
    assert!(second.stderr.contains("running already"), "{second:?}");
    let in_process = env.done(&["run", "--in-process", "--", "true"]);
    assert_eq!(in_process.status.code(), Some(125), "{in_process:?}");
    assert!(in_process.stderr.contains("--in-process"), "{in_process:?}");
    session.call("2");
    session.close();
    env.stop_and_verify();
    assert_eq!(of_type(&env.records(), "log_opened").len(), 1);
}

/// The other way round: sources find neither a recorder nor the lock.
#[test]
fn a_source_beside_an_in_process_writer_is_refused() {
    let env = Env::new();
    let mut holder = env.session(&["--in-process"], ECHO);
    holder.call("1");
    let mut other = env.session(&[], ECHO);
    let refused = other.call("2");
    assert_eq!(refused["error"]["data"]["forwarded"], false, "{refused}");
    other.close();
    holder.call("3");
    holder.close();
    let verified = env.done(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

/// A file system of its own, in a namespace of its own: seen through the process that holds it.
pub(crate) struct Mount {
    holder: Session,
    inner: Env,
    path: std::path::PathBuf,
}

impl Mount {
    pub(crate) fn new(size: &str) -> Self {
        let inner = Env::new();
        let point = inner.path("mnt");
        std::fs::create_dir(&point).unwrap();
        // Commands on stdin, each answered by a line.
        let script = format!(
            "mount -t tmpfs -o size={size},mode=700 none {} && echo ready && while read -r how; do \
             mount -o remount,bind,$how {} && echo done || echo failed; done",
            point.display(),
            point.display()
        );
        let mut command = std::process::Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script]);
        let holder = Session::start(command);
        let ready = holder.line();
        assert_eq!(
            ready.as_deref(),
            Some(&b"ready\n"[..]),
            "no namespaces here: unshare -rm"
        );
        let path = Path::new("/proc")
            .join(holder.pid().to_string())
            .join("root")
            .join(point.strip_prefix("/").unwrap());
        until("the mount", || path.is_dir().then_some(()));
        Self {
            holder,
            inner,
            path,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn remount(&self, how: &str) {
        use std::io::Write as _;
        let mut input = self.holder.input.as_ref().unwrap();
        writeln!(input, "{how}").unwrap();
        let done = self.holder.line();
        let place = self.inner.home();
        assert_eq!(done.as_deref(), Some(&b"done\n"[..]), "{place:?}");
    }
}
