use super::*;
use crate::checkpoint::Checkpoint;
use crate::key::{CosigningKey, SigningKey};
use crate::merkle::leaf_hash;

fn log(seed: u8) -> SigningKey {
    SigningKey::generate("log", [seed; 32]).unwrap()
}

fn witness(number: u8) -> CosigningKey {
    CosigningKey::generate(&format!("w.example/{number}"), [100 + number; 32]).unwrap()
}

fn vkey(number: u8) -> String {
    witness(number).witness_key().encode()
}

/// Lines with `W1` to `W9` and `L1` to `L9` for keys.
fn file(lines: &str) -> String {
    let mut file = lines.to_owned();
    for number in 1..10 {
        file = file.replace(&format!("<W{number}>"), &vkey(number));
        let log = log(number).verifying_key().encode();
        file = file.replace(&format!("<L{number}>"), &log);
    }
    file
}

fn parse(lines: &str) -> Result<Policy, PolicyError> {
    Policy::parse(file(lines).as_bytes())
}

/// A checkpoint of `log(1)` with cosignatures of these witnesses, the time being the number.
fn cosigned(by: &[u8]) -> SignedCheckpoint {
    let checkpoint = Checkpoint::new("log", 3, leaf_hash(b"r")).unwrap();
    let mut signed = SignedCheckpoint::sign(&checkpoint, &log(1)).unwrap();
    for number in by {
        let cosignature = witness(*number).cosign(&checkpoint.encode(), u64::from(*number));
        signed = signed.with_signature(cosignature).unwrap();
    }
    signed
}

const EXAMPLE: &str = "log <L1>

witness X1 <W1>
witness X2 <W2>
\twitness   X3\t<W3>   http://x3.example/
group X-witnesses 2 X1 X2 X3

  # the others
witness Y1 <W4>
witness Y2 <W5>
witness Y3 <W6>
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
";

#[test]
fn the_example_of_the_standard() {
    let policy = parse(EXAMPLE).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 6));
    assert_eq!(
        policy.witnesses()[2].url.as_deref(),
        Some("http://x3.example/")
    );
    for (by, fulfilled) in [
        (&[][..], false),
        (&[1, 2], false),
        (&[1, 2, 3], false),
        (&[4, 5, 6], false),
        (&[1, 4], false),
        (&[1, 2, 4], true),
        (&[3, 6, 2], true),
        (&[1, 2, 3, 4, 5, 6], true),
        (&[7, 8, 9], false),
    ] {
        let got = policy.quorum(&cosigned(by)).unwrap();
        assert_eq!(got.fulfilled, fulfilled, "{by:?}");
        assert_eq!(got.by.len(), by.iter().filter(|n| **n < 7).count());
        let newest = by.iter().copied().filter(|n| *n < 7).max();
        assert_eq!(got.newest(), newest.map(u64::from));
    }
    let (verified, _) = policy
        .check(&cosigned(&[1]), log(1).verifying_key())
        .unwrap();
    assert_eq!(verified.size(), 3);
    let stranger = policy.check(&cosigned(&[1]), log(2).verifying_key());
    assert_eq!(stranger, Err(CheckpointError::OtherLog));
}

#[test]
fn small_policies() {
    for (lines, by, fulfilled) in [
        ("quorum none\n", &[][..], true),
        ("witness a <W1>\nquorum a\n", &[1], true),
        ("witness a <W1>\nquorum a\n", &[2], false),
        ("witness a <W1>\nquorum none\n", &[], true),
        (
            "witness a <W1>\nwitness b <W2>\ngroup g 1 a b\nquorum g\n",
            &[2],
            true,
        ),
        (
            "witness a <W1>\nwitness b <W2>\ngroup g 2 a b\nquorum g\n",
            &[2],
            false,
        ),
        (
            "witness a <W1>\nwitness b <W2>\ngroup g all a b\nquorum b\n",
            &[2],
            true,
        ),
        // Bytes above 0x7f are letters, and another spelling is another name.
        (
            "witness K <W1>\nwitness \u{212a} <W2>\nquorum \u{212a}\n",
            &[1],
            false,
        ),
        (
            "quorum none\nwitness later <W1>\nlog <L1> https://x.example/ü\n",
            &[],
            true,
        ),
    ] {
        let policy = parse(lines).unwrap_or_else(|error| panic!("{lines}: {error}"));
        assert_eq!(
            policy.quorum(&cosigned(by)).unwrap().fulfilled,
            fulfilled,
            "{lines}"
        );
    }
    // Names need not be UTF-8.
    let odd = [
        b"witness \xff\xfe ",
        vkey(1).as_bytes(),
        b"\nquorum \xff\xfe\n",
    ]
    .concat();
    let policy = Policy::parse(&odd).unwrap();
    assert!(policy.quorum(&cosigned(&[1])).unwrap().fulfilled);
}

#[test]
fn what_is_no_policy() {
    use PolicyFault::{
        Control, DuplicateKey, Key, Line, MemberTwice, NameTaken, NoLineFeed, NoQuorum,
        SecondQuorum, Threshold, TooLong, TooMany, Unknown,
    };
    let unknown = |name: &str| Unknown(name.to_owned());
    let a = "witness a <W1>\nwitness b <W2>\n";
    let cases = [
        (String::new(), 0, NoQuorum),
        (a.to_owned(), 0, NoQuorum),
        ("quorum none".to_owned(), 1, NoLineFeed),
        ("quorum none\r\n".to_owned(), 1, Control),
        ("#\u{1}\nquorum none\n".to_owned(), 1, Control),
        ("#\u{7f}\nquorum none\n".to_owned(), 1, Control),
        ("quorum none\nquorum none\n".to_owned(), 2, SecondQuorum),
        (format!("{a}quorum a\nquorum b\n"), 4, SecondQuorum),
        ("quorum a\nwitness a <W1>\n".to_owned(), 1, unknown("a")),
        ("quorum\n".to_owned(), 1, Line),
        ("quorum none none\n".to_owned(), 1, Line),
        ("Quorum none\n".to_owned(), 1, Line),
        ("quorum\u{a0}none\n".to_owned(), 1, Line),
        ("log\n".to_owned(), 1, Line),
        ("log <L1> x y\n".to_owned(), 1, Line),
        ("witness a\n".to_owned(), 1, Line),
        ("witness a <W1> x y\n".to_owned(), 1, Line),
        ("log <W1>\n".to_owned(), 1, Key(KeyError::Type(4))),
        ("witness a <L1>\n".to_owned(), 1, Key(KeyError::Type(1))),
        ("log x\n".to_owned(), 1, Key(KeyError::Malformed)),
        ("log <L1>\nlog <L1> url\n".to_owned(), 2, DuplicateKey),
        (
            "witness a <W1>\nwitness b <W1>\n".to_owned(),
            2,
            DuplicateKey,
        ),
        ("witness a <W1>\nwitness a <W2>\n".to_owned(), 2, NameTaken),
        ("witness none <W1>\n".to_owned(), 1, NameTaken),
        (format!("{a}group a any b\n"), 3, NameTaken),
        (format!("{a}group none any b\n"), 3, NameTaken),
        (format!("{a}group g any\n"), 3, Line),
        (format!("{a}group g\n"), 3, Line),
        (format!("{a}group g any c\n"), 3, unknown("c")),
        (format!("{a}group g any none\n"), 3, unknown("none")),
        (format!("{a}group g any g\n"), 3, unknown("g")),
        (
            format!("{a}group g any a a\n"),
            3,
            MemberTwice("a".to_owned()),
        ),
        (
            format!("{a}group g any a\ngroup h any a\n"),
            4,
            MemberTwice("a".to_owned()),
        ),
        (format!("{a}group g 0 a b\n"), 3, Threshold),
        (format!("{a}group g 3 a b\n"), 3, Threshold),
        (format!("{a}group g 01 a b\n"), 3, Threshold),
        (format!("{a}group g +1 a b\n"), 3, Threshold),
        (format!("{a}group g most a b\n"), 3, Threshold),
        (
            format!("#{}\nquorum none\n", "x".repeat(POLICY_BYTES)),
            0,
            TooLong,
        ),
    ];
    for (lines, line, what) in cases {
        assert_eq!(
            parse(&lines),
            Err(PolicyError { line, what }),
            "{:?}",
            lines.get(..60)
        );
    }
    let many = |count: usize| {
        let key = |n: usize| CosigningKey::generate("w", [u8::try_from(n).unwrap(); 32]).unwrap();
        let line = |n| format!("witness n{n} {}\n", key(n).witness_key().encode());
        (0..count).map(line).collect::<String>() + "quorum n0\n"
    };
    assert!(Policy::parse(many(POLICY_LINES).as_bytes()).is_ok());
    let error = Policy::parse(many(POLICY_LINES + 1).as_bytes()).unwrap_err();
    assert_eq!(error.what, TooMany);
}

/// C2SP signed-note: a signature that says it is by a known key and is not, is not to be ignored.
#[test]
fn a_cosignature_that_lies_spoils_the_note() {
    let policy = parse("witness a <W1>\nwitness b <W2>\ngroup g any a b\nquorum g\n").unwrap();
    let other = Checkpoint::new("log", 4, leaf_hash(b"r")).unwrap();
    let lie = witness(2).cosign(&other.encode(), 7);
    let spoilt = cosigned(&[1]).with_signature(lie).unwrap();
    let bad = NoteError::BadSignature(KeyError::BadSignature);
    assert_eq!(policy.quorum(&spoilt), Err(CheckpointError::Note(bad)));
}
