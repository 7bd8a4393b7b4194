//! The bytes pass untouched, in order, whatever they are.

use super::*;

const MODES: [Mode; 3] = [
    Mode::STRICT,
    Mode::Blocking {
        deadline: Duration::from_secs(5),
    },
    Mode::BestEffort,
];

/// Plays `bytes` to a server that gives them back, and counts.
fn check(bytes: &[u8], messages: usize) {
    for mode in MODES {
        let double = Double::default();
        let mut running = start(&["cat"], mode, &double);
        let mut input = running.input.take().unwrap();
        let spoken = bytes.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&spoken).unwrap());
        let heard = running.hear_all();
        writer.join().unwrap();
        assert!(
            heard == bytes,
            "{} bytes became {}",
            bytes.len(),
            heard.len()
        );
        let info = running.end().unwrap();
        assert_eq!(info.status, Status::Exited(0));
        let length = u64::try_from(bytes.len()).unwrap();
        assert_eq!(
            (info.counts.from_client.bytes, info.counts.from_server.bytes),
            (length, length)
        );
        assert_eq!(
            double.directed(),
            2 * messages,
            "one record for each message each way"
        );
    }
}

#[test]
fn oddities() {
    let mut odd = Vec::new();
    odd.extend_from_slice(b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n");
    odd.extend_from_slice(b"\n \t\r\n");
    odd.extend_from_slice(b"plain text, \xff\xfe and \x00\n");
    odd.extend_from_slice(b"[{\"method\":\"a\"},{\"method\":\"b\",\"id\":\"x\"},3]\n");
    odd.extend_from_slice(b"{ \"id\" : 3.0 , \"result\" : {} }\n\n");
    odd.extend_from_slice(b"{\"method\":\"partial\"");
    check(&odd, 1 + 1 + 3 + 1 + 1);
    check(b"", 0);
    check(b"\n\n\n", 0);
}

#[test]
fn a_message_of_seventeen_mebibytes() {
    let filler = "x".repeat(17 * 1024 * 1024);
    let line = format!(
        "{{\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"t\",\"arguments\":{{\"a\":\"{filler}\"}}}}}}\n{{\"id\":2,\"method\":\"x\"}}\n"
    );
    check(line.as_bytes(), 2);
}

#[test]
fn ten_thousand_calls_in_flight() {
    let lines: String = (0..10_000)
        .map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"t\"}}}}\n"))
        .collect();
    check(lines.as_bytes(), 10_000);
}

/// A server that speaks without being asked while nobody listens, and a client that speaks without
/// listening: each direction is full, and neither may hold up the other.
#[test]
fn floods_in_both_directions() {
    for mode in MODES {
        let double = Double::default();
        let script = r#"yes '{"method":"n","params":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}' | head -n 150000 & cat >/dev/null; wait"#;
        let mut running = start(&shell(script), mode, &double);
        for id in 0..30_000 {
            running.say(&format!(
                "{{\"id\":{id},\"method\":\"tools/call\",\"params\":{{}}}}\n"
            ));
        }
        running.hang_up();
        let heard = running.hear_all();
        assert_eq!(heard.iter().filter(|byte| **byte == b'\n').count(), 150_000);
        running.end().unwrap();
        assert_eq!(double.directed(), 180_000);
    }
}
