//! Every maximum of the log, in one place, each with its reason.

use std::time::Duration;

// The recorder in the source's process.

/// Events that wait to be redacted. More than any client keeps in flight; at a kilobyte each they are
/// a few mebibytes. When it is full the source waits, or loses the event and counts it, as its mode says.
pub const QUEUED_EVENTS: usize = 4_096;

/// Records submitted and not yet acknowledged: as many as the recorder looks back for duplicates after a
/// reconnection (`docs/format.md` §10).
pub const IN_FLIGHT_RECORDS: usize = 65_536;

/// The same in bytes, so that large records cannot take the source's memory.
pub const IN_FLIGHT_BYTES: usize = 32 * 1024 * 1024;

/// How long a source waits for a recorder to come back, or to start, before it refuses calls. Longer
/// than any start of a recorder, shorter than the time-outs of clients.
pub const RECONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a recorder may take to answer a greeting: it may be in the middle of a batch on a slow disk.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

// The recorder's server.

/// Sources connected at once; a laptop has dozens of servers, not hundreds.
pub const CONNECTIONS: usize = 256;

/// Bytes read from one connection before the others get their turn.
pub const READ_BYTES: usize = 256 * 1024;

/// Acknowledgements that a source has not read; a source that lets so many pile up is stuck, and is
/// disconnected.
pub const UNREAD_BYTES: usize = 1024 * 1024;

/// Intents without an outcome over all sources; beyond it an intent is recorded but its interruption
/// would not be noticed. A client that leaves so many calls open is broken.
pub const OPEN_CALLS: usize = 262_144;
