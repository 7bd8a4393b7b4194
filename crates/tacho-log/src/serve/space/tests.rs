use std::time::Duration;

use super::*;

fn watch() -> Watch {
    let options = SpaceOptions {
        warn: Threshold::Bytes(800),
        refuse: Threshold::Percent(40),
        when_low: WhenLow::Refuse,
    };
    Watch::new(options, Arc::new(|_| Err(io::ErrorKind::Other.into())))
}

#[test]
fn each_threshold_is_told_once_each_way() {
    let mut watch = watch();
    for (free, told, word) in [
        (1_000, &[][..], "ok"),
        (800, &[], "ok"),
        (799, &[(Which::Warn, 800, false)], "warn"),
        (700, &[], "warn"),
        (399, &[(Which::Low, 400, false)], "low"),
        (0, &[], "low"),
        // Not back before an eighth above.
        (449, &[], "low"),
        (450, &[(Which::Low, 400, true)], "warn"),
        (899, &[], "warn"),
        (900, &[(Which::Warn, 800, true)], "ok"),
        (
            10,
            &[(Which::Warn, 800, false), (Which::Low, 400, false)],
            "low",
        ),
        (
            1_000,
            &[(Which::Warn, 800, true), (Which::Low, 400, true)],
            "ok",
        ),
    ] {
        let crossings = watch.observe(Room { free, total: 1_000 });
        let found: Vec<_> = crossings
            .iter()
            .map(|it| (it.which, it.threshold, it.recovered))
            .collect();
        assert_eq!(found, told, "{free}");
        assert!(crossings.iter().all(|it| it.free == free));
        assert_eq!(watch.word(), word, "{free}");
    }
}

#[test]
fn what_could_not_be_said_is_said_later() {
    let mut watch = watch();
    let room = Room {
        free: 1,
        total: 1_000,
    };
    let crossings = watch.observe(room);
    crossings.iter().for_each(|it| watch.unsay(it));
    assert_eq!(watch.word(), "ok");
    assert_eq!(watch.observe(room), crossings);
}

#[test]
fn it_looks_once_a_second_or_after_much_was_written() {
    let looks = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = Arc::clone(&looks);
    let probe: RoomProbe = Arc::new(move |_| {
        seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Room { free: 1, total: 1 })
    });
    let mut watch = Watch::new(SpaceOptions::default(), probe);
    let start = Instant::now();
    for (ms, taken, expected) in [
        (0, 0, 1),
        (1, 0, 1),
        (999, SPACE_CHECK_BYTES - 1, 1),
        (999, 1, 2),
        (1_500, 0, 2),
        (2_000, 0, 3),
    ] {
        watch.took(taken);
        watch.look(start + Duration::from_millis(ms), Path::new("/"));
        assert_eq!(
            looks.load(std::sync::atomic::Ordering::Relaxed),
            expected,
            "{ms}"
        );
    }
}

#[test]
fn a_small_disk_has_small_thresholds() {
    let usual = SpaceOptions::default();
    for (total, warn, refuse) in [
        (1 << 40, 2 << 30, 256 << 20),
        (100 * (1 << 20), 10 * (1 << 20), 5 * (1 << 20)),
    ] {
        assert_eq!(usual.warn.bytes(total).next_multiple_of(1 << 10), warn);
        assert_eq!(usual.refuse.bytes(total).next_multiple_of(1 << 10), refuse);
    }
}

#[test]
fn the_head_of_a_record_is_read() {
    let body = br#"{"id":"x","timestamp":"2026-11-20T00:00:00.000000001Z","type":"gap","severity":"info"}"#;
    assert_eq!(type_of(body), Some("gap"));
    assert_eq!(
        timestamp_of(body).unwrap().to_string(),
        "2026-11-20T00:00:00.000000001Z"
    );
    assert_eq!(type_of(b"{}"), None);
}
