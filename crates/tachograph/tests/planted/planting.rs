//! Puts secrets at random places into recorded traffic.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each function is about a few of many places"
)]

use serde_json::{Value, json};
use tacho_event::redact::rules::{TokenRule, tokens};

use crate::places::{self, Place};
use crate::playing::{Said, Script};
use crate::secrets::{self, Planted, Random, Way};
use crate::traffic::{Line, Session};

/// What is put into one session, beside what its command line, its name and its standard error get.
const PER_SESSION: usize = 125;

/// Of these, every so many-th is a harmless word: if the search does not find it in the log, it would not
/// have found a secret either.
const CONTROL_EVERY: usize = 8;

/// A secret that is not claimed to be found in some place (`docs/redaction.md`), and why.
struct NotClaimed {
    place: Place,
    way: Way,
    applies: fn(&Planted) -> bool,
    #[expect(dead_code, reason = "for the reader")]
    why: &'static str,
}

const NOT_CLAIMED: &[NotClaimed] = &[
    NotClaimed {
        place: Place::NotJson,
        way: Way::Plain,
        applies: |planted| planted.rule == "pem" && planted.text.contains('\n'),
        why: "a line is a message: each line of a key printed there comes alone, and has no form of its own",
    },
    NotClaimed {
        place: Place::NotJson,
        way: Way::Escaped,
        applies: |_any| true,
        why: "escapes mean something in JSON only; letters written so elsewhere are a disguise on purpose",
    },
];

fn is_claimed(place: Place, way: Way, planted: &Planted) -> bool {
    !NOT_CLAIMED
        .iter()
        .any(|not| not.place == place && not.way == way && (not.applies)(planted))
}

/// One thing that was planted.
#[derive(Debug)]
pub(crate) struct Plant {
    pub(crate) place: Place,
    #[expect(dead_code, reason = "shown when it is found")]
    pub(crate) way: Way,
    pub(crate) what: Planted,
    /// Forms of it that must not be found, beside those of the secret itself.
    pub(crate) traces: Vec<String>,
    #[expect(dead_code, reason = "shown when it is found")]
    pub(crate) session: String,
}

pub(crate) const CONTROL: &str = "control";

#[derive(Clone, Copy)]
enum Kind {
    Token(&'static TokenRule),
    Made(fn(&mut Random) -> Planted),
}

/// Plants, session after session; every kind comes as often as every other.
pub(crate) struct Planter {
    random: Random,
    kinds: Vec<Kind>,
    next: usize,
    turn: usize,
    pub(crate) planted: Vec<Plant>,
}

impl Planter {
    pub(crate) fn new(seed: u64) -> Self {
        let mut kinds: Vec<Kind> = tokens().map(Kind::Token).collect();
        let made = [
            secrets::card,
            secrets::iban,
            secrets::email,
            secrets::pem,
            secrets::beside,
            secrets::beside,
            secrets::entropy,
        ];
        for _ in 0..10 {
            kinds.extend(made.map(Kind::Made));
        }
        Self {
            random: Random(seed),
            kinds,
            next: 0,
            turn: 0,
            planted: Vec::new(),
        }
    }

    fn secret(&mut self) -> Planted {
        // A step that shares no factor with the number of kinds visits them all before it repeats one.
        self.next += 1;
        if self.next.is_multiple_of(CONTROL_EVERY) {
            let word = self.random.text("bcdfghjkmnpqrtvwxz", 14);
            return Planted {
                rule: CONTROL,
                secret: word.clone(),
                text: word,
            };
        }
        self.turn += 1;
        let turn = self.turn % self.kinds.len();
        match self.kinds[turn] {
            Kind::Token(rule) => secrets::token(&mut self.random, rule),
            Kind::Made(make) => make(&mut self.random),
        }
    }

    /// The session with secrets in it, ready to be played.
    pub(crate) fn plant(&mut self, mut session: Session) -> Script {
        let first = self.planted.len();
        let name = format!(
            "{} {}",
            session.name,
            self.aside(&session, Place::ServerName)
        );
        let arguments = (0..3)
            .map(|_| self.aside(&session, Place::Argument))
            .collect();
        let stderr = (0..5)
            .map(|_| self.aside(&session, Place::Stderr) + "\n")
            .collect::<String>();
        places::make_room(&mut session, &mut self.random);
        session.order();
        let mut raw = Vec::new();
        while self.planted.len() < first + PER_SESSION {
            let what = self.secret();
            self.put(&mut session, what, &mut raw);
        }
        Script {
            client: said(&session.client, &raw),
            server: said(&session.server, &raw),
            stderr: stderr.into_bytes(),
            arguments,
            name,
        }
    }

    /// A secret's text for what is no message.
    fn aside(&mut self, session: &Session, place: Place) -> String {
        let what = self.secret();
        let text = what.text.clone();
        self.planted.push(Plant {
            place,
            way: Way::Plain,
            what,
            traces: Vec::new(),
            session: session.name.clone(),
        });
        text
    }

    /// Puts one secret somewhere. A place that the session does not have is replaced by another.
    fn put(&mut self, session: &mut Session, what: Planted, raw: &mut Vec<String>) {
        loop {
            let mut place = Place::ALL[self.random.below(Place::ALL.len())];
            if is_number(&what) && self.random.below(3) == 0 {
                // Few cards are written without separators, and nothing else can stand there.
                place = Place::Number;
            }
            let way = Way::ALL[self.random.below(Way::ALL.len())];
            if !is_claimed(place, way, &what) {
                continue;
            }
            let mark = mark(raw.len());
            let (json, traces) = match place {
                Place::Number | Place::Named | Place::Chunks => {
                    let Some(json) = self.special(place, &what) else {
                        continue;
                    };
                    (json, Vec::new())
                }
                _ => self.carried(place, way, &what),
            };
            if place.apply(session, &mut self.random, &mark) {
                raw.push(json);
                self.planted.push(Plant {
                    place,
                    way,
                    what,
                    traces,
                    session: session.name.clone(),
                });
                return;
            }
        }
    }

    /// The JSON string with the secret, often with words around it.
    fn carried(&mut self, place: Place, way: Way, what: &Planted) -> (String, Vec<String>) {
        let (before, after) = match place {
            Place::Uri => ("file:///data/", ""),
            Place::NotJson => ("log: ", " (end)"),
            _ if self.random.below(2) == 0 => ("", ""),
            _ => (
                self.random
                    .pick(&["use ", "see: ", "(", "\n", "\"", "it is: ", "x = ", "–"]),
                self.random
                    .pick(&[" and more", ")", "\n", "\"", ", then", "!"]),
            ),
        };
        let text = format!("{before}{}{after}", what.text);
        let (json, mut traces) = way.carry(
            &mut self.random,
            &Planted {
                text,
                ..what.clone()
            },
        );
        if what.rule == CONTROL {
            traces.clear();
        }
        (json, traces)
    }

    /// Values that are no strings: a card as a number, anything below a secret name, a text in pieces.
    fn special(&mut self, place: Place, what: &Planted) -> Option<String> {
        let secret = &what.secret;
        match place {
            Place::Number if is_number(what) => Some(secret.clone()),
            Place::Named if what.rule != CONTROL => {
                let name = self.random.pick(&[
                    "password",
                    "apiKey",
                    "client_secret",
                    "X-Auth-Token",
                    "credentials",
                    "dbPassword",
                ]);
                Some(
                    match self.random.below(5) {
                        0 => json!({ name: secret }),
                        1 => json!({ name: [1, { "value": secret }] }),
                        2 => json!({ "name": name, "value": secret }),
                        3 => json!([{ "value": secret, "key": name }]),
                        _ => json!(["--verbose", format!("--{name}"), secret]),
                    }
                    .to_string(),
                )
            }
            Place::Chunks if what.rule.starts_with("token.") => {
                let whole: Vec<char> = format!("it is {secret} you know").chars().collect();
                let mut parts = Vec::new();
                let mut rest = whole.as_slice();
                while !rest.is_empty() {
                    let (head, tail) = rest.split_at(rest.len().min(1 + self.random.below(20)));
                    parts.push(json!({ "type": "text", "text": head.iter().collect::<String>() }));
                    rest = tail;
                }
                Some(Value::Array(parts).to_string())
            }
            _ => None,
        }
    }
}

fn is_number(what: &Planted) -> bool {
    what.rule == "card" && what.secret.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands in a message where the raw JSON number `n` is to stand.
fn mark(n: usize) -> String {
    format!("{MARK}{n:06}@@")
}

const MARK: &str = "@@planted-";

/// The lines as bytes, each mark replaced by its JSON.
pub(crate) fn said(lines: &[Line], raw: &[String]) -> Vec<Said> {
    lines
        .iter()
        .map(|line| {
            let text = line
                .said
                .as_ref()
                .map_or_else(Clone::clone, ToString::to_string);
            let mut out = String::new();
            let mut parts = text.split(MARK);
            out.push_str(parts.next().unwrap_or_default());
            for part in parts {
                let (number, rest) = part.split_once("@@").unwrap();
                let json = &raw[number.parse::<usize>().unwrap()];
                // A line that is no JSON has no quotes around the mark.
                let (json, rest) = match rest.strip_prefix('"').filter(|_| out.ends_with('"')) {
                    Some(rest) => (json.clone(), rest),
                    None => (bare(json), rest),
                };
                if line.said.is_ok() {
                    out.pop();
                }
                out.push_str(&json);
                out.push_str(rest);
            }
            out.push('\n');
            Said {
                bytes: out.into_bytes(),
                after: line.after,
            }
        })
        .collect()
}

/// The text of a JSON string, on one line.
fn bare(json: &str) -> String {
    let text: String = serde_json::from_str(json).unwrap();
    if text.contains(['\n', '\r']) {
        json.to_owned()
    } else {
        text
    }
}
