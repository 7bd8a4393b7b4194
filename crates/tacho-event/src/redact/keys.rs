//! Which names promise a secret: keys of JSON objects, of assignments, flags and URL parameters.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// What a name says about the value beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyClass {
    /// Nothing.
    Plain,
    /// The value may be a secret: removed if it also looks random.
    Hint,
    /// The value is removed whatever it is.
    Secret,
}

/// Longer names are not looked at by word.
const NAME_BYTES: usize = 128;

/// Words that alone make a name secret.
const SECRET: &str = "\
    password passwords passwd passwort passphrase passcode pwd secret secrets credential \
    credentials creds apikey apikeys authorization cookie cookies jwt bearer otp totp ssn cvv \
    cvv2 cvc cvn email emails phone phones telephone msisdn iban mnemonic creditcard \
    cardnumber phonenumber emailaddress token sessiontoken pgpassword sshpass pgpass authtoken";

/// Endings that make one fused lower-case word secret: `dbpassword`, `CLIENTSECRET`.
const SECRET_ENDINGS: &str = "\
    password passwd passphrase secret apikey secretkey privatekey accesskey token credentials \
    creditcard cardnumber phonenumber encryptionkey signingkey accountkey sharedkey masterkey \
    authkey connectionstring";

/// Words before `key` that make it a secret one.
const KEY_OWNERS: &str = "\
    api access secret private priv encryption decryption signing auth account shared master \
    ssh service session client storage subscription consumer app application deploy hmac aes \
    rsa wallet license function root admin webhook cipher symmetric jwt cookie gpg pgp openai \
    anthropic stripe google gcp aws azure github gitlab slack twilio sendgrid mailgun cohere \
    mistral groq gemini claude hf huggingface cloudflare datadog dd newrelic pinecone supabase \
    firebase maps rapidapi tavily brave exa serpapi perplexity deepseek";

/// Two words that are secret together, written with `_` between them.
const PAIRS: &str = "\
    credit_card credit_cards debit_card card_number card_no card_pan card_cvc card_cvv \
    social_security seed_phrase recovery_phrase recovery_code recovery_codes backup_code \
    backup_codes mobile_number mobile_phone connection_string conn_str e_mail pass_phrase \
    pass_word account_password github_pat gitlab_pat azure_pat gh_pat ado_pat user_pass \
    db_pass smtp_pass mail_pass admin_pass root_pass mysql_pass pg_pass postgres_pass \
    redis_pass ftp_pass ssh_pass http_pass proxy_pass my_pass login_pass key_pass store_pass \
    auth_pass database_pass";

/// A word after the secret one that turns the name into one about the secret.
const ABOUT: &str = "\
    count counts limit limits type types length len size name names path paths file files \
    filename url uri endpoint policy policies expiry expires expiration expired expire ttl \
    usage used budget hint field fields label required optional enabled disabled min max \
    strength rotation manager provider store scope scopes arn ref format version age lifetime \
    index id ids info status template templates schema prompt verified visible valid \
    validation validator error errors kind algorithm alg holder placeholder category rate cost \
    price supported protected subject notifications present set per window threshold ratio \
    encoding domain domains consent preferences locker";

/// A word before the secret one that does the same.
const NOT_OWNERS: &str = "\
    has have is needs need requires require max min num total no show hide use uses enable \
    disable allow forgot missing invalid supports without";

/// Words before `token` that name a position or a symbol, not a credential.
const TOKEN_POSITIONS: &str = "\
    next page prev previous progress continuation continue sync pagination cursor start end \
    delta watch first last bos eos pad unk sep cls mask special stop per n cancellation cancel \
    design color lexer syntax current";

/// Words before `tokens` that make the plural a list of credentials rather than a count.
const TOKENS_OWNERS: &str = "\
    access auth refresh api bearer id session security personal user device push oauth csrf";

/// Words beside which a random-looking value is taken for a secret.
const HINTS: &str = "\
    key keys auth pass pw sig signature salt seed cred session sid private sas tokens pat hmac \
    license webhook";

/// Words before a hint that make the value a public one: `cache_key`.
const PUBLIC_OWNERS: &str = "\
    cache idempotency primary foreign sort partition public dedup object row routing";

/// Every secret name holds one of these, in any case: what a plain implementation looks for first.
pub const STEMS: &str = "\
    pass|pwd|secret|credential|creds|key|authorization|cookie|jwt|bearer|otp|ssn|cvv|cvc|cvn|\
    mail|phone|msisdn|iban|mnemonic|card|token|social|seed|recovery|backup|mobile|conn|pat";

/// What a single word can be, as bits.
mod role {
    pub(super) const SECRET: u16 = 1;
    pub(super) const KEY_OWNER: u16 = 1 << 1;
    pub(super) const ABOUT: u16 = 1 << 2;
    pub(super) const NOT_OWNER: u16 = 1 << 3;
    pub(super) const TOKEN_POSITION: u16 = 1 << 4;
    pub(super) const TOKENS_OWNER: u16 = 1 << 5;
    pub(super) const HINT: u16 = 1 << 6;
    pub(super) const PUBLIC_OWNER: u16 = 1 << 7;
}

/// The lists above, turned round: a word's roles, and the pairs.
struct Words {
    roles: HashMap<&'static str, u16>,
    pairs: HashSet<(&'static str, &'static str)>,
    /// Finds the stems and the hints: a name without any is plain, and most names are.
    stems: Option<AhoCorasick>,
    /// One bit for each three letters in a row that a stem or a hint begins with.
    threes: Box<[u64; 512]>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let mut roles = HashMap::new();
    for (list, role) in [
        (SECRET, role::SECRET),
        (KEY_OWNERS, role::KEY_OWNER),
        (ABOUT, role::ABOUT),
        (NOT_OWNERS, role::NOT_OWNER),
        (TOKEN_POSITIONS, role::TOKEN_POSITION),
        (TOKENS_OWNERS, role::TOKENS_OWNER),
        (HINTS, role::HINT),
        (PUBLIC_OWNERS, role::PUBLIC_OWNER),
    ] {
        for word in list.split(' ') {
            *roles.entry(word).or_insert(0) |= role;
        }
    }
    Words {
        roles,
        pairs: PAIRS
            .split(' ')
            .filter_map(|pair| pair.split_once('_'))
            .collect(),
        stems: AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(stems())
            .ok(),
        threes: threes(stems()),
    }
});

/// A letter in five bits, whatever its case; other bytes may look like one.
const fn letter(byte: u8) -> usize {
    match byte {
        b'A'..=b'Z' => (byte - b'A' + 1) as usize,
        b'a'..=b'z' => (byte - b'a' + 1) as usize,
        _ => 0,
    }
}

const LETTERS: [usize; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [usize] = &mut table;
    let mut byte = 0_u8;
    while let Some((slot, after)) = rest.split_first_mut() {
        *slot = letter(byte);
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

/// The bits of [`Words::threes`]. A stem of two letters stands there with every third.
fn threes<'a>(stems: impl Iterator<Item = &'a str>) -> Box<[u64; 512]> {
    let mut threes = Box::new([0; 512]);
    for stem in stems {
        let mut letters = stem.bytes().map(letter);
        let head = letters.next().unwrap_or(0) << 10 | letters.next().unwrap_or(0) << 5;
        let thirds = letters.next().map_or(0..32, |third| third..third + 1);
        for three in thirds.map(|third| head | third) {
            if let Some(bits) = threes.get_mut(three / 64) {
                *bits |= 1 << (three % 64);
            }
        }
    }
    threes
}

fn stems() -> impl Iterator<Item = &'static str> {
    STEMS.split('|').chain(HINTS.split(' '))
}

/// Whether `text` holds anything that a secret name or a hint is made of.
pub(super) fn holds_stem(text: &str) -> bool {
    let words: &Words = &WORDS;
    let mut last = 0;
    let mut begins = |byte: u8| {
        let letter = LETTERS.get(usize::from(byte)).copied().unwrap_or(0);
        last = (last << 5 | letter) & 0x7fff;
        words
            .threes
            .get(last / 64)
            .is_some_and(|bits| bits >> (last % 64) & 1 != 0)
    };
    (text.bytes().any(&mut begins) || begins(0)) && matches(words, text)
}

fn matches(words: &Words, text: &str) -> bool {
    words
        .stems
        .as_ref()
        .is_none_or(|stems| stems.is_match(text))
}

fn is(word: &str, role: u16) -> bool {
    WORDS.roles.get(word).is_some_and(|roles| roles & role != 0)
}

/// What `name` promises. Case and the way words are joined do not matter: `apiKey`, `API_KEY`,
/// `x-api-key` and `APIKEY` are the same.
pub fn classify(name: &str) -> KeyClass {
    if name.len() > NAME_BYTES || name.len() < 2 || matches!(name, "PWD" | "OLDPWD") {
        return KeyClass::Plain;
    }
    if !holds_stem(name) {
        return KeyClass::Plain;
    }
    let joined = if name.contains('[') {
        // A placeholder in the place of a part of the name says nothing.
        let mut bare = name.to_owned();
        for (from, to) in super::detectors::placeholders(name).into_iter().rev() {
            bare.replace_range(from..to, " ");
        }
        split(&bare)
    } else {
        split(name)
    };
    let mut class = KeyClass::Plain;
    let mut before = "";
    let mut rest = joined.split(' ').filter(|word| !word.is_empty()).peekable();
    while let Some(word) = rest.next() {
        let owner = std::mem::replace(&mut before, word);
        let next = rest.peek().copied().unwrap_or_default();
        let secret = is_secret(word, owner);
        let pair = !secret && is_pair(word, next);
        if !pair && !secret {
            if is(word, role::HINT) && !is(owner, role::PUBLIC_OWNER) {
                class = KeyClass::Hint;
            }
            continue;
        }
        if pair {
            before = next;
            rest.next();
        }
        let after = rest.peek().copied().unwrap_or_default();
        // AWS's access key id is a credential's public half; it goes with the other half.
        let key_id = pair && word == "access" && after == "id";
        if (is(after, role::ABOUT) && !key_id) || is(owner, role::NOT_OWNER) {
            class = KeyClass::Plain;
            continue;
        }
        return KeyClass::Secret;
    }
    class
}

fn is_secret(word: &str, owner: &str) -> bool {
    if word == "token" {
        return !is(owner, role::TOKEN_POSITION);
    }
    if word == "tokens" {
        return is(owner, role::TOKENS_OWNER);
    }
    if is(word, role::SECRET) {
        return true;
    }
    SECRET_ENDINGS.split(' ').any(|ending| {
        word.strip_suffix(ending).is_some_and(|owner| {
            let position = || TOKEN_POSITIONS.split(' ').any(|word| owner.ends_with(word));
            owner.len() > 1 && (ending != "token" || !position())
        })
    })
}

fn is_pair(first: &str, second: &str) -> bool {
    if matches!(second, "key" | "keys") && is(first, role::KEY_OWNER) {
        return true;
    }
    let pairs: &HashSet<(&str, &str)> = &WORDS.pairs;
    pairs.contains(&(first, second))
}

/// Lower-case words with a space between them.
fn split(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut out = String::with_capacity(name.len() + 8);
    for (at, c) in name.char_indices() {
        if !c.is_alphanumeric() {
            out.push(' ');
            continue;
        }
        let before = at
            .checked_sub(1)
            .and_then(|at| bytes.get(at))
            .copied()
            .unwrap_or(b' ');
        let after = bytes.get(at + c.len_utf8()).copied().unwrap_or(b' ');
        let upper = c.is_ascii_uppercase();
        if c.is_ascii_digit() && before.is_ascii_alphabetic() {
            out.push(' ');
        }
        if upper
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase() && after.is_ascii_lowercase()))
        {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Parameters of URLs that carry a credential although their name alone does not say so.
pub(super) fn is_parameter(name: &str) -> bool {
    const PARAMETERS: &[&str] = &[
        "sig",
        "signature",
        "key",
        "auth",
        "hmac",
        "pass",
        "pw",
        "x-amz-signature",
        "x-amz-credential",
        "x-amz-security-token",
        "x-goog-signature",
        "x-goog-credential",
        "awsaccesskeyid",
        "sid",
        "session",
        "sessionid",
        "session_id",
        "code_verifier",
        "assertion",
        "samlresponse",
    ];
    PARAMETERS
        .iter()
        .any(|parameter| parameter.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let secret = [
            "email",
            "password",
            "token",
            "secret",
            "ssn",
            "phone",
            "creditCard",
            "apiKey",
            "api_key",
            "X-API-Key",
            "APIKEY",
            "client-secret",
            "dbPassword",
            "DB_PASS",
            "accessToken",
            "aws_secret_access_key",
            "AWS_ACCESS_KEY_ID",
            "GITHUB_TOKEN",
            "github_token_2",
            "Authorization",
            "Proxy-Authorization",
            "Cookie",
            "set-cookie",
            "user.password",
            "PGPASSWORD",
            "privateKey",
            "OPENAI_API_KEY",
            "STRIPE_KEY",
            "e-mail",
            "emailAddress",
            "phoneNumber",
            "card_number",
            "CVV",
            "credit_card",
            "CREDITCARD",
            "Account Key",
            "AccountKey",
            "clientsecret",
            "authtoken",
            "ACCESSTOKEN",
            "password1",
            "passwordConfirm",
            "refresh_tokens",
            "csrfToken",
            "sessionToken",
            "social_security_number",
            "Pwd",
            "connectionString",
        ];
        for name in secret {
            assert_eq!(classify(name), KeyClass::Secret, "{name}");
            let folded = name.to_ascii_lowercase();
            assert!(
                STEMS.split('|').any(|stem| folded.contains(stem)),
                "no stem in {name}"
            );
        }
        let kept = [
            "max_tokens",
            "token_count",
            "tokenizer",
            "progressToken",
            "secretary",
            "passenger",
            "author",
            "nextPageToken",
            "tokens",
            "total_tokens",
            "token_type",
            "password_policy",
            "passwordLength",
            "has_password",
            "compass",
            "bypass",
            "authority",
            "keyboard",
            "monkey",
            "primary_key",
            "public_key",
            "PWD",
            "pageToken",
            "nextpagetoken",
            "eos_token",
            "secretName",
            "cookie_policy",
            "requiresPassword",
            "id",
            "name",
            "path",
            "mailbox",
            "cardinal",
            "emailVerified",
            "discard",
            "pattern",
            "passed",
            "token_limit",
            "tokenUsage",
            "foreign_key",
            "sort_key",
        ];
        for name in kept {
            assert_ne!(classify(name), KeyClass::Secret, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_first_look_at_a_name_misses_no_stem(name in "([a-zA-Z0-9_é-]|pw|PW|key|Sid|pat){0,12}") {
            proptest::prop_assert_eq!(holds_stem(&name), matches(&WORDS, &name), "{}", name);
        }
    }

    #[test]
    fn every_secret_word_holds_a_stem() {
        let stem = |word: &str| STEMS.split('|').any(|stem| word.contains(stem));
        for word in SECRET
            .split(' ')
            .chain(SECRET_ENDINGS.split(' '))
            .chain(PAIRS.split(' '))
        {
            assert!(stem(word) || word == "e_mail", "{word}");
        }
    }
}
