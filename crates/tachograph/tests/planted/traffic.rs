//! The recorded sessions of `fixtures/traffic`, and who waits for whom when they are played back.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value;

/// One line of one side.
#[derive(Clone)]
pub(crate) struct Line {
    /// As recorded; `Err` where it is no JSON.
    pub(crate) said: Result<Value, String>,
    /// It is not said before so many lines of the other side have arrived.
    pub(crate) after: usize,
}

/// One recorded session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) client: Vec<Line>,
    pub(crate) server: Vec<Line>,
}

/// Every session, in the order of their names.
pub(crate) fn sessions() -> Vec<Session> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/traffic");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    files.iter().map(read).collect()
}

fn read(path: &PathBuf) -> Session {
    let mut session = Session {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        client: Vec::new(),
        server: Vec::new(),
    };
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let text = recorded["line"].as_str().unwrap();
        let line = Line {
            said: serde_json::from_str(text).map_err(|_not_json| text.to_owned()),
            after: 0,
        };
        match recorded["from"].as_str().unwrap() {
            "client" => session.client.push(line),
            _ => session.server.push(line),
        }
    }
    session.order();
    session
}

impl Session {
    /// An answer comes after its request. The rest keeps the order of its own side.
    pub(crate) fn order(&mut self) {
        let asked_by_client = requests(&self.client);
        let asked_by_server = requests(&self.server);
        wait(&mut self.server, &asked_by_client);
        wait(&mut self.client, &asked_by_server);
    }
}

/// The messages of a line: itself, or the elements of a batch.
pub(crate) fn messages(line: &Value) -> &[Value] {
    line.as_array()
        .map_or(std::slice::from_ref(line), Vec::as_slice)
}

/// Id of each request to the number of lines that have arrived once it has.
fn requests(lines: &[Line]) -> HashMap<String, usize> {
    let mut asked = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        for message in line.said.iter().flat_map(messages) {
            if message.get("method").is_some() && message.get("id").is_some() {
                asked.insert(message["id"].to_string(), at + 1);
            }
        }
    }
    asked
}

fn wait(lines: &mut [Line], asked: &HashMap<String, usize>) {
    for line in lines {
        let answers = line
            .said
            .iter()
            .flat_map(messages)
            .filter(|message| message.get("method").is_none());
        let latest = answers
            .filter_map(|message| asked.get(&message.get("id")?.to_string()))
            .max();
        line.after = latest.copied().unwrap_or(0);
    }
}
