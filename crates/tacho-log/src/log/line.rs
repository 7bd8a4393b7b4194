//! What a line of the log is made of.

/// A number's digits, without the formatting machinery and its allocation.
pub(super) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// A cheap look: the front every record has, a closing brace, and nothing that could break a line.
/// That it is JSON is for the recorder to check, which knows what a record is.
pub(super) fn is_body(body: &[u8]) -> bool {
    body.starts_with(b"{\"id\":") && body.ends_with(b"}") && !has_control(body)
}

/// Whether a byte below 0x20 is among them. Without an early end, so that many are looked at at once.
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(false, |found, byte| found | (*byte < 0x20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_in_full() {
        for number in [0, 7, 10, 99, 100, 65_535, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
