//! Counting tests from what the test programs print.

/// Sums over every test program of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Totals {
    /// Takes one line of output: `test result: ok. 12 passed; 0 failed; …` and `peers: 22 passed; 0 failed` count.
    pub(crate) fn take(&mut self, line: &str) {
        let Some(counts) = [
            "test result: ok. ",
            "test result: FAILED. ",
            "peers: ",
            "harness: ",
        ]
        .into_iter()
        .find_map(|start| line.strip_prefix(start)) else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let number = words
                .next()
                .and_then(|word| word.parse::<u64>().ok())
                .unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn counts_what_test_programs_print() {
        let mut totals = Totals::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "peers: 20 passed; 1 failed",
            "test something ... ok",
            "note: 7 passed; 7 failed",
        ] {
            totals.take(line);
        }
        assert_eq!(
            totals,
            Totals {
                passed: 35,
                failed: 3
            }
        );
    }
}
