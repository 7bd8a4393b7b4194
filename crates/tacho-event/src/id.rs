use std::fmt;

use uuid::Uuid;

use crate::Timestamp;

macro_rules! id {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The sixteen bytes, most significant first.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From the sixteen bytes, most significant first.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Reads the hyphenated form; `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == 36)
                    .then(|| Uuid::try_parse(text).ok().map(Self))
                    .flatten()
            }

            /// The hyphenated form, without allocating.
            pub fn encode(self, buffer: &mut [u8; 36]) -> &str {
                self.0.as_hyphenated().encode_lower(buffer)
            }

            pub(crate) fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.encode(&mut [0; 36]).as_bytes());
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

id!(
    EventId,
    "Names one record: a UUIDv7 (RFC 9562 §5.7), member `id`."
);
id!(
    CallId,
    "Names one logical call across retries and rounds, member `call`."
);
id!(
    RunId,
    "Names one connection between a client and a server, member `session`."
);

impl From<EventId> for CallId {
    /// A call bears the id of its first intent.
    fn from(id: EventId) -> Self {
        Self(id.0)
    }
}

/// Makes UUIDv7 that never repeat within a process and sort by time.
///
/// The caller gives the entropy once; after that every id is the last one's random part plus one,
/// or a new millisecond (RFC 9562 §6.2, method 2), so making one costs no system call.
#[derive(Debug)]
pub struct IdSource {
    entropy: u64,
    counter: u16,
    millis: u64,
}

impl IdSource {
    /// `entropy` must differ between processes: take it from the operating system.
    pub const fn new(entropy: u64) -> Self {
        Self {
            entropy,
            counter: 0,
            millis: 0,
        }
    }

    /// The next event's id. When the clock steps back the ids go on from the latest time seen.
    pub fn event(&mut self, now: Timestamp) -> EventId {
        EventId(self.next(now))
    }

    /// An id for a run.
    pub fn run(&mut self, now: Timestamp) -> RunId {
        RunId(self.next(now))
    }

    fn next(&mut self, now: Timestamp) -> Uuid {
        self.entropy = self.entropy.wrapping_add(1);
        if now.unix_millis() > self.millis {
            self.millis = now.unix_millis();
            self.counter = 0;
        } else if self.counter == 0x0fff {
            self.millis += 1;
            self.counter = 0;
        } else {
            self.counter += 1;
        }
        let mut random = [0; 10];
        let (head, tail) = random.split_at_mut(2);
        head.copy_from_slice(&self.counter.to_be_bytes());
        tail.copy_from_slice(&self.entropy.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(self.millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_never_repeat_even_when_the_clock_does_not() {
        let mut source = IdSource::new(u64::MAX - 3);
        let at = |ms: u64| Timestamp::from_unix_nanos(ms * 1_000_000);
        let mut last = source.event(at(1_000));
        for step in 0..20_000_u64 {
            let next = source.event(at(if step % 7 == 0 { 999 } else { 1_000 }));
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        assert_eq!(last.to_string().as_bytes()[14], b'7');
    }

    #[test]
    fn reads_only_the_hyphenated_form() {
        let id = IdSource::new(1).event(Timestamp::from_unix_nanos(0));
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        assert_eq!(EventId::parse(&format!("{{{id}}}")), None);
        assert_eq!(EventId::parse("x"), None);
    }
}
