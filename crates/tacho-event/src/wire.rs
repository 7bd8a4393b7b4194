use crate::evidence;
use crate::limits::BODY_BYTES;
use crate::redact::{Kept, RedactedEvent};
use crate::{Body, Commitment, EventId, Stage};

/// One record as a source hands it to the writer: a JSON object on one line, without the `v` and
/// `seq` members that the writer puts in front. At most [`BODY_BYTES`] long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    id: EventId,
    stage: Stage,
    body: Vec<u8>,
}

impl Record {
    /// Names the record; the same as its `id` member.
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// The same as its `stage` and `ref` members.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// The JSON object.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl RedactedEvent {
    /// The record's bytes. Where the whole would be too long, `details`, then `result`, then `args`
    /// give way, and `redaction.cut` says so; the metadata and the digests always fit.
    pub fn encode(mut self) -> Record {
        let body = self.fit(BODY_BYTES);
        Record {
            id: self.id,
            stage: self.stage,
            body,
        }
    }

    /// The bodies of which the whole is to be kept outside the record, where there is a place for that: all
    /// with level `request_response`, else those that the record has no room for. Call it before
    /// [`RedactedEvent::keep`].
    pub fn wanted(&mut self) -> Vec<Body> {
        drop(self.fit(BODY_BYTES - evidence::MEMBER_BYTES));
        [(Body::Args, &self.args), (Body::Result, &self.result)]
            .into_iter()
            .filter(|(_, kept)| match kept {
                None => false,
                Some(Kept::Json(_)) => self.whole,
                Some(Kept::Cut { .. }) => true,
            })
            .map(|(body, _)| body)
            .collect()
    }

    /// Notes that the whole of `body`, `bytes` long, is kept outside the record.
    pub fn keep(&mut self, body: Body, commitment: Commitment, bytes: usize) {
        self.evidence.push(evidence::Kept {
            body,
            commitment,
            bytes,
        });
    }

    /// Cuts what has no room in a record of `limit` bytes, and writes the rest.
    fn fit(&mut self, limit: usize) -> Vec<u8> {
        let mut body = self.write();
        while body.len() > limit {
            let member = [&mut self.details, &mut self.result, &mut self.args]
                .into_iter()
                .flatten()
                .find(|kept| matches!(kept, Kept::Json(_)));
            let Some(kept) = member else { break };
            if let Kept::Json(json) = kept {
                *kept = Kept::Cut { bytes: json.len() };
            }
            body = self.write();
        }
        body
    }

    fn write(&self) -> Vec<u8> {
        let kept = [&self.args, &self.result, &self.details];
        let kept = kept.map(|kept| match kept {
            Some(Kept::Json(json)) => json.len() + 16,
            Some(Kept::Cut { .. }) | None => 0,
        });
        let report = if self.report.removed() > 0 { 256 } else { 0 };
        let known = self.head.len() + self.digests.len() + kept.iter().sum::<usize>();
        let mut out = Vec::with_capacity(known + 16 + report);
        let mut cut = Vec::new();
        out.push(b'{');
        out.extend_from_slice(&self.head);
        member(&mut out, "args", self.args.as_ref(), &mut cut);
        member(&mut out, "result", self.result.as_ref(), &mut cut);
        if !self.digests.is_empty() {
            out.extend_from_slice(b",\"digest\":{");
            out.extend_from_slice(&self.digests);
            out.push(b'}');
        }
        evidence::write(&mut out, &self.evidence);
        let mut details = Vec::new();
        member(&mut details, "details", self.details.as_ref(), &mut cut);
        self.report.write(&mut out, &cut);
        out.extend_from_slice(&details);
        out.push(b'}');
        out
    }
}

fn member(
    out: &mut Vec<u8>,
    name: &'static str,
    kept: Option<&Kept>,
    cut: &mut Vec<(&'static str, usize)>,
) {
    match kept {
        None => {}
        Some(Kept::Cut { bytes }) => cut.push((name, *bytes)),
        Some(Kept::Json(json)) => {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(json);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use crate::limits::BODY_BYTES;
    use crate::{
        Body, Commitment, Context, DigestKey, Event, EventType, Failure, IdSource, Layer, Options,
        ParsedRecord, Party, Redactor, Timestamp, Unredacted,
    };

    /// Whoever is recorded chooses keys, names and lengths; the record must fit whatever they choose.
    #[test]
    fn a_record_fits_whatever_is_put_into_it() {
        let long_key = "\u{1}k".repeat(1_000);
        let long_text = "-----BEGIN PRIVATE KEY-----".to_owned() + &"A".repeat(20_000);
        let members: Vec<String> = (0..40)
            .map(|n| format!("\"{n}\":{}", serde_json::to_string(&long_text).unwrap()))
            .collect();
        let mut args = format!("{{{}}}", members.join(","));
        for _ in 0..10 {
            args = format!("{{{}:{args}}}", serde_json::to_string(&long_key).unwrap());
        }
        let texts = [args, format!("[{}]", vec!["\"\\u0001\""; 20_000].join(","))];
        let name = || Unredacted::new("\u{1}".repeat(5_000));
        let party = || Party {
            name: name(),
            reported_name: Some(name()),
            version: Some(name()),
        };
        let context = Context {
            client: Some(party()),
            server: Some(party()),
            ..Context::none()
        };
        let context = Arc::new(context);
        let options = Options {
            keep_result: true,
            ..Options::default()
        };
        let mut redactor = Redactor::new(&options, DigestKey::new([1; 32]));
        let mut ids = IdSource::new(1);
        for text in texts {
            let now = Timestamp::from_unix_nanos(1);
            let mut event = Event::new(
                ids.event(now),
                now,
                EventType::ToolCall,
                Arc::clone(&context),
            );
            event.args = Some(Unredacted::new(Bytes::from(text.clone())));
            event.result = Some(Unredacted::new(Bytes::from(text)));
            event.error = Some(Failure {
                layer: Layer::Tool,
                code: Some(i64::MIN),
                message: name(),
            });
            (event.method, event.tool, event.trace) = (Some(name()), Some(name()), Some(name()));
            let mut redacted = redactor.redact(event);
            let wanted = redacted.wanted();
            assert_eq!(wanted, [Body::Args, Body::Result]);
            for body in wanted {
                redacted.keep(body, Commitment::to(&[1; 32], b""), usize::MAX);
            }
            let record = redacted.encode();
            assert!(
                record.body().len() <= BODY_BYTES,
                "{} bytes",
                record.body().len()
            );
            let line = [b"{\"v\":1,\"seq\":0,", record.body().get(1..).unwrap()].concat();
            assert!(ParsedRecord::parse(&line).is_ok());
        }
    }

    /// What the level leaves out is not wanted, what the record has no room for is.
    #[test]
    fn bodies_wanted_outside_the_record() {
        let small = r#"{"path":"notes.txt"}"#.to_owned();
        // Many short texts, none of which is cut, and together too long.
        let large = format!("[{}]", vec!["\"short\""; 10_000].join(","));
        let broken = "{".to_owned();
        let (args, result) = (Body::Args, Body::Result);
        for (keep_args, keep_result, texts, expected) in [
            (false, false, (&large, &large), vec![]),
            (true, false, (&small, &small), vec![]),
            (true, false, (&large, &large), vec![args]),
            (true, false, (&broken, &large), vec![args]),
            (true, true, (&small, &small), vec![args, result]),
            (true, true, (&large, &small), vec![args, result]),
        ] {
            let options = Options {
                keep_args,
                keep_result,
                ..Options::default()
            };
            let mut redactor = Redactor::new(&options, DigestKey::new([1; 32]));
            let now = Timestamp::from_unix_nanos(1);
            let context = Arc::new(Context::none());
            let id = IdSource::new(1).event(now);
            let mut event = Event::new(id, now, EventType::ToolCall, context);
            event.args = Some(Unredacted::new(Bytes::from(texts.0.clone())));
            event.result = Some(Unredacted::new(Bytes::from(texts.1.clone())));
            let wanted = redactor.redact(event).wanted();
            assert_eq!(wanted, expected, "{keep_args} {keep_result}");
        }
    }
}
