//! Who may depend on whom: the table of the design, held against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::Value;

use crate::place;

/// One of our crates: which of our crates it may name, and what must not be in its build at all.
struct Fence {
    name: &'static str,
    may_name: &'static [&'static str],
    /// Not even through others, tests aside.
    never: &'static [&'static str],
}

/// The design's table. Features are those of the whole workspace, so what another crate's feature draws in counts too;
/// hence no `getrandom` under `tacho-event`, which gets it through a feature of `uuid` that it does not use.
const FENCES: &[Fence] = &[
    Fence {
        name: "tacho-event",
        may_name: &[],
        never: &["tokio", "mio", "rustix", "nix", "tempfile", "signal-hook"],
    },
    Fence {
        name: "tacho-log",
        may_name: &["tacho-event"],
        never: &["tokio", "mio", "rmcp", "hyper", "ureq", "rustls"],
    },
    Fence {
        name: "tacho-proxy",
        may_name: &["tacho-event", "tacho-log"],
        never: &["rmcp", "tokio", "mio"],
    },
    Fence {
        name: "tacho-tools",
        may_name: &["tacho-event", "tacho-log"],
        never: &["clap"],
    },
    Fence {
        name: "tacho-witness",
        may_name: &["tacho-event", "tacho-log"],
        never: &["clap", "rmcp"],
    },
    Fence {
        name: "tacho-rmcp",
        may_name: &["tacho-event", "tacho-log"],
        never: &["clap"],
    },
    Fence {
        name: "tacho-query",
        may_name: &["tacho-event", "tacho-log"],
        never: &["clap", "rmcp"],
    },
    Fence {
        name: "tacho-web",
        may_name: &["tacho-event", "tacho-query"],
        never: &["clap", "rmcp"],
    },
    Fence {
        name: "tachograph",
        may_name: &[
            "tacho-event",
            "tacho-log",
            "tacho-proxy",
            "tacho-tools",
            "tacho-witness",
            "tacho-rmcp",
            "tacho-query",
            "tacho-web",
        ],
        never: &[],
    },
    Fence {
        name: "tacho-bench",
        may_name: &["tacho-event", "tacho-log", "tacho-proxy"],
        never: &[],
    },
    Fence {
        name: "xtask",
        may_name: &[],
        never: &["tokio", "clap"],
    },
];

/// Foreign crates that only some of ours may name, tests aside.
const RESERVED: &[(&str, &[&str])] = &[
    ("clap", &["tachograph"]),
    ("rmcp", &["tacho-tools", "tacho-rmcp"]),
    ("tokio", &["tacho-tools", "tacho-rmcp", "tacho-witness"]),
    ("hyper", &["tacho-witness"]),
    ("ureq", &["tacho-witness"]),
];

/// What `cargo metadata` says about this workspace.
pub(crate) fn metadata() -> io::Result<Value> {
    let output = place::cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Holds every crate of the workspace against the table.
pub(crate) fn check(metadata: &Value) -> Vec<String> {
    let graph = Graph::read(metadata);
    let mut findings = Vec::new();
    for member in &graph.members {
        let Some(fence) = FENCES.iter().find(|fence| fence.name == *member) else {
            findings.push(format!("{member}: has no row in the table of fences"));
            continue;
        };
        for named in graph
            .direct(member, true)
            .filter(|named| graph.members.contains(named))
        {
            // A crate may name itself in its tests, to open a feature.
            if named != *member && !fence.may_name.contains(&named) {
                findings.push(format!("{member}: must not depend on {named}"));
            }
        }
        for built in graph.reachable(member) {
            if fence.never.contains(&built) {
                findings.push(format!(
                    "{member}: {built} is in its build, and must not be"
                ));
            }
        }
    }
    for (reserved, allowed) in RESERVED {
        for member in &graph.members {
            if graph.direct(member, false).any(|named| named == *reserved)
                && !allowed.contains(member)
            {
                findings.push(format!(
                    "{member}: {reserved} is reserved for {}",
                    allowed.join(", ")
                ));
            }
        }
    }
    findings
}

/// Names only; two versions of one crate count as one.
struct Graph<'a> {
    members: BTreeSet<&'a str>,
    /// Crate to what it names, and whether that is for more than its tests.
    edges: BTreeMap<&'a str, BTreeMap<&'a str, bool>>,
}

impl<'a> Graph<'a> {
    fn read(metadata: &'a Value) -> Self {
        let list = |value: &'a Value| value.as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &'a Value| value.as_str().unwrap_or_default();
        let names: BTreeMap<&str, &str> = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let name = |id: &'a Value| names.get(text(id)).copied().unwrap_or_default();
        let members = list(&metadata["workspace_members"])
            .iter()
            .map(name)
            .collect();
        let mut edges: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
        for node in metadata
            .pointer("/resolve/nodes")
            .map(list)
            .unwrap_or_default()
        {
            let from = edges.entry(name(&node["id"])).or_default();
            for dependency in list(&node["deps"]) {
                let kinds = list(&dependency["dep_kinds"]);
                let built = kinds
                    .iter()
                    .any(|kind| kind["kind"].as_str() != Some("dev"));
                *from.entry(name(&dependency["pkg"])).or_default() |= built;
            }
        }
        Self { members, edges }
    }

    fn direct(&self, name: &str, with_tests: bool) -> impl Iterator<Item = &'a str> {
        let edges = self.edges.get(name).into_iter().flatten();
        edges
            .filter(move |(_, built)| with_tests || **built)
            .map(|(named, _)| *named)
    }

    /// Everything in the build of a crate, its tests aside.
    fn reachable(&self, name: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = self.direct(name, false).collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.direct(next, false));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    /// A workspace of `tacho-event`, `tacho-log` and `tacho-proxy` with these edges; `dev` marks those of tests.
    fn workspace(edges: &[(&str, &str, Option<&str>)]) -> Value {
        let members = ["tacho-event", "tacho-log", "tacho-proxy"];
        let mut names: Vec<&str> = members.to_vec();
        names.extend(edges.iter().flat_map(|(from, to, _)| [*from, *to]));
        let packages: Vec<Value> = names
            .iter()
            .map(|name| json!({"id": name, "name": name}))
            .collect();
        let nodes: Vec<Value> = edges
            .iter()
            .map(|(from, to, kind)| json!({"id": from, "deps": [{"pkg": to, "dep_kinds": [{"kind": kind}]}]}))
            .collect();
        json!({"packages": packages, "workspace_members": members, "resolve": {"nodes": nodes}})
    }

    #[test]
    fn a_crossed_fence_is_found() {
        let dev = Some("dev");
        for (edges, finding) in [
            (&[("tacho-log", "tacho-event", None)][..], None),
            (
                &[
                    ("tacho-event", "tempfile", dev),
                    ("tempfile", "rustix", None),
                ],
                None,
            ),
            (
                &[("tacho-event", "rustix", None)],
                Some("tacho-event: rustix is in its build"),
            ),
            (
                &[
                    ("tacho-log", "zstd", None),
                    ("zstd", "other", None),
                    ("other", "tokio", None),
                ],
                Some("tacho-log: tokio is in its build"),
            ),
            (
                &[("tacho-log", "tacho-proxy", dev)],
                Some("tacho-log: must not depend on tacho-proxy"),
            ),
            (&[("tacho-proxy", "rmcp", dev)], None),
            (
                &[("tacho-proxy", "rmcp", None)],
                Some("tacho-proxy: rmcp is in its build"),
            ),
            (
                &[("tacho-log", "clap", None)],
                Some("tacho-log: clap is reserved for tachograph"),
            ),
        ] {
            let found = check(&workspace(edges));
            match finding {
                None => assert_eq!(found, Vec::<String>::new(), "{edges:?}"),
                Some(text) => assert!(
                    found.iter().any(|line| line.contains(text)),
                    "{edges:?}: {found:?}"
                ),
            }
        }
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let metadata = json!({
            "packages": [{"id": "x", "name": "tacho-util"}],
            "workspace_members": ["x"],
            "resolve": {"nodes": []},
        });
        assert_eq!(
            check(&metadata),
            ["tacho-util: has no row in the table of fences"]
        );
    }
}
