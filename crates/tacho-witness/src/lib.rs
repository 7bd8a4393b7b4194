//! The log towards the outside: submits checkpoints to witnesses, is a witness, serves the log to monitors.
//! The only crate that speaks HTTP; it writes no record.
//!
//! ```text
//! Submitter   beside the recorder's loop ── add-checkpoint ──► witnesses ──► log/cosigned
//! WitnessSite one process, one directory ◄─ add-checkpoint ─── logs
//! Monitor     beside the recorder's loop ◄─ GET checkpoint, tiles ─── whoever watches
//! ```

mod http;
pub mod limits;
mod monitor;
mod submit;
mod witness;

pub use http::Serving;
pub use monitor::{Gauges, Monitor};
pub use submit::Submitter;
pub use witness::{WitnessDir, WitnessDirError, WitnessSite, WitnessSiteError};
