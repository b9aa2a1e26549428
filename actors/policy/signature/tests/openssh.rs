//! The present `ssh-keygen` against this module: what one signs the other accepts, and both read a list of signers
//! the same way.
use super::attacks::Random;
use super::*;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// `ssh-keygen` in a folder of its own.
struct Keygen {
    folder: tempfile::TempDir,
}

impl Keygen {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<String, String> {
        let child = Command::new("ssh-keygen")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TZ", "UTC")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => panic!("running ssh-keygen: {error}: install the package openssh-client"),
        };
        // a program that refuses its arguments reads nothing, which is its answer and no failure of the test
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// A new key; its private half lies in the file of this name.
    fn key(&self, name: &str, kind: &[&str]) -> String {
        self.run(&[&["-q", "-N", "", "-C", "test", "-f", name, "-t"], kind].concat(), b"").unwrap();
        self.read(&format!("{name}.pub"))
    }

    fn sign(&self, key: &str, more: &[&str]) -> String {
        self.run(&[&["-q", "-Y", "sign", "-n", NAMESPACE, "-f", key], more].concat(), POLICY.as_bytes()).unwrap()
    }

    /// `ssh-keygen -Y verify` of the policy at `NOW`, with the files `signers` and `sig`.
    fn verify(&self, identity: &str, more: &[&str]) -> Result<String, String> {
        let fixed =
            ["-Y", "verify", "-n", NAMESPACE, "-f", "signers", "-s", "sig", "-O", "verify-time=20260115120000Z"];
        self.run(&[&fixed[..], &["-I", identity], more].concat(), POLICY.as_bytes())
    }
}

#[test]
fn what_ssh_keygen_signs_counts_here() {
    let keygen = Keygen::new();
    for (name, kind) in [("ed", &["ed25519"][..]), ("ec", &["ecdsa", "-b", "256"])] {
        let line = keygen.key(name, kind);
        let alice = signers(&format!("alice@example.com {line}"));
        for hash in [&[][..], &["-O", "hashalg=sha256"], &["-O", "hashalg=sha512"]] {
            let signature = keygen.sign(name, hash);
            let signed = check(&alice, &signature).unwrap();
            assert_eq!(signed.principal, "alice@example.com");
            let listed = keygen.run(&["-l", "-f", &format!("{name}.pub")], b"").unwrap();
            assert_eq!(listed.split(' ').nth(1), Some(signed.fingerprint.as_str()));
            let other = verify(&alice, FILE, b"other bytes", &signature, NOW);
            assert!(matches!(other, Err(SignatureRefusal::BadSignature { .. })), "{other:?}");
            assert_eq!(Parts::of(&signature).armoured(), signature, "the tests write what ssh-keygen writes");
        }
        let foreign = keygen.run(&["-q", "-Y", "sign", "-n", "file", "-f", name], POLICY.as_bytes()).unwrap();
        assert!(matches!(check(&alice, &foreign), Err(SignatureRefusal::WrongNamespace { .. })));
    }
}

#[test]
fn rsa_is_refused_with_what_to_use_instead() {
    let keygen = Keygen::new();
    let line = keygen.key("rsa", &["rsa", "-b", "2048"]);
    let errors = Signers::parse("allowed_signers", &format!("a {line}")).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "allowed_signers:1:3: ssh-rsa is not supported: use a key made with `ssh-keygen -t ed25519`"
    );
    let refusal = check(&signers(&format!("a {}", public(1))), &keygen.sign("rsa", &[])).unwrap_err();
    assert!(matches!(&refusal, SignatureRefusal::UnsupportedAlgorithm { algorithm, .. } if algorithm == "ssh-rsa"));
    assert_eq!(sign(&keygen.read("rsa"), b""), Err(SignatureRefusal::UnsupportedKey { algorithm: "ssh-rsa".into() }));
    revoked(&line);
}

#[test]
fn what_is_signed_here_ssh_keygen_accepts() {
    let keygen = Keygen::new();
    keygen.write("signers", &format!("alice@example.com namespaces=\"{NAMESPACE}\" {}\n", public(7)));
    keygen.write("sig", &signed_by(7));
    let said = keygen.verify("alice@example.com", &[]).unwrap();
    assert!(
        said.starts_with(&format!("Good \"{NAMESPACE}\" signature for alice@example.com with ED25519 key SHA256:"))
    );
    keygen.write("sig", &sign(&private(7), b"other bytes").unwrap());
    assert!(keygen.verify("alice@example.com", &[]).is_err());
    keygen.write("sig", &signed_by(8));
    assert!(keygen.verify("alice@example.com", &[]).is_err());
}

#[test]
fn keys_made_here_are_keys_of_ssh_keygen_and_the_other_way_round() {
    let keygen = Keygen::new();
    keygen.write("seeded", &private_key_from_seed([7; 32], "server's own key"));
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(keygen.path("seeded"), owner_only).unwrap();
    let line = keygen.run(&["-y", "-f", "seeded"], b"").unwrap();
    assert_eq!(line.trim_end(), format!("{} server's own key", public(7)));
    assert_eq!(keygen.sign("seeded", &[]), signed_by(7), "ed25519 has one signature for a key and bytes");
    let line = keygen.key("ed", &["ed25519"]);
    let key = keygen.read("ed");
    assert_eq!(format!("{} test\n", public_line(&key).unwrap()), line);
    assert_eq!(sign(&key, POLICY.as_bytes()).unwrap(), keygen.sign("ed", &[]));
}

#[test]
fn private_keys_that_cannot_sign_here_are_told_what_to_do() {
    let keygen = Keygen::new();
    keygen.key("ec", &["ecdsa"]);
    let refusal = SignatureRefusal::UnsupportedKey { algorithm: "ecdsa-sha2-nistp256".into() };
    assert_eq!(sign(&keygen.read("ec"), b""), Err(refusal));
    keygen.run(&["-q", "-N", "passphrase", "-t", "ed25519", "-f", "locked"], b"").unwrap();
    let refusal = sign(&keygen.read("locked"), b"").unwrap_err();
    assert_eq!(refusal, SignatureRefusal::EncryptedKey);
    assert!(refusal.to_string().contains("`ssh-keygen -Y sign -n bailiwick-policy -f KEY FILE`"), "{refusal}");
    assert_eq!(public_line(&keygen.read("locked")), Err(refusal));
}

#[test]
fn certificates_are_refused() {
    let keygen = Keygen::new();
    keygen.key("authority", &["ed25519"]);
    keygen.key("ed", &["ed25519"]);
    keygen.run(&["-q", "-s", "authority", "-I", "id", "-n", "alice", "ed.pub"], b"").unwrap();
    let errors = Signers::parse("allowed_signers", &format!("a {}", keygen.read("ed-cert.pub"))).unwrap_err();
    assert!(errors[0].problem.starts_with("certificates are not supported"), "{errors:?}");
    let by_certificate = keygen.sign("ed-cert.pub", &[]);
    let refusal = check(&signers(&format!("a {}", keygen.read("ed.pub"))), &by_certificate).unwrap_err();
    assert!(matches!(refusal, SignatureRefusal::UnsupportedAlgorithm { .. }), "{refusal}");
}

#[test]
fn a_revoked_key_is_revoked_for_both() {
    let keygen = Keygen::new();
    keygen.write("signers", &format!("alice@example.com {}\n", public(1)));
    keygen.write("sig", &signed_by(1));
    for (list, is_revoked) in [(format!("# lost\n{} laptop\n", public(1)), true), (format!("{}\n", public(2)), false)] {
        keygen.write("revoked", &list);
        assert_eq!(keygen.verify("alice@example.com", &["-r", "revoked"]).is_err(), is_revoked);
        let remaining = signers(&keygen.read("signers")).without(&revoked(&list));
        assert_eq!(check(&remaining, &signed_by(1)).is_err(), is_revoked);
    }
}

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len())]
}

/// A line as people write them, right and wrong.
fn any_line(random: &mut Random) -> String {
    let names = ["a@x", "b@x", "*@x", "?@x", "a*", "*", "!b@x", "!a@x", "!*", "\"a@x\"", "A@x", ""];
    let principals: Vec<_> = (0..=random.below(3)).map(|_| pick(random, &names)).collect();
    let options: Vec<_> = (0..random.below(4)).map(|_| pick(random, &OPTIONS)).collect();
    let key = public(if random.below(8) == 0 { 2 } else { 1 });
    let comment = pick(random, &["", "", " comment", "\t# x, \"y\""]);
    let blank = pick(random, &[" ", " ", "\t", "  "]);
    format!("{}{blank}{}{blank}{key}{comment}", principals.join(","), options.join(","))
}

const OPTIONS: [&str; 20] = [
    "namespaces=\"bailiwick-policy\"",
    "namespaces=\"file\"",
    "namespaces=\"file,bailiwick-policy\"",
    "namespaces=\"bailiwick-*\"",
    "NAMESPACES=\"*,!bailiwick-policy\"",
    "namespaces=\"*,!file\"",
    "namespaces=\"\"",
    "namespaces=x",
    "valid-after=\"20260115120000Z\"",
    "valid-after=\"20260115120001Z\"",
    "valid-after=\"202601151200\"",
    "valid-after=\"20200229\"",
    "valid-after=\"20200230\"",
    "valid-after=20200101",
    "Valid-Before=\"20260115120000\"",
    "valid-before=\"20260115115959Z\"",
    "valid-before=\"20991231z\"",
    "valid-before=\"20200101\"",
    "no-touch-required",
    "",
];

#[test]
fn a_list_that_reads_here_means_the_same_to_ssh_keygen() {
    let keygen = Keygen::new();
    keygen.write("sig", &signed_by(1));
    let mut random = Random(0x51_6e);
    let (mut accepted, mut refused, mut unread) = (0, 0, 0);
    for _ in 0..2_000 {
        let lines: Vec<_> = (0..=random.below(2)).map(|_| any_line(&mut random)).collect();
        let text = format!("# signers\n{}\n", lines.join("\n"));
        let Ok(ours) = Signers::parse("allowed_signers", &text) else {
            unread += 1;
            continue;
        };
        keygen.write("signers", &text);
        let identity = pick(&mut random, &["a@x", "b@x", "c@y"]);
        let verdict = check(&ours.for_identity(identity), &signed_by(1));
        let theirs = keygen.verify(identity, &[]);
        assert_eq!(verdict.is_ok(), theirs.is_ok(), "{identity}\n{text}\n{verdict:?}\n{theirs:?}");
        if verdict.is_ok() { accepted += 1 } else { refused += 1 }
    }
    println!("{accepted} accepted and {refused} refused by both, {unread} not read");
    assert!(accepted > 50 && refused > 50, "{accepted} accepted, {refused} refused: the lines are too uniform");
}
