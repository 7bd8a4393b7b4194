//! A recorder that reads nothing for a while.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use tacho_event::{Stage, Unredacted};
use tacho_log::Patience;

use super::{PATIENCE, Running, Source, durable};

/// Stands between a source and a recorder and passes nothing on after the greeting until told.
fn stalling_relay(socket: PathBuf, to: PathBuf, go: std::sync::mpsc::Receiver<()>) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut source, _) = listener.accept().unwrap();
        let mut recorder = UnixStream::connect(to).unwrap();
        let mut back = (recorder.try_clone().unwrap(), source.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
        let mut hello = [0; 24];
        std::io::Read::read_exact(&mut source, &mut hello).unwrap();
        std::io::Write::write_all(&mut recorder, &hello).unwrap();
        go.recv().unwrap();
        drop(std::io::copy(&mut source, &mut recorder));
    });
}

#[test]
fn what_a_busy_recorder_does_not_take_at_once_follows_in_order() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let (go, told) = std::sync::mpsc::sync_channel(1);
    let relay = root.path().join("relay.sock");
    stalling_relay(relay.clone(), server.dir.socket(), told);
    let mut source = Source::start(relay, 21);
    let args = bytes::Bytes::from(format!("{{\"text\":\"{}\"}}", "a word ".repeat(200)));
    let (mut ids, mut tickets) = (Vec::new(), Vec::new());
    // Six megabytes: more than the socket holds, more than waits to be sent, less than the queue.
    for _ in 0..4_000 {
        let mut event = source.event(Stage::Single);
        event.args = Some(Unredacted::new(args.clone()));
        ids.push(event.id.to_string());
        tickets.push(source.recorder.record(event, Patience::Never));
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.records().len(), 1);
    go.send(()).unwrap();
    tickets.into_iter().for_each(durable);
    let on_disk = server.records().into_iter().skip(1);
    let on_disk: Vec<_> = on_disk.map(|record| record.id).collect();
    assert!(on_disk == ids, "{} records", on_disk.len());
    source.threads.close(PATIENCE);
    server.stop();
}
