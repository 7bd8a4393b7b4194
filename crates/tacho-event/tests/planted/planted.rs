//! Makes valid secrets of every kind, and the ways in which they travel.
//!
//! For tests that plant secrets and look for them afterwards: include it with
//! `#[path = "planted/planted.rs"] mod planted;`. Deterministic: the same seed gives the same secrets.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use tacho_event::redact::numbers::{COUNTRIES, ISSUERS, luhn, mod97};
use tacho_event::redact::rules::{Class, MANY, Part, TokenRule, tokens};

/// A small random source (splitmix64): no crate, same on every machine.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(crate) fn text(&mut self, letters: &str, length: usize) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..length)
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const DIGITS: &str = "0123456789";

/// One planted secret.
#[derive(Clone, Debug)]
pub(crate) struct Planted {
    /// The rule that is expected to find it; for failures.
    pub(crate) rule: &'static str,
    /// What must not survive: no part of a record may hold it.
    pub(crate) secret: String,
    /// The text in which it stands; the secret alone where that is enough to know it.
    pub(crate) text: String,
}

fn bare(rule: &'static str, secret: String) -> Planted {
    Planted {
        rule,
        text: secret.clone(),
        secret,
    }
}

fn letters(class: Class) -> String {
    (0..=127_u8)
        .filter(|byte| class.has(*byte) && *byte != b'=')
        .map(char::from)
        .collect()
}

/// A token of a rule of the table.
pub(crate) fn token(random: &mut Random, rule: &TokenRule) -> Planted {
    let mut out = String::new();
    for part in rule.parts {
        match *part {
            Part::Text(text) => out.push_str(text),
            Part::Run(class, least, most) => {
                let more = if most == MANY { 12 } else { most - least + 1 };
                let length = least + random.below(more);
                let body = random.text(&letters(class), length);
                // A run that ends in a dot reads as the end of a sentence.
                out.push_str(&body.replace('.', "x"));
            }
        }
    }
    bare(rule.id, out)
}

/// A card number of a random issuer, with or without groups.
pub(crate) fn card(random: &mut Random) -> Planted {
    let (from, to, lengths) = ISSUERS[random.below(ISSUERS.len())];
    let span = usize::try_from(to - from).unwrap() + 1;
    let head = from + u32::try_from(random.below(span)).unwrap();
    let length = lengths[random.below(lengths.len())];
    let mut digits = head.to_string();
    digits.push_str(&random.text(DIGITS, length - digits.len() - 1));
    let check =
        (b'0'..=b'9').find(|check| luhn(format!("{digits}{}", char::from(*check)).as_bytes()));
    digits.push(char::from(check.unwrap()));
    let separator = random.pick(&["", "", " ", "-"]);
    let groups: &[usize] = if length == 15 {
        &[4, 6, 5]
    } else {
        &[4, 4, 4, 4, 4]
    };
    let mut parts = Vec::new();
    let mut rest = digits.as_str();
    for group in groups {
        let (head, tail) = rest.split_at(rest.len().min(*group));
        parts.push(head);
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    bare("card", parts.join(separator))
}

/// An IBAN of a random country, written with or without spaces.
pub(crate) fn iban(random: &mut Random) -> Planted {
    let (country, length) = COUNTRIES[random.below(COUNTRIES.len())];
    let country = std::str::from_utf8(country).unwrap();
    let body = random.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", length - 4);
    let rest = mod97(format!("{country}00{body}").as_bytes());
    let iban = format!("{country}{:02}{body}", 98 - rest);
    if random.below(2) == 0 {
        return bare("iban", iban);
    }
    let groups: Vec<&str> = iban
        .as_bytes()
        .chunks(4)
        .map(|group| std::str::from_utf8(group).unwrap())
        .collect();
    bare("iban", groups.join(" "))
}

/// An e-mail address.
pub(crate) fn email(random: &mut Random) -> Planted {
    let local = format!(
        "{}{}{}",
        random.text("abcdefghijklmnopqrstuvwxyz", 4),
        random.pick(&["", ".", "+", "_", "-"]),
        random.text(ALNUM, 4)
    );
    let domain = random.text("abcdefghijklmnopqrstuvwxyz", 8);
    bare(
        "email",
        format!(
            "{local}@{domain}.{}",
            random.pick(&["com", "org", "co.uk", "dev", "de"])
        ),
    )
}

/// A private key in PEM, whole, cut off, or with its line ends written as `\n`.
pub(crate) fn pem(random: &mut Random) -> Planted {
    let label = random.pick(&[
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
    ]);
    let lines: Vec<String> = (0..6).map(|_| random.text(ALNUM, 64)).collect();
    let secret = lines[3].clone();
    let line_end = random.pick(&["\n", "\r\n", "\\n"]);
    let mut text = format!(
        "-----BEGIN {label}-----{line_end}{}{line_end}",
        lines.join(line_end)
    );
    if random.below(3) > 0 {
        text.push_str(&format!("-----END {label}-----"));
    }
    Planted {
        rule: "pem",
        secret,
        text,
    }
}

fn password(random: &mut Random) -> String {
    // At least one digit and one capital: in prose a plain word after a name is left alone.
    format!(
        "{}{}{}",
        random.text(ALNUM, 8),
        random.text(DIGITS, 2),
        random.text("ABCDEFGH", 2)
    )
}

/// A secret known by what stands beside it.
pub(crate) fn beside(random: &mut Random) -> Planted {
    let secret = password(random);
    let name = random.pick(&[
        "password",
        "DB_PASSWORD",
        "apiKey",
        "api-key",
        "client_secret",
        "GITHUB_TOKEN",
        "accessToken",
        "MYSQL_PWD",
        "AccountKey",
        "private_key",
        "X-API-Key",
        "passphrase",
    ]);
    let (rule, text) = match random.below(14) {
        0 => ("assignment", format!("{name}={secret}")),
        1 => ("assignment", format!("export {name}='{secret}'")),
        2 => ("assignment", format!("{name}: {secret}")),
        3 => ("assignment", format!("\"{name}\": \"{secret}\",")),
        4 => ("assignment", format!("run --{name}={secret} --verbose")),
        5 => ("assignment", format!("run --{name} {secret} --verbose")),
        6 => (
            "assignment",
            format!("Server=db.local;User Id=sa;Password={secret};Encrypt=true"),
        ),
        7 => (
            "url.query",
            format!("https://api.local/v1?page=2&{name}={secret}&x=1"),
        ),
        8 => (
            "url.userinfo",
            format!("postgres://app:{secret}@db.local:5432/main"),
        ),
        9 => ("url.userinfo", format!("https://{secret}@git.local/x.git")),
        10 => ("authorization", format!("Authorization: Bearer {secret}")),
        11 => ("authorization", format!("they use bearer {secret} there")),
        12 => ("cookie", format!("Cookie: sid={secret}; theme=dark")),
        _ => {
            let both = STANDARD.encode(format!("user:{secret}"));
            return Planted {
                rule: "authorization",
                text: format!("Authorization: Basic {both}"),
                secret: both,
            };
        }
    };
    Planted { rule, secret, text }
}

/// A random-looking value beside a word that says what it is.
pub(crate) fn entropy(random: &mut Random) -> Planted {
    let mut secret = random.text("0123456789abcdef", 40);
    secret.push_str("0123456789abcdef");
    let text = format!(
        "the {} is {secret}",
        random.pick(&["api key", "key", "secret", "signature"])
    );
    Planted {
        rule: "entropy",
        secret,
        text,
    }
}

/// Any secret, every rule as likely as any other.
pub(crate) fn any(random: &mut Random) -> Planted {
    let rules: Vec<&TokenRule> = tokens().collect();
    match random.below(9) {
        0 => card(random),
        1 => iban(random),
        2 => email(random),
        3 => pem(random),
        4 | 5 => beside(random),
        6 => entropy(random),
        _ => {
            let rule = rules[random.below(rules.len())];
            token(random, rule)
        }
    }
}

/// How a text travels inside a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    /// Every character as `\uXXXX`.
    Escaped,
    Base64,
    Base64Url,
    Percent,
    /// As a member of JSON in a string.
    JsonInString,
    /// The same twice.
    JsonInStringTwice,
}

impl Way {
    pub(crate) const ALL: [Self; 7] = [
        Self::Plain,
        Self::Escaped,
        Self::Base64,
        Self::Base64Url,
        Self::Percent,
        Self::JsonInString,
        Self::JsonInStringTwice,
    ];

    /// The JSON string, with quotes, that carries `text`; and what must not be found in the output.
    pub(crate) fn carry(self, random: &mut Random, planted: &Planted) -> (String, Vec<String>) {
        let text = &planted.text;
        assert!(
            text.contains(&planted.secret),
            "{} lost its secret",
            planted.rule
        );
        let mut traces = vec![planted.secret.clone()];
        let string = |text: &str| serde_json::to_string(text).unwrap();
        let json = match self {
            Self::Plain => string(text),
            Self::Escaped => {
                let units: String = text
                    .encode_utf16()
                    .map(|unit| format!("\\u{unit:04x}"))
                    .collect();
                format!("\"{units}\"")
            }
            Self::Base64 | Self::Base64Url => {
                // Base64 of less than 15 bytes is shorter than what is decoded.
                let long = format!("{text} and so on, and so on");
                let encoded = match (self, random.below(2)) {
                    (Self::Base64, 0) => STANDARD.encode(long),
                    (Self::Base64, _) => STANDARD_NO_PAD.encode(long),
                    (_, 0) => URL_SAFE.encode(long),
                    _ => URL_SAFE_NO_PAD.encode(long),
                };
                traces.push(encoded.clone());
                string(&encoded)
            }
            Self::Percent => {
                let all = random.below(2) == 0;
                let encoded: String = text
                    .bytes()
                    .map(|byte| match byte {
                        byte if !all && byte.is_ascii_alphanumeric() => {
                            char::from(byte).to_string()
                        }
                        byte => format!("%{byte:02X}"),
                    })
                    .collect();
                if encoded.contains('%') {
                    traces.push(encoded.clone());
                }
                string(&encoded)
            }
            Self::JsonInString => string(&format!("{{\"note\":[{}]}}", string(text))),
            Self::JsonInStringTwice => {
                let inner = format!("{{\"note\":{}}}", string(text));
                string(&format!("{{\"inner\": {}}}", string(&inner)))
            }
        };
        (json, traces)
    }
}

/// Wraps a JSON value at a random depth among harmless neighbours.
pub(crate) fn bury(random: &mut Random, mut json: String) -> String {
    for _ in 0..random.below(6) {
        json = match random.below(4) {
            0 => format!("[{json}]"),
            1 => format!("{{\"note\":{json},\"n\":1}}"),
            2 => format!("[1,\"ok\",{json},null]"),
            _ => format!("{{\"a\":\"fine\",\"content\":[{{\"type\":\"text\",\"text\":{json}}}]}}"),
        };
    }
    json
}

/// Text as it goes over the wire every day, without secrets: JSON objects, one a line.
pub(crate) fn clean_corpus(random: &mut Random, bytes: usize) -> String {
    const WORDS: &[&str] = &[
        "the",
        "file",
        "was",
        "read",
        "from",
        "disk",
        "and",
        "server",
        "returned",
        "result",
        "list",
        "of",
        "tools",
        "available",
        "error",
        "not",
        "found",
        "in",
        "module",
        "function",
        "value",
        "key",
        "token",
        "password",
        "user",
        "session",
        "page",
        "count",
        "index",
        "Basic",
        "usage",
        "a",
        "to",
        "is",
        "with",
    ];
    let mut out = String::new();
    while out.len() < bytes {
        let mut prose = String::new();
        for _ in 0..random.below(60) {
            prose.push_str(WORDS[random.below(WORDS.len())]);
            prose.push_str(random.pick(&[" ", " ", " ", " ", ", ", ". ", "\n", " - "]));
        }
        let hex = "0123456789abcdef";
        let uuid = format!(
            "{}-{}-4{}-a{}-{}",
            random.text(hex, 8),
            random.text(hex, 4),
            random.text(hex, 3),
            random.text(hex, 3),
            random.text(hex, 12)
        );
        let commit = random.text(hex, 40);
        let path = format!(
            "/home/dev/project/src/{}/{}.rs",
            random.text("abcdef_", 9),
            random.text("mnopq", 6)
        );
        let time = format!(
            "2026-11-{:02}T18:{:02}:00.{}Z",
            1 + random.below(28),
            random.below(60),
            random.text(DIGITS, 9)
        );
        let id = format!("17{}", random.text(DIGITS, 11));
        let number = format!("0.{}", 1 + random.next() % 100_000_000_000_000_000);
        let image = STANDARD.encode(
            (0..random.below(200))
                .map(|_| random.next().to_le_bytes()[0])
                .collect::<Vec<_>>(),
        );
        let line = serde_json::json!({
            "jsonrpc": "2.0", "id": random.below(100_000), "method": "tools/call",
            "params": { "name": random.pick(&["read_file", "search", "list_directory", "query"]),
                "_meta": { "progressToken": random.below(99), "traceparent": format!("00-{}-{}-01", random.text(hex, 32), random.text(hex, 16)) },
                "arguments": { "path": path, "query": prose, "uuid": uuid, "commit": commit, "time": time,
                    "message_id": id.parse::<u64>().unwrap(), "max_tokens": random.below(4096),
                    "url": format!("https://example.com/{}/{}?page={}&limit=10", random.text("abc", 5), random.below(100), random.below(9)),
                    "score": "NUMBER", "nextPageToken": null, "image": format!("data:image/png;base64,iVBORw0KGgo{image}") } }
        });
        out.push_str(&line.to_string().replace("\"NUMBER\"", &number));
        out.push('\n');
    }
    out
}
