//! What the operator chose: `config.toml` in the data directory. One file for every process of a log,
//! so that a source and its recorder cannot disagree; without it everything has its default.
//!
//! A change of it is recorded (`config_changed`): nobody turns recording down in silence.

pub(crate) mod evidence;
pub(crate) mod retention;
mod rules;
mod space;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tacho_log::{DataDir, SpaceOptions};
use tacho_proxy::Rule;
use toml::Spanned;

use crate::error::{CliError, Exit, Result};

const HINT: &str =
    "docs/configuration.md says what may stand in it; nothing is recorded until it is right";

/// A configuration is a page or two; a larger file is something else.
const CONFIG_BYTES: u64 = 256 * 1024;

/// The whole file. An unknown member is a mistake that would otherwise do nothing in silence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where the signing key is, when not in the data directory.
    pub(crate) key: Key,
    /// Who holds checkpoints outside.
    pub(crate) witnesses: Witnesses,
    /// What is recorded of which call; what they mean is [`Loaded::rules`].
    rule: Vec<Spanned<rules::Entry>>,
    /// When little room is left; what it means is [`Config::space`].
    space: space::Section,
    /// How long records are kept.
    pub(crate) retention: retention::Chosen,
    /// Who may read what is kept encrypted.
    pub(crate) evidence: evidence::Evidence,
}

impl Config {
    /// When little room is left on the log's disk, and what then.
    pub(crate) fn space(&self) -> SpaceOptions {
        self.space.options()
    }
}

/// `[witnesses]`: who holds checkpoints outside.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Witnesses {
    /// A C2SP tlog-policy file; relative to the data directory.
    pub(crate) policy: Option<PathBuf>,
}

/// `[key]`: the private key outside the data directory. At most one of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Key {
    /// A file with the key.
    pub(crate) file: Option<PathBuf>,
    /// A program and its arguments that print the key.
    pub(crate) command: Option<Vec<String>>,
}

/// The configuration and what a record says of it.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// `sha256:` and hex of the file; `None` where there is none.
    pub(crate) digest: Option<String>,
    /// What is recorded of which call, in order.
    pub(crate) rules: Vec<Rule>,
}

impl Loaded {
    /// What `details.config` of a record says.
    pub(crate) fn digest_or_none(&self) -> String {
        self.digest.clone().unwrap_or_else(|| "none".to_owned())
    }
}

/// Reads the configuration of a data directory.
pub(crate) fn load(dir: &DataDir) -> Result<Loaded> {
    let path = dir.config();
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::default()),
        Err(error) => return Err(unusable(&path, &error)),
    };
    let text = String::from_utf8(bytes).map_err(|error| unusable(&path, &error))?;
    let config: Config = toml::from_str(&text).map_err(|error| {
        // On one line: it is also what refused calls say.
        let at = error.span().map_or(0, |span| span.start);
        let said = error.message().replace('\n', ", ");
        mistaken(&path, &format!("line {}: {said}", line_of(&text, at)))
    })?;
    let rules = rules::rules(&config.rule, &text).map_err(|wrong| mistaken(&path, &wrong))?;
    let digest: [u8; 32] = Sha256::digest(&text).into();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Loaded {
        config,
        digest: Some(format!("sha256:{hex}")),
        rules,
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(CONFIG_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= CONFIG_BYTES) {
        return Ok(bytes);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("longer than {CONFIG_BYTES} bytes"),
    ))
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> CliError {
    let what = format!("{} is unusable", path.display());
    CliError::from_error(Exit::Usage, &what, error).hint(HINT)
}

/// The number of the line in which the byte `at` stands.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.bytes().filter(|byte| *byte == b'\n').count() + 1
}

fn mistaken(path: &Path, wrong: &str) -> CliError {
    let what = format!("{} is unusable: {wrong}", path.display());
    CliError::new(Exit::Usage, what).hint(HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "written as a user would")]
    fn written(text: &str) -> (tempfile::TempDir, DataDir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        std::fs::write(dir.config(), text).unwrap();
        (temp, dir)
    }

    fn loaded(text: &str) -> Result<Loaded> {
        let (_temp, dir) = written(text);
        load(&dir)
    }

    #[test]
    fn without_a_file_all_is_default() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        let loaded = load(&dir).unwrap();
        assert!(loaded.digest.is_none() && loaded.config.key.file.is_none());
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, says) in [
            ("[keys]\n", "keys"),
            ("[key]\nfil = 1\n", "fil"),
            ("[key\n", "line 1"),
        ] {
            let error = loaded(text).unwrap_err().to_string();
            assert!(error.contains("config.toml"), "{error}");
            assert!(error.contains(says), "{error}");
        }
        assert!(loaded(&" ".repeat(300_000)).is_err());
    }

    #[test]
    fn a_mistaken_rule_is_named_with_its_line() {
        let fine = "[[rule]]\ntool = \"a*\"\nlevel = \"none\"\n\n";
        for (rule, says) in [
            ("tool = \"x\"", "neither a level nor a mode"),
            ("level = \"all\"", "all"),
            ("mode = \"lax\"", "lax"),
            ("hint = \"harmless\"\nlevel = \"none\"", "harmless"),
            ("tol = \"x\"\nlevel = \"none\"", "tol"),
            ("tool = \"\"\nlevel = \"none\"", "tool: an empty pattern"),
            (
                "level = \"metadata\"\ndeadline_ms = 5",
                "deadline_ms goes with",
            ),
            (
                "mode = \"best_effort\"\ndeadline_ms = 5",
                "deadline_ms goes with",
            ),
            ("mode = \"strict\"\ndeadline_ms = 0", "1 to"),
            (
                "level = \"none\"\n[[rule]]\ntool = \"b\"\nlevel = \"none\"",
                "put it last",
            ),
        ] {
            let error = loaded(&format!("{fine}[[rule]]\n{rule}\n")).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(says), "{rule}: {error}");
            let line = ["line 5", "line 6", "line 7"];
            assert!(
                line.iter().any(|line| error.contains(line)),
                "{rule}: {error}"
            );
        }
        let rules = loaded(&format!("{fine}[[rule]]\nmode = \"blocking\"\n"))
            .unwrap()
            .rules;
        assert_eq!(rules.len(), 2);
        assert!(rules[1].matches_all());
        assert_eq!(
            rules[1].mode,
            Some(tacho_proxy::Mode::Blocking {
                deadline: std::time::Duration::from_secs(1)
            })
        );
    }

    #[test]
    fn the_digest_is_of_the_file() {
        assert!(
            loaded("[key]\nfile = \"/k\"\n")
                .unwrap()
                .digest
                .unwrap()
                .starts_with("sha256:")
        );
    }
}
