//! Every committed input goes through its target; a fuzzer's finding becomes a file here with its fix.

type Target = fn(&[u8]);

#[test]
fn the_corpora_hold() {
    let targets: [(&str, Target); 9] = [
        ("redact", tacho_fuzz::redact),
        ("exchange", tacho_fuzz::exchange),
        ("note", tacho_fuzz::note),
        ("checkpoint", tacho_fuzz::checkpoint),
        ("proof", tacho_fuzz::proof),
        ("segment", tacho_fuzz::segment),
        ("policy", tacho_fuzz::policy),
        ("tile", tacho_fuzz::tile),
        ("socket", tacho_fuzz::socket),
    ];
    for (name, target) in targets {
        let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= 3, "{name} has too few inputs");
        for input in inputs {
            println!("{}", input.display());
            target(&std::fs::read(&input).unwrap());
        }
    }
}
