//! Looks for planted secrets in bytes: whole, and in every form in which they could have been written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Every needle has at least so many bytes; fewer would be found by chance.
const LEAST: usize = 8;

/// Many needles at once: by their first eight bytes.
#[derive(Default)]
pub(crate) struct Needles {
    by_start: HashMap<u64, Vec<(Vec<u8>, usize)>>,
    /// Which pairs of first bytes there are: most places are passed over by looking at two bytes.
    pairs: Vec<bool>,
    count: usize,
}

impl Needles {
    /// A needle that belongs to the secret number `owner`.
    pub(crate) fn add(&mut self, needle: &[u8], owner: usize) {
        let Some(start) = start(needle, 0) else {
            panic!("a needle of {} bytes", needle.len())
        };
        let known = self.by_start.entry(start).or_default();
        if known.iter().all(|(old, _)| old != needle) {
            known.push((needle.to_vec(), owner));
            self.count += 1;
            self.pairs.resize(65_536, false);
            self.pairs[pair(needle, 0)] = true;
        }
    }

    /// A secret in every form: as it is, in JSON strings, in base64, in percent-encoding; and its second half.
    pub(crate) fn add_secret(&mut self, secret: &str, owner: usize) {
        let mut bare = vec![secret.to_owned()];
        let digits: String = secret.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if digits
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        {
            bare.push(digits);
        }
        if secret.len() >= 3 * LEAST {
            bare.push(secret.chars().skip(secret.chars().count() / 2).collect());
        }
        for text in bare {
            let once = json(&text);
            let twice = json(&once);
            let escaped: String = text
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect();
            let percent: String = text.bytes().map(percent_encoded).collect();
            let all: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for form in [
                text.clone(),
                once,
                twice,
                escaped.replace('\\', "\\\\"),
                escaped,
                percent.to_lowercase(),
                percent,
                all,
            ] {
                self.add(form.as_bytes(), owner);
            }
            // Base64 of what stands around it, at each of the three alignments, without the ends that others share.
            for shift in 0..3 {
                let padded = [&b"xx"[..shift], text.as_bytes()].concat();
                let whole = padded.get(..padded.len() / 3 * 3).unwrap();
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let encoded = engine.encode(whole);
                    let inner = encoded.get(if shift == 0 { 0 } else { 4 }..).unwrap();
                    if inner.len() >= LEAST {
                        self.add(inner.as_bytes(), owner);
                    }
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Every needle in `haystack`, by owner and place.
    pub(crate) fn find(&self, haystack: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for at in 0..haystack.len().saturating_sub(LEAST - 1) {
            if !self.pairs[pair(haystack, at)] {
                continue;
            }
            let rest = haystack.get(at..).unwrap();
            let candidates = start(haystack, at).and_then(|start| self.by_start.get(&start));
            for (needle, owner) in candidates.into_iter().flatten() {
                if rest.starts_with(needle) {
                    found.push((*owner, at));
                }
            }
        }
        found
    }
}

fn pair(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

fn start(bytes: &[u8], at: usize) -> Option<u64> {
    let first = bytes.get(at..)?.first_chunk::<LEAST>()?;
    Some(u64::from_le_bytes(*first))
}

fn json(text: &str) -> String {
    serde_json::to_string(text)
        .unwrap()
        .trim_matches('"')
        .to_owned()
}

fn percent_encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// Every file below `root`: its name as text and its contents, compressed segments unpacked. Sockets have none.
pub(crate) fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&path));
        }
        let mut contents = Vec::new();
        if kind.is_file() {
            contents = std::fs::read(&path).unwrap();
            if path.extension().is_some_and(|end| end == "zst") {
                contents = zstd::decode_all(contents.as_slice()).unwrap();
            }
        }
        all.push((path, contents));
    }
    all
}
