//! Every maximum of the log, in one place, each with its reason.

use std::time::Duration;

// The recorder in the source's process.

/// Events that wait to be redacted. More than any client keeps in flight; at a kilobyte each they are
/// a few mebibytes. When it is full the source waits, or loses the event and counts it, as its mode says.
pub const QUEUED_EVENTS: usize = 4_096;

/// The bodies of those events in bytes: a queue of the largest messages must not take the source's memory.
/// One message is let in however large it is.
pub const QUEUED_BYTES: usize = 32 * 1024 * 1024;

/// Records submitted and not yet acknowledged: as many as the recorder looks back for duplicates after a
/// reconnection (`docs/format.md` §10).
pub const IN_FLIGHT_RECORDS: usize = 65_536;

/// The same in bytes, so that large records cannot take the source's memory.
pub const IN_FLIGHT_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of records that wait for room in the recorder's socket, before the worker waits for it too: what
/// it makes in the few milliseconds of a sync or a checkpoint. More would only be memory.
pub const UNSENT_BYTES: usize = 1024 * 1024;

/// A caller does the worker's work for its own event only while fewer records than this are in flight: it
/// must not be the one who waits for room. A socket's buffer holds about two hundred records of a kilobyte.
pub const LENT_IN_FLIGHT: usize = 128;

/// The same in bytes: with a record more still less than a socket's buffer holds, so that a recorder that
/// reads nothing cannot hold up the caller.
pub const LENT_IN_FLIGHT_BYTES: usize = 32 * 1024;

/// How long a source waits for a recorder to come back, or to start, before it refuses calls. Longer
/// than any start of a recorder, shorter than the time-outs of clients.
pub const RECONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a recorder may take to answer a greeting, or to take bytes from its socket: it may be in
/// the middle of a batch on a slow disk.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

// Bodies kept outside the records.

/// A body is never longer than a message, which the proxy bounds by as much.
pub const EVIDENCE_BYTES: u64 = 256 * 1024 * 1024;

/// Bytes of a body's file written or read in one go: what age encrypts as one chunk.
pub const EVIDENCE_WRITE_BYTES: usize = 64 * 1024;

/// The header of a body's file: several times what [`RECIPIENTS`] need.
pub const AGE_HEADER_BYTES: u64 = 64 * 1024;

// The recorder's server.

/// Sources connected at once; a laptop has dozens of servers, not hundreds.
pub const CONNECTIONS: usize = 256;

/// Bytes read from one connection before the others get their turn.
pub const READ_BYTES: usize = 256 * 1024;

/// How long the recorder goes on reading before it commits, while its sources send faster than it can
/// write: fewer syncs, for a time that nobody notices who waits for one.
pub const GATHER: Duration = Duration::from_millis(2);

/// Bytes read in one go; less than a socket's buffer holds.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;

/// Acknowledgements that a source has not read; a source that lets so many pile up is stuck, and is
/// disconnected.
pub const UNREAD_BYTES: usize = 1024 * 1024;

/// How long the recorder waits after a failed checkpoint, or a failed record of its own, before it
/// tries again: a full disk is not full for milliseconds.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Intents whose record is read back when their source is gone, to repeat its method and tool. The
/// others get their `interrupted` records too, which say less.
pub const READ_BACK_INTENTS: usize = 256;

/// `open-calls` is read up to this size; a larger one is not ours, and the log is read instead.
pub const OPEN_CALLS_BYTES: u64 = 64 * 1024 * 1024;

/// Intents without an outcome over all sources; beyond it an intent is recorded but its interruption
/// would not be noticed. A client that leaves so many calls open is broken.
pub const OPEN_CALLS: usize = 262_144;

/// How long a new recorder waits for the sources of the last one, before it writes down that their
/// calls were interrupted. They come back within milliseconds; a minute would only delay the record.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(10);

/// How often the recorder looks how much room its disk has, while records come.
pub const SPACE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// It looks earlier when so many bytes came: far less than what is left below the usual threshold.
pub const SPACE_CHECK_BYTES: u64 = 8 * 1024 * 1024;

/// Intents that were counted instead of recorded, kept to count their outcomes too. Past it an outcome may
/// be recorded without its intent.
pub const LOST_INTENTS: usize = 65_536;

/// `config.recorded`, in bytes: one digest; a longer one is not ours.
pub const CONFIG_DIGEST_BYTES: u64 = 128;

// The log on disk.

pub use tacho_event::limits::RECORD_BYTES;

/// A segment is closed before it grows past this many bytes (`docs/format.md` §2). Large enough to
/// compress well, small enough to be copied, searched and pruned as one thing.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// The highest number of a segment within one day: three digits, so that names sort in log order.
/// A day that needs more grows its last segment past [`SEGMENT_BYTES`].
pub const SEGMENT_NUMBER: u16 = 999;

/// Bytes buffered between two commits. One write of this size is what a crash can tear, and what a
/// full disk has to be cut back by; sixteen records of the greatest length fit.
pub const BATCH_BYTES: usize = 1024 * 1024;

/// A checkpoint is made at least every so many records (`docs/format.md` §7).
pub const CHECKPOINT_RECORDS: u64 = 4_096;

/// Records that no checkpoint covers, before appending is refused. Their leaf hashes wait in memory,
/// 32 bytes each; so many of them mean that sealing has failed for a long time.
pub const UNSEALED_RECORDS: u64 = 1 << 20;

/// A file that holds a signed note (`checkpoint`, `vkey`). A note with sixteen signatures has 4 KiB.
pub const NOTE_BYTES: u64 = 64 * 1024;

/// A tile: 256 hashes of 32 bytes (C2SP tlog-tiles).
pub const TILE_BYTES: u64 = 8_192;

/// An entry bundle: 256 records of the greatest length, each behind its length.
pub const BUNDLE_BYTES: u64 = 256 * (65_535 + 2);

/// Bytes read from a segment in one go.
pub const SEGMENT_READ_BYTES: usize = 256 * 1024;

/// zstd's level for closed segments: within a few per cent of the best for JSON, at a tenth of the time.
pub const ZSTD_LEVEL: i32 = 3;

/// zstd's window, as a power of two, that a reader accepts: 8 MiB, what RFC 8878 §3.1.1.1.2 asks
/// every decoder to support. Bounds the memory that a hostile segment can ask for.
pub const ZSTD_WINDOW_LOG: u32 = 23;

/// `minimum-index`: a decimal number and a line feed.
pub const MINIMUM_INDEX_BYTES: u64 = 32;

/// Holds at once: each is somebody's case, and a recorder reads them at every look.
pub const HOLDS: usize = 1_000;

/// `holds.json`: as many holds, with a page of reason each.
pub const HOLDS_BYTES: u64 = 4 * 1024 * 1024;

/// Readers that retention may have to wait for.
pub const CURSORS: usize = 1_000;

/// One reader's cursor: a number and a word, and room for what later versions say.
pub const CURSOR_BYTES: u64 = 64 * 1024;

/// How often a recorder looks for records to remove: policies are in days.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);

/// How often a recorder looks whether work beside its loop is done, while there is some.
pub const BESIDE_POLL: Duration = Duration::from_millis(20);

/// Recipients of what is encrypted: each adds a hundred bytes to every file.
pub const RECIPIENTS: usize = 100;

/// Identities that a reader tries on every encrypted file.
pub const IDENTITIES: usize = 1_000;

/// A file of identities: as many keys, with comments.
pub const IDENTITY_BYTES: u64 = 256 * 1024;

/// Tiles that a maker of proofs keeps in memory: one proof needs two at each of eight levels.
pub const OPEN_TILES: usize = 64;

/// Records that a maker of bundles skips rather than look for its place again: a few megabytes of
/// decompression, which opening a compressed segment again would cost many times over.
pub const SKIPPED_RECORDS: u64 = 4_096;

/// Changes of a log's key: one a week for a hundred years. Each is a file that every opening reads.
pub const ROTATIONS: usize = 5_200;

// Witnesses.

/// A request to a witness: 63 hashes of 45 bytes, and a checkpoint of at most [`NOTE_BYTES`].
pub const ADD_CHECKPOINT_BYTES: usize = 68 * 1024;

/// A policy file: three kinds of lines, [`POLICY_LINES`] each, and as much again for comments.
pub const POLICY_BYTES: usize = 256 * 1024;

/// Logs, witnesses and groups of a policy, each. C2SP tlog-policy asks for at least 32; a note holds a
/// hundred signatures.
pub const POLICY_LINES: usize = 64;

// Verification.

/// Findings that a verification lists one by one; further ones are only counted. A log that is wrong
/// from the first record on would otherwise yield a report as long as itself.
pub const FINDINGS: usize = 100;

/// How often a verification begins anew because a writer pruned the log meanwhile, which it does at most
/// once an hour.
pub const VERIFY_ATTEMPTS: u32 = 3;

/// Intents without an outcome that a verification keeps in mind at once. An agent has a handful;
/// this many are a log in which something else is wrong.
pub const OPEN_INTENTS: usize = 1 << 20;

/// Bodies that are not where their records say, which a verification keeps in mind until it has met the
/// record that says they were erased. People erase them one by one.
pub const GONE_BODIES: usize = 1 << 20;
