//! `[retention]`: how long records are kept.

use std::time::Duration;

use serde::Deserialize;
use tacho_log::retention::Retention;

use crate::quantity;

const DAY: u64 = 86_400;

/// What is kept when nothing is said.
const DEFAULT_DAYS: u64 = 90;

/// The section as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    preset: Option<Preset>,
    max_age: Option<Limit<Age>>,
    max_bytes: Option<Limit<Size>>,
    min_age: Option<Age>,
    #[serde(default)]
    keep_all: bool,
}

/// The tiers of the guide (docs/retention.md).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Preset {
    Hobby,
    Team,
    Regulated,
    EuAiAct,
}

impl Preset {
    /// Minimum and maximum age in days. A year counts 366, and six months 184, so that neither is ever
    /// less than what was asked for.
    const fn days(self) -> (u64, u64) {
        match self {
            Self::Hobby => (30, 90),
            Self::Team => (90, 366),
            Self::Regulated => (366, 7 * 366),
            Self::EuAiAct => (184, 366),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Age(Duration);

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        quantity::duration(&text).map(Self)
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Size(u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        quantity::bytes(&text).map(Self)
    }
}

/// A limit, or the word `off`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String", bound = "T: TryFrom<String, Error = String>")]
struct Limit<T>(Option<T>);

impl<T: TryFrom<String, Error = String>> TryFrom<String> for Limit<T> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        T::try_from(text).map(|limit| Self(Some(limit)))
    }
}

/// The policy that the section means.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Section")]
pub(crate) struct Chosen(pub(crate) Retention);

impl Default for Chosen {
    fn default() -> Self {
        Self(Retention {
            max_age: Some(Duration::from_secs(DEFAULT_DAYS * DAY)),
            ..Retention::KEEP_ALL
        })
    }
}

impl TryFrom<Section> for Chosen {
    type Error = String;

    fn try_from(section: Section) -> Result<Self, String> {
        let limits = section.preset.is_some()
            || section.max_age.is_some()
            || section.max_bytes.is_some()
            || section.min_age.is_some();
        if section.keep_all {
            return if limits {
                Err(
                    "keep_all = true keeps everything: leave out the limits, or leave out keep_all"
                        .to_owned(),
                )
            } else {
                Ok(Self(Retention::KEEP_ALL))
            };
        }
        let mut policy = Self::default().0;
        if let Some(preset) = section.preset {
            let (min, max) = preset.days();
            policy.min_age = Duration::from_secs(min * DAY);
            policy.max_age = Some(Duration::from_secs(max * DAY));
        }
        if let Some(Limit(max_age)) = section.max_age {
            policy.max_age = max_age.map(|Age(age)| age);
        }
        if let Some(Limit(max_bytes)) = section.max_bytes {
            policy.max_bytes = max_bytes.map(|Size(bytes)| bytes);
        }
        if let Some(Age(min_age)) = section.min_age {
            policy.min_age = min_age;
        }
        match policy.max_age {
            Some(max_age) if max_age < policy.min_age => Err(format!(
                "min_age {} is more than max_age {}",
                quantity::show_duration(policy.min_age),
                quantity::show_duration(max_age)
            )),
            _ => Ok(Self(policy)),
        }
    }
}

/// The policy in words.
pub(crate) fn describe(policy: &Retention) -> String {
    if policy.keeps_all() {
        return "everything is kept".to_owned();
    }
    let mut words = Vec::new();
    if let Some(max_age) = policy.max_age {
        words.push(format!(
            "removed after {}",
            quantity::show_duration(max_age)
        ));
    }
    if let Some(max_bytes) = policy.max_bytes {
        let size = quantity::show_bytes(max_bytes);
        words.push(format!("the oldest removed above {size}"));
    }
    if !policy.min_age.is_zero() {
        let age = quantity::show_duration(policy.min_age);
        words.push(format!("nothing younger than {age}"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Result<String, String> {
        toml::from_str::<Chosen>(text)
            .map(|Chosen(policy)| describe(&policy))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn policies() {
        for (text, expected) in [
            ("", "removed after 90d"),
            (
                "preset = \"hobby\"",
                "removed after 90d, nothing younger than 30d",
            ),
            (
                "preset = \"team\"",
                "removed after 1y, nothing younger than 90d",
            ),
            (
                "preset = \"regulated\"",
                "removed after 7y, nothing younger than 1y",
            ),
            (
                "preset = \"eu_ai_act\"",
                "removed after 1y, nothing younger than 184d",
            ),
            ("max_age = \"12h\"", "removed after 12h"),
            (
                "max_age = \"off\"\nmax_bytes = \"20GiB\"\nmin_age = \"30d\"",
                "the oldest removed above 20GiB, nothing younger than 30d",
            ),
            (
                "preset = \"team\"\nmax_bytes = \"1GiB\"\nmin_age = \"0d\"",
                "removed after 1y, the oldest removed above 1GiB",
            ),
            ("keep_all = true", "everything is kept"),
            ("max_age = \"off\"", "everything is kept"),
        ] {
            assert_eq!(chosen(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes() {
        for (text, says) in [
            ("preset = \"sox\"", "regulated"),
            ("max_age = \"90 days\"", "as in 90d"),
            ("max_age = 90", "string"),
            ("max_bytes = \"20\"", "as in 20GiB"),
            (
                "min_age = \"100d\"",
                "min_age 100d is more than max_age 90d",
            ),
            ("keep_all = true\nmax_age = \"90d\"", "leave out"),
            ("maxage = \"90d\"", "maxage"),
        ] {
            let error = chosen(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
