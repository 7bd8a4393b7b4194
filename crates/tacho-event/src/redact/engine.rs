use super::Report;
use super::assignment::Hit;
use super::detectors::{placeholder_length, placeholders};
use super::names::{Name, Names};
use super::report::Finding;
use super::rules::Kind;
use super::scan::{Scanner, sign};
use super::walk::{Step, Stop, Walk};
use crate::DigestKey;
use crate::limits::KEPT_STRING_BYTES;

/// How much is kept, and in what form.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep redacted arguments in the record (levels `request` and `request_response`), of events that do
    /// not say themselves.
    pub keep_args: bool,
    /// The same for redacted results (level `request_response`).
    pub keep_result: bool,
    /// Add a keyed suffix to placeholders, so that equal values can be correlated and looked up.
    pub correlate: bool,
    /// Strings longer than this many bytes are cut.
    pub kept_string_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_args: true,
            keep_result: false,
            correlate: false,
            kept_string_bytes: KEPT_STRING_BYTES,
        }
    }
}

/// JSON inside strings inside JSON is followed this deep. Each level doubles the escapes, so deeper
/// ones do not occur; they are looked at as text.
const NESTED: u8 = 6;

/// A long text is looked at this far beyond what is kept of it, in bytes, so that a secret across the
/// cut is still seen whole. Longer than any token but a certificate chain in a JWT.
const OVERLAP_BYTES: usize = 4_096;

/// Replacing makes new neighbours, which are looked at again. Two rounds are rare and three unheard
/// of; a text that needs more than this is made for the purpose and goes as a whole.
const ROUNDS: usize = 8;

/// Finds and replaces what must not be kept, in text and in JSON.
pub struct Engine {
    options: Options,
    key: DigestKey,
    scanner: Scanner,
    names: Names,
    /// Takes no short cut.
    thorough: bool,
    /// Room for the path of a walk, kept from one to the next.
    pub(super) steps: Vec<Step>,
}

impl Engine {
    /// Builds the detectors.
    pub fn new(options: &Options, key: DigestKey) -> Self {
        Self::build(options, key, false)
    }

    /// An engine that takes no short cut: slow, and only there to be compared with.
    #[doc(hidden)]
    pub fn thorough(options: &Options, key: DigestKey) -> Self {
        Self::build(options, key, true)
    }

    fn build(options: &Options, key: DigestKey, thorough: bool) -> Self {
        Self {
            options: options.clone(),
            key,
            scanner: Scanner::new(thorough),
            names: Names::new(),
            thorough,
            steps: Vec::new(),
        }
    }

    /// Appends the redacted form of one JSON value, compact, in the order it came. Returns `false`,
    /// with `out` in any state, when more than `budget` bytes would have been written, the value is
    /// nested too deep, or it is not JSON after all.
    pub fn json(
        &mut self,
        raw: &[u8],
        out: &mut Vec<u8>,
        budget: usize,
        report: &mut Report,
    ) -> bool {
        let Ok(text) = std::str::from_utf8(raw) else {
            return false;
        };
        let limit = out.len().saturating_add(budget);
        Walk::new(self, text, out, limit, report, &String::new, 0)
            .document()
            .is_ok()
    }

    /// Appends the redacted form of a text that stands alone, such as a name or a message.
    pub fn text(&mut self, text: &str, out: &mut String, report: &mut Report) {
        let seen = self.scanner.signs(text.as_bytes());
        match self.clean(text, text.len(), seen, 0, report, &String::new) {
            Some(cleaned) => out.push_str(&cleaned),
            None => out.push_str(text),
        }
    }

    /// Whether a text certainly stays as it is: a quick look, which may say no although it does.
    pub(super) fn leaves(&self, text: &str) -> bool {
        self.stays(text.len(), self.scanner.signs(text.as_bytes()))
    }

    /// What would stand in the place of `value` for each kind, with its keyed suffix: how a known
    /// value is looked up in a log.
    pub fn placeholders(&self, value: &str) -> [String; 4] {
        Kind::ALL.map(|kind| self.suffixed(kind, value))
    }

    pub(super) fn scanner(&self) -> &Scanner {
        &self.scanner
    }

    /// Bytes of a text that are looked at.
    pub(super) fn window(&self) -> usize {
        self.options
            .kept_string_bytes
            .saturating_mul(4)
            .saturating_add(2 * OVERLAP_BYTES)
    }

    /// What is remembered of the name that `rest` begins with; its length.
    pub(super) fn known_name(&self, rest: &[u8]) -> Option<(Name, usize)> {
        self.names.known(rest)
    }

    /// Remembers a name that can be written as it stands.
    pub(super) fn remember(&mut self, key: &[u8], name: Name) {
        if !self.thorough {
            self.names.remember(key, name);
        }
    }

    /// The placeholder for `value`.
    pub(super) fn placeholder(&self, kind: Kind, value: &str) -> String {
        if self.options.correlate {
            self.suffixed(kind, value)
        } else {
            kind.placeholder().to_owned()
        }
    }

    fn suffixed(&self, kind: Kind, value: &str) -> String {
        let normal = match kind {
            Kind::Card => value.chars().filter(char::is_ascii_digit).collect(),
            Kind::Email => value.to_lowercase(),
            Kind::Redacted | Kind::Token => value.to_owned(),
        };
        let digest = self.key.digest(kind.domain(), normal.as_bytes());
        format!("[{}:hmac:{}]", kind.word(), digest.short_hex(8))
    }

    /// Whether `text` is a placeholder and nothing else.
    pub(super) fn is_placeholder(text: &str) -> bool {
        placeholder_length(text) == Some(text.len())
    }

    /// Whether a text of `length` bytes certainly stays as it is, by its signs alone; most do.
    #[inline]
    pub(super) const fn stays(&self, length: usize, seen: u16) -> bool {
        !sign::may_hold(length, seen) && length <= self.options.kept_string_bytes
    }

    /// The redacted form of `text`, or `None` where it can stay as it is. `text` may be the first
    /// [`Self::window`] bytes of one that is `length` bytes long.
    pub(super) fn clean(
        &mut self,
        text: &str,
        length: usize,
        seen: u16,
        nested: u8,
        report: &mut Report,
        place: &dyn Fn() -> String,
    ) -> Option<String> {
        let view = text
            .get(..text.floor_char_boundary(self.window()))
            .unwrap_or(text);
        let whole = view.len() == length;
        if seen & sign::OPEN != 0
            && nested < NESTED
            && let Some(done) = self.clean_json(view, length, nested, report, place)
        {
            return done;
        }
        let mut changed = self.replace(view, whole, seen, report, place);
        let kept = self.options.kept_string_bytes;
        if whole && changed.as_ref().map_or(view.len(), String::len) <= kept {
            return changed;
        }
        let mut kept_text = changed.take().unwrap_or_else(|| view.to_owned());
        cut(&mut kept_text, kept);
        report.truncate(place(), length);
        Some(kept_text)
    }

    /// The same for a text that is itself JSON; the outer `None` says that it is not.
    #[expect(
        clippy::option_option,
        reason = "not JSON, JSON that stays, JSON that changes"
    )]
    fn clean_json(
        &mut self,
        view: &str,
        length: usize,
        nested: u8,
        report: &mut Report,
        place: &dyn Fn() -> String,
    ) -> Option<Option<String>> {
        if !view.trim_start().starts_with(['{', '[']) {
            return None;
        }
        let kept = self.options.kept_string_bytes;
        let mut inner = if report.wants_findings() {
            Report::with_findings()
        } else {
            Report::default()
        };
        let mut out = Vec::with_capacity(view.len().min(kept));
        let mut walk = Walk::new(self, view, &mut out, kept, &mut inner, place, nested + 1);
        let end = walk.document();
        let cut_short = match end {
            Ok(()) => false,
            Err(Stop::Budget) => true,
            // The window ended in the middle of it.
            Err(Stop::End) if view.len() < length => true,
            Err(Stop::End | Stop::Syntax | Stop::Depth) => return None,
        };
        let changed = inner.removed() > 0 || !inner.truncated().is_empty();
        report.absorb(inner);
        if !cut_short && !changed && view.len() <= kept {
            return Some(None);
        }
        let mut text = String::from_utf8_lossy(&out).into_owned();
        if cut_short || text.len() > kept {
            cut_always(&mut text, kept);
            report.truncate(place(), length);
        }
        Some(Some(text))
    }

    fn replace(
        &self,
        text: &str,
        whole: bool,
        seen: u16,
        report: &mut Report,
        place: &dyn Fn() -> String,
    ) -> Option<String> {
        let mut hits = Vec::new();
        self.scanner.detect(text, seen, &mut hits);
        if hits.is_empty() {
            return None;
        }
        let safe = if whole {
            text.len()
        } else {
            text.len().saturating_sub(OVERLAP_BYTES)
        };
        let mut current = self.apply(text, &hits, safe, report, place);
        for _ in 1..ROUNDS {
            hits.clear();
            let seen = self.scanner.signs(current.as_bytes());
            self.scanner.detect(&current, seen, &mut hits);
            if hits.is_empty() {
                return Some(current);
            }
            current = self.apply(&current, &hits, current.len(), report, place);
        }
        Some(Kind::Redacted.placeholder().to_owned())
    }

    /// `text` with placeholders for the hits, up to `safe` or the end of the hit that crosses it.
    fn apply(
        &self,
        text: &str,
        hits: &[Hit],
        safe: usize,
        report: &mut Report,
        place: &dyn Fn() -> String,
    ) -> String {
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for hit in hits.iter().take_while(|hit| hit.start <= safe) {
            out.push_str(text.get(from..hit.start).unwrap_or_default());
            let value = text.get(hit.start..hit.end).unwrap_or_default();
            let placeholder = self.placeholder(hit.kind, value);
            out.push_str(&placeholder);
            report.remove(hit.rule);
            if report.wants_findings() {
                report.find(Finding {
                    path: place(),
                    rule: hit.rule,
                    placeholder,
                });
            }
            from = hit.end;
        }
        out.push_str(
            text.get(from..text.floor_char_boundary(safe))
                .unwrap_or_default(),
        );
        out
    }

    /// `text` redacted, without cutting and without looking for JSON in it; for streams.
    pub(super) fn hits(&self, text: &str, hits: &mut Vec<Hit>) {
        self.scanner
            .detect(text, self.scanner.signs(text.as_bytes()), hits);
    }

    /// One finished piece of a stream.
    pub(super) fn piece(&self, text: &str, report: &mut Report) -> String {
        let seen = self.scanner.signs(text.as_bytes());
        self.replace(text, true, seen, report, &String::new)
            .unwrap_or_else(|| text.to_owned())
    }
}

/// Cuts `text` to at most `kept` bytes with the mark at its end, never inside a placeholder.
fn cut(text: &mut String, kept: usize) {
    if text.len() > kept {
        cut_always(text, kept);
    } else {
        mark(text, kept);
    }
}

fn mark(text: &mut String, kept: usize) {
    if !text.ends_with(MARK) {
        if text.len() + MARK.len() > kept {
            return cut_always(text, kept);
        }
        text.push_str(MARK);
    }
}

/// What a cut text ends with.
const MARK: &str = "…";

fn cut_always(text: &mut String, kept: usize) {
    let mut end = text.floor_char_boundary(kept.saturating_sub(MARK.len()));
    if let Some((start, _)) = placeholders(text)
        .iter()
        .find(|(from, to)| *from < end && end < *to)
    {
        end = *start;
    }
    text.truncate(end);
    text.push_str(MARK);
}
