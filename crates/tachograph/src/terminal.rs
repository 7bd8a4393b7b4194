//! The only code that prints. Log content is written by attackers: what goes to a terminal is escaped.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What a command prints on stdout, in the form that suits who reads it.
pub(crate) struct Output {
    stdout: io::StdoutLock<'static>,
    /// Columns and, unless NO_COLOR is set, colours; else JSON Lines.
    human: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = terminal && crate::place::variable("NO_COLOR").is_none();
        Self {
            stdout: io::stdout().lock(),
            human: terminal && !json,
            colour,
        }
    }

    /// For commands whose answer is words in either case, unless JSON was asked for.
    pub(crate) fn words(json: bool) -> Self {
        Self {
            human: !json,
            ..Self::new(json)
        }
    }

    pub(crate) const fn is_human(&self) -> bool {
        self.human
    }

    /// One line of our own words; parts from the log must have been through [`escape`].
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stdout, "{line}")
    }

    /// Bytes as they are: a record as it stands in the log is one line of escaped JSON already.
    pub(crate) fn raw_line(&mut self, line: &[u8]) -> io::Result<()> {
        self.stdout.write_all(line)?;
        self.stdout.write_all(b"\n")
    }

    /// Our own text, as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.stdout.write_all(text.as_bytes())
    }

    /// Bytes from outside, exactly; a terminal gets them as escaped text.
    pub(crate) fn original(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.human {
            self.stdout.write_all(bytes)?;
            return self.stdout.flush();
        }
        let text = String::from_utf8_lossy(bytes);
        text.split('\n')
            .try_for_each(|line| self.line(&escape(line)))
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Waits, at most `patience`, and says whether nobody reads any more: `tail -f` into a pipe whose
    /// reader has left would otherwise stay until there is something new to print.
    pub(crate) fn reader_leaves_within(&self, patience: Duration) -> bool {
        let timeout = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        let mut stdout = [PollFd::new(&self.stdout, PollFlags::empty())];
        // The kernel reports these two whether asked for or not. A signal only makes the wait shorter.
        let left = PollFlags::ERR | PollFlags::HUP;
        poll(&mut stdout, Some(&timeout)).is_ok()
            && stdout.iter().any(|fd| fd.revents().intersects(left))
    }

    /// `text` in a colour, where colours are wanted.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colour && self.human {
            format!("\u{1b}[{}m{text}\u{1b}[0m", colour as u8)
        } else {
            text.to_owned()
        }
    }
}

/// The few colours that mean something: SGR numbers.
#[derive(Clone, Copy)]
pub(crate) enum Colour {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

/// A message for people, on stderr. A closed stderr is no reason to fail.
pub(crate) fn message(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Makes text from a log safe to show: no control characters, no invisible or direction-changing
/// ones, each replaced by its `\u{…}`.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        );
        if c.is_control() || hidden {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_would_obey_gets_through() {
        let attack = "ok\u{1b}[2J\u{1b}]0;x\u{7}\r\n\u{202e}gpj.exe\u{200b}\u{9b}31m";
        let shown = escape(attack);
        assert!(shown.chars().all(|c| !c.is_control()), "{shown}");
        assert!(!shown.contains('\u{202e}') && !shown.contains('\u{200b}'));
        assert_eq!(escape("Grüße, 世界 🎉"), "Grüße, 世界 🎉");
    }
}
