//! Every maximum of what faces the network, in one place, each with its reason.

use std::time::Duration;

// Asking witnesses.

/// From the first byte of a request to the last of its answer. A witness answers within one sync of its
/// disk; whoever needs longer is asked again later.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer: a signature line for each key of the witness, or a sentence that says why not.
pub const ANSWER_BYTES: u64 = 64 * 1024;

/// How often a witness is asked in one go: at first, from its size, and once more when somebody else
/// submitted in between.
pub const ATTEMPTS: usize = 3;

/// After a failure a witness is asked again this much later, each time twice as long.
pub const FIRST_BACK_OFF: Duration = Duration::from_secs(1);

/// The longest wait between two attempts: what the loss window grows by, at most, after a witness is back.
pub const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// How long a recorder that leaves tries to have its last checkpoint held. Shorter than anybody waits for the
/// recorder to stop.
pub const LEAVE_PATIENCE: Duration = Duration::from_secs(3);

/// What went wrong, in a record.
pub const REASON_CHARS: usize = 300;

// Answering.

/// Connections at once; others wait in the kernel's queue. A witness has a request a minute for each log.
pub const CONNECTIONS: usize = 64;

/// How long a connection may last, whatever happens on it: nobody keeps one by being slow.
pub const CONNECTION_TIME: Duration = Duration::from_secs(120);

/// How long a request may take to arrive: its head, and then its body.
pub const ARRIVAL_TIME: Duration = Duration::from_secs(10);

/// The head of a request, also the smallest buffer that the HTTP library takes.
pub const HEAD_BYTES: usize = 8 * 1024;

/// Header fields of a request; browsers send twenty.
pub const HEADERS: usize = 64;
