//! The plain way: a set of regular expressions says which rules can apply, then each of those finds
//! its candidates. Made from the same table as the engine, without any of its short cuts.

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use tacho_event::redact::detectors::{
    Confirm, Detector, Hit, detectors, placeholder_length, resolve, token_may_begin,
};
use tacho_event::redact::rules::Kind;

/// How the candidates are found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    /// A set of all expressions says which of them to run.
    Set,
    /// Each expression is run.
    Each,
}

pub(crate) struct Plain {
    table: Vec<Detector>,
    set: RegexSet,
    each: Vec<Regex>,
}

impl Plain {
    pub(crate) fn new() -> Self {
        let table = detectors();
        let patterns: Vec<&str> = table
            .iter()
            .map(|detector| detector.pattern.as_str())
            .collect();
        let set = RegexSetBuilder::new(&patterns)
            .unicode(false)
            .size_limit(1 << 28)
            .build()
            .unwrap();
        let each = patterns
            .iter()
            .map(|pattern| RegexBuilder::new(pattern).unicode(false).build().unwrap())
            .collect();
        Self { table, set, each }
    }

    fn candidates(&self, text: &str, search: Search, decode: bool, hits: &mut Vec<Hit>) {
        let set = (search == Search::Set).then(|| self.set.matches(text.as_bytes()));
        for (at, detector) in self.table.iter().enumerate() {
            if set.as_ref().is_some_and(|set| !set.matched(at)) {
                continue;
            }
            let mut from = 0;
            while let Some(found) = self.each[at].find_at(text.as_bytes(), from) {
                let (start, end) = (found.start(), found.end());
                from = start + 1;
                match detector.confirm {
                    Confirm::Token if token_may_begin(text, start) => {
                        let (rule, kind) = (detector.id, detector.kind);
                        hits.push(Hit {
                            context: start,
                            start,
                            end,
                            rule,
                            kind,
                        });
                        from = end;
                    }
                    Confirm::Token => {}
                    Confirm::Look(look) => {
                        let hit = look(text, start, end);
                        // Numbers and random values do not overlap; names and values may.
                        from = match (&hit, detector.id) {
                            (Some(hit), "card" | "iban" | "entropy") => hit.end,
                            (None, "card" | "entropy") => end,
                            (Some(hit), _) => from.max(hit.start),
                            (None, _) => from,
                        };
                        hits.extend(hit);
                    }
                    Confirm::Decode(open) if decode => {
                        for (start, end, inside) in open(text, start, end) {
                            if self.holds_secret(&inside, search) {
                                let (rule, kind) = (detector.id, detector.kind);
                                hits.push(Hit {
                                    context: start,
                                    start,
                                    end,
                                    rule,
                                    kind,
                                });
                            }
                        }
                        from = end;
                    }
                    Confirm::Decode(_) => break,
                }
            }
        }
    }

    fn holds_secret(&self, text: &str, search: Search) -> bool {
        let mut hits = Vec::new();
        self.candidates(text, search, false, &mut hits);
        resolve(text, &mut hits);
        !hits.is_empty()
    }

    /// The redacted form of `text`.
    pub(crate) fn text(&self, text: &str, search: Search) -> String {
        let mut current = text.to_owned();
        for _ in 0..8 {
            let mut hits = Vec::new();
            self.candidates(&current, search, true, &mut hits);
            resolve(&current, &mut hits);
            if hits.is_empty() {
                return current;
            }
            let mut out = String::new();
            let mut from = 0;
            for hit in &hits {
                out.push_str(current.get(from..hit.start).unwrap());
                out.push_str(hit.kind.placeholder());
                from = hit.end;
            }
            out.push_str(current.get(from..).unwrap());
            current = out;
        }
        assert!(placeholder_length(Kind::Redacted.placeholder()).is_some());
        Kind::Redacted.placeholder().to_owned()
    }
}
