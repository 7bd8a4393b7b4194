//! Every maximum of the proxy, in one place, each with its reason.

use std::time::Duration;

/// One message, in bytes. The largest limits seen in peers are 16 MiB (rmcp) and 10 MB (the TypeScript
/// SDK); sixteen times that is no message but a stream without line feeds, and it must not fill the
/// memory. A longer line is passed on in pieces and recorded as unparsed.
pub const MESSAGE_BYTES: usize = 256 * 1024 * 1024;

/// Bytes read at once: the capacity of a Linux pipe, so that one read empties it.
pub const READ_BYTES: usize = 64 * 1024;

/// Elements of one batch that get a record each. A longer batch is one unparsed line, lest a line of
/// commas become millions of events.
pub const BATCH_ELEMENTS: usize = 16_384;

/// An id, a progress token or a task's id, in bytes, up to which it is kept as it is while its request is
/// open. Real ones are a few dozen bytes. Of longer ids and tokens a hash is kept; tasks with longer
/// ids are not followed.
pub const ID_BYTES: usize = 1_024;

/// A method's or tool's name, in bytes, as it is kept while its request is open, to be repeated in the
/// outcome. Above what a record keeps of a name, so that redaction sees that it was longer.
pub const OPEN_NAME_BYTES: usize = 1_024;

/// Requests open at once in one direction, however many bear the same id. Past it the oldest is given up: its outcome is
/// `interrupted`, and an answer that still comes is recorded as late.
pub const OPEN_REQUESTS: usize = 65_536;

/// Requests remembered after they were cancelled, timed out or given up, to call their answer late.
/// Past it the oldest is forgotten and its answer is one to nothing open.
pub const LATE_REQUESTS: usize = 4_096;

/// Rounds that wait for their retry (`input_required`). Past it the oldest is forgotten and its
/// retry counts as a call of its own.
pub const ROUNDS: usize = 4_096;

/// Bytes at each end of a call's arguments by which its next round is recognised.
pub const ROUND_KEY_BYTES: usize = 2_048;

/// Tasks followed at once. Past it the oldest is forgotten: what comes of it is still recorded,
/// but no longer under the call that created it.
pub const TASKS: usize = 16_384;

/// Progress tokens known at once. Past it progress of the oldest is no longer linked to its call.
pub const PROGRESS_TOKENS: usize = 65_536;

/// What a client or a server says of itself, in bytes; longer claims are not believed.
pub const PARTY_BYTES: usize = 64 * 1024;

/// Tools whose definitions are remembered for one server. Further ones are recorded when listed,
/// but a change of them is not noticed.
pub const TOOLS: usize = 10_000;

/// Text of an unparsed line, or of an error, that is given to redaction, in bytes. Far more than a
/// record keeps, so that a secret is not cut in two before it could be recognised.
pub const TEXT_BYTES: usize = 64 * 1024;

/// Levels of nesting that the canonical form of a tool definition follows; deeper parts are taken
/// as written. Bounds the stack.
pub const CANONICAL_DEPTH: usize = 256;

/// Bytes that may wait in one direction for their records or for a slow reader; then reading stops
/// and the sender feels it, as with a full pipe. One message may exceed it.
pub const OUTBOX_BYTES: usize = 8 * 1024 * 1024;

/// Messages that may wait in one direction, so that empty lines are bounded too.
pub const OUTBOX_FRAMES: usize = 16_384;

/// Bytes of our own refusals that may wait for a reader who does not read. They must not wait for
/// room (two directions could wait for each other), so past this they are dropped and counted.
pub const REFUSAL_BYTES: usize = 16 * 1024 * 1024;

/// How long mode `strict` waits for a record when no rule says otherwise. Longer than it takes to start
/// another recorder and to recover, shorter than the minute after which clients give up by themselves:
/// whoever asked is told why, instead of nothing.
pub const STRICT_DEADLINE: Duration = Duration::from_secs(30);

/// How long mode `blocking` waits for a record when nothing else is said.
pub const BLOCKING_DEADLINE: Duration = Duration::from_secs(1);

/// Characters of a rule's pattern besides its stars: one bit each, and one for the end.
pub const GLOB_CHARS: usize = 127;

/// How long a server may be silent after its input was closed before it is asked to leave.
pub const EXIT_GRACE: Duration = Duration::from_secs(5);

/// How long it may then take to leave after SIGTERM before SIGKILL. Below the two seconds after
/// which the SDKs kill us, so that no server is left behind.
pub const TERM_GRACE: Duration = Duration::from_millis(1_500);

/// How long the output of a server that has exited may be silent without ending, because another
/// process holds it open, before it is given up.
pub const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// How long everything together may wait for the recorder on the way out: for the session's last records,
/// and for the records that the last answers depend on. A recorder that hangs, be it stopped or on a dead
/// disk, must not keep this process for ever; what it did not confirm by then is not forwarded. The same
/// time without a receipt, once the client has closed its end, is when no answer is expected any more.
pub const FINISH_GRACE: Duration = Duration::from_secs(5);

/// Messages that a queue keeps room for when it is empty again after a burst.
pub const OUTBOX_KEPT: usize = 64;

/// How often requests that have waited too long are looked for.
pub const EXPIRY_INTERVAL: Duration = Duration::from_millis(250);
