use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3_600_000_000_000;

fn hours(hours: u64) -> Duration {
    Duration::from_nanos(hours * HOUR)
}

/// Segments of ten records and 100 bytes each; one a day, the newest record at its end. Records 0 to 49 are
/// closed, 50 to 54 live; 53 are sealed, and the log has 550 bytes. It is noon of the sixth day.
fn pruned(policy: &Retention, protected: &Protected, sealed: u64, now: u64) -> Option<Pruning> {
    let segments: Vec<_> = (0..5)
        .map(|day| ClosedSegment {
            first: day * 10,
            end: day * 10 + 10,
            bytes: 100,
            not_before: Timestamp::from_unix_nanos(day * 24 * HOUR),
        })
        .collect();
    let mut newest = |at: usize| {
        let day = u64::try_from(at).unwrap();
        Ok::<_, ()>(Timestamp::from_unix_nanos((day * 24 + 23) * HOUR))
    };
    let now = Timestamp::from_unix_nanos(now * HOUR);
    decide(policy, &segments, 550, sealed, protected, now, &mut newest).unwrap()
}

const NOON: u64 = 5 * 24 + 12;

fn to(policy: &Retention, protected: &Protected) -> u64 {
    pruned(policy, protected, 53, NOON).map_or(0, |pruning| pruning.to)
}

fn age(limit: u64) -> Retention {
    Retention {
        max_age: Some(hours(limit)),
        ..Retention::KEEP_ALL
    }
}

fn size(limit: u64) -> Retention {
    Retention {
        max_bytes: Some(limit),
        ..Retention::KEEP_ALL
    }
}

#[test]
fn by_age() {
    let free = Protected::default();
    // The newest record of the first segment is 4 days and 13 hours old, that of the last 13 hours.
    for (limit, expected) in [
        (0, 50),
        (13, 50),
        (14, 40),
        (37, 40),
        (38, 30),
        (4 * 24 + 13, 10),
        (4 * 24 + 14, 0),
        // The first segment was begun before this, and has newer records.
        (5 * 24, 0),
        (1_000, 0),
    ] {
        assert_eq!(to(&age(limit), &free), expected, "{limit} hours");
    }
    assert_eq!(to(&Retention::KEEP_ALL, &free), 0);
    let pruning = pruned(&age(38), &free, 53, NOON).unwrap();
    let newest = Timestamp::from_unix_nanos((2 * 24 + 23) * HOUR);
    let expected = Pruning {
        from: 0,
        to: 30,
        newest,
        reason: Reason::Age,
        bytes: 300,
    };
    assert_eq!(pruning, expected);
}

#[test]
fn by_size() {
    let free = Protected::default();
    for (limit, expected) in [
        (0, 50),
        (49, 50),
        (50, 50),
        (149, 50),
        (150, 40),
        (549, 10),
        (550, 0),
    ] {
        assert_eq!(to(&size(limit), &free), expected, "{limit} bytes");
    }
    let both = Retention {
        max_bytes: Some(150),
        ..age(4 * 24)
    };
    let pruning = pruned(&both, &free, 53, NOON).unwrap();
    assert_eq!((pruning.to, pruning.reason), (40, Reason::Size));
    // Never what is younger than the minimum age.
    for (min_age, expected) in [
        (0, 50),
        (13, 50),
        (14, 40),
        (4 * 24 + 13, 10),
        (4 * 24 + 14, 0),
    ] {
        let policy = Retention {
            min_age: hours(min_age),
            ..size(0)
        };
        assert_eq!(to(&policy, &free), expected, "{min_age} hours");
        let policy = Retention {
            min_age: hours(min_age),
            ..age(0)
        };
        assert_eq!(to(&policy, &free), expected, "{min_age} hours");
    }
}

#[test]
fn what_is_protected_stays_and_all_after_it() {
    let hold = |from: u64, to: Option<u64>| Protected {
        holds: vec![Hold {
            name: String::new(),
            from,
            to,
            reason: String::new(),
        }],
        cursor: None,
    };
    let cursor = |seq: u64| Protected {
        holds: Vec::new(),
        cursor: Some(seq),
    };
    for (protected, expected) in [
        (hold(0, None), 0),
        (hold(25, Some(26)), 20),
        (hold(20, Some(21)), 20),
        (hold(19, Some(20)), 10),
        (hold(50, None), 50),
        (cursor(0), 0),
        (cursor(19), 10),
        (cursor(20), 20),
        (cursor(54), 50),
    ] {
        for policy in [age(0), size(0)] {
            assert_eq!(to(&policy, &protected), expected, "{protected:?}");
        }
    }
}

#[test]
fn what_no_checkpoint_covers_stays() {
    for (sealed, expected) in [
        (0, None),
        (9, None),
        (10, Some(10)),
        (29, Some(20)),
        (50, Some(50)),
    ] {
        let pruning = pruned(&age(0), &Protected::default(), sealed, NOON);
        assert_eq!(pruning.map(|pruning| pruning.to), expected, "{sealed}");
    }
}

#[test]
fn a_clock_that_went_back_prunes_nothing_by_age() {
    for now in [0, 1, 22] {
        assert_eq!(pruned(&age(1), &Protected::default(), 53, now), None);
    }
    let policy = Retention {
        min_age: hours(1),
        ..size(0)
    };
    assert_eq!(pruned(&policy, &Protected::default(), 53, 0), None);
}

#[test]
fn what_cannot_be_read_is_not_removed_nor_read_in_vain() {
    let segment = |first, not_before| ClosedSegment {
        first,
        end: first + 10,
        bytes: 1,
        not_before: Timestamp::from_unix_nanos(not_before * HOUR),
    };
    let segments = [segment(0, 0), segment(10, 90)];
    let mut asked = Vec::new();
    let mut newest = |at| {
        asked.push(at);
        if at == 0 {
            Ok(Timestamp::from_unix_nanos(0))
        } else {
            Err("unreadable")
        }
    };
    let now = Timestamp::from_unix_nanos(100 * HOUR);
    let free = Protected::default();
    let mut decide = |policy: Retention| decide(&policy, &segments, 2, 20, &free, now, &mut newest);
    assert_eq!(decide(age(20)).unwrap().unwrap().to, 10);
    assert_eq!(decide(age(5)), Err("unreadable"));
    assert_eq!(decide(age(101)).unwrap(), None);
    assert_eq!(asked, [0, 0, 1]);
}

proptest! {
    /// Whatever the policy: a prefix of whole segments, and each of them may go.
    #[test]
    fn never_more_than_allowed(
        lens in prop::collection::vec((1..9_u64, 0..50_u64, 0..9_u64), 0..12),
        max_age in prop::option::of(0..60_u64),
        max_bytes in prop::option::of(0..400_u64),
        min_age in 0..60_u64,
        hold in prop::option::of((0..80_u64, 0..20_u64)),
        cursor in prop::option::of(0..80_u64),
        sealed in 0..80_u64,
        now in 0..80_u64,
    ) {
        let mut segments = Vec::new();
        let mut newest = Vec::new();
        let mut first = 0;
        for (len, bytes, late) in lens {
            let not_before = u64::try_from(segments.len()).unwrap() * 5;
            segments.push(ClosedSegment {
                first,
                end: first + len,
                bytes,
                not_before: Timestamp::from_unix_nanos(not_before * HOUR),
            });
            newest.push((not_before + late) * HOUR);
            first += len;
        }
        let policy = Retention {
            max_age: max_age.map(hours),
            max_bytes,
            min_age: hours(min_age),
        };
        let holds = hold.map(|(from, len)| Hold {
            name: String::new(),
            from,
            to: Some(from + len),
            reason: String::new(),
        });
        let protected = Protected { holds: holds.into_iter().collect(), cursor };
        let bytes = segments.iter().map(|segment| segment.bytes).sum::<u64>() + 10;
        let now = Timestamp::from_unix_nanos(now * HOUR);
        let mut ask = |at: usize| Ok::<_, ()>(Timestamp::from_unix_nanos(newest[at]));
        let pruning = decide(&policy, &segments, bytes, sealed, &protected, now, &mut ask).unwrap();
        let Some(pruning) = pruning else { return Ok(()) };
        let gone = segments.iter().position(|segment| segment.end == pruning.to).unwrap() + 1;
        prop_assert_eq!(pruning.from, 0);
        prop_assert!(pruning.to <= sealed);
        prop_assert!(protected.allows(&pruning.range()));
        let mut left = bytes;
        for (segment, newest) in segments.iter().zip(&newest).take(gone) {
            let age = now.unix_nanos().saturating_sub(*newest);
            prop_assert!(age >= min_age * HOUR);
            let old = max_age.is_some_and(|limit| age >= limit * HOUR);
            prop_assert!(old || max_bytes.is_some_and(|limit| left > limit));
            left -= segment.bytes;
        }
        prop_assert_eq!(pruning.bytes, bytes - left);
    }
}
