//! Whole bodies under attack, and on bad days.

use std::os::unix::fs::PermissionsExt as _;

use crate::directories::Mount;
use crate::env::{ECHO, Env, of_type};
use crate::evidence::{
    ALL, ARGUMENTS, SECRET, call_id, call_with, file, keep, keygen, one_call, open, tacho, verify,
};

#[test]
fn another_identity_reads_nothing() {
    let (env, identity) = one_call(ALL, ECHO);
    let (other, _) = keygen(&env, "other.key");
    let call = call_id(&env);
    let refused = open(&env, &call, "args", &other);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(
        refused.stderr.contains("encrypted to others") && refused.stdout.is_empty(),
        "{refused:?}"
    );
    assert_eq!(verify(&env, Some(&other)).0, Some(2));
    // Made once, for its owner only, and never in place of another.
    assert_eq!(
        std::fs::metadata(&other).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = std::fs::read(&other).unwrap();
    let again = tacho(
        &env,
        &["evidence", "keygen", "--out", other.to_str().unwrap()],
    );
    assert_eq!(again.status.code(), Some(3), "{again:?}");
    assert_eq!(std::fs::read(&other).unwrap(), before);
    // What is no identity at all is not repeated.
    std::fs::write(&other, format!("{SECRET}\n")).unwrap();
    let wrong = open(&env, &call, "args", &other);
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
    assert!(
        wrong.stderr.contains("line 1") && !wrong.stderr.contains(SECRET),
        "{wrong:?}"
    );
    assert_eq!(open(&env, &call, "args", &identity).status.code(), Some(0));
}

#[test]
fn what_was_removed_by_hand_is_missing() {
    let (env, identity) = one_call(ALL, ECHO);
    let call = call_id(&env);
    std::fs::remove_file(file(&env, ".args.age")).unwrap();
    let (code, report) = verify(&env, None);
    assert_eq!(code, Some(2), "{report}");
    let finding = &report["findings"][0];
    assert!(
        finding["what"].as_str().unwrap().contains("missing") && finding["seq"].is_u64(),
        "{report}"
    );
    assert_eq!(open(&env, &call, "args", &identity).status.code(), Some(2));
    let erase = tacho(
        &env,
        &["evidence", "erase", &call, "--reason", "cover it up"],
    );
    assert_eq!(erase.status.code(), Some(1), "{erase:?}");
    assert!(file(&env, ".result.age").exists(), "all or nothing");
}

/// Whoever can write the files can destroy, and cannot make anybody believe another body.
#[test]
fn changed_and_swapped_files_are_not_believed() {
    let (env, identity) = one_call(ALL, ECHO);
    let call = call_id(&env);
    let path = file(&env, ".args.age");
    let original = std::fs::read(&path).unwrap();
    let (_, recipient) = keygen(&env, "attacker.key");
    let foreign = {
        let recipients = tacho_log::recipients::Recipients::parse(&[recipient]).unwrap();
        let contents = vec![b'x'; 32 + ARGUMENTS.len()];
        recipients
            .encrypt(&mut contents.as_slice(), Vec::new())
            .unwrap()
    };
    let mut changed = original.clone();
    *changed.last_mut().unwrap() ^= 1;
    for (bytes, code) in [
        (changed, Some(1)),
        (original[..original.len() - 1].to_vec(), Some(1)),
        (std::fs::read(file(&env, ".result.age")).unwrap(), Some(1)),
        (foreign, Some(3)),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let refused = open(&env, &call, "args", &identity);
        assert_eq!(refused.status.code(), code, "{refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
        let (code, report) = verify(&env, Some(&identity));
        assert!(matches!(code, Some(1 | 2)), "{report}");
    }
    std::fs::write(&path, &original).unwrap();
    assert_eq!(verify(&env, Some(&identity)).0, Some(0));

    // Nor does the record help them: what it says is sealed.
    let segment = env.segment();
    let text = std::fs::read_to_string(&segment).unwrap();
    let at = text.find("salted-sha256:").unwrap() + "salted-sha256:".len();
    let digits = text.get(at..at + 4).unwrap();
    let mut lie = text.clone();
    lie.replace_range(at..at + 4, if digits == "0000" { "1111" } else { "0000" });
    std::fs::write(&segment, lie).unwrap();
    let refused = open(&env, &call, "args", &identity);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("not what was sealed"),
        "{refused:?}"
    );
}

/// A full disk refuses the call, and says what for; whoever fails open goes on and counts.
#[test]
fn a_body_that_cannot_be_kept_is_no_record() {
    let place = Mount::new("8m");
    let env = Env::at(place.path().join("data"));
    let identity = keep(&env);
    let large = format!("[{}]", vec![r#""a short text""#; 1_000_000].join(","));
    let mut session = env.session(&[], ECHO);
    assert!(call_with(&mut session, ARGUMENTS)["result"].is_object());
    let refused = call_with(&mut session, &large);
    let why = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        why.contains("args could not be kept as evidence") && why.contains("No space left"),
        "{refused}"
    );
    assert_eq!(refused["error"]["data"]["forwarded"], false, "{refused}");
    // There is room for what is smaller: nothing was left of the other.
    assert!(call_with(&mut session, ARGUMENTS)["result"].is_object());
    session.close();
    let mut session = env.session(&["--mode", "best-effort"], ECHO);
    assert!(call_with(&mut session, &large)["result"].is_object());
    call_with(&mut session, ARGUMENTS);
    session.close();
    env.stop();
    let records = env.records();
    assert!(of_type(&records, "gap").len() >= 2, "{records:?}");
    let (code, report) = verify(&env, Some(&identity));
    // An outcome without its intent is what was lost in the second session.
    assert_ne!(code, Some(1), "{report}");
    assert_eq!(report["evidence"]["unnamed"], 0, "{report}");
}

/// A key that is none is named before anything runs.
#[test]
fn a_wrong_recipient_stops_everything() {
    let env = Env::new();
    keep(&env);
    std::fs::write(
        env.data().join("config.toml"),
        "[evidence]\nrecipients = [\"age1nonsense\"]\n",
    )
    .unwrap();
    let done = tacho(&env, &["run", "--", "true"]);
    assert_eq!(done.status.code(), Some(125), "{done:?}");
    assert!(
        done.stderr.contains("config.toml") && done.stderr.contains("age1nonsense"),
        "{done:?}"
    );
}
