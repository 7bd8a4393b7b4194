//! What is said in the place of a message that could not be recorded. The only bytes of our own.

use bytes::Bytes;

/// In the range that JSON-RPC leaves to implementations and MCP does not use (mcp.md §1.3).
const CODE: i32 = -32_010;

/// A refusal of requests that were not forwarded, for whoever asked.
pub(super) fn refused<'a>(
    ids: impl Iterator<Item = &'a Bytes>,
    batch: bool,
    why: &str,
) -> Option<Vec<u8>> {
    let message =
        format!("tacho: the call was not forwarded because it could not be recorded: {why}");
    errors(ids, batch, &message, false)
}

/// An error in the place of answers whose outcome could not be recorded: the calls did run.
pub(super) fn replaced<'a>(
    ids: impl Iterator<Item = &'a Bytes>,
    batch: bool,
    why: &str,
) -> Option<Vec<u8>> {
    let message = format!(
        "tacho: the call ran, but its answer was withheld because it could not be recorded: {why}"
    );
    errors(ids, batch, &message, true)
}

/// One line with an error for each id, as a batch where the messages came as one; `None` for no ids.
fn errors<'a>(
    ids: impl Iterator<Item = &'a Bytes>,
    batch: bool,
    message: &str,
    forwarded: bool,
) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    for id in ids {
        line.push(if line.is_empty() { b'[' } else { b',' });
        line.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        // The raw token: whoever asked must find their own id again.
        line.extend_from_slice(if id.is_empty() { b"null" } else { id });
        line.extend_from_slice(format!(",\"error\":{{\"code\":{CODE},\"message\":").as_bytes());
        tacho_event::write_string(&mut line, message);
        line.extend_from_slice(
            format!(",\"data\":{{\"recorder\":\"tachograph\",\"forwarded\":{forwarded}}}}}}}")
                .as_bytes(),
        );
    }
    if line.is_empty() {
        return None;
    }
    if batch {
        line.push(b']');
    } else {
        line.remove(0);
    }
    line.push(b'\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_to_whom() {
        let ids = [Bytes::from_static(b"3.0"), Bytes::from_static(b"\"a\"")];
        let one = String::from_utf8(refused(ids.iter().take(1), false, "disk \"full\"").unwrap());
        assert_eq!(
            one.unwrap(),
            concat!(
                r#"{"jsonrpc":"2.0","id":3.0,"error":{"code":-32010,"message":"tacho: the call was not "#,
                r#"forwarded because it could not be recorded: disk \"full\"","data":"#,
                r#"{"recorder":"tachograph","forwarded":false}}}"#,
                "\n"
            )
        );
        let both = replaced(ids.iter(), true, "x").unwrap();
        let both: serde_json::Value = serde_json::from_slice(&both).unwrap();
        assert_eq!(both[1]["id"], "a");
        assert_eq!(both[0]["error"]["data"]["forwarded"], true);
        assert_eq!(refused([].into_iter(), true, "x"), None);
    }
}
