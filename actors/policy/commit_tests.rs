//! Attacks on the way into force: whatever is done to files, signatures and lists, nothing comes into force that was not
//! signed, newer, and signed by enough people.
use super::*;
use crate::compile::{FILES, compile};
use crate::guardrails::Guardrails;
use crate::random_rules::Dice;
use crate::signature::{private_key_from_seed, public_line, sign};
use std::path::Path;

const NOW: i64 = 1_760_000_000;
const TENANT_NAME: &str = "acme-corp";

struct Person {
    name: &'static str,
    key: String,
}

impl Person {
    fn new(name: &'static str, seed: u8) -> Self {
        Self { name, key: private_key_from_seed([seed; 32], name) }
    }

    fn line(&self, options: &str) -> String {
        format!("{} namespaces=\"bailiwick-policy\"{options} {}\n", self.name, public_line(&self.key).unwrap())
    }

    fn sign(&self, text: &str) -> String {
        sign(&self.key, text.as_bytes()).unwrap()
    }
}

/// The standing of a folder that asks for so many signers, with nobody's key revoked.
fn standing_of(
    texts: &FileTexts,
    approvals: u32,
    before: Option<&Committed>,
    now_unix_s: i64,
) -> Result<Standing, Vec<FileError>> {
    let revoked = Revoked::default();
    standing(&Asked { tenant: TENANT_NAME, texts, approvals, revoked: &revoked }, before, now_unix_s)
}

/// Two signers, one who was one, and a stranger.
struct Cast {
    ann: Person,
    ben: Person,
    former: Person,
    mallory: Person,
}

impl Cast {
    fn new() -> Self {
        Self {
            ann: Person::new("ann@acme.example", 1),
            ben: Person::new("ben@acme.example", 2),
            former: Person::new("former@acme.example", 3),
            mallory: Person::new("mallory@evil.example", 4),
        }
    }

    fn signers(&self) -> String {
        self.list(1)
    }

    fn list(&self, serial: u64) -> String {
        format!("# bailiwick: tenant={TENANT_NAME} serial={serial}\n{}{}", self.ann.line(""), self.ben.line(""))
    }

    fn both(&self, text: &str) -> String {
        format!("{}{}", self.ann.sign(text), self.ben.sign(text))
    }
}

fn folder(name: &str) -> FileTexts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants").join(name);
    FILES.iter().map(|file| ((*file).to_owned(), std::fs::read_to_string(root.join(file)).unwrap())).collect()
}

/// The folder with every policy at a version, unsigned.
fn at_version(version: &str) -> FileTexts {
    let mut texts = folder(TENANT_NAME);
    for file in SIGNED {
        let text = texts.get_mut(file).unwrap();
        let start = text.find("policy_semver: ").unwrap() + "policy_semver: ".len();
        let end = start + text[start..].find('\n').unwrap();
        text.replace_range(start..end, version);
    }
    texts
}

fn signed(cast: &Cast, version: &str) -> FileTexts {
    let mut texts = at_version(version);
    for file in SIGNED {
        let signature = cast.both(&texts[file]);
        texts.insert(signature_of(file), signature);
    }
    texts.insert(SIGNERS.to_owned(), cast.signers());
    texts
}

fn committed(texts: &FileTexts, before: Option<&Committed>) -> Committed {
    match standing_of(texts, 2, before, NOW).unwrap() {
        Standing::Follows { committed, .. } => committed,
        Standing::Unchanged => panic!("nothing changed"),
    }
}

fn problems(texts: &FileTexts, before: Option<&Committed>) -> String {
    let errors = standing_of(texts, 2, before, NOW).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_both_signed_and_is_newer_follows() {
    let cast = Cast::new();
    let first = committed(&signed(&cast, "1.0.0"), None);
    assert_eq!((first.approvals, first.files.len(), first.files[GOVERNANCE].version.as_str()), (2, 3, "1.0.0"));
    assert_eq!(standing_of(&signed(&cast, "1.0.0"), 2, Some(&first), NOW), Ok(Standing::Unchanged));
    let Ok(Standing::Follows { committed: second, signed_by }) =
        standing_of(&signed(&cast, "1.0.1"), 1, Some(&first), NOW)
    else {
        panic!("it follows")
    };
    assert_eq!(signed_by.len(), 2);
    assert_eq!(second.approvals, 1, "the next change needs what this governance asks for");
    let one = standing_of(&signed(&cast, "1.0.0"), 1, Some(&second), NOW).unwrap_err();
    assert_eq!(one.len(), 3);
    assert!(one[0].to_string().contains("1.0.0 is not newer than 1.0.1, which was in force"), "{}", one[0]);
    let mut garbled = signed(&cast, "1.0.1");
    garbled.insert(signature_of(GOVERNANCE), "nothing".into());
    assert_eq!(
        standing_of(&garbled, 2, Some(&second), NOW),
        Ok(Standing::Unchanged),
        "what did not change is not judged"
    );
}

#[test]
fn nobody_signs_where_nobody_may() {
    let cast = Cast::new();
    let mut texts = signed(&cast, "1.0.0");
    texts.insert(SIGNERS.to_owned(), "# nobody yet\n".into());
    assert!(problems(&texts, None).contains("is signed by 0 of the 2 people"));
    texts.remove(SIGNERS);
    assert!(problems(&texts, None).contains("is signed by 0 of the 2 people"));
    let unsigned = at_version("1.0.0");
    assert!(problems(&unsigned, None).contains("policies/retrieval.yaml is signed by 0 of the 2 people"));
}

#[test]
fn the_list_of_signers_changes_by_those_of_the_list_before() {
    let cast = Cast::new();
    let first = committed(&signed(&cast, "1.0.0"), None);
    let mut texts = signed(&cast, "1.0.0");
    let unsaid = format!("{}{}", cast.signers(), cast.former.line(""));
    texts.insert(signature_of(SIGNERS), cast.both(&unsaid));
    texts.insert(SIGNERS.to_owned(), unsaid);
    assert!(problems(&texts, Some(&first)).contains("write the line `# bailiwick: tenant=acme-corp serial=2`"));
    let foreign = cast.list(2).replace(TENANT_NAME, "beta-inc");
    texts.insert(signature_of(SIGNERS), cast.both(&foreign));
    texts.insert(SIGNERS.to_owned(), foreign);
    assert!(problems(&texts, Some(&first)).contains("this list of signers is for \"beta-inc\""));
    texts.remove(&signature_of(SIGNERS));
    let longer = format!("{}{}", cast.list(2), cast.former.line(""));
    texts.insert(SIGNERS.to_owned(), longer.clone());
    assert!(problems(&texts, Some(&first)).contains("allowed_signers is signed by 0 of the 2 people"));
    texts.insert(signature_of(SIGNERS), format!("{}{}", cast.former.sign(&longer), cast.ann.sign(&longer)));
    assert!(problems(&texts, Some(&first)).contains("allowed_signers is signed by 1 of the 2 people"));
    texts.insert(signature_of(SIGNERS), cast.both(&longer));
    let second = committed(&texts, Some(&first));
    let mut back = signed(&cast, "1.0.0");
    back.insert(signature_of(SIGNERS), cast.both(&cast.signers()));
    assert!(problems(&back, Some(&second)).contains("that it is a later one"));
}

/// One thing done to a folder that would be in force otherwise.
fn attack(dice: &mut Dice, cast: &Cast, worlds: &Worlds) -> FileTexts {
    let place = dice.below(3);
    let (mut texts, file) = (worlds.next[place].clone(), SIGNED[place]);
    let text = texts[file].clone();
    let signature = signature_of(file);
    let by = |person: &Person| worlds.alone[place][person.name].as_str();
    match dice.below(16) {
        0..=3 => {
            // another byte somewhere in a signed file
            let mut bytes = text.into_bytes();
            let at = dice.below(bytes.len());
            bytes[at] = if bytes[at] == b'#' { b'x' } else { b'#' };
            texts.insert(file.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
        }
        4..=7 => {
            // another letter somewhere in a signature
            let mut bytes = texts[&signature].clone().into_bytes();
            let at = dice.below(bytes.len());
            let replaced = if bytes[at] == b'A' { b'B' } else { b'A' };
            let blank = bytes[at].is_ascii_whitespace();
            bytes[at] = replaced;
            let forged = String::from_utf8(bytes).unwrap();
            if blank || decoded(&forged) == decoded(&texts[&signature]) {
                texts.remove(&signature);
            } else {
                texts.insert(signature, forged);
            }
        }
        8 => drop(texts.insert(signature, by(&cast.ann).to_owned())),
        9 => drop(texts.insert(signature, by(&cast.ann).repeat(2))),
        10 => drop(texts.insert(signature, format!("{}{}", by(&cast.ann), by(&cast.mallory)))),
        11 => drop(texts.insert(signature, format!("{}{}", by(&cast.ann), by(&cast.former)))),
        12 => {
            // an earlier version with its own good signature
            for name in [file.to_owned(), signature] {
                texts.insert(name.clone(), worlds.earlier[&name].clone());
            }
        }
        13 => {
            // the signature of another file, or of another version of it
            let elsewhere = signature_of(SIGNED[(place + 1 + dice.below(2)) % 3]);
            let other = if dice.once_in(2) { &worlds.earlier[&signature] } else { &texts[&elsewhere] }.clone();
            texts.insert(signature, other);
        }
        14 => {
            // a list of the stranger's own, signed by the stranger
            let (list, signed) = worlds.usurped.clone();
            texts.insert(signature_of(SIGNERS), signed);
            texts.insert(SIGNERS.to_owned(), list);
            texts.insert(signature, by(&cast.mallory).to_owned());
        }
        _ => {
            // a list that was in force before, with the signatures it then had
            texts.insert(signature_of(SIGNERS), worlds.earlier[&signature_of(SIGNERS)].clone());
            texts.insert(SIGNERS.to_owned(), worlds.earlier[SIGNERS].clone());
        }
    }
    texts
}

/// The bytes a text of armoured signatures stands for.
fn decoded(armoured: &str) -> Vec<String> {
    armoured.split_whitespace().map(str::to_owned).collect()
}

struct Worlds {
    earlier: FileTexts,
    before: Committed,
    /// Each with one file that changed, in the order of [`SIGNED`].
    next: [FileTexts; 3],
    /// What each person alone signs of the file that changed, made once: signing is dear.
    alone: [BTreeMap<&'static str, String>; 3],
    /// A list of the stranger's own, and the stranger's signature of it.
    usurped: (String, String),
}

impl Worlds {
    /// A version with a former signer, one in force without them, and one that may follow.
    fn new(cast: &Cast) -> Self {
        let mut earlier = signed(cast, "1.0.0");
        let long = format!("{}{}", cast.signers(), cast.former.line(""));
        earlier.insert(signature_of(SIGNERS), cast.both(&long));
        earlier.insert(SIGNERS.to_owned(), long);
        let first = committed(&earlier, None);
        let mut second = signed(cast, "1.1.0");
        second.insert(signature_of(SIGNERS), cast.both(&cast.list(2)));
        second.insert(SIGNERS.to_owned(), cast.list(2));
        let before = committed(&second, Some(&first));
        let newer = signed(cast, "1.2.0");
        let next = SIGNED.map(|file| {
            let mut texts = second.clone();
            for name in [file.to_owned(), signature_of(file)] {
                texts.insert(name.clone(), newer[&name].clone());
            }
            texts
        });
        let people = [&cast.ann, &cast.ben, &cast.former, &cast.mallory];
        let alone = SIGNED.map(|file| people.map(|person| (person.name, person.sign(&newer[file]))).into());
        let list = cast.mallory.line("");
        let usurped = (list.clone(), cast.mallory.sign(&list));
        Self { earlier, before, next, alone, usurped }
    }
}

#[test]
fn no_attack_comes_into_force() {
    let cast = Cast::new();
    let worlds = Worlds::new(&cast);
    for next in &worlds.next {
        assert!(matches!(standing_of(next, 2, Some(&worlds.before), NOW), Ok(Standing::Follows { .. })));
    }
    let half = &|seed: u64| {
        let mut dice = Dice::new(seed);
        let attacks = (0..50_000).map(|_| attack(&mut dice, &cast, &worlds));
        attacks.filter(|texts| standing_of(texts, 2, Some(&worlds.before), NOW).is_ok()).count()
    };
    let accepted: usize = std::thread::scope(|scope| {
        let halves = [2026, 2027].map(|seed| scope.spawn(move || half(seed)));
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    println!("100000 attacks, {accepted} accepted");
    assert_eq!(accepted, 0);
}

#[test]
fn one_person_with_two_keys_is_one_and_so_are_two_names_with_one_key() {
    let cast = Cast::new();
    let mut texts = signed(&cast, "1.0.0");
    let second = Person { name: cast.ann.name, key: cast.former.key.clone() };
    texts.insert(SIGNERS.to_owned(), format!("{}{}", cast.ann.line(""), second.line("")));
    let both = format!("{}{}", cast.ann.sign(&texts[GOVERNANCE]), second.sign(&texts[GOVERNANCE]));
    texts.insert(signature_of(GOVERNANCE), both);
    assert!(problems(&texts, None).contains("policies/governance.yaml is signed by 1 of the 2 people"));
}

#[test]
fn how_many_sign_is_said_by_the_policy_in_force_and_is_never_nobody() {
    let cast = Cast::new();
    let first = committed(&signed(&cast, "1.0.0"), None);
    let mut alone = signed(&cast, "1.0.1");
    for file in SIGNED {
        let signature = cast.ann.sign(&alone[file]);
        alone.insert(signature_of(file), signature);
    }
    assert_eq!(standing_of(&alone, 1, Some(&first), NOW).unwrap_err().len(), 3, "who asks for less needs both for it");
    let second = committed(&signed(&cast, "1.0.1"), Some(&first));
    let zero = Committed { approvals: 0, ..second };
    assert!(standing_of(&at_version("1.0.2"), 0, Some(&zero), NOW).is_err(), "nobody is not enough");
    assert!(standing_of(&at_version("1.0.2"), 0, None, NOW).is_err(), "nobody is not enough");
}

#[test]
fn a_changed_file_has_a_new_version_and_few_signatures() {
    let cast = Cast::new();
    let first = committed(&signed(&cast, "1.0.0"), None);
    let mut texts = signed(&cast, "1.0.0");
    let changed = format!("{}# changed\n", texts[GOVERNANCE]);
    texts.insert(signature_of(GOVERNANCE), cast.both(&changed));
    texts.insert(GOVERNANCE.to_owned(), changed);
    assert!(problems(&texts, Some(&first)).contains("1.0.0 is not newer than 1.0.0"));
    let mut many = signed(&cast, "1.0.1");
    let signature = cast.both(&many[GOVERNANCE]).repeat(4);
    many.insert(signature_of(GOVERNANCE), signature.clone());
    assert_eq!(problems(&many, Some(&first)), "");
    many.insert(signature_of(GOVERNANCE), format!("{signature}{}", cast.ann.sign(&many[GOVERNANCE])));
    assert!(problems(&many, Some(&first)).contains("9 signatures are too many"));
}

#[test]
fn time_and_namespace_count() {
    let cast = Cast::new();
    let mut texts = signed(&cast, "1.0.0");
    for (options, expected) in
        [(",valid-before=\"20200101Z\"", "expired"), (",valid-after=\"20300101Z\"", "not valid before"), ("", "")]
    {
        texts.insert(SIGNERS.to_owned(), format!("{}{}", cast.ann.line(options), cast.ben.line("")));
        let found = problems(&texts, None);
        assert!(
            if expected.is_empty() { found.is_empty() } else { found.contains("signed by 1 of the 2") },
            "{options}: {found}"
        );
    }
    let elsewhere = ssh_key::PrivateKey::from_openssh(&cast.ann.key).unwrap();
    let foreign = elsewhere.sign("git", ssh_key::HashAlg::Sha512, texts[GOVERNANCE].as_bytes()).unwrap();
    let foreign = foreign.to_pem(ssh_key::LineEnding::LF).unwrap();
    texts.insert(signature_of(GOVERNANCE), format!("{foreign}\n{}", cast.ben.sign(&texts[GOVERNANCE])));
    assert!(problems(&texts, None).contains("signed by 1 of the 2"), "a signature made for git");
}

#[test]
fn a_policy_of_another_tenant_does_not_compile_however_well_it_is_signed() {
    let cast = Cast::new();
    let mut texts = signed(&cast, "1.0.0");
    for file in SIGNED {
        let foreign = folder("beta-inc")[file].clone();
        texts.insert(signature_of(file), cast.both(&foreign));
        texts.insert(file.to_owned(), foreign);
    }
    let errors = compile(TENANT_NAME, &texts, &Guardrails::none()).unwrap_err();
    assert!(errors.iter().any(|error| error.to_string().contains("\"beta-inc\" is not this tenant")), "{errors:?}");
}

#[test]
fn a_key_the_node_has_revoked_signs_nothing_whatever_the_list_says() {
    let cast = Cast::new();
    let texts = signed(&cast, "1.0.0");
    let first = committed(&texts, None);
    let of = |revoked: &str| {
        let revoked = Revoked::parse("revoked_signers", revoked).unwrap();
        let next = signed(&cast, "1.0.1");
        let asked = Asked { tenant: TENANT_NAME, texts: &next, approvals: 2, revoked: &revoked };
        standing(&asked, Some(&first), NOW)
    };
    assert!(matches!(of(""), Ok(Standing::Follows { .. })));
    let line = cast.ben.line("");
    let key = line.split_once("ssh-").map(|(_, key)| format!("ssh-{key}")).unwrap();
    let errors = of(&key).unwrap_err();
    assert!(errors.iter().any(|error| error.to_string().contains("revoked")), "{errors:?}");
    let revoked = Revoked::parse("revoked_signers", &key).unwrap();
    let asked = Asked { tenant: TENANT_NAME, texts: &texts, approvals: 2, revoked: &revoked };
    assert_eq!(standing(&asked, Some(&first), NOW), Ok(Standing::Unchanged), "what is in force stays in force");
}
