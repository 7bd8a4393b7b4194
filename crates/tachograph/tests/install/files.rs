//! Installing and undoing on a disk.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tachograph::install::{
    Applied, InstallError, Layout, MAX_BACKUPS, MAX_CONFIG_BYTES, Wrapper, apply, backups, plan,
    read, unplan,
};

const CONFIG: &str = "{\n  \"mcpServers\": {\n    \"a\": { \"command\": \"one\" },\n    \"b\": { \"command\": \"two\", \"args\": [ ] }\n  }\n}";

/// A directory of its own with a configuration in it.
struct Home {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Home {
    fn new(text: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mcp.json");
        let home = Self { dir, file };
        home.write(text);
        home
    }

    fn write(&self, text: &[u8]) {
        let mut file = fs::File::create(&self.file).unwrap();
        file.write_all(text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// The names beside the configuration.
    fn others(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "mcp.json")
            .collect();
        names.sort();
        names
    }
}

fn install(path: &Path, only: &[&str]) -> Result<Applied, InstallError> {
    let wrapper = Wrapper::new(Path::new("/opt/tacho"), Vec::new())?;
    let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
    apply(
        &plan(&read(path)?, Layout::McpServers, &wrapper, &only)?,
        path,
    )
}

fn uninstall(path: &Path, only: &[&str]) -> Result<Applied, InstallError> {
    let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
    apply(
        &unplan(&read(path)?, Layout::McpServers, &only, &backups(path)?)?,
        path,
    )
}

#[test]
fn there_and_back_leaves_nothing() {
    let home = Home::new(CONFIG.as_bytes());
    let applied = install(&home.file, &[]).unwrap();
    assert_ne!(home.text(), CONFIG);
    assert_eq!(home.others(), ["mcp.json.tacho-backup"]);
    let backup = applied.backup.unwrap();
    assert_eq!(fs::read_to_string(&backup).unwrap(), CONFIG);

    let again = install(&home.file, &[]).unwrap();
    assert_eq!(again.backup, None, "nothing to do, nothing to back up");

    let applied = uninstall(&home.file, &[]).unwrap();
    assert_eq!(home.text(), CONFIG);
    assert_eq!(applied.removed, [backup]);
    assert_eq!(home.others(), [""; 0]);
    assert!(matches!(
        uninstall(&home.file, &[]),
        Err(InstallError::NothingToUndo)
    ));
}

#[test]
fn planning_writes_nothing() {
    let home = Home::new(CONFIG.as_bytes());
    let before = fs::metadata(&home.file).unwrap();
    let wrapper = Wrapper::new(Path::new("/opt/tacho"), Vec::new()).unwrap();
    let planned = plan(
        &read(&home.file).unwrap(),
        Layout::McpServers,
        &wrapper,
        &[],
    )
    .unwrap();
    assert!(
        planned
            .diff(&home.file)
            .contains("+    \"a\": { \"command\": \"/opt/tacho\", \"args\": [\"run\"")
    );
    let after = fs::metadata(&home.file).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
    assert_eq!(home.others(), [""; 0]);
}

#[test]
fn mode_owner_and_link_stay() {
    let home = Home::new(CONFIG.as_bytes());
    for mode in [0o600, 0o640, 0o664] {
        fs::set_permissions(&home.file, fs::Permissions::from_mode(mode)).unwrap();
        let backup = install(&home.file, &[]).unwrap().backup.unwrap();
        for path in [&home.file, &backup] {
            assert_eq!(
                fs::metadata(path).unwrap().mode() & 0o7777,
                mode,
                "{path:?}"
            );
        }
        uninstall(&home.file, &[]).unwrap();
        assert_eq!(fs::metadata(&home.file).unwrap().mode() & 0o7777, mode);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("linked.json");
    symlink(&home.file, &link).unwrap();
    let applied = install(&link, &[]).unwrap();
    assert_eq!(applied.path, fs::canonicalize(&home.file).unwrap());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(home.text().contains("/opt/tacho"));
    uninstall(&link, &[]).unwrap();
    assert_eq!(home.text(), CONFIG);
}

#[test]
fn backups_are_numbered_and_never_overwritten() {
    let home = Home::new(CONFIG.as_bytes());
    install(&home.file, &["a"]).unwrap();
    install(&home.file, &["b"]).unwrap();
    assert_eq!(
        home.others(),
        ["mcp.json.tacho-backup", "mcp.json.tacho-backup.1"]
    );
    uninstall(&home.file, &["b"]).unwrap();
    assert_eq!(
        home.others(),
        ["mcp.json.tacho-backup"],
        "back at the state between the two"
    );
    install(&home.file, &["b"]).unwrap();
    uninstall(&home.file, &[]).unwrap();
    assert_eq!((home.text().as_str(), home.others()), (CONFIG, vec![]));

    install(&home.file, &[]).unwrap();
    let edited = home.text().replace("\n}", ",\n  \"mine\": 1\n}");
    home.write(edited.as_bytes());
    let applied = uninstall(&home.file, &[]).unwrap();
    assert_eq!(
        home.text(),
        CONFIG.replace("\n}", ",\n  \"mine\": 1\n}"),
        "the edit survives"
    );
    assert_eq!(
        (applied.removed.len(), applied.kept.len()),
        (0, 1),
        "the backup holds what the file no longer does"
    );
    install(&home.file, &[]).unwrap();
    assert_eq!(
        home.others(),
        ["mcp.json.tacho-backup", "mcp.json.tacho-backup.1"]
    );
    assert_eq!(
        fs::read_to_string(home.file.with_extension("json.tacho-backup")).unwrap(),
        CONFIG
    );
    uninstall(&home.file, &[]).unwrap();
    assert_eq!(home.others(), ["mcp.json.tacho-backup"]);

    fs::File::create(home.dir.path().join("mcp.json.tacho-backup.7")).unwrap();
    let applied = install(&home.file, &[]).unwrap();
    assert!(
        applied.backup.unwrap().ends_with("mcp.json.tacho-backup.8"),
        "numbers are the order"
    );
}

#[test]
fn backups_run_out() {
    let home = Home::new(CONFIG.as_bytes());
    let last = format!("mcp.json.tacho-backup.{}", MAX_BACKUPS - 1);
    fs::File::create(home.dir.path().join(&last)).unwrap();
    assert!(matches!(
        install(&home.file, &[]),
        Err(InstallError::TooManyBackups { .. })
    ));
    assert_eq!((home.text().as_str(), home.others()), (CONFIG, vec![last]));
}

#[test]
fn a_backup_from_a_crash_is_used_again() {
    let home = Home::new(CONFIG.as_bytes());
    fs::copy(&home.file, home.dir.path().join("mcp.json.tacho-backup")).unwrap();
    install(&home.file, &[]).unwrap();
    assert_eq!(home.others(), ["mcp.json.tacho-backup"]);
}

#[test]
fn a_file_that_changed_meanwhile_is_left() {
    let home = Home::new(CONFIG.as_bytes());
    let wrapper = Wrapper::new(Path::new("/opt/tacho"), Vec::new()).unwrap();
    let planned = plan(
        &read(&home.file).unwrap(),
        Layout::McpServers,
        &wrapper,
        &[],
    )
    .unwrap();
    home.write(b"{}");
    assert!(matches!(
        apply(&planned, &home.file),
        Err(InstallError::Changed { .. })
    ));
    assert_eq!((home.text().as_str(), home.others()), ("{}", vec![]));
}

#[test]
fn refusals_change_nothing_and_say_what_to_do() {
    let check = |text: &[u8], expected: &str, advice: &str| {
        let home = Home::new(text);
        let error = install(&home.file, &[]).unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains(advice),
            "{error}"
        );
        assert_eq!(
            (fs::read(&home.file).unwrap().as_slice(), home.others()),
            (text, vec![])
        );
    };
    check(
        b"{\"mcpServers\": {\"a\": \xff}}",
        "not UTF-8 (byte 21)",
        "save it as UTF-8",
    );
    check(b"{\"mcpServers\": {\n  \"a\" {}}}", "2:7", "mend it there");
    check(b"", "1:1", "mend it there");
    check(
        b"{}",
        "no MCP servers found (looked for `mcpServers`)",
        "add a server in the client first",
    );
    check(b"{\"mcpServers\": {}}", "no MCP servers", "check the path");
    check(
        b"{\"mcpServers\": {\"a\": {}, \"a\": {}}}",
        "`a` stands twice in one object, the second time at 1:26",
        "remove one",
    );

    let home = Home::new(CONFIG.as_bytes());
    let error = install(&home.dir.path().join("none.json"), &[]).unwrap_err();
    assert!(
        matches!(&error, InstallError::Missing { path } if path.ends_with("none.json")),
        "{error}"
    );
    assert!(matches!(
        install(home.dir.path(), &[]),
        Err(InstallError::NotAFile { .. })
    ));
    let error = install(&home.file, &["c"]).unwrap_err().to_string();
    assert_eq!(error, "no server named `c`; the file has `a`, `b`");
    fs::set_permissions(&home.file, fs::Permissions::from_mode(0o444)).unwrap();
    assert!(matches!(
        install(&home.file, &[]),
        Err(InstallError::ReadOnly { .. })
    ));
    assert_eq!((home.text().as_str(), home.others()), (CONFIG, vec![]));
    let error = Wrapper::new(Path::new("tacho"), Vec::new()).unwrap_err();
    assert!(matches!(error, InstallError::TachoPath { .. }));
}

#[test]
fn large_files() {
    let history = "say \\\"mcpServers\\\" ".repeat(200_000);
    let text = format!(
        "{{\"history\": [\"{history}\"],{}",
        CONFIG.trim_start_matches('{')
    );
    let home = Home::new(text.as_bytes());
    install(&home.file, &[]).unwrap();
    assert!(home.text().len() > text.len());
    uninstall(&home.file, &[]).unwrap();
    assert_eq!(home.text(), text);
    fs::OpenOptions::new()
        .write(true)
        .open(&home.file)
        .unwrap()
        .set_len(MAX_CONFIG_BYTES + 1)
        .unwrap();
    assert!(
        matches!(read(&home.file), Err(InstallError::TooLarge { bytes, .. }) if bytes == MAX_CONFIG_BYTES + 1)
    );
}
