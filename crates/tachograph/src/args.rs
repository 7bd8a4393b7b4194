//! What the user typed. The texts here are the `--help`.

mod witness;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::witness::Witness;
use self::witness::address;
use crate::error::Exit;

const AFTER_HELP: &str = "\
Exit codes: 0 all is well; 1 what was checked is not as it should be (verify: tampered);
2 incomplete; 3 wrong arguments or configuration; 4 it could not be done. tacho run passes on the
server's own code; 125 tacho itself failed, 126 the command cannot be executed, 127 there is no
such command.

Start with: tacho demo";

/// The flight recorder for AI agents: records every MCP call durably, keeps secrets out of the record,
/// makes it impossible to change unnoticed, and answers questions about it.
#[derive(Debug, Parser)]
#[command(name = "tacho", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Data directory [default: $XDG_STATE_HOME/tachograph, else ~/.local/state/tachograph]
    #[arg(
        long,
        global = true,
        env = "TACHO_DIR",
        value_name = "DIR",
        hide_env_values = true
    )]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an MCP server under the recorder: its bytes pass untouched, every call is recorded first
    Run(Run),
    /// Run the recorder, the one writer of the log; `tacho run` starts one by itself
    Serve(Serve),
    /// Be a witness: cosign checkpoints of other people's logs, and never two histories of one
    Witness(Witness),
    /// Show the newest records; with -f, new ones as they come
    Tail(Tail),
    /// Show one call: intent, outcome, duration, what was redacted
    Show(Show),
    /// Say whether a recorder runs and what is in the log
    Status(Status),
    /// Look for what would keep calls from being recorded
    Doctor(Json),
    /// Re-read the whole log and check it against its signed checkpoint; or check a proof, without a log
    Verify(Verify),
    /// The key that signs the log: make one, show its public half, change it
    Key(Key),
    /// Print a proof for somebody who has only the log's key: that a record is in the log, or that the log
    /// still begins as it did
    Prove(Prove),
    /// Write the log as files that other tools read
    Export(Export),
    /// Whole bodies kept as evidence: list, open, erase
    #[command(subcommand)]
    Evidence(Evidence),
    /// Make an MCP client's servers run under `tacho run`
    Install(Install),
    /// Undo `tacho install`
    Uninstall(Install),
    /// Keep records from being removed by retention, while somebody needs them
    #[command(subcommand)]
    Hold(Hold),
    /// See what redaction does
    #[command(subcommand)]
    Redact(Redact),
    /// See it all work in a temporary directory, with nothing but this program
    Demo(Demo),
    /// The MCP server that the demo records
    #[command(hide = true)]
    DemoServer { root: PathBuf },
}

#[derive(Debug, Args)]
pub(crate) struct Json {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What to call the server in the record [default: the command's file name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Write the log from this process, under the exclusive lock, instead of through a recorder: for
    /// containers
    #[arg(long)]
    pub(crate) in_process: bool,
    /// With --in-process: read the signing key from this inherited file descriptor
    #[arg(long, value_name = "N", requires = "in_process")]
    pub(crate) key_fd: Option<u32>,
    /// What to do when recording fails or is slow, where no rule of config.toml says otherwise
    #[arg(long, value_enum, default_value_t = ModeArg::Strict)]
    pub(crate) mode: ModeArg,
    /// Wait this long for a record; then --mode strict refuses the call, --mode blocking forwards and
    /// counts it [default: strict 30000, blocking 1000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) deadline_ms: Option<u64>,
    /// How much of a call to keep, after redaction, where no rule of config.toml says otherwise
    #[arg(long, value_enum, default_value_t = LevelArg::Request)]
    pub(crate) level: LevelArg,
    /// Add a keyed suffix to placeholders, so that equal secrets can be recognised (see tacho redact hash)
    #[arg(long)]
    pub(crate) correlate: bool,
    /// Record calls without an answer as timed out after this long; the call itself goes on
    #[arg(long, value_name = "SECONDS")]
    pub(crate) call_timeout: Option<u64>,
    /// The server's command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// No durable record, no call
    Strict,
    /// Wait up to a deadline, then forward the call and count what was lost
    Blocking,
    /// Never wait; count what was lost
    #[value(alias = "best_effort")]
    BestEffort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelArg {
    /// Who, what, when, how it ended; digests of arguments and result
    Metadata,
    /// Also the redacted arguments
    Request,
    /// Also the redacted result
    #[value(alias = "request_response")]
    RequestResponse,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Leave when no source has been connected for this long; 0: never [default: never; 300 in the
    /// background]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) idle: Option<u64>,
    /// A checkpoint at the latest this long after a record
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) checkpoint_seconds: u64,
    /// Read the signing key from this inherited file descriptor
    #[arg(long, value_name = "N", conflicts_with = "background")]
    pub(crate) key_fd: Option<u32>,
    /// Detach from the terminal; say nothing when another recorder has the log
    #[arg(long, hide = true)]
    pub(crate) background: bool,
    /// Serve the log to monitors, and numbers to Prometheus, over HTTP: ADDRESS:PORT, or a port of this
    /// machine alone
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) monitor: Option<SocketAddr>,
    /// Ask the running recorder to close the log and leave
    #[arg(long, conflicts_with_all = ["idle", "background", "monitor"])]
    pub(crate) stop: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Exit with 1 when more than this much could be cut off without a witness noticing, or when nothing is
    /// held outside
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_loss_window: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// How many records
    #[arg(short, value_name = "N", default_value_t = 20)]
    pub(crate) n: usize,
    /// Go on with new records as they come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// age identities (AGE-SECRET-KEY-1…) for encrypted segments
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// JSON Lines, as when piped
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A record's `id` or `seq`, or a `call`
    pub(crate) id: String,
    /// age identities (AGE-SECRET-KEY-1…) for encrypted segments
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// The records as JSON Lines, as when piped
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Verifier key, or a file with it, or with lines of VKEY FROM TO: keys and the sizes of the log that
    /// each may sign [default: the one beside the log, which proves nothing to a stranger]
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
    /// A checkpoint seen earlier: the log must still begin with what it covers
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// A C2SP tlog-policy file: its witnesses must have cosigned the log, as many as it demands, and what
    /// they cosigned must be this log
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The newest sealed record may be this old at most; a recorder at work seals at least a heartbeat
    /// every minute
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_age: Option<u64>,
    /// Check this proof (see tacho prove) instead of a log; `-`: from stdin
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) proof: Option<PathBuf>,
    /// With --proof: the record that it is about, where the proof does not bring it; `-`: from stdin
    #[arg(long, value_name = "FILE", requires = "proof")]
    pub(crate) record: Option<PathBuf>,
    /// An age identity (AGE-SECRET-KEY-1…): reads encrypted segments, of which otherwise only the hashes are
    /// checked, and checks that every body kept as evidence is the recorded one; `-`: from stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Fail when retention removed records younger than this, as in 90d
    #[arg(long, value_name = "DURATION", value_parser = crate::quantity::duration)]
    pub(crate) min_retention: Option<Duration>,
    /// Print a JSON report
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key; the first recorder does it too
    Create {
        /// Put it there instead of into the data directory; then name it in config.toml, `[key] file`
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The log's name; a key that is to replace another has the same
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Print the verifier key, which is for everybody
    Show {
        /// Read the key from this inherited file descriptor
        #[arg(long, value_name = "N")]
        key_fd: Option<u32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Hand the log over to a new key: recorded, and signed by both
    Rotate {
        /// The new key, made with `tacho key create` [default: a new one, in the place of the old]
        #[arg(long, value_name = "FILE")]
        new_file: Option<PathBuf>,
        /// Read the old key from this inherited file descriptor
        #[arg(long, value_name = "N")]
        key_fd: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Evidence {
    /// Say which bodies are kept of a record or a call, and what became of them
    List(EvidenceList),
    /// Print one body as it came, once it is known to be the recorded one
    Open(EvidenceOpen),
    /// Destroy bodies for good; the log says so and stays provable
    Erase(EvidenceErase),
    /// Make an age identity, which can read evidence, and print its recipient
    Keygen {
        /// Where to put the identity; the file must not be there yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct EvidenceList {
    /// A record's `seq` or `id`, or a `call` for all its records
    pub(crate) id: String,
    /// An age identity, for records in encrypted segments; `-`: from stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// JSON Lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvidenceOpen {
    /// A record's `seq` or `id`, or a `call`
    pub(crate) id: String,
    /// Which body, where several are kept
    #[arg(long, value_enum)]
    pub(crate) member: Option<BodyArg>,
    /// The age identity of one of the recipients; `-`: from stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
    /// Write it there, instead of printing it; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EvidenceErase {
    /// A record's `seq` or `id`, or a `call` for all its records
    pub(crate) id: String,
    /// Only this body
    #[arg(long, value_enum)]
    pub(crate) member: Option<BodyArg>,
    /// An age identity, for records in encrypted segments; `-`: from stdin. Erasing itself needs none
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Why: it stands in the log
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BodyArg {
    /// The arguments
    Args,
    /// The result
    Result,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The record's `seq` or `id`
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub(crate) record: Option<String>,
    /// Leave the record itself out of the proof: whoever checks it must have the record already
    #[arg(long, conflicts_with = "from")]
    pub(crate) bare: bool,
    /// Prove that the log still begins with its first SIZE records, for somebody who kept the checkpoint of
    /// that size
    #[arg(long, value_name = "SIZE")]
    pub(crate) from: Option<u64>,
    /// With --from: as the log was at SIZE records, of which a signed checkpoint must be kept [default: the
    /// newest checkpoint]
    #[arg(long, value_name = "SIZE", requires = "from")]
    pub(crate) to: Option<u64>,
    /// Write the proof to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Into this directory, as C2SP tlog-tiles: checkpoint, hash tiles, entry bundles. What is there already
    /// from this log is kept
    #[arg(long, value_name = "DIR")]
    pub(crate) tiles: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// claude-desktop, claude-code, cursor, vscode, windsurf
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) client: Option<String>,
    /// A configuration file with `mcpServers` or `servers`, of any client
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// The user's configuration or that of the project in this directory
    #[arg(long, value_enum, default_value_t = ScopeArg::User)]
    pub(crate) scope: ScopeArg,
    /// Only this server; may be given again
    #[arg(long = "server", value_name = "NAME")]
    pub(crate) servers: Vec<String>,
    /// Show the difference and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    /// Of the user
    User,
    /// Of the project
    Project,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Hold records from now on; it is recorded
    Add(HoldAdd),
    /// End a hold; it is recorded
    Remove(HoldRemove),
    /// Show the holds in force
    List(Json),
}

#[derive(Debug, Args)]
pub(crate) struct HoldAdd {
    /// What to call it: a case number
    pub(crate) name: String,
    /// The first record: its `seq`, a day, an instant, or how long ago [default: the oldest]
    #[arg(long, value_name = "SEQ|TIME")]
    pub(crate) from: Option<String>,
    /// The first record that is not held any more [default: all that comes is held]
    #[arg(long, value_name = "SEQ|TIME")]
    pub(crate) to: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct HoldRemove {
    /// Which one
    pub(crate) name: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Redact {
    /// Show what a JSON value would become, and why
    Test {
        /// JSON, or text; `-` or nothing: from stdin
        value: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the keyed suffixes that a value has in this log, to search for it
    Hash {
        /// The value; `-` or nothing: from stdin, so that it stays out of the shell's history
        value: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep the temporary directory
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Reads the arguments; on `--help`, `--version` and mistakes prints and gives the exit code.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        let exit = if error.use_stderr() {
            Exit::Usage
        } else {
            Exit::Ok
        };
        // A closed stdout or stderr is no reason to fail differently.
        drop(error.print());
        ExitCode::from(exit)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
