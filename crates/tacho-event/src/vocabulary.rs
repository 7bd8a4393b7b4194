use std::fmt;

use crate::EventId;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every word, in the order of `docs/format.md`.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word as it stands in a record.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The word's meaning; `None` for a word of a later version.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What kind of thing happened: member `type`.
    EventType {
        /// `tools/call`.
        ToolCall = "tool_call",
        /// `resources/read`.
        ResourceRead = "resource_read",
        /// `prompts/get`.
        PromptGet = "prompt_get",
        /// `sampling/createMessage`, from the server.
        Sampling = "sampling",
        /// `elicitation/create`, from the server.
        Elicitation = "elicitation",
        /// Any other MCP request.
        McpRequest = "mcp_request",
        /// A message without an id.
        McpNotification = "mcp_notification",
        /// A response to nothing that is open: unknown, repeated or without an id.
        McpResponse = "mcp_response",
        /// A line that is not a JSON-RPC message.
        McpUnparsed = "mcp_unparsed",
        /// A client said who it is.
        ClientConnected = "client_connected",
        /// The server process was started.
        ServerStarted = "server_started",
        /// The server process ended.
        ServerExited = "server_exited",
        /// A tool's definition is not what it was.
        ToolDefinitionsChanged = "tool_definitions_changed",
        /// The log was opened by a writer.
        LogOpened = "log_opened",
        /// The log was closed in order.
        LogClosed = "log_closed",
        /// Nothing else happened for a while.
        Heartbeat = "heartbeat",
        /// Events were lost; says how many.
        Gap = "gap",
        /// The outcome of an intent whose source died.
        Interrupted = "interrupted",
        /// The log's files are not as the writer left them.
        TamperSuspected = "tamper_suspected",
        /// Another key signs from the next checkpoint on.
        KeyRotated = "key_rotated",
        /// The configuration is not what it was when the log was opened last.
        ConfigChanged = "config_changed",
        /// A checkpoint could not be held outside.
        WitnessFailed = "witness_failed",
        /// The space left on the log's disk went below a threshold.
        SpaceLow = "space_low",
        /// Records were removed by policy.
        RetentionPruned = "retention_pruned",
        /// A hold was added or removed.
        HoldChanged = "hold_changed",
        /// A body that was kept was destroyed on purpose.
        EvidenceErased = "evidence_erased",
    }
}

words! {
    /// How much attention an event deserves: member `severity`.
    Severity {
        /// Normal operation.
        Info = "info",
        /// Something a person may want to look at.
        Warning = "warning",
        /// Something failed.
        Error = "error",
        /// The record itself, or what protects it, is in danger.
        Critical = "critical",
    }
}

words! {
    /// What came of it: member `outcome`.
    Outcome {
        /// It did what was asked, as far as the protocol tells.
        Ok = "ok",
        /// It failed; `error` says at which layer.
        Error = "error",
        /// It was refused and never ran.
        Denied = "denied",
        /// The caller took it back before an answer.
        Cancelled = "cancelled",
        /// The caller stopped waiting.
        Timeout = "timeout",
        /// Nobody saw how it ended.
        Interrupted = "interrupted",
        /// It is not over: an intent, a task that runs on, a round that wants more input.
        Pending = "pending",
    }
}

words! {
    /// How much of a message a record keeps, in the words of Kubernetes' audit policy. The order is that of
    /// how much. `none` is no word of a record: there is none then.
    Level {
        /// Who, what, when, how it ended; digests of arguments and result.
        Metadata = "metadata",
        /// Also the redacted arguments.
        Request = "request",
        /// Also the redacted result.
        RequestResponse = "request_response",
    }
}

words! {
    /// What is recorded as one JSON value of its own: members `args` and `result`.
    Body {
        /// Arguments, or the whole `params`.
        Args = "args",
        /// The result.
        Result = "result",
    }
}

words! {
    /// The layer an error belongs to: member `error.layer`.
    Layer {
        /// No answer: the connection or the process ended, or the recorder refused.
        Transport = "transport",
        /// A JSON-RPC error.
        Protocol = "protocol",
        /// A tool result with `isError: true`.
        Tool = "tool",
    }
}

words! {
    /// How the actor is known: member `actor.auth`.
    Auth {
        /// The operating system says which user runs the process.
        OsUser = "os_user",
        /// Nobody says.
        None = "none",
    }
}

words! {
    /// Which way the one message that a record stands for travelled: member `direction`.
    Direction {
        /// From the client.
        ClientToServer = "client_to_server",
        /// From the server.
        ServerToClient = "server_to_client",
    }
}

impl Direction {
    /// The other way.
    pub const fn reverse(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }
}

/// Where a record stands in the life of a thing with a duration: members `stage` and `ref`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A thing without a duration; no `stage` in the record.
    Single,
    /// It is about to happen.
    Intent,
    /// It is over; names its intent in `ref`.
    Outcome(EventId),
}
