//! The rules as data: what each removes, by which pattern, and what stands there afterwards.
//!
//! [`tokens`] drives the engine's own matcher and gives a regular expression for each rule, so that
//! a plain implementation can be derived from the same table and compared with the engine.

/// What stands in the place of a removed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `[REDACTED]`: named as secret, or of no kind below.
    Redacted,
    /// `[EMAIL]`: an e-mail address.
    Email,
    /// `[CARD]`: a payment card number.
    Card,
    /// `[TOKEN]`: a credential with a known form.
    Token,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Redacted, Self::Email, Self::Card, Self::Token];

    /// The word inside the brackets.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Redacted => "REDACTED",
            Self::Email => "EMAIL",
            Self::Card => "CARD",
            Self::Token => "TOKEN",
        }
    }

    /// The placeholder without a suffix.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Redacted => "[REDACTED]",
            Self::Email => "[EMAIL]",
            Self::Card => "[CARD]",
            Self::Token => "[TOKEN]",
        }
    }

    /// The digest domain of this kind's suffix (`docs/redaction.md`).
    pub const fn domain(self) -> &'static str {
        match self {
            Self::Redacted => "placeholder redacted",
            Self::Email => "placeholder email",
            Self::Card => "placeholder card",
            Self::Token => "placeholder token",
        }
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `0-9`
    Digit,
    /// `0-9a-f`
    Hex,
    /// `A-Z0-9`
    Upper,
    /// `A-Za-z0-9`
    Alnum,
    /// `A-Za-z0-9_`
    Word,
    /// `A-Za-z0-9_-`: base64url
    Url,
    /// `A-Za-z0-9_.-`
    Dotted,
    /// `A-Za-z0-9+/=_-`
    Base64,
    /// `A-Za-z0-9/_-`
    Path,
    /// `MNO`
    Mno,
}

impl Class {
    /// Whether `byte` is in the set.
    pub const fn has(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
            Self::Upper => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Base64 => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=')
            }
            Self::Path => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/'),
            Self::Mno => matches!(byte, b'M' | b'N' | b'O'),
        }
    }

    const fn pattern(self) -> &'static str {
        match self {
            Self::Digit => "[0-9]",
            Self::Hex => "[0-9a-f]",
            Self::Upper => "[A-Z0-9]",
            Self::Alnum => "[A-Za-z0-9]",
            Self::Word => "[A-Za-z0-9_]",
            Self::Url => "[A-Za-z0-9_-]",
            Self::Dotted => "[A-Za-z0-9_.-]",
            Self::Base64 => "[A-Za-z0-9+/=_-]",
            Self::Path => "[A-Za-z0-9/_-]",
            Self::Mno => "[MNO]",
        }
    }
}

/// One piece of a token. A run takes as many bytes as it can; what follows it begins with a byte it
/// cannot take or the run has a fixed length, so there is never a need to give bytes back.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Exactly this text.
    Text(&'static str),
    /// So many bytes of a class: least, most.
    Run(Class, usize, usize),
}

/// A credential that is known by its form.
#[derive(Clone, Copy, Debug)]
pub struct TokenRule {
    /// Its id in reports.
    pub id: &'static str,
    /// Its form, read from a place whose byte before is not a letter or digit.
    pub parts: &'static [Part],
}

/// No upper limit.
pub const MANY: usize = usize::MAX;

/// A token is at least this long, counted in bytes without a gap: the engine only looks for tokens
/// in unbroken runs of this length.
pub const TOKEN_BYTES: usize = 20;

macro_rules! prefixed {
    ($($id:literal: $($prefix:literal)|+, $class:ident, $least:literal;)*) => {
        &[$($(TokenRule {
            id: $id,
            parts: &[Part::Text($prefix), Part::Run(Class::$class, $least, MANY)],
        },)+)*]
    };
}

/// Tokens of the form "prefix, then at least so many bytes of a class".
pub const PREFIXED: &[TokenRule] = prefixed! {
    "token.github": "ghp_" | "gho_" | "ghu_" | "ghs_" | "ghr_", Word, 16;
    "token.github": "github_pat_", Word, 22;
    "token.gitlab": "glpat-" | "gldt-" | "glrt-" | "glptt-" | "glcbt-" | "glsoat-", Dotted, 20;
    "token.slack": "xoxa-" | "xoxb-" | "xoxe-" | "xoxo-" | "xoxp-" | "xoxr-" | "xoxs-", Dotted, 15;
    "token.slack": "xoxe.xoxp-" | "xapp-" | "xoxc-" | "xoxd-", Dotted, 15;
    "token.slack_webhook": "hooks.slack.com/", Path, 20;
    "token.anthropic": "sk-ant-", Url, 16;
    "token.openai": "sk-", Url, 17;
    "token.aws": "AKIA" | "ASIA" | "ABIA" | "ACCA", Upper, 16;
    "token.google": "AIza", Url, 30;
    "token.google": "ya29.", Dotted, 20;
    "token.google": "GOCSPX-", Url, 20;
    "token.google": "1//0", Url, 30;
    "token.stripe": "sk_live_" | "rk_live_" | "sk_test_" | "rk_test_", Alnum, 12;
    "token.stripe": "whsec_", Base64, 24;
    "token.npm": "npm_", Alnum, 30;
    "token.pypi": "pypi-AgE", Url, 40;
    "token.sendgrid": "SG.", Dotted, 40;
    "token.mailgun": "key-", Hex, 32;
    "token.twilio": "SK" | "AC", Hex, 32;
    "token.digitalocean": "dop_v1_" | "doo_v1_" | "dor_v1_", Hex, 40;
    "token.huggingface": "hf_", Alnum, 30;
    "token.huggingface": "api_org_", Alnum, 30;
    "token.shopify": "shpat_" | "shpca_" | "shppa_" | "shpss_", Alnum, 32;
    "token.databricks": "dapi", Hex, 32;
    "token.vault": "hvs." | "hvb." | "hvr.", Url, 20;
    "token.docker": "dckr_pat_" | "dckr_oat_", Url, 20;
    "token.linear": "lin_api_" | "lin_oauth_", Alnum, 30;
    "token.notion": "secret_", Alnum, 40;
    "token.notion": "ntn_", Alnum, 40;
    "token.atlassian": "ATATT" | "ATCTT" | "ATBB", Base64, 24;
    "token.age": "AGE-SECRET-KEY-1", Upper, 40;
    "token.groq": "gsk_", Alnum, 40;
    "token.xai": "xai-", Alnum, 40;
    "token.perplexity": "pplx-", Alnum, 40;
    "token.replicate": "r8_", Alnum, 30;
    "token.grafana": "glsa_" | "glc_", Base64, 32;
    "token.newrelic": "NRAK-", Upper, 20;
    "token.postman": "PMAK-", Url, 40;
    "token.pulumi": "pul-", Hex, 40;
    "token.supabase": "sbp_", Hex, 40;
    "token.planetscale": "pscale_tkn_" | "pscale_pw_", Dotted, 30;
    "token.doppler": "dp.pt." | "dp.st.", Alnum, 40;
    "token.flyio": "FlyV1", Base64, 40;
    "token.flyio": "fo1_", Url, 40;
    "token.square": "sq0atp-" | "sq0csp-", Url, 22;
    "token.figma": "figd_", Url, 40;
    "token.airtable": "patAT", Dotted, 40;
    "token.rubygems": "rubygems_", Hex, 48;
    "token.cratesio": "cio", Alnum, 32;
    "token.sentry": "sntrys_" | "sntryu_", Base64, 40;
    "token.brevo": "xkeysib-", Url, 64;
    "token.easypost": "EZAK" | "EZTK", Alnum, 54;
    "token.tailscale": "tskey-", Url, 20;
};

/// Tokens with more structure than a prefix.
pub const STRUCTURED: &[TokenRule] = &[
    TokenRule {
        id: "jwt",
        parts: &[
            Part::Text("eyJ"),
            Part::Run(Class::Url, 16, MANY),
            Part::Text("."),
            Part::Run(Class::Url, 0, MANY),
            Part::Text("."),
            Part::Run(Class::Dotted, 0, MANY),
        ],
    },
    TokenRule {
        id: "token.discord",
        parts: &[
            Part::Run(Class::Mno, 1, 1),
            Part::Run(Class::Url, 23, 27),
            Part::Text("."),
            Part::Run(Class::Url, 6, 7),
            Part::Text("."),
            Part::Run(Class::Url, 27, MANY),
        ],
    },
    TokenRule {
        id: "token.discord_webhook",
        parts: &[
            Part::Text("discord.com/api/webhooks/"),
            Part::Run(Class::Digit, 10, MANY),
            Part::Text("/"),
            Part::Run(Class::Url, 20, MANY),
        ],
    },
    TokenRule {
        id: "token.telegram",
        parts: &[
            Part::Run(Class::Digit, 8, 10),
            Part::Text(":AA"),
            Part::Run(Class::Url, 32, MANY),
        ],
    },
];

/// Every token rule.
pub fn tokens() -> impl Iterator<Item = &'static TokenRule> {
    PREFIXED.iter().chain(STRUCTURED)
}

impl TokenRule {
    /// The form as a regular expression over bytes, without what must stand before it.
    pub fn pattern(&self) -> String {
        let mut out = String::new();
        for part in self.parts {
            match *part {
                Part::Text(text) => {
                    for c in text.chars() {
                        if matches!(c, '.' | '-' | '/') {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                }
                Part::Run(class, least, most) => {
                    out.push_str(class.pattern());
                    out.push_str(&match most {
                        MANY => format!("{{{least},}}"),
                        most => format!("{{{least},{most}}}"),
                    });
                }
            }
        }
        out
    }

    /// The end of a token of this form that starts at `start`.
    pub(super) fn end(&self, text: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        for part in self.parts {
            let rest = text.get(at..)?;
            at += match *part {
                Part::Text(prefix) => rest
                    .starts_with(prefix.as_bytes())
                    .then_some(prefix.len())?,
                Part::Run(class, least, most) => {
                    let run = rest
                        .iter()
                        .take(most)
                        .take_while(|byte| class.has(**byte))
                        .count();
                    (run >= least).then_some(run)?
                }
            };
        }
        Some(at)
    }
}

/// Whether a token may begin at `start`: the byte before is no letter or digit, or is the end of a
/// written escape such as `\n`.
pub(super) fn may_begin(text: &[u8], start: usize) -> bool {
    let Some(last) = start.checked_sub(1) else {
        return true;
    };
    match text.get(last) {
        Some(b'n' | b'r' | b't') => last > 0 && text.get(last - 1) == Some(&b'\\'),
        Some(byte) => !byte.is_ascii_alphanumeric(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_long_enough_to_be_looked_for() {
        for rule in tokens() {
            let least: usize = rule
                .parts
                .iter()
                .map(|part| match *part {
                    Part::Text(text) => text.len(),
                    Part::Run(_, least, _) => least,
                })
                .sum();
            assert!(least >= TOKEN_BYTES, "{} {}", rule.id, rule.pattern());
        }
    }
}
