use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::OpenError;
use super::compress::At;
use super::recover::{failed, lines};
use crate::dir::LogDir;
use crate::disk::{Disk, create_over};
use crate::recipients::Recipients;
use crate::segment::{Claim, Form, Line, LineHead, Segment, segments_among};

/// Encrypts the closed and compressed segments of which no record is the last one sealed or after it, so
/// that opening always finds a record that ties the segments to the tiles. Returns the size that has to be
/// sealed before those are encrypted that were left out for that. May run beside the writer, but not
/// beside [`super::compress_segment`].
///
/// # Errors
///
/// What is not encrypted is whole and readable as it was.
pub fn encrypt_closed(
    disk: &dyn Disk,
    log: &LogDir,
    recipients: &Recipients,
    sealed: u64,
) -> Result<Option<u64>, OpenError> {
    let dir = log.segments();
    let names = disk.list(&dir).map_err(failed(&dir))?;
    let segments = segments_among(names.iter().map(String::as_str));
    let closed = segments
        .split_last()
        .map_or(&[][..], |(_live, closed)| closed);
    for segment in closed.iter().filter(|segment| segment.form() == Form::Zst) {
        let claim = claim(disk, &dir, segment)?;
        if claim.end >= sealed {
            return Ok(Some(claim.end));
        }
        let path = dir.join(segment.file());
        encrypt(disk, &dir, segment, claim, recipients).map_err(failed(&path))?;
    }
    Ok(None)
}

/// Which records are in a segment; an error unless they are whole and in order.
fn claim(disk: &dyn Disk, dir: &Path, segment: &Segment) -> Result<Claim, OpenError> {
    let file = segment.file();
    let path = dir.join(&file);
    let mut lines = lines(disk, &path, segment.form())?;
    let mut claim: Option<Claim> = None;
    loop {
        let head = match lines.next().map_err(failed(&path))? {
            None => break,
            Some(Line::Whole(line)) => LineHead::parse(line),
            Some(Line::Torn(_) | Line::TooLong) => None,
        };
        let next = claim.map(|claim| claim.end);
        claim = match (head, claim) {
            (Some(head), None) => Claim::new(head.seq, head.seq.saturating_add(1)),
            (Some(head), Some(claim)) if head.seq == claim.end => {
                Claim::new(claim.first, claim.end.saturating_add(1))
            }
            _ => None,
        };
        if claim.is_none() {
            let what = "it is not in order, and is not encrypted".to_owned();
            let seq = next.unwrap_or(0);
            return Err(OpenError::Damaged { seq, file, what });
        }
    }
    claim.ok_or_else(|| OpenError::Damaged {
        seq: 0,
        file,
        what: "it is empty".to_owned(),
    })
}

/// Puts the encrypted segment in the place of the compressed one. Readers find the one or the other at
/// every moment.
fn encrypt(
    disk: &dyn Disk,
    dir: &Path,
    segment: &Segment,
    claim: Claim,
    recipients: &Recipients,
) -> io::Result<()> {
    let compressed = dir.join(segment.file());
    let temp = dir.join(format!("{}.jsonl.zst.age.tmp", segment.name));

    // A crash in here leaves a temporary file, which the next attempt replaces.
    let out = Hashing {
        to: At::new(create_over(disk, &temp)?),
        hash: Sha256::new(),
    };
    let out = recipients.encrypt(&mut disk.read(&compressed)?, out)?;
    out.to.sync()?;

    // We cannot decrypt it. That it is on disk as it was made is all that we can see, and the records are
    // whole as far as age keeps its word.
    let written: [u8; 32] = out.hash.finalize().into();
    if hash(disk.read(&temp)?)? != written {
        return Err(io::Error::other("it does not read back"));
    }
    disk.rename(&temp, &dir.join(segment.name.file(Form::Age(claim))))?;
    disk.sync_dir(dir)?;

    // A crash before this leaves both forms; the compressed one counts, and is encrypted again.
    disk.unlink(&compressed)?;
    disk.sync_dir(dir)
}

struct Hashing {
    to: At,
    hash: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn hash(mut file: Box<dyn Read + Send>) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(piece.get(..read).unwrap_or_default()),
        }
    }
}
