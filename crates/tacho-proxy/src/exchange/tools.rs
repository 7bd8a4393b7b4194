//! The definitions of a server's tools as they were last listed to the model, and what changed.

use std::collections::{BTreeMap, BTreeSet};

use tacho_event::{Detail, Unredacted};

use crate::canonical;
use crate::fields::{Annotations, Answer, text};
use crate::limits::TOOLS;
use crate::rules::Hints;
use crate::scan;

/// Name of a tool to the SHA-256 of its definition in lower-case hex (`docs/format.md` §4.2).
pub type Definitions = BTreeMap<String, String>;

/// What one page of `tools/list` said.
#[derive(Debug)]
pub(super) struct Page {
    /// Every tool on it, for the outcome's `details.tools`.
    pub(super) listed: Detail,
    /// For `tool_definitions_changed`, when there is something to say.
    pub(super) changes: Option<Vec<(&'static str, Detail)>>,
}

/// Follows listings across their pages.
#[derive(Debug)]
pub(super) struct Tools {
    known: Definitions,
    /// What the server claims of each of them, where it listed it in this session.
    hints: BTreeMap<String, Hints>,
    /// There is a complete listing to compare with. Before that nothing can be new or gone.
    baseline: bool,
    /// The names listed so far, while the pages of a listing are coming.
    seen: BTreeSet<String>,
}

impl Tools {
    /// `known` is what the server listed in an earlier run; empty when that is not known.
    pub(super) fn new(known: Definitions) -> Self {
        Self {
            baseline: !known.is_empty(),
            known,
            hints: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    pub(super) const fn definitions(&self) -> &Definitions {
        &self.known
    }

    /// The digest that was last listed for a tool.
    pub(super) fn definition(&self, name: &str) -> Option<&String> {
        self.known.get(name)
    }

    /// What the server claims of a tool; the careful defaults of one that it did not list in this session.
    pub(super) fn hints(&self, name: &str) -> Hints {
        self.hints.get(name).copied().unwrap_or_default()
    }

    /// Takes the answer to `tools/list`; `first` unless it asked with a cursor.
    ///
    /// Changed and new tools are told page by page, so that a server cannot hide a change behind a
    /// listing that never ends; removed ones when the last page is here.
    pub(super) fn page(&mut self, first: bool, answer: &Answer<'_>) -> Option<Page> {
        let tools = answer.tools?;
        if first {
            self.seen.clear();
        }
        let [mut listed, mut added, mut changed, mut was, mut removed] = [const { Vec::new() }; 5];
        for tool in scan::elements(tools) {
            let Some(name) = text(scan::member(tool, "name")) else {
                continue;
            };
            let digest = canonical::digest(tool);
            listed.push(named(&name, &digest));
            match self.known.get(&name) {
                Some(old) if *old == digest => {}
                Some(old) => {
                    was.push(named(&name, old));
                    changed.push(named(&name, &digest));
                }
                None if self.baseline => added.push(named(&name, &digest)),
                None => {}
            }
            if self.known.len() < TOOLS || self.known.contains_key(&name) {
                self.known.insert(name.clone(), digest);
                self.hints.insert(name.clone(), hints(tool));
                self.seen.insert(name);
            }
        }
        if answer.next_cursor.is_none_or(|cursor| cursor == b"null") {
            let seen = std::mem::take(&mut self.seen);
            self.known.retain(|name, digest| {
                let kept = seen.contains(name);
                if !kept {
                    removed.push(named(name, digest));
                }
                kept
            });
            self.hints.retain(|name, _| self.known.contains_key(name));
            self.baseline = true;
        }
        let changes: Vec<_> = [
            ("added", added),
            ("removed", removed),
            ("changed", changed),
            ("was", was),
        ]
        .into_iter()
        .filter(|(_, tools)| !tools.is_empty())
        .map(|(word, tools)| (word, Detail::Named(tools)))
        .collect();
        let changes = (!changes.is_empty()).then_some(changes);
        Some(Page {
            listed: Detail::Named(listed),
            changes,
        })
    }
}

/// The annotations in a tool's definition. What is no boolean says nothing.
fn hints(tool: &[u8]) -> Hints {
    let annotations = Annotations::of(scan::member(tool, "annotations"));
    let said = |hint: Option<&[u8]>, default| match hint {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => default,
    };
    let careful = Hints::default();
    let read_only = said(annotations.read_only, careful.read_only);
    Hints {
        read_only,
        destructive: !read_only && said(annotations.destructive, careful.destructive),
        idempotent: said(annotations.idempotent, careful.idempotent),
        open_world: said(annotations.open_world, careful.open_world),
    }
}

fn named(name: &str, digest: &str) -> (Unredacted<String>, String) {
    (Unredacted::from(name), format!("sha256:{digest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words and names of the changes that the page brings.
    fn page(tools: &mut Tools, first: bool, result: &str) -> Vec<String> {
        let page = tools
            .page(first, &Answer::of(Some(result.as_bytes())))
            .unwrap();
        let mut said = Vec::new();
        for (word, detail) in page.changes.unwrap_or_default() {
            let Detail::Named(pairs) = detail else {
                panic!()
            };
            said.extend(
                pairs
                    .iter()
                    .map(|(name, _)| format!("{word} {}", name.expose())),
            );
        }
        said
    }

    #[test]
    fn tells_what_changed() {
        let mut tools = Tools::new(Definitions::new());
        let none: [&str; 0] = [];
        let list = |result| move |tools: &mut Tools| page(tools, true, result);
        let first = list(r#"{"tools":[{"name":"a"},{"name":"b"}]}"#);
        assert_eq!(first(&mut tools), none, "the first listing is no change");
        assert_eq!(first(&mut tools), none);
        assert_eq!(
            list(r#"{"tools":[{"name":"a","description":"x"},{"name":"c"}]}"#)(&mut tools),
            ["added c", "removed b", "changed a", "was a"]
        );
        assert_eq!(
            list(r#"{"tools":[ {"description":"\u0078", "name":"a"},{"name":"c"}]}"#)(&mut tools),
            none,
            "another way to write the same"
        );

        let known = tools.definitions().clone();
        let mut next_run = Tools::new(known);
        assert_eq!(
            page(&mut next_run, true, r#"{"tools":[{"name":"c"}]}"#),
            ["removed a"]
        );
    }

    #[test]
    fn follows_pages() {
        let mut tools = Tools::new(Definitions::new());
        let none: [&str; 0] = [];
        let one = r#"{"tools":[{"name":"a"}],"nextCursor":"2"}"#;
        assert_eq!(page(&mut tools, true, one), none);
        assert_eq!(page(&mut tools, false, r#"{"tools":[{"name":"b"}]}"#), none);
        assert_eq!(page(&mut tools, true, one), none, "b may still come");
        let changed = r#"{"tools":[{"name":"a","x":1},{"name":"c"}],"nextCursor":"3"}"#;
        assert_eq!(
            page(&mut tools, false, changed),
            ["added c", "changed a", "was a"]
        );
        assert_eq!(
            page(&mut tools, false, r#"{"tools":[],"nextCursor":null}"#),
            ["removed b"]
        );
    }
}
