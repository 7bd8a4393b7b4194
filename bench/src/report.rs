//! How figures are shown: ours, the baseline of the same run, the ratio, the bar, and whether it is reached.

use std::fmt;

/// What a ratio must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    /// Ours divided by the baseline, at most this.
    AtMost(f64),
    /// Ours divided by the baseline, at least this.
    AtLeast(f64),
}

/// A measured value and its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value(pub(crate) f64, pub(crate) &'static str);

/// Prints a heading.
pub(crate) fn heading(text: &str) {
    println!("\n== {text}");
}

/// Prints a remark, or what could not be measured and why.
pub(crate) fn note(text: &str) {
    println!("   {text}");
}

/// Prints a figure without a baseline.
pub(crate) fn plain(name: &str, value: Value) {
    println!("   {name:<52} {value:>14}");
}

/// Prints a figure against its baseline, and against the bar where there is one.
pub(crate) fn ratio(name: &str, ours: Value, baseline: (&str, Value), bar: Option<Bar>) {
    let ratio = ours.0 / baseline.1.0;
    let (base_name, base) = baseline;
    let verdict = bar.map_or_else(String::new, |bar| verdict(ratio, bar));
    println!("   {name:<52} {ours:>14}   {base_name} {base}   {ratio:.3}x{verdict}");
}

/// Prints an absolute figure against an absolute bar.
pub(crate) fn limit(name: &str, ours: Value, bar: f64) {
    let verdict = verdict(ours.0, Bar::AtMost(bar));
    println!("   {name:<52} {ours:>14}{verdict}");
}

/// In words. How far a miss is off is relative to the bar.
fn verdict(ratio: f64, bar: Bar) -> String {
    if !ratio.is_finite() {
        return "   not measured".to_owned();
    }
    let (sign, wanted, reached) = match bar {
        Bar::AtMost(most) => ("<=", most, ratio <= most),
        Bar::AtLeast(least) => (">=", least, ratio >= least),
    };
    if reached {
        format!("   bar {sign} {wanted:.4}: reached")
    } else {
        let off = (ratio - wanted).abs() / wanted * 100.0;
        format!("   bar {sign} {wanted:.4}: MISSED by {off:.0} %")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.0.abs() {
            size if size >= 1_000.0 => 0,
            size if size >= 10.0 => 1,
            _ => 2,
        };
        f.pad(&format!("{:.decimals$} {}", self.0, self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_by_how_much() {
        for (ratio, bar, wanted) in [
            (1.2, Bar::AtMost(1.3), "reached"),
            (1.43, Bar::AtMost(1.3), "MISSED by 10 %"),
            (5.0, Bar::AtLeast(5.0), "reached"),
            (4.0, Bar::AtLeast(5.0), "MISSED by 20 %"),
            (f64::NAN, Bar::AtMost(1.0), "not measured"),
        ] {
            assert!(
                verdict(ratio, bar).ends_with(wanted),
                "{}",
                verdict(ratio, bar)
            );
        }
    }
}
