//! The servers of a configuration, and which of them can run under tacho.

use super::client::Layout;
use super::error::InstallError;
use super::scan::{Kind, Member, Node, slice};
use super::string::unescape;

/// Which server of a file: its name, and the project where Claude Code keeps it for one project only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerId {
    /// The key under `projects`: a path.
    pub project: Option<String>,
    /// The server's name.
    pub name: String,
}

impl std::fmt::Display for ServerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.project {
            Some(project) => write!(f, "{} (project {project})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// One entry of a list of servers.
pub(super) struct Server<'t> {
    pub(super) id: ServerId,
    /// The member it stands in: with [`Layout::Any`], one name may stand in several.
    pub(super) list: &'static str,
    /// The name as written in the file, quotes included.
    pub(super) raw_name: &'t str,
    pub(super) entry: &'t Node,
    pub(super) what: What<'t>,
}

pub(super) enum What<'t> {
    Stdio(Stdio<'t>),
    /// Reached by URL.
    Remote,
    /// Neither, and why.
    Unusable(&'static str),
}

/// A server that the client starts.
pub(super) struct Stdio<'t> {
    pub(super) command: &'t Member,
    pub(super) command_index: usize,
    pub(super) args: Option<Args<'t>>,
}

pub(super) struct Args<'t> {
    /// Which member of the entry.
    pub(super) index: usize,
    pub(super) member: &'t Member,
    pub(super) elements: &'t [Node],
}

/// The servers in the order of the file.
pub(super) fn servers<'t>(
    text: &'t str,
    root: &'t Node,
    layout: Layout,
) -> Result<Vec<Server<'t>>, InstallError> {
    let mut found = Vec::new();
    let list = |node: &'t Node, name: &str| node.get(text, name).map(|(_, member)| &member.value);
    let (top, projects, settings) = match layout {
        Layout::McpServers => (&["mcpServers"][..], false, false),
        Layout::McpServersAndProjects => (&["mcpServers"][..], true, false),
        Layout::Servers => (&["servers"][..], false, false),
        Layout::Any => (&["mcpServers", "servers"][..], true, true),
    };
    for &name in top {
        collect(text, name, list(root, name), None, &mut found);
    }
    if settings {
        collect(
            text,
            "mcp.servers",
            list(root, "mcp").and_then(|mcp| list(mcp, "servers")),
            None,
            &mut found,
        );
    }
    if projects {
        for project in list(root, "projects")
            .and_then(Node::members)
            .unwrap_or_default()
        {
            let path = text_of(text, &project.key);
            collect(
                text,
                "projects",
                list(&project.value, "mcpServers"),
                Some(&path),
                &mut found,
            );
        }
    }
    if found.is_empty() {
        let looked = match layout {
            Layout::McpServers => "`mcpServers`",
            Layout::McpServersAndProjects => "`mcpServers` and `projects.*.mcpServers`",
            Layout::Servers => "`servers`",
            Layout::Any => "`mcpServers`, `servers`, `mcp.servers` and `projects.*.mcpServers`",
        };
        return Err(InstallError::NoServers { looked });
    }
    found.sort_by_key(|server| server.entry.span.start);
    Ok(found)
}

fn collect<'t>(
    text: &'t str,
    list: &'static str,
    node: Option<&'t Node>,
    project: Option<&str>,
    found: &mut Vec<Server<'t>>,
) {
    for member in node.and_then(Node::members).unwrap_or_default() {
        found.push(Server {
            id: ServerId {
                project: project.map(str::to_owned),
                name: text_of(text, &member.key),
            },
            list,
            raw_name: slice(text, &member.key),
            entry: &member.value,
            what: classify(text, &member.value),
        });
    }
}

fn classify<'t>(text: &str, entry: &'t Node) -> What<'t> {
    if entry.members().is_none() {
        return What::Unusable("the entry is not an object");
    }
    if let Some((_, kind)) = entry.get(text, "type")
        && string(text, &kind.value).as_deref() != Some("stdio")
    {
        return What::Remote;
    }
    let Some((command_index, command)) = entry.get(text, "command") else {
        let url = ["url", "serverUrl", "httpUrl"]
            .iter()
            .any(|name| entry.get(text, name).is_some());
        return if url {
            What::Remote
        } else {
            What::Unusable("it has no `command`")
        };
    };
    match string(text, &command.value) {
        None => return What::Unusable("`command` is not a string"),
        Some(command) if command.is_empty() => return What::Unusable("`command` is empty"),
        Some(_) => {}
    }
    let args = match entry.get(text, "args") {
        None => None,
        Some((index, member)) => match &member.value.kind {
            Kind::Array(elements) if elements.iter().all(Node::is_string) => Some(Args {
                index,
                member,
                elements,
            }),
            Kind::Array(_) | Kind::Object(_) | Kind::String | Kind::Scalar => {
                return What::Unusable("`args` is not an array of strings");
            }
        },
    };
    What::Stdio(Stdio {
        command,
        command_index,
        args,
    })
}

fn text_of(text: &str, span: &std::ops::Range<usize>) -> String {
    String::from_utf8_lossy(&unescape(slice(text, span))).into_owned()
}

/// What a string node says; `None` if it is none.
pub(super) fn string(text: &str, node: &Node) -> Option<String> {
    node.is_string().then(|| text_of(text, &node.span))
}
