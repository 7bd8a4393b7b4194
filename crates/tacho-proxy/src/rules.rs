//! What an operator wants of which message: how much is recorded, and how much the message depends on
//! that. An ordered list, the first match wins, the words are those of Kubernetes' audit policy. Pure.

mod glob;

use tacho_event::Level;

pub use self::glob::{Glob, GlobError};
use crate::mode::Mode;

/// What is to be done about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// How much is kept; `None`: no record at all, only a count. That holds for calls of the client alone.
    pub level: Option<Level>,
    /// How much it depends on its record.
    pub mode: Mode,
}

impl Default for Treatment {
    fn default() -> Self {
        Self {
            level: Some(Level::Request),
            mode: Mode::default(),
        }
    }
}

impl Treatment {
    /// The same for what always has a record: `none` becomes `metadata`.
    #[must_use]
    pub fn recorded(self) -> Self {
        Self {
            level: self.level.or(Some(Level::Metadata)),
            ..self
        }
    }

    /// What keeps the more and depends on it the more, member by member.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        Self {
            level: self.level.max(other.level),
            mode: self.mode.stricter(other.mode),
        }
    }
}

/// One rule: what it matches, and what it says. What it does not say is as where no rule matches.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// What the operator calls the server.
    pub server: Option<Glob>,
    /// The name of the tool or prompt, or the URI of the resource. A message without one does not match.
    pub tool: Option<Glob>,
    /// The MCP method. A message without one does not match.
    pub method: Option<Glob>,
    /// What the server claims of the tool. Only `tools/call` matches.
    pub hint: Option<Hint>,
    /// How much is kept; `Some(None)`: nothing.
    pub level: Option<Option<Level>>,
    /// How much a call depends on its record.
    pub mode: Option<Mode>,
}

impl Rule {
    /// Whether it matches everything.
    pub const fn matches_all(&self) -> bool {
        self.server.is_none() && self.tool.is_none() && self.method.is_none() && self.hint.is_none()
    }

    fn matches(&self, server: &str, subject: Subject<'_>) -> bool {
        let fits = |glob: &Option<Glob>, text: Option<&str>| match glob {
            None => true,
            Some(glob) => text.is_some_and(|text| glob.matches(text)),
        };
        fits(&self.server, Some(server))
            && fits(&self.method, subject.method)
            && fits(&self.tool, subject.tool)
            && self
                .hint
                .is_none_or(|hint| subject.hints.is_some_and(|hints| hints.say(hint)))
    }
}

/// What rules look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The MCP method.
    pub method: Option<&'a str>,
    /// The name of the tool or prompt, or the URI of the resource.
    pub tool: Option<&'a str>,
    /// For `tools/call`: what the server claims of the tool.
    pub hints: Option<Hints>,
}

/// The annotations of a tool as its server listed it (MCP, `ToolAnnotations`): claims that nobody checked.
/// What a server does not say has the protocol's default, which is the more careful one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    /// `readOnlyHint`.
    pub read_only: bool,
    /// `destructiveHint`; of a tool that claims to be read-only it means nothing, and is taken as false.
    pub destructive: bool,
    /// `idempotentHint`.
    pub idempotent: bool,
    /// `openWorldHint`.
    pub open_world: bool,
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            read_only: false,
            destructive: true,
            idempotent: false,
            open_world: true,
        }
    }
}

impl Hints {
    const fn say(self, hint: Hint) -> bool {
        match hint {
            Hint::ReadOnly(yes) => self.read_only == yes,
            Hint::Destructive(yes) => self.destructive == yes,
            Hint::Idempotent(yes) => self.idempotent == yes,
            Hint::OpenWorld(yes) => self.open_world == yes,
        }
    }
}

/// A hint that a rule asks for, or its negation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// `readOnlyHint`.
    ReadOnly(bool),
    /// `destructiveHint`.
    Destructive(bool),
    /// `idempotentHint`.
    Idempotent(bool),
    /// `openWorldHint`.
    OpenWorld(bool),
}

/// The rules of one session, in order, and what holds where none matches.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    server: String,
    default: Treatment,
}

impl Rules {
    /// The rules that concern one server.
    pub fn new(rules: Vec<Rule>, server: &str, default: Treatment) -> Self {
        let concerns = |rule: &Rule| rule.server.as_ref().is_none_or(|glob| glob.matches(server));
        Self {
            rules: rules.into_iter().filter(concerns).collect(),
            server: server.to_owned(),
            default,
        }
    }

    /// What the first rule that matches says.
    pub fn treat(&self, subject: Subject<'_>) -> Treatment {
        let matching = |rule: &&Rule| rule.matches(&self.server, subject);
        let Some(rule) = self.rules.iter().find(matching) else {
            return self.default;
        };
        Treatment {
            level: rule.level.unwrap_or(self.default.level),
            mode: rule.mode.unwrap_or(self.default.mode),
        }
    }

    /// How much depends on the records of the session itself.
    pub const fn default_mode(&self) -> Mode {
        self.default.mode
    }

    /// Whether anything in the session may have to wait for its record.
    pub fn may_wait(&self) -> bool {
        let modes = self.rules.iter().filter_map(|rule| rule.mode);
        modes
            .chain([self.default.mode])
            .any(|mode| mode != Mode::BestEffort)
    }
}

#[cfg(test)]
mod tests;
