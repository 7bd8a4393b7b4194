use std::sync::Arc;

use super::locate::Opened;
use super::{ReadError, locate};
use crate::dir::LogDir;
use crate::minimum::minimum_index;
use crate::recipients::Identities;
use crate::segment::{Claim, Form, Line, LineHead, Lines, SegmentName};

/// Walks the lines of all segments, follows the live one as it grows, and moves on when it is closed.
/// One walk serves readers and the verifier, so that they see the same log.
pub(crate) struct Cursor {
    dir: LogDir,
    identities: Option<Arc<Identities>>,
    from: u64,
    /// The `seq` that the next record must have; unknown before the first.
    expected: Option<u64>,
    /// Whether the first record must be `from`, and not just one at or before it.
    exact: bool,
    at: Option<Place>,
    /// The `seq` of the line, when the line is to be given out next.
    held: Option<u64>,
}

struct Place {
    segment: SegmentName,
    /// Where the next line starts.
    offset: u64,
    lines: Option<(Lines, Form)>,
    /// A newer segment has been seen, so this one is complete when read to its end once more.
    closed: bool,
    /// Nothing more is to be read from it.
    over: bool,
}

/// What the walk met.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// The next record.
    Record { seq: u64, line: &'a [u8] },
    /// In the place of record `seq`; the walk goes on behind it.
    Damage {
        seq: u64,
        file: String,
        what: String,
    },
    /// These records are encrypted to others; the walk goes on behind them.
    Unread { from: u64, to: u64, file: String },
    /// Nothing more for now. `torn` bytes follow that are no whole line, or not yet.
    End { torn: usize },
}

/// What one look at a segment gave.
enum Look {
    /// [`Cursor::line`] is the next line.
    Line {
        /// What the name of an encrypted segment claims, with its first line.
        claim: Option<Claim>,
    },
    Gone {
        file: String,
    },
    Locked {
        claim: Claim,
        file: String,
    },
    TooLong {
        file: String,
    },
    Unreadable {
        file: String,
        what: String,
    },
    Over {
        torn: usize,
        file: String,
        claim: Option<Claim>,
    },
}

impl Cursor {
    pub(crate) fn new(dir: &LogDir, from: u64) -> Self {
        Self {
            dir: dir.clone(),
            identities: None,
            from,
            expected: None,
            exact: from == 0,
            at: None,
            held: None,
        }
    }

    /// A walk that misses `from` when it is not there, and does not look at what is before it.
    pub(crate) fn exactly(dir: &LogDir, from: u64) -> Self {
        Self {
            exact: true,
            ..Self::new(dir, from)
        }
    }

    /// With keys for encrypted segments.
    pub(crate) fn with_identities(self, identities: Option<Arc<Identities>>) -> Self {
        Self { identities, ..self }
    }

    /// The `seq` that the next record should have.
    pub(crate) fn expected(&self) -> u64 {
        self.expected.unwrap_or(self.from)
    }

    /// The segment of the last step.
    pub(crate) fn file(&self) -> String {
        self.at.as_ref().map_or_else(String::new, |place| {
            let form = place.lines.as_ref().map_or(Form::Plain, |(_, form)| *form);
            place.segment.file(form)
        })
    }

    /// The record of the last step, until the next one.
    pub(crate) fn line(&self) -> &[u8] {
        let lines = self.at.as_ref().and_then(|place| place.lines.as_ref());
        lines.map_or(&[], |(lines, _)| lines.line())
    }

    pub(crate) fn next(&mut self) -> Result<Step<'_>, ReadError> {
        if let Some(seq) = self.held.take() {
            return Ok(Step::Record {
                seq,
                line: self.line(),
            });
        }
        loop {
            if !self.find_start()? {
                return Ok(Step::End { torn: 0 });
            }
            let seq = self.expected();
            match self.look()? {
                Look::Line { claim } => match self.judge() {
                    Judged::Next(seq) if seq < self.from => {}
                    Judged::Next(seq) if claim.is_some_and(|claim| claim.first != seq) => {
                        return Ok(self.misnamed(seq));
                    }
                    Judged::Next(seq) => {
                        return Ok(Step::Record {
                            seq,
                            line: self.line(),
                        });
                    }
                    Judged::Misplaced { expected, found } => {
                        // What is in the wrong place is still worth reading: next time.
                        self.held = Some(found);
                        let what = misplaced(expected, found);
                        return Ok(Step::Damage {
                            seq: expected,
                            file: self.file(),
                            what,
                        });
                    }
                    Judged::Broken(what) => {
                        let file = self.file();
                        return Ok(Step::Damage { seq, file, what });
                    }
                },
                Look::TooLong { file } => {
                    let what = "it is longer than a record may be".to_owned();
                    return Ok(Step::Damage { seq, file, what });
                }
                Look::Locked { claim, file } => {
                    self.leave()?;
                    if let Some(step) = self.pass_over(claim, file) {
                        return Ok(step);
                    }
                }
                Look::Gone { file } => {
                    self.leave()?;
                    // Retention may have removed it since it was listed.
                    if seq >= self.minimum() {
                        let what = "the segment is gone".to_owned();
                        return Ok(Step::Damage { seq, file, what });
                    }
                }
                Look::Unreadable { file, what } => {
                    self.leave()?;
                    return Ok(Step::Damage { seq, file, what });
                }
                Look::Over { torn, file, claim } => {
                    if let Some(step) = self.over(torn, file, claim)? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// The name of an encrypted segment claims another first record than it has, which is given out next.
    fn misnamed(&mut self, seq: u64) -> Step<'static> {
        self.held = Some(seq);
        let what = "it is the first one in this file, whose name says another".to_owned();
        let file = self.file();
        Step::Damage { seq, file, what }
    }

    /// Goes on behind a segment that was read to its end; `None` when there is nothing to say of it.
    fn over(
        &mut self,
        torn: usize,
        file: String,
        claim: Option<Claim>,
    ) -> Result<Option<Step<'static>>, ReadError> {
        if !self.at.as_ref().is_some_and(|place| place.closed) {
            return Ok((!self.see_newer()?).then_some(Step::End { torn }));
        }
        let seq = self.expected();
        self.leave()?;
        let what = match claim.filter(|claim| claim.end != seq) {
            _ if torn > 0 => format!("the segment ends within it, after {torn} bytes"),
            Some(claim) => {
                self.expected = Some(seq.max(claim.end));
                format!("the file's name says {claim}, and it ends before {seq}")
            }
            None => return Ok(None),
        };
        Ok(Some(Step::Damage { seq, file, what }))
    }

    /// Finds where to begin reading, unless that is done; false while the log has no segments.
    pub(crate) fn find_start(&mut self) -> Result<bool, ReadError> {
        if self.at.is_none() {
            let start = locate::start(&self.dir, self.from)?;
            self.at = start.map(|(segment, offset)| Place {
                offset,
                ..Place::start_of(segment)
            });
        }
        Ok(self.at.is_some())
    }

    /// Goes to the next line.
    fn look(&mut self) -> Result<Look, ReadError> {
        let Some(place) = self.at.as_mut().filter(|place| !place.over) else {
            return Ok(Look::Over {
                torn: 0,
                file: String::new(),
                claim: None,
            });
        };
        if place.lines.is_none() {
            let identities = self.identities.as_deref();
            match locate::open(&self.dir, &place.segment, place.offset, identities)? {
                Opened::Lines(lines, form) => place.lines = Some((lines, form)),
                unread @ (Opened::Locked(_) | Opened::Damaged(..) | Opened::Gone) => {
                    return Ok(unopened(&place.segment, unread));
                }
            }
        }
        let Some((lines, form)) = &mut place.lines else {
            return Ok(unopened(&place.segment, Opened::Gone));
        };
        let claim = match form {
            Form::Age(claim) => Some(*claim),
            Form::Plain | Form::Zst => None,
        };
        let file = || place.segment.file(*form);
        let look = match lines.next() {
            Ok(Some(Line::Whole(_))) => Look::Line {
                claim: claim.filter(|_| place.offset == 0),
            },
            Ok(Some(Line::TooLong)) => Look::TooLong { file: file() },
            Ok(end @ (Some(Line::Torn(_)) | None)) => {
                let torn = match end {
                    Some(Line::Torn(rest)) => rest.len(),
                    _ => 0,
                };
                let file = file();
                place.lines = None;
                return Ok(Look::Over { torn, file, claim });
            }
            // What zstd and age say of a damaged file is a finding, and not a reason to stop.
            Err(error) if *form != Form::Plain => Look::Unreadable {
                file: file(),
                what: error.to_string(),
            },
            Err(error) => {
                let path = self.dir.segments().join(file());
                return Err(locate::failed(&path)(error));
            }
        };
        place.offset = lines.offset();
        Ok(look)
    }

    /// Goes on behind the records of a segment that is encrypted to others. `None` when nobody asked for them.
    fn pass_over(&mut self, claim: Claim, file: String) -> Option<Step<'static>> {
        let expected = match (self.expected, self.exact) {
            (None, true) if claim.first > self.from => Some(self.from),
            (expected, _) => expected,
        };
        self.expected = Some(claim.end);
        let from = claim.first.max(self.from);
        if let Some(expected) = expected.filter(|expected| *expected != claim.first)
            && let Judged::Misplaced { .. } = self.gap(expected, claim.first)
        {
            let what = format!("the file's name says {claim}");
            return Some(Step::Damage {
                seq: expected,
                file,
                what,
            });
        }
        (from < claim.end).then_some(Step::Unread {
            from,
            to: claim.end,
            file,
        })
    }

    /// Whether the line is the next record. Of one that is not, the walk takes up the count.
    fn judge(&mut self) -> Judged {
        let expected = self.expected;
        let first = if self.exact { Some(self.from) } else { None };
        let Some(head) = LineHead::parse(self.line()) else {
            self.expected = expected.or(first).map(|seq| seq.saturating_add(1));
            return Judged::Broken("it does not begin and end as a record does".to_owned());
        };
        self.expected = Some(head.seq.saturating_add(1));
        if head.version != 1 {
            return Judged::Broken(format!(
                "its version is {}, which is unknown here",
                head.version
            ));
        }
        match (expected, first) {
            (Some(expected), _) if expected == head.seq => Judged::Next(head.seq),
            (None, Some(first)) if head.seq > first => self.gap(first, head.seq),
            (None, _) => Judged::Next(head.seq),
            (Some(expected), _) => self.gap(expected, head.seq),
        }
    }

    /// Records below the minimum index are gone on purpose, also when they went while we were reading.
    fn gap(&self, expected: u64, found: u64) -> Judged {
        if expected < found && found <= self.minimum() {
            Judged::Next(found)
        } else {
            Judged::Misplaced { expected, found }
        }
    }

    /// What the log declares as its beginning at this moment; one that cannot be read excuses nothing.
    fn minimum(&self) -> u64 {
        minimum_index(&self.dir).unwrap_or(0)
    }

    /// Looks for a segment after the one being read, which is complete when there is one.
    fn see_newer(&mut self) -> Result<bool, ReadError> {
        let newer = self.newer()?.is_some();
        if let Some(place) = &mut self.at {
            place.closed = newer;
        }
        Ok(newer)
    }

    /// Goes to the next segment, or stays at the end of this one until there is a next one.
    fn leave(&mut self) -> Result<(), ReadError> {
        let newer = self.newer()?;
        if let Some(place) = &mut self.at {
            match newer {
                Some(segment) => *place = Place::start_of(segment),
                None => place.over = true,
            }
        }
        Ok(())
    }

    fn newer(&self) -> Result<Option<SegmentName>, ReadError> {
        let Some(place) = &self.at else {
            return Ok(None);
        };
        let segments = locate::segments(&self.dir)?;
        Ok(segments
            .into_iter()
            .map(|segment| segment.name)
            .find(|name| *name > place.segment))
    }
}

impl Place {
    const fn start_of(segment: SegmentName) -> Self {
        Self {
            segment,
            offset: 0,
            lines: None,
            closed: false,
            over: false,
        }
    }
}

/// A segment that gives no lines.
fn unopened(segment: &SegmentName, opened: Opened) -> Look {
    let name = |claim| segment.file(Form::Age(claim));
    match opened {
        Opened::Locked(claim) => Look::Locked {
            claim,
            file: name(claim),
        },
        Opened::Damaged(claim, what) => Look::Unreadable {
            file: name(claim),
            what,
        },
        Opened::Lines(..) | Opened::Gone => Look::Gone {
            file: segment.file(Form::Plain),
        },
    }
}

/// What a line is.
enum Judged {
    Next(u64),
    Misplaced { expected: u64, found: u64 },
    Broken(String),
}

fn misplaced(expected: u64, found: u64) -> String {
    match found.checked_sub(expected) {
        Some(2..) => format!(
            "records {expected} to {} are missing; {found} follows",
            found - 1
        ),
        Some(_) => format!("record {expected} is missing; {found} follows"),
        None => format!("record {found} is in its place"),
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Cursor({} at {})",
            self.dir.root().display(),
            self.expected()
        )
    }
}
