//! The detectors as a table: a pattern that finds candidates, and what confirms them.
//!
//! The engine does not use the patterns: it has its own, faster way to the candidates
//! (`scan.rs`) and only shares what confirms them. The table is there so that a plain
//! implementation, one regular expression after the other, can be made and must agree with it.

pub use super::assignment::Hit;
use super::assignment::{SCHEME_PATTERN, USER_INFO_PATTERN, assigned, flagged, schemed, user_info};
use super::rules::{Kind, MANY, may_begin, tokens};
use super::scan::class;
use super::{email, encoded, entropy, keys, numbers, pem};

/// A run's place, and the text that it stands for.
pub type Decoded = (usize, usize, String);

/// How a candidate becomes a hit.
#[derive(Clone, Copy)]
pub enum Confirm {
    /// Looks at the text around the candidate.
    Look(fn(&str, usize, usize) -> Option<Hit>),
    /// A token: only what stands before it matters.
    Token,
    /// Decodes the candidate; a hit if something is found inside.
    Decode(fn(&str, usize, usize) -> Vec<Decoded>),
}

/// One detector.
pub struct Detector {
    /// Its rule id.
    pub id: &'static str,
    /// What stands there afterwards.
    pub kind: Kind,
    /// A regular expression over bytes, without Unicode, for candidates.
    pub pattern: String,
    /// What makes a candidate a hit.
    pub confirm: Confirm,
}

/// Every detector.
pub fn detectors() -> Vec<Detector> {
    let mut table: Vec<Detector> = Vec::new();
    for token in tokens() {
        table.push(Detector {
            id: token.id,
            kind: Kind::Token,
            pattern: token.pattern(),
            confirm: Confirm::Token,
        });
    }
    let mut look = |id, kind, pattern: &str, confirm| {
        let confirm = Confirm::Look(confirm);
        table.push(Detector {
            id,
            kind,
            pattern: pattern.to_owned(),
            confirm,
        });
    };
    look("email", Kind::Email, email::PATTERN, |text, start, end| {
        hit(
            email::confirm(text.as_bytes(), start, end)?,
            "email",
            Kind::Email,
        )
    });
    look(
        "card",
        Kind::Card,
        "[0-9](?:[ -]?[0-9]){11,}",
        |text, start, end| {
            hit(
                numbers::card(text.as_bytes(), start, end)?,
                "card",
                Kind::Card,
            )
        },
    );
    look(
        "iban",
        Kind::Redacted,
        "[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]",
        |text, start, _| {
            hit(
                (start, numbers::iban(text.as_bytes(), start)?),
                "iban",
                Kind::Redacted,
            )
        },
    );
    look("pem", Kind::Redacted, pem::PATTERN, |text, start, _| {
        hit((start, pem::end(text, start)?), "pem", Kind::Redacted)
    });
    let stems = keys::STEMS;
    let names = format!(
        r#"(?i)(?:{stems}|sig|auth|hmac|pw|x-amz|x-goog|sid|session|code|assertion|saml|mail)[A-Za-z0-9_.\- ]*\\?["'`]?[ \t]*[:?+]?[=:]"#
    );
    look("assignment", Kind::Redacted, &names, |text, _, end| {
        assigned(text, end - 1)
    });
    let flags = format!(r#"--[A-Za-z0-9_.\-]*(?i:{stems})[A-Za-z0-9_.\-]*["'`]?[ \t]"#);
    look("assignment", Kind::Redacted, &flags, |text, start, _| {
        flagged(text, start)
    });
    look(
        "authorization",
        Kind::Token,
        SCHEME_PATTERN,
        |text, start, _| schemed(text, start),
    );
    look(
        "url.userinfo",
        Kind::Redacted,
        USER_INFO_PATTERN,
        |text, start, _| user_info(text, start + 1)?.0,
    );
    look(
        "entropy",
        Kind::Redacted,
        "[A-Za-z0-9+/_-]{20,}={0,2}",
        random,
    );
    for (id, pattern, confirm) in [
        (
            "encoded.base64",
            "[A-Za-z0-9+/_-]{20,}={0,2}",
            base64 as fn(&str, usize, usize) -> _,
        ),
        ("encoded.percent", encoded::PERCENT_PATTERN, percent),
    ] {
        let confirm = Confirm::Decode(confirm);
        table.push(Detector {
            id,
            kind: Kind::Redacted,
            pattern: pattern.to_owned(),
            confirm,
        });
    }
    table
}

fn hit((start, end): (usize, usize), rule: &'static str, kind: Kind) -> Option<Hit> {
    Some(Hit {
        context: start,
        start,
        end,
        rule,
        kind,
    })
}

/// A random-looking value beside a word that makes it a secret.
pub(super) fn random(text: &str, start: usize, end: usize) -> Option<Hit> {
    if start == 0 {
        return None;
    }
    let value = text.as_bytes().get(start..end)?;
    if !entropy::may_be_beside(text, start) || !entropy::is_random(value) {
        return None;
    }
    let context = entropy::beside(text, start)?;
    Some(Hit {
        context,
        start,
        end,
        rule: "entropy",
        kind: Kind::Redacted,
    })
}

/// The text behind a run of base64, or behind the pieces of it between slashes.
pub(super) fn base64(text: &str, start: usize, end: usize) -> Vec<(usize, usize, String)> {
    let Some(run) = text.as_bytes().get(start..end) else {
        return Vec::new();
    };
    if let Some(decoded) = encoded::decode(run) {
        return vec![(start, end, decoded)];
    }
    let mut found = Vec::new();
    class::runs(run, class::PIECE, encoded::RUN_BYTES, |from, to, _| {
        let piece = run.get(from..to).filter(|piece| piece.len() < run.len());
        let decoded = piece.and_then(encoded::decode);
        found.extend(decoded.map(|text| (start + from, start + to, text)));
    });
    found
}

fn percent(text: &str, start: usize, end: usize) -> Vec<(usize, usize, String)> {
    let run = text.as_bytes().get(start..end).unwrap_or_default();
    encoded::percent_decode(run)
        .map(|decoded| (start, end, decoded))
        .into_iter()
        .collect()
}

/// Whether a token may begin at `start` of `text`.
pub fn token_may_begin(text: &str, start: usize) -> bool {
    may_begin(text.as_bytes(), start)
}

/// Brings hits into their final form: in order, overlapping ones joined, those inside a placeholder
/// and e-mail addresses that are really the end of a URL's credential left out.
pub fn resolve(text: &str, hits: &mut Vec<Hit>) {
    if hits.is_empty() {
        return;
    }
    let known = placeholders(text);
    hits.retain(|hit| {
        !known
            .iter()
            .any(|(from, to)| *from <= hit.start && hit.end <= *to)
    });
    if hits.iter().any(|hit| hit.rule == "email") && text.contains("://") {
        let signs = authorities(text);
        let bytes = text.as_bytes();
        hits.retain(|hit| {
            let sign = bytes
                .get(hit.start..hit.end)
                .and_then(|found| memchr::memchr(b'@', found));
            hit.rule != "email" || sign.is_none_or(|at| !signs.contains(&(hit.start + at)))
        });
    }
    let rank = |hit: &Hit| match hit.kind {
        Kind::Token => 0,
        Kind::Card => 1,
        Kind::Email => 2,
        Kind::Redacted => 3,
    };
    hits.sort_by_key(|hit| (hit.start, MANY - hit.end, rank(hit), hit.rule));
    hits.dedup_by(|later, kept| {
        let overlap = later.start < kept.end;
        if overlap {
            kept.end = kept.end.max(later.end);
            kept.context = kept.context.min(later.context);
        }
        overlap
    });
}

/// The at signs that end the credential of a URL.
fn authorities(text: &str) -> Vec<usize> {
    let colons = memchr::memmem::find_iter(text.as_bytes(), b"://");
    colons
        .filter_map(|colon| user_info(text, colon))
        .map(|(_, sign)| sign)
        .collect()
}

/// Where placeholders stand in `text`.
pub fn placeholders(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for open in memchr::memchr_iter(b'[', text.as_bytes()) {
        if let Some(length) = text.get(open..).and_then(placeholder_length) {
            found.push((open, open + length));
        }
    }
    found
}

/// The length of the placeholder that `text` begins with: `[WORD]` or `[WORD:hmac:` 16 digits `]`.
pub fn placeholder_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('[')?;
    let word = Kind::ALL
        .into_iter()
        .map(Kind::word)
        .find(|word| inside.starts_with(word))?;
    let rest = inside.get(word.len()..)?;
    if rest.starts_with(']') {
        return Some(word.len() + 2);
    }
    let digits = rest.strip_prefix(":hmac:")?;
    let suffix = digits.get(..16)?;
    let plain = suffix
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    (plain && digits.as_bytes().get(16) == Some(&b']')).then_some(word.len() + 2 + 22)
}
