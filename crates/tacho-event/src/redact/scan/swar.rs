//! Eight bytes at a time in a word, without the machine's wide registers: for what is short.

/// The lowest and the highest bit of each byte, and a quote in each.
const LOWEST: u64 = u64::from_le_bytes([1; 8]);
const HIGHEST: u64 = u64::from_le_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);

/// Where the first quote stands in a word whose lowest byte is the first.
#[inline]
pub(crate) fn quote_in(word: u64) -> Option<usize> {
    let other = word ^ QUOTES;
    // The lowest bit that is set marks the first byte that is a quote; those above it may mislead.
    let quotes = other.wrapping_sub(LOWEST) & !other & HIGHEST;
    if quotes == 0 {
        return None;
    }
    usize::try_from(quotes.trailing_zeros() / 8).ok()
}

/// Where the first quote stands in sixteen bytes.
#[inline]
pub(super) fn quote(bytes: &[u8; 16]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        if let Some(quote) = quote_in(u64::from_le_bytes(*word)) {
            return Some(at + quote);
        }
        at += 8;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_quote_is_found(bytes in prop::array::uniform16(prop_oneof![Just(b'"'), Just(b'#'), Just(b'!'), any::<u8>()])) {
            prop_assert_eq!(quote(&bytes), bytes.iter().position(|byte| *byte == b'"'));
        }
    }
}
