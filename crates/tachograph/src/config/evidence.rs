//! `[evidence]`: who may read what is kept encrypted.

use std::sync::Arc;

use serde::Deserialize;
use tacho_log::recipients::Recipients;

/// The section as it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    recipients: Vec<String>,
    encrypt_segments: bool,
}

/// What it means.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Section")]
pub(crate) struct Evidence {
    /// `None`: nothing is kept encrypted.
    recipients: Option<Arc<Recipients>>,
    encrypt_segments: bool,
}

impl Evidence {
    /// Those whom whole bodies are kept for.
    pub(crate) fn bodies_to(&self) -> Option<Arc<Recipients>> {
        self.recipients.clone()
    }

    /// Those whom closed segments are encrypted to, if they are.
    pub(crate) fn segments_to(&self) -> Option<Arc<Recipients>> {
        self.recipients.clone().filter(|_| self.encrypt_segments)
    }
}

impl TryFrom<Section> for Evidence {
    type Error = String;

    fn try_from(section: Section) -> Result<Self, String> {
        if section.recipients.is_empty() {
            return if section.encrypt_segments {
                Err("encrypt_segments needs recipients, as age-keygen prints them".to_owned())
            } else {
                Ok(Self::default())
            };
        }
        let recipients =
            Recipients::parse(&section.recipients).map_err(|error| error.to_string())?;
        Ok(Self {
            recipients: Some(Arc::new(recipients)),
            encrypt_segments: section.encrypt_segments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections() {
        const ANN: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
        let read = |text: &str| toml::from_str::<Evidence>(text).map_err(|error| error.to_string());
        assert!(read("").unwrap().segments_to().is_none());
        assert!(read("").unwrap().bodies_to().is_none());
        let only_bodies = format!("recipients = [\"{ANN}\"]");
        assert!(read(&only_bodies).unwrap().segments_to().is_none());
        assert!(read(&only_bodies).unwrap().bodies_to().is_some());
        let both = format!("{only_bodies}\nencrypt_segments = true");
        assert!(read(&both).unwrap().segments_to().is_some());
        for (text, says) in [
            ("encrypt_segments = true", "needs recipients"),
            ("recipients = [\"ann\"]", "age1…"),
            ("recipient = []", "recipient"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
