use std::path::Path;
use std::process::Command;

use crate::peers::output;
use crate::place::{Place, Result, put};
use crate::report::note;

/// Builds the vectorscan filter with the system's compiler and library; none when one is missing.
pub(super) fn build(place: &Place, lines: &Path, patterns: &str) -> Result<Option<Command>> {
    let source = place.cache.join("scan.c");
    put(&source, include_str!("../../c/scan.c"))?;
    let program = place.cache.join("scan");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-w", "-o"])
        .arg(&program)
        .arg(&source)
        .arg("-I/usr/include/hs");
    // The library need not be installed: unpacked packages (`dpkg -x`) in the cache directory do.
    let unpacked = place.cache.join("vectorscan/usr");
    let library = unpacked.join("lib/x86_64-linux-gnu");
    gcc.arg("-I")
        .arg(unpacked.join("include/hs"))
        .arg("-L")
        .arg(&library);
    gcc.arg("-Xlinker")
        .arg("-rpath")
        .arg("-Xlinker")
        .arg(&library)
        .arg("-lhs");
    if let Err(error) = output(&mut gcc) {
        note(&format!(
            "not measured: vectorscan (libvectorscan-dev is needed): {error}"
        ));
        return Ok(None);
    }
    // One pattern on each line is all that C needs to read.
    let plain = place.cache.join("patterns.txt");
    let list: Vec<String> = serde_json::from_str(patterns)?;
    put(&plain, &list.join("\n"))?;
    let mut command = Command::new(program);
    command.arg(plain).arg(lines);
    Ok(Some(command))
}
