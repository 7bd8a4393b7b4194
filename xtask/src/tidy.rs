//! `cargo xtask tidy`: the rules that no other tool checks.
//!
//! Each check is a small function from text to findings, so that its test can show it failing.

mod fences;
mod lengths;
mod links;
mod map;
mod readme;
mod words;

use std::io;
use std::path::{Path, PathBuf};

use crate::place;

/// A tracked text file.
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// Runs every check and prints what it finds. `true` when there is nothing.
pub(crate) fn run() -> io::Result<bool> {
    let paths = place::tracked()?;
    let sources = read(&paths)?;
    let metadata = fences::metadata()?;
    let on_disk = |path: &Path| place::root().join(path).exists();
    let checks: [(&str, Vec<String>); 6] = [
        ("crate fences", fences::check(&metadata)),
        ("lengths of files and functions", lengths::check(&sources)),
        ("forbidden words and files", words::check(&sources)),
        (
            "ARCHITECTURE.md names what exists",
            map::check(&sources, &on_disk),
        ),
        ("links in Markdown", links::check(&sources, &on_disk)),
        ("README commands are tested", readme::check(&sources)),
    ];
    for (name, findings) in &checks {
        println!(
            "tidy: {name}: {}",
            if findings.is_empty() { "ok" } else { "FAILED" }
        );
        for finding in findings {
            println!("    {finding}");
        }
    }
    Ok(checks.iter().all(|(_, findings)| findings.is_empty()))
}

/// The text of every tracked file that is text; others (recorded logs, vectors) have no words to check.
fn read(paths: &[PathBuf]) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths
        .iter()
        .filter(|path| place::root().join(path).is_file())
    {
        let bytes = std::fs::read(place::root().join(path))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source {
                path: path.to_string_lossy().into_owned(),
                text,
            });
        }
    }
    Ok(sources)
}

#[cfg(test)]
pub(crate) fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}
