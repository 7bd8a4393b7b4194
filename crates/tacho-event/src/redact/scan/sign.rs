//! What the bytes of a text tell about what it can hold. Written so that the compiler puts the loops
//! over long texts into vector registers: whole blocks, no branch, no early end.

/// `@`
pub(crate) const AT: u8 = 1;
/// `=` or `:`
pub(crate) const ASSIGN: u8 = 1 << 1;
/// `%`
pub(crate) const PERCENT: u8 = 1 << 2;
/// `-`
pub(crate) const DASH: u8 = 1 << 3;
/// `0-9`
pub(crate) const DIGIT: u8 = 1 << 4;
/// Needs a closer look when written: U+007F and what U+2028 and U+2029 begin with.
pub(crate) const ODD: u8 = 1 << 5;
/// `{` or `[`
pub(crate) const OPEN: u8 = 1 << 6;
/// Below U+0020.
pub(crate) const CONTROL: u8 = 1 << 7;

const BLOCK: usize = 16;

/// The signs of one byte.
#[inline]
fn of(byte: u8) -> u8 {
    let set = |yes: bool, sign: u8| if yes { sign } else { 0 };
    set(byte == b'@', AT)
        | set((byte == b'=') | (byte == b':'), ASSIGN)
        | set(byte == b'%', PERCENT)
        | set(byte == b'-', DASH)
        | set(byte.wrapping_sub(b'0') < 10, DIGIT)
        | set((byte == 0x7f) | (byte == 0xe2), ODD)
        | set((byte == b'{') | (byte == b'['), OPEN)
        | set(byte < b' ', CONTROL)
}

/// The signs of all bytes together.
#[inline]
pub(super) fn signs(text: &[u8]) -> u8 {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut seen = [0; BLOCK];
    let mut block = |block: &[u8; BLOCK]| {
        for (sum, byte) in seen.iter_mut().zip(block) {
            *sum |= of(*byte);
        }
    };
    blocks.iter().for_each(&mut block);
    // The end of a long text is looked at as a block that overlaps the one before it, a short text
    // as one that is filled up with a letter.
    if let Some(last) = text.last_chunk().filter(|_| !rest.is_empty()) {
        block(last);
    } else if !rest.is_empty() {
        let mut filled = [b'a'; BLOCK];
        for (slot, byte) in filled.iter_mut().zip(rest) {
            *slot = *byte;
        }
        block(&filled);
    }
    seen.iter().fold(0, |sum, signs| sum | signs)
}

/// Whether two dashes stand together: a flag, or the first line of a private key.
pub(super) fn double_dash(text: &[u8]) -> bool {
    let next = text.get(1..).unwrap_or_default();
    let both = |(one, two): (&u8, &u8)| u8::from((*one == b'-') & (*two == b'-'));
    text.iter()
        .zip(next)
        .map(both)
        .fold(0, |sum, yes| sum | yes)
        != 0
}

/// Whether a word ends like `Bearer` or `Basic`, in any case, with a space after it.
pub(super) fn scheme_word(text: &[u8]) -> bool {
    let from = |at: usize| text.get(at..).unwrap_or_default();
    let fours = text.iter().zip(from(1)).zip(from(2).iter().zip(from(3)));
    let word = |((one, two), (three, four)): ((&u8, &u8), (&u8, &u8))| {
        let (one, two, three) = (one | 0x20, two | 0x20, three | 0x20);
        let bearer = (one == b'r') & (two == b'e') & (three == b'r');
        let basic = (one == b's') & (two == b'i') & (three == b'c');
        u8::from((bearer | basic) & (*four == b' '))
    };
    fours.map(word).fold(0, |sum, yes| sum | yes) != 0
}
