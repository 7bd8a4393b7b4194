//! The few members of `params` and `result` that a recorder reads, found in one pass each.

use crate::scan;

macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $member:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: Option<&'a [u8]>,)*
            /// One of these members stands there twice; the last one counts.
            pub(crate) duplicate: bool,
        }

        impl<'a> $name<'a> {
            /// Reads a raw object; anything else has no fields.
            pub(crate) fn of(raw: Option<&'a [u8]>) -> Self {
                let mut fields = Self::default();
                for (name, value) in raw.into_iter().flat_map(scan::members) {
                    let before = match &*scan::unescape(name) {
                        $($member => fields.$field.replace(value),)*
                        _ => None,
                    };
                    fields.duplicate |= before.is_some();
                }
                fields
            }
        }
    };
}

fields! {
    /// Members of `params`.
    Params {
        name = "name",
        uri = "uri",
        arguments = "arguments",
        meta = "_meta",
        client_info = "clientInfo",
        protocol_version = "protocolVersion",
        request_state = "requestState",
        input_responses = "inputResponses",
        task = "task",
        task_id = "taskId",
        status = "status",
        status_message = "statusMessage",
        cursor = "cursor",
        request_id = "requestId",
        reason = "reason",
        progress_token = "progressToken",
        result = "result",
        error = "error",
    }
}

fields! {
    /// Members of `result`.
    Answer {
        is_error = "isError",
        content = "content",
        result_type = "resultType",
        request_state = "requestState",
        task = "task",
        task_id = "taskId",
        status = "status",
        status_message = "statusMessage",
        server_info = "serverInfo",
        tools = "tools",
        next_cursor = "nextCursor",
        meta = "_meta",
        result = "result",
        error = "error",
    }
}

fields! {
    /// Members of `_meta`: W3C trace context, progress, and the keys of MCP 2026-07-28 and of
    /// tasks in 2025-11-25.
    Meta {
        traceparent = "traceparent",
        progress_token = "progressToken",
        client_info = "io.modelcontextprotocol/clientInfo",
        server_info = "io.modelcontextprotocol/serverInfo",
        protocol_version = "io.modelcontextprotocol/protocolVersion",
        related_task = "io.modelcontextprotocol/related-task",
    }
}

fields! {
    /// Members of a tool's `annotations`.
    Annotations {
        read_only = "readOnlyHint",
        destructive = "destructiveHint",
        idempotent = "idempotentHint",
        open_world = "openWorldHint",
    }
}

/// The text of a field that should be a string.
pub(crate) fn text(field: Option<&[u8]>) -> Option<String> {
    field.and_then(scan::text).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_members_of_both_generations() {
        let raw =
            br#"{"_meta":{"traceparent":"00-a","io.modelcontextprotocol/clientInfo":{"name":"c"}},
            "name":"t","name":"u","arguments":{"name":"inner"}}"#;
        let params = Params::of(Some(raw));
        assert_eq!(text(params.name).as_deref(), Some("u"));
        assert!(params.duplicate);
        let meta = Meta::of(params.meta);
        assert_eq!(text(meta.traceparent).as_deref(), Some("00-a"));
        assert_eq!(meta.client_info, Some(&br#"{"name":"c"}"#[..]));
        assert!(meta.client_info.is_some());
        assert!(Params::of(Some(b"[1]")).name.is_none());
    }
}
