//! Configurations as people and programs write them: any indentation, line end, comment, order of members.

use proptest::prelude::*;

/// A value to be written; `Raw` is JSON already.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Raw(&'static str),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

#[derive(Debug, Clone)]
pub(crate) struct Style {
    indent: &'static str,
    newline: &'static str,
    /// One line for everything.
    flat: bool,
    /// Short arrays on one line.
    tight_arrays: bool,
    after_colon: &'static str,
    after_comma: &'static str,
    bom: bool,
    final_newline: bool,
    /// Comments and trailing commas, at places the noise chooses.
    pub(crate) jsonc: bool,
    noise: Vec<u8>,
}

pub(crate) fn style(jsonc: bool) -> impl Strategy<Value = Style> {
    (
        prop::sample::select(vec!["  ", "    ", "\t", ""]),
        prop::sample::select(vec!["\n", "\r\n"]),
        prop::sample::select(vec![(" ", " "), ("", ""), (" ", ""), ("  ", " ")]),
        any::<[bool; 4]>(),
        prop::collection::vec(any::<u8>(), 1..64),
    )
        .prop_map(
            move |(
                indent,
                newline,
                (after_colon, after_comma),
                [flat, tight_arrays, bom, final_newline],
                noise,
            )| Style {
                indent,
                newline,
                flat,
                tight_arrays,
                after_colon,
                after_comma,
                bom,
                final_newline,
                jsonc,
                noise,
            },
        )
}

/// Any text, with the bits that JSON and tacho itself care about made likely.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "--",
            "run",
            "--name",
            "-y",
            "${input:key}",
            "a \"b\" \\ c",
            "{}",
            "// no",
            "é\u{1f600}",
            "\t"
        ])
        .prop_map(str::to_owned),
        "[a-z@/._-]{1,12}",
        any::<String>(),
    ]
}

/// A server and whether it is one that the client starts.
fn server() -> impl Strategy<Value = Value> {
    let args = prop_oneof![
        Just(None),
        Just(Some(Vec::new())),
        prop::collection::vec(text(), 1..4).prop_map(Some)
    ];
    let rest = prop::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4);
    (
        prop::bool::weighted(0.85),
        "[a-z./$ {}é-]{1,10}",
        args,
        rest,
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(stdio, command, args, rest, at, args_at)| {
            let mut members: Vec<(String, Value)> = rest
                .into_iter()
                .map(|i| match i {
                    0 => (
                        "env".to_owned(),
                        Value::Object(vec![("KEY".to_owned(), Value::Text("v".to_owned()))]),
                    ),
                    1 => ("disabled".to_owned(), Value::Raw("false")),
                    2 if stdio => ("type".to_owned(), Value::Text("stdio".to_owned())),
                    _ => (
                        "x-unknown".to_owned(),
                        Value::Array(vec![Value::Raw("1.50e3"), Value::Raw("null")]),
                    ),
                })
                .collect();
            members.dedup_by(|a, b| a.0 == b.0);
            if !stdio {
                members.push((
                    "url".to_owned(),
                    Value::Text("https://mcp.example.com".to_owned()),
                ));
                return Value::Object(members);
            }
            members.insert(
                at.index(members.len() + 1),
                ("command".to_owned(), Value::Text(command)),
            );
            if let Some(args) = args {
                let args = Value::Array(args.into_iter().map(Value::Text).collect());
                members.insert(args_at.index(members.len() + 1), ("args".to_owned(), args));
            }
            Value::Object(members)
        })
}

fn servers() -> impl Strategy<Value = Value> {
    prop::collection::vec((text(), server()), 0..4).prop_map(|list| {
        Value::Object(
            list.into_iter()
                .enumerate()
                .map(|(i, (name, entry))| (format!("{name}{i}"), entry))
                .collect(),
        )
    })
}

/// A whole configuration with at least one server that the client starts.
pub(crate) fn config() -> impl Strategy<Value = Value> {
    (servers(), servers(), server()).prop_map(|(top, nested, last)| {
        let sure = Value::Object(vec![("command".to_owned(), Value::Text("sure".to_owned()))]);
        let project = |list| {
            Value::Object(vec![
                ("history".to_owned(), Value::Array(vec![])),
                ("mcpServers".to_owned(), list),
            ])
        };
        Value::Object(vec![
            ("n".to_owned(), Value::Raw("-0.0")),
            ("mcpServers".to_owned(), top),
            (
                "projects".to_owned(),
                Value::Object(vec![("/p".to_owned(), project(nested))]),
            ),
            (
                "servers".to_owned(),
                Value::Object(vec![("sure".to_owned(), sure), ("last".to_owned(), last)]),
            ),
        ])
    })
}

pub(crate) fn write(value: &Value, style: &Style) -> String {
    let mut writer = Writer {
        style,
        out: String::new(),
        drawn: 0,
    };
    if style.bom {
        writer.out.push('\u{feff}');
    }
    writer.value(value, 0);
    if style.final_newline {
        writer.out.push_str(style.newline);
    }
    writer.out
}

struct Writer<'s> {
    style: &'s Style,
    out: String,
    drawn: usize,
}

impl Writer<'_> {
    fn draw(&mut self, one_in: u8) -> bool {
        self.drawn += 1;
        self.style.noise[self.drawn % self.style.noise.len()]
            .wrapping_add(u8::try_from(self.drawn / 7 % 256).unwrap())
            .is_multiple_of(one_in)
    }

    fn comment(&mut self) {
        if self.style.jsonc && self.draw(5) {
            let comment = if self.draw(2) {
                "/* \"args\": [], */"
            } else {
                " /**/ "
            };
            self.out.push_str(comment);
        }
    }

    fn gap(&mut self, depth: usize, flat: bool, space: &str) {
        self.comment();
        if flat {
            self.out.push_str(space);
            return;
        }
        if self.style.jsonc && self.draw(6) {
            self.out.push_str(" // { it's \"here");
        }
        self.out.push_str(self.style.newline);
        self.out.push_str(&self.style.indent.repeat(depth));
        self.comment();
    }

    fn list<T>(&mut self, items: &[T], depth: usize, flat: bool, write: impl Fn(&mut Self, &T)) {
        let space = if flat && self.draw(3) { " " } else { "" };
        for (i, item) in items.iter().enumerate() {
            if i == 0 {
                self.gap(depth + 1, flat, space);
            } else {
                self.comment();
                self.out.push(',');
                self.gap(depth + 1, flat, self.style.after_comma);
            }
            write(self, item);
        }
        if !items.is_empty() && self.style.jsonc && self.draw(3) {
            self.out.push(',');
        }
        if items.is_empty() {
            self.comment();
            self.out.push_str(space);
        } else {
            self.gap(depth, flat, space);
        }
    }

    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Text(text) => self.out.push_str(&serde_json::to_string(text).unwrap()),
            Value::Raw(raw) => self.out.push_str(raw),
            Value::Array(items) => {
                self.out.push('[');
                let flat = self.style.flat || self.style.tight_arrays;
                self.list(items, depth, flat, |writer, item| {
                    writer.value(item, depth + 1);
                });
                self.out.push(']');
            }
            Value::Object(members) => {
                self.out.push('{');
                self.list(members, depth, self.style.flat, |writer, (key, value)| {
                    writer.out.push_str(&serde_json::to_string(key).unwrap());
                    writer.comment();
                    writer.out.push(':');
                    writer.comment();
                    writer.out.push_str(writer.style.after_colon);
                    writer.value(value, depth + 1);
                });
                self.out.push('}');
            }
        }
    }
}
