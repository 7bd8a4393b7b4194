//! The log: append, seal, prove, verify, read back. It handles bytes, not meanings; the two files that
//! know what an event is are `recorder.rs` and `serve.rs`.
//!
//! ```text
//! write half   Recorder (in the source's process) ── socket ──► Server ──► Log ──► segments, tiles, checkpoint
//! read half    Reader, verify, prove, bundle: never write, need no lock
//! ```
//!
//! No async runtime and no network; the one socket is a Unix socket.

pub mod bundle;
pub mod checkpoint;
mod clock;
mod dir;
pub mod disk;
pub mod evidence;
pub mod export;
pub mod key;
pub mod limits;
mod log;
pub mod merkle;
mod minimum;
pub mod note;
pub mod offline;
mod open_calls;
pub mod outside;
pub mod policy;
mod protocol;
pub mod prove;
pub mod reader;
pub mod recipients;
mod recorder;
pub mod retention;
pub mod rotation;
mod segment;
mod serve;
pub mod tile;
pub mod verify;
pub mod witness;

pub use clock::{Clock, SystemClock};
pub use dir::{DataDir, DirError, LockError, LogDir, WriterLock};
pub use log::{
    AppendError, CommitError, Log, LogOptions, OpenError, PruneError, Recovered, RotateError,
    SealError, Torn, compress_segment, encrypt_closed, remove_pruned, survey,
};
pub use minimum::minimum_index;
pub use recorder::{
    Connect, ConnectError, Patience, Receipt, RecordError, Recorder, RecorderOptions,
    RecorderThreads, Ticket,
};
pub use serve::{
    AskError, Intake, Left, OpenLog, OpenLogError, Room, RoomProbe, ServeError, ServeOptions,
    Server, SpaceOptions, Threshold, WhenLow, ask_status, ask_stop, room,
};

/// What tests of other crates and fuzz targets may reach.
#[cfg(feature = "testing")]
pub mod testing {
    /// Whether these bytes, if they are a frame of the recorder protocol at all, are the only bytes
    /// that this frame has.
    pub fn protocol_reads_back(bytes: &[u8]) -> bool {
        let Ok(Some((frame, length))) = crate::protocol::Frame::decode(bytes) else {
            return true;
        };
        let mut again = Vec::new();
        frame.encode(&mut again);
        bytes
            .get(..length)
            .is_some_and(|taken| taken == again || again.len() < taken.len())
    }
}
