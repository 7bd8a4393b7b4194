use std::path::Path;

use rmcp::ServiceExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

use super::{DemoServer, NAME, RULES_URI};

/// A client that knows lines only.
struct Client {
    lines: BufReader<DuplexStream>,
    next_id: u64,
    meta: Option<Value>,
}

impl Client {
    fn start(root: &Path) -> Self {
        let server = DemoServer::new(root).unwrap();
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let running = server.serve(tokio::io::split(far)).await.unwrap();
            running.waiting().await.unwrap();
        });
        Self {
            lines: BufReader::new(near),
            next_id: 0,
            meta: None,
        }
    }

    async fn legacy(root: &Path) -> Self {
        let mut client = Self::start(root);
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "raw", "version": "0" },
        });
        let opened = client.request("initialize", params).await;
        assert_eq!(opened["result"]["serverInfo"]["name"], NAME);
        assert_eq!(opened["result"]["protocolVersion"], "2025-11-25");
        client
            .send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
        client
    }

    async fn modern(root: &Path) -> Self {
        let mut client = Self::start(root);
        client.meta = Some(json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "0" },
            "io.modelcontextprotocol/clientCapabilities": {},
        }));
        let found = client.request("server/discover", json!({})).await;
        let info = &found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(info["name"], NAME, "{found}");
        assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
        client
    }

    async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.lines
            .get_mut()
            .write_all(line.as_bytes())
            .await
            .unwrap();
    }

    async fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn request(&mut self, method: &str, mut params: Value) -> Value {
        if let Some(meta) = &self.meta {
            params["_meta"] = meta.clone();
        }
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await;
        let answer = self.receive().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The text of a tool's answer, and whether it was an error.
    async fn call(&mut self, tool: &str, arguments: Value) -> (String, bool) {
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = self.request("tools/call", params).await;
        let result = &answer["result"];
        let text = result["content"][0]["text"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"));
        (text.to_owned(), result["isError"] == true)
    }
}

fn ok(text: &str) -> (String, bool) {
    (text.to_owned(), false)
}

async fn tools_do_what_they_say(mut client: Client, root: &Path) {
    let wrote = client
        .call("write_file", json!({ "path": "a.txt", "content": "hello" }))
        .await;
    assert_eq!(wrote, ok("wrote 5 bytes to a.txt"));
    assert_eq!(
        client.call("read_file", json!({ "path": "a.txt" })).await,
        ok("hello")
    );
    assert_eq!(client.call("list_files", json!({})).await, ok("a.txt"));
    assert_eq!(
        client.call("delete_file", json!({ "path": "a.txt" })).await,
        ok("deleted a.txt")
    );
    assert!(!root.join("a.txt").exists());

    let sent = json!({ "to": "ops@example.com", "token": "t", "body": "abc" });
    assert_eq!(
        client.call("send_report", sent).await,
        ok("sent 3 bytes to ops@example.com")
    );
    assert_eq!(
        client.call("slow", json!({ "ms": 1 })).await,
        ok("waited 1 ms")
    );

    for (tool, arguments) in [
        ("read_file", json!({ "path": "a.txt" })),
        ("read_file", json!({ "path": "../a.txt" })),
        ("write_file", json!({ "path": "/a.txt", "content": "" })),
        ("delete_file", json!({ "path": "a.txt" })),
        (
            "send_report",
            json!({ "to": "nobody", "token": "t", "body": "" }),
        ),
        (
            "send_report",
            json!({ "to": "a@b", "token": "", "body": "" }),
        ),
        ("slow", json!({ "ms": 60_001 })),
    ] {
        let (text, is_error) = client.call(tool, arguments.clone()).await;
        assert!(is_error, "{tool} {arguments}: {text}");
    }

    let unknown = client
        .request("tools/call", json!({ "name": "no_such_tool" }))
        .await;
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");

    let listed = client.request("resources/list", json!({})).await;
    assert_eq!(listed["result"]["resources"][0]["uri"], RULES_URI);
    let read = client
        .request("resources/read", json!({ "uri": RULES_URI }))
        .await;
    assert!(
        read["result"]["contents"][0]["text"]
            .as_str()
            .unwrap()
            .contains("Reports"),
        "{read}"
    );
    let missing = client
        .request("resources/read", json!({ "uri": "demo://none" }))
        .await;
    assert!(missing["error"]["code"].is_number(), "{missing}");
}

#[tokio::test]
async fn the_session_generation() {
    let dir = tempfile::tempdir().unwrap();
    tools_do_what_they_say(Client::legacy(dir.path()).await, dir.path()).await;
}

#[tokio::test]
async fn the_stateless_generation() {
    let dir = tempfile::tempdir().unwrap();
    tools_do_what_they_say(Client::modern(dir.path()).await, dir.path()).await;
}

#[tokio::test]
async fn tools_are_annotated() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::legacy(dir.path()).await;
    let listed = client.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let hints: Vec<_> = tools
        .iter()
        .map(|tool| {
            let hint = |name: &str| tool["annotations"][name].as_bool();
            assert!(tool["inputSchema"]["type"] == "object", "{tool}");
            assert!(
                tool["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{tool}"
            );
            (
                tool["name"].as_str().unwrap(),
                hint("readOnlyHint"),
                hint("destructiveHint"),
            )
        })
        .collect();
    assert_eq!(
        hints,
        [
            ("delete_file", Some(false), Some(true)),
            ("list_files", Some(true), None),
            ("read_file", Some(true), None),
            ("send_report", Some(false), Some(false)),
            ("slow", Some(true), None),
            ("write_file", Some(false), Some(true)),
        ]
    );
}

#[tokio::test]
async fn a_slow_call_can_be_cancelled_and_does_not_block_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::legacy(dir.path()).await;
    client
        .send(&json!({
            "jsonrpc": "2.0", "id": "slow", "method": "tools/call",
            "params": { "name": "slow", "arguments": { "ms": 60_000 } },
        }))
        .await;
    assert_eq!(client.call("list_files", json!({})).await, ok(""));
    client
        .send(&json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": "slow", "reason": "enough" },
        }))
        .await;
    assert_eq!(
        client.call("slow", json!({ "ms": 0 })).await,
        ok("waited 0 ms")
    );
}
