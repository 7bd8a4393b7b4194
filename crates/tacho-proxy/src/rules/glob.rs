use thiserror::Error;

use crate::limits::GLOB_CHARS;

/// A pattern with `*` for any text and `?` for any one character; everything else stands for itself,
/// upper and lower case apart. There is no escape: `?` matches a question mark too.
///
/// Matching takes one step for each character of the text, whatever the pattern: all places in the pattern
/// that the text may have come to are followed at once, a bit for each. Names come from outside, and one
/// that makes a rule slow would hold up every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// The characters of the pattern without its stars; `None` is a `?`.
    chars: Vec<Option<char>>,
    /// Bit *i*: a star stands before `chars[i]`, or at the end.
    stars: u128,
}

/// A pattern cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GlobError {
    /// It matches nothing that has a name.
    #[error("an empty pattern matches nothing; leave the member out to match everything")]
    Empty,
    /// It is too long.
    #[error("a pattern has at most {GLOB_CHARS} characters besides its stars")]
    TooLong,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// When it is empty, or longer than [`GLOB_CHARS`].
    pub fn new(pattern: &str) -> Result<Self, GlobError> {
        if pattern.is_empty() {
            return Err(GlobError::Empty);
        }
        let mut glob = Self {
            chars: Vec::new(),
            stars: 0,
        };
        for char in pattern.chars() {
            match char {
                '*' => glob.stars |= 1 << glob.chars.len(),
                _ if glob.chars.len() >= GLOB_CHARS => return Err(GlobError::TooLong),
                '?' => glob.chars.push(None),
                char => glob.chars.push(Some(char)),
            }
        }
        Ok(glob)
    }

    /// Whether the whole text is as the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        let end = 1_u128 << self.chars.len();
        // Bit i: the text so far may be what stands before chars[i].
        let mut places = 1_u128;
        for char in text.chars() {
            let stays = places & self.stars;
            places = ((places & self.takes(char)) << 1) | stays;
            if places == 0 {
                return false;
            }
            if places == end && stays == end {
                // Only a star at the end is left.
                return true;
            }
        }
        places & end != 0
    }

    /// Bit *i*: `chars[i]` takes this character.
    fn takes(&self, char: char) -> u128 {
        let fits = |wanted: &Option<char>| wanted.is_none_or(|wanted| wanted == char);
        let bits = self.chars.iter().enumerate();
        bits.filter(|(_, wanted)| fits(wanted))
            .fold(0, |bits, (at, _)| bits | (1 << at))
    }
}
