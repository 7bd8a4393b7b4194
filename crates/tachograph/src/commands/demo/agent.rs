//! A client that does what an agent does, over raw JSON lines.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command};

use serde_json::{Value, json};

/// Works through a small job and says in a line each what was asked and answered.
pub(super) fn work(server: Command) -> io::Result<Vec<String>> {
    let mut agent = Agent::connect(server)?;
    // Made up, and put together here so that nobody mistakes it for a leaked one.
    let token = format!("ghp_{}", "0123456789abcdefghijklmnopqrstuvwxyz");
    let jobs = [
        (
            "write_file",
            json!({"path": "notes.txt", "content": "quarterly numbers"}),
        ),
        ("read_file", json!({"path": "notes.txt"})),
        ("list_files", json!({})),
        ("delete_file", json!({"path": "notes.txt"})),
        ("read_file", json!({"path": "notes.txt"})),
        (
            "send_report",
            json!({"to": "ann@example.com", "token": token, "body": "done"}),
        ),
    ];
    let mut steps = Vec::new();
    for (tool, arguments) in jobs {
        let answer = agent.call(tool, &arguments)?;
        let failed = answer.pointer("/result/isError") == Some(&Value::Bool(true))
            || answer.get("error").is_some();
        let words = answer.pointer("/result/content/0/text");
        let words = words.and_then(Value::as_str).unwrap_or("");
        let words: String = words
            .lines()
            .next()
            .unwrap_or("")
            .chars()
            .take(60)
            .collect();
        let mark = if failed { "failed: " } else { "" };
        steps.push(format!(
            "{tool} → {mark}{}",
            crate::terminal::escape(&words)
        ));
    }
    agent.leave()?;
    Ok(steps)
}

/// Asks for something slow and is killed, recorder's source and all, before the answer.
pub(super) fn die_in_mid_call(server: Command) -> io::Result<()> {
    let mut agent = Agent::connect(server)?;
    agent.send(
        "tools/call",
        &json!({"name": "slow", "arguments": {"ms": 30_000}}),
    )?;
    // An answered request behind it shows that the slow one is recorded and on its way.
    agent.request("tools/list", &json!({}))?;
    agent.server.kill()?;
    agent.server.wait().map(drop)
}

struct Agent {
    server: Child,
    to_server: ChildStdin,
    from_server: BufReader<ChildStdout>,
    next_id: u64,
}

impl Agent {
    fn connect(mut server: Command) -> io::Result<Self> {
        let mut server = server.spawn()?;
        let closed = || io::Error::other("the server's pipes are not there");
        let to_server = server.stdin.take().ok_or_else(closed)?;
        let from_server = BufReader::new(server.stdout.take().ok_or_else(closed)?);
        let mut agent = Self {
            server,
            to_server,
            from_server,
            next_id: 1,
        };
        let client = json!({"name": "demo-agent", "version": env!("CARGO_PKG_VERSION")});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        agent.request("initialize", &params)?;
        agent.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        agent.request("tools/list", &json!({}))?;
        Ok(agent)
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> io::Result<Value> {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    fn request(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        let id = self.send(method, params)?;
        loop {
            let mut line = String::new();
            if self.from_server.read_line(&mut line)? == 0 {
                return Err(io::Error::other(format!(
                    "the server ended before it answered {method}"
                )));
            }
            let message: Value = serde_json::from_str(&line)?;
            if message.get("id") == Some(&json!(id)) {
                return Ok(message);
            }
        }
    }

    fn send(&mut self, method: &str, params: &Value) -> io::Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    fn write(&mut self, message: &Value) -> io::Result<()> {
        self.to_server.write_all(format!("{message}\n").as_bytes())
    }

    fn leave(self) -> io::Result<()> {
        let Self {
            mut server,
            to_server,
            ..
        } = self;
        drop(to_server);
        server.wait().map(drop)
    }
}
