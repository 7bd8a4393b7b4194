//! Changing the log's key while no recorder runs.

use std::sync::Arc;

use tacho_event::{
    Actor, Context, Detail, DigestKey, Event, EventType, IdSource, Options, Redactor, Severity,
    Unredacted,
};

use super::open::OpenLog;
use crate::checkpoint::SignedCheckpoint;
use crate::clock::Clock;
use crate::key::SigningKey;
use crate::log::RotateError;

impl OpenLog {
    /// Hands the log over to another key of its name: see [`crate::Log::rotate`]. `actor` is who asked for it,
    /// `entropy` random bits of the operating system.
    ///
    /// # Errors
    ///
    /// See [`RotateError`]. The private half of `new` must be durable before.
    pub fn rotate(
        mut self,
        new: SigningKey,
        actor: Actor,
        digest_key: DigestKey,
        clock: &dyn Clock,
        entropy: u64,
    ) -> Result<SignedCheckpoint, RotateError> {
        let now = clock.now();
        let context = Context {
            actor: Some(actor),
            ..Context::none()
        };
        let id = IdSource::new(entropy).event(now);
        let mut event = Event::new(id, now, EventType::KeyRotated, Arc::new(context));
        event.severity = Severity::Warning;
        let named = |name: &str, vkey: String| (Unredacted::from(name), vkey);
        let (old_key, new_key) = (self.log.verifying_key(), new.verifying_key());
        let keys = vec![
            named("old", old_key.encode()),
            named("new", new_key.encode()),
        ];
        event.details.push(("keys", Detail::Named(keys)));
        let record = Redactor::new(&Options::default(), digest_key)
            .redact(event)
            .encode();
        self.log.rotate(record.body(), now, new)
    }
}
