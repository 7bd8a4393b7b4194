//! Sits between an MCP client and a server and records every exchange.
//!
//! ```text
//! bytes ── Framer ──► Frame ── Exchange::observe ──► events ── Recorder ──► tickets ── Permit
//!                       └───────────────────────── the same bytes ─────────────────────► forward
//! ```
//!
//! The bytes between client and server pass untouched; what is read is a copy. Nothing is answered,
//! retried or rewritten here, save that a call which cannot be recorded is refused.
//!
//! This crate never reads the log and has no async runtime: a hop costs two system calls.

mod canonical;
pub mod exchange;
mod fields;
pub mod frame;
pub mod limits;
pub mod message;
mod mode;
pub mod rules;
mod scan;
pub mod stdio;

pub use exchange::Definitions;
pub use mode::Mode;
pub use rules::{Rule, Rules, Treatment};
pub use stdio::{Client, Counts, ExitInfo, RunError, Session, Status, run};
