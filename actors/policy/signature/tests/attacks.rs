//! A hundred thousand attempts to have something accepted that nobody signed.
use super::*;
use std::time::Instant;

/// SplitMix64: the same attacks in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// One to four changes at random places: bits turned, bytes put in, taken out or moved.
    fn mutated(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.insert(at, self.next() as u8),
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                2 => {
                    let other = self.below(bytes.len());
                    bytes.swap(at, other);
                }
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
        bytes
    }
}

/// A signature that counts, and what was tried against it.
struct Target {
    signers: Signers,
    signature: String,
    blob: Vec<u8>,
    tried: usize,
    same: usize,
}

impl Target {
    fn new(key: &str, signature: &str) -> Self {
        let signers = signers(&format!("alice@example.com {key}\n"));
        assert!(check(&signers, signature).is_ok(), "the attacks begin with what counts");
        let blob = envelope::dearmour(signature).unwrap();
        Self { signers, signature: signature.to_owned(), blob, tried: 0, same: 0 }
    }

    fn both() -> [Self; 2] {
        [Self::new(&public(1), &signed_by(1)), Self::new(ECDSA_LINE, ECDSA_SIGNATURE)]
    }

    fn file(&mut self, bytes: &[u8]) {
        if bytes == POLICY.as_bytes() {
            self.same += 1;
            return;
        }
        self.tried += 1;
        let verdict = verify(&self.signers, FILE, bytes, &self.signature, NOW);
        assert!(matches!(verdict, Err(SignatureRefusal::BadSignature { .. })), "{bytes:?}: {verdict:?}");
    }

    fn armour(&mut self, text: &str) {
        let bare = |text: &str| text.split_ascii_whitespace().collect::<String>();
        if bare(text) == bare(&self.signature) {
            self.same += 1;
            return;
        }
        self.tried += 1;
        let verdict = check(&self.signers, text);
        assert!(verdict.is_err(), "{text}: {verdict:?}");
    }

    fn blob(&mut self, bytes: &[u8]) {
        if bytes == self.blob {
            self.same += 1;
            return;
        }
        self.tried += 1;
        let verdict = check(&self.signers, &armoured(bytes));
        assert!(verdict.is_err(), "{bytes:?}: {verdict:?}");
    }
}

fn each_bit(bytes: &[u8], mut attack: impl FnMut(&[u8])) {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() * 8 {
        bytes[at / 8] ^= 1 << (at % 8);
        attack(&bytes);
        bytes[at / 8] ^= 1 << (at % 8);
    }
}

fn change_the_file(target: &mut Target, random: &mut Random) {
    let policy = POLICY.as_bytes();
    each_bit(policy, |bytes| target.file(bytes));
    (0..policy.len()).for_each(|end| target.file(&policy[..end]));
    (1..policy.len()).for_each(|start| target.file(&policy[start..]));
    for more in ["\n", " ", "\0", "\r\n", "# x\n", POLICY] {
        target.file(format!("{POLICY}{more}").as_bytes());
        target.file(format!("{more}{POLICY}").as_bytes());
    }
    target.file(POLICY.replace('\n', "\r\n").as_bytes());
    for _ in 0..4_000 {
        target.file(&random.mutated(policy));
    }
}

fn change_the_armour(target: &mut Target, random: &mut Random) {
    let text = target.signature.clone();
    let other = signed_by(9);
    for at in 0..text.len() {
        target.armour(&text[..at]);
        target.armour(&text[at..]);
        target.armour(&format!("{}{other}{}", &text[..at], &text[at..]));
        for byte in b" \n\r\t\0-=+/*AZaz09_.~{" {
            let byte = char::from(*byte);
            target.armour(&format!("{}{byte}{}", &text[..at], &text[at + 1..]));
            target.armour(&format!("{}{byte}{}", &text[..at], &text[at..]));
        }
    }
    for _ in 0..10_000 {
        let mutated = random.mutated(text.as_bytes());
        target.armour(&String::from_utf8_lossy(&mutated));
    }
}

fn change_the_fields(target: &mut Target, random: &mut Random) {
    let blob = target.blob.clone();
    each_bit(&blob, |bytes| target.blob(bytes));
    for at in 0..blob.len() {
        target.blob(&blob[..at]);
        target.blob(&blob[at..][1..]);
        target.blob(&[&blob[..at], &blob[at + 1..]].concat());
        target.blob(&[&blob[..at], &blob[..], &blob[at..]].concat());
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            target.blob(&[&blob[..at], &[byte], &blob[at..]].concat());
            target.blob(&[&blob[..at], &[byte], &blob[at + 1..]].concat());
        }
    }
    for _ in 0..15_000 {
        target.blob(&random.mutated(&blob));
    }
}

/// The signature itself, so that every attempt reaches the curve.
fn change_the_signature(target: &mut Target, random: &mut Random) {
    let parts = Parts::of(&target.signature);
    for _ in 0..5_000 {
        target.blob(&Parts { signature: random.mutated(&parts.signature), ..parts.clone() }.bytes());
    }
    for hash in ["sha256", "sha512"].iter().filter(|hash| hash.as_bytes() != parts.hash) {
        target.blob(&Parts { hash: hash.as_bytes().to_vec(), ..parts.clone() }.bytes());
    }
    for signature in [vec![], vec![0; 64], vec![0xff; 64], vec![0; 8], [wire(&[1]), wire(&[1])].concat()] {
        target.blob(&Parts { signature, ..parts.clone() }.bytes());
    }
}

/// Every signature of one file and key at every other file, and with every other key's name.
fn exchange_signatures() -> usize {
    let keys: Vec<_> = (1..=4).map(private).collect();
    let lines: String = (1..=4).map(|seed| format!("s{seed} {}\n", public(seed))).collect();
    let all = signers(&lines);
    let files: Vec<_> = (0..20).map(|number| format!("{POLICY}# {number}\n")).collect();
    let signatures: Vec<Vec<_>> =
        keys.iter().map(|key| files.iter().map(|file| sign(key, file.as_bytes()).unwrap()).collect()).collect();
    let mut tried = 0;
    let mut counts = |file: &str, signature: &str, expected: Option<&str>| {
        let signed = verify(&all, FILE, file.as_bytes(), signature, NOW).ok();
        assert_eq!(signed.as_ref().map(|signed| signed.principal.as_str()), expected);
        tried += usize::from(expected.is_none());
    };
    for (key, of_key) in signatures.iter().enumerate() {
        let principal = format!("s{}", key + 1);
        for (at, file) in files.iter().enumerate() {
            for (from, signature) in of_key.iter().enumerate() {
                counts(file, signature, (at == from).then_some(principal.as_str()));
            }
            for of_other in signatures.iter().filter(|of_other| *of_other != of_key) {
                let parts = Parts::of(&of_key[at]);
                let named_after = Parts { key: Parts::of(&of_other[at]).key, ..parts };
                counts(file, &named_after.armoured(), None);
            }
        }
    }
    tried
}

/// A good signature where the list of signers, the time or the namespace is another one.
fn change_the_world(random: &mut Random) -> usize {
    let key = public(1);
    let closed = [
        String::new(),
        format!("alice {}\n", public(2)),
        format!("alice {ECDSA_LINE}\n"),
        format!("# alice {key}\n"),
        format!("alice namespaces=\"file\" {key}\n"),
        format!("alice namespaces=\"*,!bailiwick-*\" {key}\n"),
        format!("alice valid-after=\"20260115120001Z\" {key}\n"),
        format!("alice valid-before=\"20260115115959Z\" {key}\n"),
        format!("bob {}\nalice valid-before=\"20260101\" {key}\n", public(3)),
    ];
    let window = signers(&format!("alice valid-after=\"20260115\",valid-before=\"20260116\" {key}\n"));
    let withdrawn = signers(&format!("alice {key}\n")).without(&revoked(&key));
    let closed: Vec<_> = closed.iter().map(|text| signers(text)).chain([withdrawn]).collect();
    let signature = signed_by(1);
    let foreign = ssh_key::PrivateKey::from_openssh(private(1)).unwrap();
    let open = signers(&format!("alice {key}\n"));
    for round in 0..1_000 {
        for signers in &closed {
            assert!(check(signers, &signature).is_err());
        }
        let away = 43_201 + i64::try_from(random.below(1 << 40)).unwrap();
        let now = if round % 2 == 0 { NOW - away } else { NOW + away };
        assert!(verify(&window, FILE, POLICY.as_bytes(), &signature, now).is_err(), "{now}");
        let namespace = String::from_utf8_lossy(&random.mutated(NAMESPACE.as_bytes())).into_owned();
        if namespace != NAMESPACE && !namespace.is_empty() {
            let signed = foreign.sign(&namespace, ssh_key::HashAlg::Sha512, POLICY.as_bytes()).unwrap();
            let mut parts = Parts::of(&signed.to_pem(ssh_key::LineEnding::LF).unwrap());
            assert!(check(&open, &parts.armoured()).is_err(), "{namespace}");
            parts.namespace = NAMESPACE.as_bytes().to_vec();
            assert!(check(&open, &parts.armoured()).is_err(), "{namespace}");
        }
    }
    1_000 * (closed.len() + 2)
}

#[test]
fn nothing_is_accepted_that_nobody_signed() {
    let start = Instant::now();
    let mut random = Random(0xba11_1b1c);
    let mut tried = 0;
    let mut same = 0;
    for mut target in Target::both() {
        change_the_file(&mut target, &mut random);
        change_the_armour(&mut target, &mut random);
        change_the_fields(&mut target, &mut random);
        change_the_signature(&mut target, &mut random);
        tried += target.tried;
        same += target.same;
        println!("{} attempts at {:.8}…", target.tried, String::from_utf8_lossy(&Parts::of(&target.signature).kind));
    }
    tried += exchange_signatures();
    tried += change_the_world(&mut random);
    println!("{tried} attempts, 0 accepted, {same} were the original; {} ms", start.elapsed().as_millis());
    assert!(tried >= 100_000, "only {tried} attempts");
    assert!(same < tried / 20, "{same} of the attempts changed nothing");
}
