use std::fmt;

use zeroize::Zeroize as _;

/// A value that has not been through redaction.
///
/// It has no `Serialize`, no `Display`, and its `Debug` shows a size. Only code in this crate's
/// redaction can look inside on the way to the record; the proxy looks inside through
/// [`Unredacted::expose`] where it must decide what a message is.
#[derive(Clone, PartialEq, Eq)]
pub struct Unredacted<T>(T);

impl<T> Unredacted<T> {
    /// Marks a value as not yet redacted.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The raw value. Whoever calls this must not write it anywhere.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl Unredacted<String> {
    /// Overwrites the text; for values that are known to be secret and no longer needed.
    pub fn wipe(mut self) {
        self.0.zeroize();
    }
}

impl From<&str> for Unredacted<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl From<String> for Unredacted<String> {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Unredacted<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unredacted({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Unredacted<bytes::Bytes> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unredacted({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_only_a_size() {
        let secret = Unredacted::from("hunter2");
        assert_eq!(format!("{secret:?}"), "Unredacted(7 bytes)");
    }
}
