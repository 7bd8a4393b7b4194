//! Where in a session something can stand, and how it is put there.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each function is about a few of many places"
)]

use serde_json::{Value, json};

use crate::secrets::Random;
use crate::traffic::{Line, Session};

/// A kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    ClientText,
    ServerText,
    ClientKey,
    ServerKey,
    ToolArgument,
    ToolCalled,
    Method,
    Id,
    ProgressToken,
    CancelReason,
    Trace,
    RelatedTask,
    ClientInfo,
    ProtocolVersion,
    Uri,
    ServerInfo,
    ErrorMessage,
    ErrorData,
    ToolError,
    ResultText,
    RequestState,
    Progress,
    LogMessage,
    Sampling,
    Stray,
    Batch,
    ToolListed,
    ToolDescription,
    NotJson,
    Number,
    Named,
    Chunks,
    /// Not in messages: `--name`, the server's command line, its standard error.
    ServerName,
    Argument,
    Stderr,
}

impl Place {
    pub(crate) const ALL: &[Self] = &[
        Self::ClientText,
        Self::ServerText,
        Self::ClientKey,
        Self::ServerKey,
        Self::ToolArgument,
        Self::ToolCalled,
        Self::Method,
        Self::Id,
        Self::ProgressToken,
        Self::CancelReason,
        Self::Trace,
        Self::RelatedTask,
        Self::ClientInfo,
        Self::ProtocolVersion,
        Self::Uri,
        Self::ServerInfo,
        Self::ErrorMessage,
        Self::ErrorData,
        Self::ToolError,
        Self::ResultText,
        Self::RequestState,
        Self::Progress,
        Self::LogMessage,
        Self::Sampling,
        Self::Stray,
        Self::Batch,
        Self::ToolListed,
        Self::ToolDescription,
        Self::NotJson,
        Self::Number,
        Self::Named,
        Self::Chunks,
        Self::ServerName,
        Self::Argument,
        Self::Stderr,
    ];

    /// Whether harmless words are not found either: they do not go where only secrets go, and of a server's standard
    /// error nothing is recorded.
    pub(crate) const fn keeps_nothing(self) -> bool {
        matches!(
            self,
            Self::Number | Self::Named | Self::Chunks | Self::Stderr
        )
    }

    /// Puts `mark` there; whether the session has such a place that is still free.
    pub(crate) fn apply(self, session: &mut Session, random: &mut Random, mark: &str) -> bool {
        let Session { client, server, .. } = session;
        let mark = Value::from(mark);
        if let Some(pointers) = self.of_client() {
            return at(client, random, pointers, mark);
        }
        if let Some(pointers) = self.of_server() {
            return at(server, random, pointers, mark);
        }
        let either = random.below(2) == 0;
        match self {
            Self::ClientText => text(client, random, &mark),
            Self::ServerText => text(server, random, &mark),
            Self::ClientKey => key(client, random, &mark),
            Self::ServerKey => key(server, random, &mark),
            Self::Number | Self::Named if either => member(client, random, "/params", mark),
            Self::Number | Self::Named => member(server, random, "/result", mark),
            Self::ToolArgument => member(client, random, "/params/arguments", mark),
            Self::Method => method(client, random, mark),
            Self::Id => id(client, server, random, &mark),
            Self::ProgressToken => {
                within(client, random, "/params", &["_meta", "progressToken"], mark)
            }
            Self::Trace => within(client, random, "/params", &["_meta", "traceparent"], mark),
            Self::RelatedTask if either => within(client, random, "/params", RELATED_TASK, mark),
            Self::RelatedTask => within(server, random, "/result", RELATED_TASK, mark),
            Self::ErrorData => within(server, random, "/error", &["data", "detail"], mark),
            Self::ToolError => result_text(server, random, mark, true),
            Self::ResultText => result_text(server, random, mark, false),
            Self::RequestState => within(server, random, "/result", &["requestState"], mark),
            Self::ToolListed => listed(server, random, "name", mark),
            Self::ToolDescription => listed(server, random, "description", mark),
            Self::NotJson => not_json(if either { client } else { server }, random, &mark),
            Self::Chunks => at_array(server, random, "/result/content", mark),
            _ => false,
        }
    }

    /// Members of a client's messages that take any text.
    const fn of_client(self) -> Option<&'static [&'static str]> {
        Some(match self {
            Self::ToolCalled => &["/params/name"],
            Self::CancelReason => &["/params/reason"],
            Self::ClientInfo => &[
                "/params/clientInfo/name",
                "/params/clientInfo/version",
                "/params/_meta/io.modelcontextprotocol~1clientInfo/name",
                "/params/_meta/io.modelcontextprotocol~1clientInfo/version",
            ],
            Self::ProtocolVersion => &[
                "/params/protocolVersion",
                "/params/_meta/io.modelcontextprotocol~1protocolVersion",
            ],
            Self::Uri => &["/params/uri"],
            Self::Batch => &["/0/params/note"],
            _ => return None,
        })
    }

    /// Members of a server's messages that take any text.
    const fn of_server(self) -> Option<&'static [&'static str]> {
        Some(match self {
            Self::ServerInfo => &[
                "/result/serverInfo/name",
                "/result/serverInfo/version",
                "/result/_meta/io.modelcontextprotocol~1serverInfo/name",
            ],
            Self::ErrorMessage => &["/error/message"],
            Self::Progress => &["/params/message"],
            Self::LogMessage => &["/params/data/text"],
            Self::Sampling => &["/params/messages/0/content/text"],
            Self::Stray => &["/result/stray"],
            _ => return None,
        })
    }
}

/// Where tasks of MCP 2025-11-25 are named.
const RELATED_TASK: &[&str] = &["_meta", "io.modelcontextprotocol/related-task", "taskId"];

/// Adds messages for the places of which recorded sessions have few: cancellations, notifications, sampling,
/// answers to nothing, batches, lines that are no JSON.
pub(crate) fn make_room(session: &mut Session, random: &mut Random) {
    for n in 0..5 {
        let call = json!({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":90_000 + n,"reason":""}});
        insert(&mut session.client, random, Ok(call));
        let read =
            json!({"jsonrpc":"2.0","id":80_000 + n,"method":"resources/read","params":{"uri":""}});
        insert(&mut session.client, random, Ok(read));
        let batch = json!([{"jsonrpc":"2.0","method":"notifications/x","params":{"note":""}},{"jsonrpc":"2.0","id":70_000 + n,"method":"ping"}]);
        insert(&mut session.client, random, Ok(batch));
        let progress = json!({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":n,"message":""}});
        insert(&mut session.server, random, Ok(progress));
        let log = json!({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"text":""}}});
        insert(&mut session.server, random, Ok(log));
        let sampling = json!({"jsonrpc":"2.0","id":60_000 + n,"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":""}}],"maxTokens":9}});
        insert(&mut session.server, random, Ok(sampling));
        insert(
            &mut session.server,
            random,
            Ok(json!({"jsonrpc":"2.0","id":50_000 + n,"result":{"stray":""}})),
        );
        insert(
            &mut session.client,
            random,
            Err("a client that talks".to_owned()),
        );
        insert(
            &mut session.server,
            random,
            Err("a server that talks".to_owned()),
        );
    }
}

fn insert(lines: &mut Vec<Line>, random: &mut Random, said: Result<Value, String>) {
    // Not before the first two: `initialize` and what follows it.
    let at = 2 + random.below(lines.len().saturating_sub(1));
    lines.insert(at.min(lines.len()), Line { said, after: 0 });
}

fn is_free(value: &Value) -> bool {
    !value.to_string().contains("@@planted")
}

/// The lines for which `choose` finds a place, from a random one on; the first such place is used.
fn first<'a, T>(
    lines: &'a mut [Line],
    random: &mut Random,
    mut choose: impl FnMut(&'a mut Value) -> Option<T>,
) -> Option<T> {
    let from = random.below(lines.len());
    let (head, tail) = lines.split_at_mut(from);
    tail.iter_mut()
        .chain(head)
        .filter_map(|line| line.said.as_mut().ok())
        .find_map(&mut choose)
}

fn at(lines: &mut [Line], random: &mut Random, pointers: &[&str], mark: Value) -> bool {
    let pointer = random.pick(pointers);
    let free = |value: &&mut Value| value.is_string() && is_free(value);
    first(lines, random, |said| said.pointer_mut(pointer).filter(free))
        .map(|place| *place = mark)
        .is_some()
}

fn at_array(lines: &mut [Line], random: &mut Random, pointer: &str, mark: Value) -> bool {
    let free = |value: &&mut Value| value.is_array() && is_free(value);
    first(lines, random, |said| said.pointer_mut(pointer).filter(free))
        .map(|place| *place = mark)
        .is_some()
}

/// A new member at a path below an object that there is.
fn within(lines: &mut [Line], random: &mut Random, root: &str, path: &[&str], mark: Value) -> bool {
    let object = |said: &Value| said.pointer(root).is_some_and(Value::is_object);
    let free = |said: &Value| {
        path.iter()
            .try_fold(said.pointer(root)?, |value, name| value.get(*name))
            .map(is_free)
    };
    let line = first(lines, random, |said| {
        (object(said) && free(said) != Some(false)).then_some(said)
    });
    let Some(place) = line.and_then(|said| said.pointer_mut(root)) else {
        return false;
    };
    let mut place = place;
    for name in path {
        if !place.is_object() {
            *place = json!({});
        }
        place = place
            .as_object_mut()
            .unwrap()
            .entry(*name)
            .or_insert_with(|| json!({}));
    }
    *place = mark;
    true
}

fn member(lines: &mut [Line], random: &mut Random, root: &str, mark: Value) -> bool {
    let name = format!("note{}", random.below(1_000_000));
    let deeper = random.text("abcdefgh", 6);
    let path = [deeper.as_str(), name.as_str()];
    let path = if random.below(2) == 0 {
        &path[..]
    } else {
        &path[1..]
    };
    within(lines, random, root, path, mark)
}

fn method(lines: &mut [Line], random: &mut Random, mark: Value) -> bool {
    let harmless = |said: &Value| {
        [
            "ping",
            "resources/list",
            "prompts/list",
            "notifications/tachograph_unknown",
        ]
        .contains(&said["method"].as_str().unwrap_or_default())
    };
    let line = first(lines, random, |said| {
        (said.is_object() && harmless(said)).then_some(said)
    });
    line.map(|said| said["method"] = mark).is_some()
}

/// A request's id, and that of its answer.
fn id(client: &mut [Line], server: &mut [Line], random: &mut Random, mark: &Value) -> bool {
    let request =
        |said: &Value| said.get("method").is_some() && said.get("id").is_some_and(is_free);
    let Some(said) = first(client, random, |said| request(said).then_some(said)) else {
        return false;
    };
    let old = std::mem::replace(&mut said["id"], mark.clone());
    let answers = server.iter_mut().filter_map(|line| line.said.as_mut().ok());
    for answer in
        answers.filter(|said| said.get("method").is_none() && said.get("id") == Some(&old))
    {
        answer["id"] = mark.clone();
    }
    true
}

fn result_text(lines: &mut [Line], random: &mut Random, mark: Value, is_error: bool) -> bool {
    let free = |said: &Value| said.pointer("/result/content/0/text").is_some_and(is_free);
    let Some(said) = first(lines, random, |said| free(said).then_some(said)) else {
        return false;
    };
    said["result"]["content"][0]["text"] = mark;
    if is_error {
        said["result"]["isError"] = Value::Bool(true);
    }
    true
}

fn listed(lines: &mut [Line], random: &mut Random, name: &str, mark: Value) -> bool {
    let turn = random.below(12);
    let place = first(lines, random, |said| {
        let tools = said.pointer_mut("/result/tools")?.as_array_mut()?;
        let turn = turn % tools.len().max(1);
        tools
            .get_mut(turn)?
            .get_mut(name)
            .filter(|value| is_free(value))
    });
    place.map(|place| *place = mark).is_some()
}

fn not_json(lines: &mut [Line], random: &mut Random, mark: &Value) -> bool {
    let from = random.below(lines.len());
    let (head, tail) = lines.split_at_mut(from);
    let mut free = tail
        .iter_mut()
        .chain(head)
        .filter_map(|line| line.said.as_mut().err());
    let place = free.find(|text| text.ends_with("talks"));
    place
        .map(|text| *text = mark.as_str().unwrap().to_owned())
        .is_some()
}

/// Any text in the body of any message.
fn text(lines: &mut [Line], random: &mut Random, mark: &Value) -> bool {
    with_body(lines, random, |body, random| {
        let mut texts = Vec::new();
        leaves(body, &mut texts);
        texts.retain(|value| is_free(value));
        let turn = random.below(texts.len());
        texts
            .into_iter()
            .nth(turn)
            .map(|place| *place = mark.clone())
            .is_some()
    })
}

/// The name of a new member of any object in the body of any message.
fn key(lines: &mut [Line], random: &mut Random, mark: &Value) -> bool {
    with_body(lines, random, |body, random| {
        let mut objects = Vec::new();
        objects_in(body, &mut objects);
        let turn = random.below(objects.len());
        let place = objects.into_iter().nth(turn).and_then(Value::as_object_mut);
        place
            .map(|object| object.insert(mark.as_str().unwrap().to_owned(), json!(1)))
            .is_some()
    })
}

fn with_body(
    lines: &mut [Line],
    random: &mut Random,
    mut act: impl FnMut(&mut Value, &mut Random) -> bool,
) -> bool {
    for _ in 0..20 {
        let turn = random.below(lines.len());
        let Ok(said) = &mut lines[turn].said else {
            continue;
        };
        let name = ["params", "result", "error"]
            .into_iter()
            .find(|name| said.get(*name).is_some());
        if name.is_some_and(|name| act(&mut said[name], random)) {
            return true;
        }
    }
    false
}

fn leaves<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::String(_) => found.push(value),
        Value::Array(elements) => elements
            .iter_mut()
            .for_each(|element| leaves(element, found)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| leaves(member, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The objects that hold no others: enough to choose from, and each can be borrowed.
fn objects_in<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    let inner = |value: &Value| value.is_object() || value.is_array();
    match value {
        Value::Object(members) if !members.values().any(inner) => found.push(value),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| objects_in(member, found)),
        Value::Array(elements) => elements
            .iter_mut()
            .for_each(|element| objects_in(element, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
