use proptest::prelude::*;

use super::*;

fn keys() -> (SigningKey, String, String) {
    let key = SigningKey::generate("log.example/1", [7; 32]).unwrap();
    let (private, public) = (key.encode().to_string(), key.verifying_key().encode());
    (key, private, public)
}

#[test]
fn reads_what_it_writes() {
    let (key, private, public) = keys();
    let again = SigningKey::parse(&private).unwrap();
    assert_eq!(*again.encode(), private);
    assert_eq!(again.sign("text\n"), key.sign("text\n"));
    assert_eq!(VerifyingKey::parse(&public).unwrap(), *key.verifying_key());
    assert_eq!(
        key.verifying_key()
            .verify_strict("text\n", &key.sign("text\n")),
        Ok(())
    );
    assert_eq!(
        key.verifying_key()
            .verify_strict("texT\n", &key.sign("text\n")),
        Err(KeyError::BadSignature)
    );
}

#[test]
fn debug_shows_no_secret() {
    let (key, private, _) = keys();
    let shown = format!("{key:?}");
    let secret = private.rsplit('+').next().unwrap();
    assert!(!shown.contains(secret) && !shown.contains("7, 7") && !shown.contains("0707"));
    assert_eq!(
        shown,
        format!(
            "SigningKey(log.example/1+{:08x})",
            key.verifying_key().key_id()
        )
    );
}

/// Every part cut out, and every byte changed: no key.
#[test]
fn nearly_a_key_is_none() {
    let (_, private, public) = keys();
    let check = |text: &str| {
        assert!(SigningKey::parse(text).is_err(), "{text}");
        assert!(VerifyingKey::parse(text).is_err(), "{text}");
        assert!(WitnessKey::parse(text).is_err(), "{text}");
    };
    for good in [&private, &public] {
        for start in 0..good.len() {
            for end in start + 1..=good.len() {
                let part = good.get(start..end).unwrap();
                if part != private && part != public {
                    check(part);
                }
            }
            let mut changed = good.clone().into_bytes();
            changed[start] += 1;
            check(std::str::from_utf8(&changed).unwrap());
        }
        check(&format!("{good}\n"));
        check(&format!(" {good}"));
        check(&format!("{good}AAAA"));
    }
    let upper = public.split('+').nth(1).unwrap().to_uppercase();
    assert!(
        upper.contains(|c: char| c.is_ascii_uppercase()),
        "choose another seed: {upper}"
    );
    check(&public.replace(public.split('+').nth(1).unwrap(), &upper));
}

#[test]
fn names() {
    for good in [
        "a",
        "tacho.local/host-1a2b",
        "\u{fc}ber.example",
        &"a".repeat(MAX_NAME_BYTES),
    ] {
        assert_eq!(check_name(good), Ok(()), "{good}");
        assert!(SigningKey::generate(good, [7; 32]).is_ok());
    }
    let long = "a".repeat(MAX_NAME_BYTES + 1);
    for bad in [
        "",
        "a b",
        "a+b",
        "a\u{2003}b",
        "a\nb",
        "a\u{85}b",
        "\u{7f}",
        "\u{1b}[m",
        &long,
    ] {
        assert_eq!(check_name(bad), Err(KeyError::Name), "{bad:?}");
        assert!(SigningKey::generate(bad, [7; 32]).is_err());
    }
}

/// Keys of small order: a signature of zeros would fit every text.
#[test]
fn weak_keys_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    for key in [[0; 32], identity] {
        let id = key_id("weak", ED25519, &key);
        let bytes = [&[ED25519], key.as_slice()].concat();
        let vkey = format!("weak+{id:08x}+{}", STANDARD.encode(bytes));
        assert_eq!(VerifyingKey::parse(&vkey), Err(KeyError::Unusable));
    }
}

#[test]
fn a_cosignature_is_over_its_time() {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let public = Public::new("witness.example", COSIGNATURE, secret.verifying_key()).unwrap();
    let witness = WitnessKey::parse(&public.encode()).unwrap();
    let time = 1_790_000_000_u64;
    let signed = secret.sign(format!("cosignature/v1\ntime {time}\ntext\n").as_bytes());
    let bytes = [time.to_be_bytes().as_slice(), &signed.to_bytes()].concat();
    let good = Signature {
        name: "witness.example".to_owned(),
        key_id: witness.key_id(),
        bytes,
    };
    assert_eq!(witness.verify_strict("text\n", &good), Ok(time));
    assert_eq!(
        witness.verify_strict("Text\n", &good),
        Err(KeyError::BadSignature)
    );
    for at in 0..good.bytes.len() {
        let mut bad = good.clone();
        bad.bytes[at] ^= 1;
        assert_eq!(
            witness.verify_strict("text\n", &bad),
            Err(KeyError::BadSignature),
            "{at}"
        );
        bad.bytes.truncate(at);
        assert_eq!(
            witness.verify_strict("text\n", &bad),
            Err(KeyError::BadSignature),
            "{at}"
        );
    }
    let other = Signature {
        name: "other.example".to_owned(),
        ..good
    };
    assert_eq!(
        witness.verify_strict("text\n", &other),
        Err(KeyError::OtherKey)
    );
}

proptest! {
    #[test]
    fn survives_anything(text in any::<String>()) {
        prop_assert!(SigningKey::parse(&text).is_err());
        prop_assert!(VerifyingKey::parse(&text).is_err());
    }
}
