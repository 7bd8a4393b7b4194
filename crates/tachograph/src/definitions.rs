//! The tool definitions that a server listed last, kept from run to run so that a change between two
//! runs is noticed too. Derived from the log and allowed to be missing.

use std::path::PathBuf;

use tacho_event::{DigestKey, Engine, Options, Report};
use tacho_log::DataDir;
use tacho_log::disk::{Disk as _, RealDisk};
use tacho_proxy::exchange::Definitions;

/// Larger files are not ours.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

pub(crate) fn load(dir: &DataDir, server: &str) -> Definitions {
    let path = path(dir, server);
    let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    if size == 0 || size > FILE_BYTES {
        return Definitions::new();
    }
    let text = std::fs::read(&path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Not synced: after a crash the next listing is compared with an older one, or with none.
pub(crate) fn store(dir: &DataDir, server: &str, tools: &Definitions) {
    let path = path(dir, server);
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    // Names come from the server. One that holds what redaction would remove is not remembered.
    let clean =
        |(name, digest): (&String, &String)| is_clean(name).then(|| (name.clone(), digest.clone()));
    let tools: Definitions = tools.iter().filter_map(clean).collect();
    let Ok(json) = serde_json::to_vec(&tools) else {
        return;
    };
    let stored = (|| {
        RealDisk.make_dir(&dir.definitions())?;
        RealDisk.create(&temporary)?.write_at(&json, 0)?;
        RealDisk.rename(&temporary, &path)
    })();
    if stored.is_err() {
        // Nothing depends on it; a left-over temporary file would be in the way of nobody.
        drop(RealDisk.unlink(&temporary));
    }
}

/// The name is the operator's, so it is made safe for a file and kept apart from others by a digest.
fn path(dir: &DataDir, server: &str) -> PathBuf {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '_'
        }
    };
    let shown: String = match is_clean(server) {
        true => server.chars().map(safe).take(64).collect(),
        false => "server".to_owned(),
    };
    let digest = tacho_log::merkle::leaf_hash(server.as_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    dir.definitions()
        .join(format!("{shown}-{a:02x}{b:02x}{c:02x}{d:02x}.json"))
}

/// Whether redaction would leave the text as it is. The key does not matter: nothing is kept of it.
fn is_clean(text: &str) -> bool {
    let mut engine = Engine::new(&Options::default(), DigestKey::new([0; 32]));
    let mut kept = String::new();
    engine.text(text, &mut kept, &mut Report::default());
    kept == text
}
