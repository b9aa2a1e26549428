//! Each way in which a signature does not count, and what is said of it.
use super::*;

fn refusal(signers: &Signers, signature: &str) -> SignatureRefusal {
    check(signers, signature).unwrap_err()
}

fn alice(options: &str) -> Signers {
    signers(&format!("alice@example.com {options} {}\n", public(1)))
}

fn bent(change: impl Fn(&mut Parts)) -> SignatureRefusal {
    let mut parts = Parts::of(&signed_by(1));
    change(&mut parts);
    refusal(&alice(""), &parts.armoured())
}

/// Lower case, one line, and at least three parts: what was being done, what is wrong, what to do.
fn is_well_said(text: &str) -> bool {
    text.starts_with(|c: char| c.is_lowercase()) && !text.contains('\n') && text.split(": ").count() >= 3
}

#[test]
fn a_signers_signature_counts_and_names_the_signer() {
    let signed = check(&signers(&format!("!x,alice@example.com,al {}\n", public(1))), &signed_by(1)).unwrap();
    assert_eq!(signed.principal, "alice@example.com");
    assert!(signed.fingerprint.starts_with("SHA256:") && signed.fingerprint.len() == 50, "{signed:?}");
    let signed = check(&signers(&format!("bob@example.com {ECDSA_LINE} laptop\n")), ECDSA_SIGNATURE).unwrap();
    assert_eq!(signed.principal, "bob@example.com");
    assert_eq!(Parts::of(&signed_by(1)).armoured(), signed_by(1), "the tests write what ssh writes");
    assert_eq!(Parts::of(ECDSA_SIGNATURE).armoured(), ECDSA_SIGNATURE);
}

#[test]
fn a_text_that_is_no_signature_is_malformed() {
    let good = signed_by(1);
    let long = format!("{good}{}", " ".repeat(bailiwick_kernel::limits::SIGNATURE_BYTES_MAX));
    for (text, words) in [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("signed, alice", "does not begin with a line"),
        (&*format!("x{good}"), "does not begin with a line"),
        (&*format!("{good}x"), "does not end with a line"),
        (&*format!("{good}{good}"), "more than one signature"),
        (&*format!("{good}{}", signed_by(2)), "more than one signature"),
        (&*good.replacen("SSH SIGNATURE", "PGP SIGNATURE", 1), "does not begin with a line"),
        (&*good.replacen("SIGNATURE-----\n", "SIGNATURE-----", 1), "does not begin with a line"),
        (&*good.replacen("\n-----END", "-----END", 1), "does not end with a line"),
        (&*good.replacen("\nU", "\nU*", 1), "no base64"),
        (&*good.replacen("\nU", "\n", 1), "no base64"),
        (&*long, "more than the 8192 of a signature"),
        (&*armoured(b""), "does not begin with SSHSIG"),
        (&*armoured(b"SSHSIG"), "cut off"),
    ] {
        let refusal = refusal(&alice(""), text);
        assert!(
            matches!(&refusal, SignatureRefusal::Malformed { problem, .. } if problem.contains(words)),
            "{refusal}"
        );
        assert!(is_well_said(&refusal.to_string()), "{refusal}");
    }
}

#[test]
fn blanks_and_line_ends_in_the_armour_do_not_count() {
    let good = signed_by(1);
    for same in [
        good.replace('\n', "\r\n"),
        good.trim_end().to_owned(),
        format!("\n\n  {good}\n"),
        good.replacen("\nU1NI", "\nU1 \t\nNI", 1),
    ] {
        assert!(check(&alice(""), &same).is_ok(), "{same}");
    }
}

#[test]
fn a_field_that_is_not_as_the_protocol_has_it_is_malformed() {
    type Change = fn(&mut Parts);
    let changes: [(Change, &str); 8] = [
        (|parts| parts.magic = b"SSHSIX".to_vec(), "does not begin with SSHSIG"),
        (|parts| parts.version = 0, "of version 0, this build knows 1"),
        (|parts| parts.version = 2, "of version 2, this build knows 1"),
        (|parts| parts.reserved = b"x".to_vec(), "reserved field"),
        (|parts| parts.inside = b"x".to_vec(), "bytes follow"),
        (|parts| parts.behind = b"x".to_vec(), "bytes follow"),
        (|parts| parts.behind = Parts::of(&signed_by(1)).bytes(), "bytes follow"),
        (|parts| parts.key = Vec::new(), "cut off"),
    ];
    for (change, words) in changes {
        let refusal = bent(change);
        assert!(
            matches!(&refusal, SignatureRefusal::Malformed { problem, .. } if problem.contains(words)),
            "{refusal}"
        );
    }
}

#[test]
fn only_our_namespace_counts() {
    for namespace in
        ["file", "git", "bailiwick-policy ", "bailiwick-polic", "Bailiwick-policy", "bailiwick-policy\0", ""]
    {
        let refusal = bent(|parts| parts.namespace = namespace.as_bytes().to_vec());
        assert_eq!(refusal, SignatureRefusal::WrongNamespace { file: FILE.into(), namespace: namespace.into() });
        assert!(is_well_said(&refusal.to_string()), "{refusal}");
    }
    let key = ssh_key::PrivateKey::from_openssh(private(1)).unwrap();
    let other = key.sign("file", ssh_key::HashAlg::Sha512, POLICY.as_bytes()).unwrap();
    let other = other.to_pem(ssh_key::LineEnding::LF).unwrap();
    assert!(matches!(refusal(&alice(""), &other), SignatureRefusal::WrongNamespace { .. }));
    let mut renamed = Parts::of(&other);
    renamed.namespace = NAMESPACE.as_bytes().to_vec();
    assert!(matches!(refusal(&alice(""), &renamed.armoured()), SignatureRefusal::BadSignature { .. }));
}

#[test]
fn what_this_build_does_not_verify_is_told_apart() {
    let unsupported =
        |algorithm: &str| SignatureRefusal::UnsupportedAlgorithm { file: FILE.into(), algorithm: algorithm.into() };
    for hash in ["sha1", "sha384", "SHA512", ""] {
        assert_eq!(bent(|parts| parts.hash = hash.as_bytes().to_vec()), unsupported(hash));
    }
    for kind in ["ssh-rsa", "ssh-dss", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp384", "x"] {
        assert_eq!(bent(|parts| parts.key = wire(kind.as_bytes())), unsupported(kind));
        assert_eq!(bent(|parts| parts.kind = kind.as_bytes().to_vec()), unsupported(kind));
    }
    let with_counter = bent(|parts| {
        parts.kind = b"sk-ssh-ed25519@openssh.com".to_vec();
        parts.inside = vec![1, 0, 0, 0, 7];
    });
    assert_eq!(with_counter, unsupported("sk-ssh-ed25519@openssh.com"));
    assert!(is_well_said(&with_counter.to_string()));
    let sha256 = ssh_key::PrivateKey::from_openssh(private(1)).unwrap();
    let sha256 = sha256.sign(NAMESPACE, ssh_key::HashAlg::Sha256, POLICY.as_bytes()).unwrap();
    assert!(check(&alice(""), &sha256.to_pem(ssh_key::LineEnding::LF).unwrap()).is_ok());
}

#[test]
fn only_a_signers_key_counts() {
    let stranger = refusal(&alice(""), &signed_by(2));
    assert!(
        matches!(&stranger, SignatureRefusal::UnknownKey { fingerprint, .. } if fingerprint.starts_with("SHA256:")),
        "{stranger}"
    );
    assert!(is_well_said(&stranger.to_string()), "{stranger}");
    for nobody in ["", "# nobody yet\n\n", "#alice@example.com ssh-ed25519 AAAA\n"] {
        let nobody = signers(nobody);
        assert!(nobody.is_empty());
        assert!(matches!(refusal(&nobody, &signed_by(1)), SignatureRefusal::UnknownKey { .. }));
        assert!(matches!(refusal(&nobody, ECDSA_SIGNATURE), SignatureRefusal::UnknownKey { .. }));
    }
}

#[test]
fn a_revoked_key_never_counts() {
    let both = signers(&format!("alice@example.com {}\nbob@example.com {ECDSA_LINE}\n", public(1)));
    let without_alice = both.clone().without(&revoked(&format!("# lost laptop\n\n  {} laptop\n", public(1))));
    let refusal = refusal(&without_alice, &signed_by(1));
    assert!(matches!(&refusal, SignatureRefusal::Revoked { .. }) && is_well_said(&refusal.to_string()), "{refusal}");
    assert!(check(&without_alice, ECDSA_SIGNATURE).is_ok());
    let neither = without_alice.without(&revoked(ECDSA_LINE)).without(&revoked(""));
    for signature in [&*signed_by(1), ECDSA_SIGNATURE] {
        assert!(matches!(check(&neither, signature), Err(SignatureRefusal::Revoked { .. })), "revocations add up");
        assert!(check(&both, signature).is_ok());
    }
    let hidden = neither.for_identity("alice@example.com");
    assert!(matches!(check(&hidden, &signed_by(1)), Err(SignatureRefusal::Revoked { .. })));
}

#[test]
fn a_key_counts_from_its_first_second_to_its_last() {
    for (options, from, until) in [
        ("valid-after=\"20260115120000Z\"", Some(NOW), None),
        ("valid-after=\"202601151200\"", Some(NOW), None),
        ("valid-before=\"20260115120000\"", None, Some(NOW)),
        ("valid-after=\"20260115Z\",valid-before=\"20260116z\"", Some(NOW - 43_200), Some(NOW + 43_200)),
        ("valid-before=\"20991231235959Z\"", None, Some(4_102_444_799)),
    ] {
        let at = |now| verify(&alice(options), FILE, POLICY.as_bytes(), &signed_by(1), now);
        if let Some(from) = from {
            let refusal = at(from - 1).unwrap_err();
            assert!(matches!(refusal, SignatureRefusal::NotYetValid { from_unix_s, .. } if from_unix_s == from));
            assert!(is_well_said(&refusal.to_string()) && refusal.to_string().contains("2026-01-15T"), "{refusal}");
            assert!(at(from).is_ok(), "{options}");
        }
        if let Some(until) = until {
            let refusal = at(until + 1).unwrap_err();
            assert!(matches!(refusal, SignatureRefusal::Expired { until_unix_s, .. } if until_unix_s == until));
            assert!(is_well_said(&refusal.to_string()), "{refusal}");
            assert!(at(until).is_ok(), "{options}");
        }
        assert_eq!(at(i64::MIN).is_ok(), from.is_none(), "{options}");
        assert_eq!(at(i64::MAX).is_ok(), until.is_none(), "{options}");
    }
}

#[test]
fn a_line_says_for_what_its_key_counts() {
    for (namespaces, counts) in [
        ("bailiwick-policy", true),
        ("file,bailiwick-policy", true),
        ("bailiwick-*", true),
        ("bailiwick?policy", true),
        ("*,!file", true),
        ("*,!bailiwick-policy", false),
        ("bailiwick-policy,!*", false),
        ("file", false),
        ("bailiwick", false),
        ("Bailiwick-Policy", false),
    ] {
        let verdict = check(&alice(&format!("namespaces=\"{namespaces}\"")), &signed_by(1));
        match verdict {
            Ok(_) => assert!(counts, "{namespaces}"),
            Err(refusal) => {
                assert!(!counts && matches!(refusal, SignatureRefusal::NotForNamespace { .. }), "{namespaces}");
                assert!(is_well_said(&refusal.to_string()), "{refusal}");
            }
        }
    }
}

#[test]
fn of_several_lines_with_a_key_one_that_permits_it_is_enough() {
    let key = public(1);
    let text = format!(
        "old@example.com valid-before=\"20200101Z\" {key}\ngit@example.com namespaces=\"git\" {key}\nnew@example.com {key}\n"
    );
    assert_eq!(check(&signers(&text), &signed_by(1)).unwrap().principal, "new@example.com");
    let without_new = signers(&text.replace("new@example.com ", "new@example.com valid-after=\"20990101\" "));
    let refusal = refusal(&without_new, &signed_by(1));
    assert!(
        matches!(&refusal, SignatureRefusal::Expired { principal, .. } if principal == "old@example.com"),
        "{refusal}"
    );
}

#[test]
fn other_bytes_are_not_signed() {
    let other = verify(&alice(""), FILE, b"tenant_id: acme-corp\n", &signed_by(1), NOW).unwrap_err();
    assert_eq!(other, SignatureRefusal::BadSignature { file: FILE.into(), principal: "alice@example.com".into() });
    assert!(is_well_said(&other.to_string()), "{other}");
    let mixed = bent(|parts| parts.kind = b"ecdsa-sha2-nistp256".to_vec());
    assert!(matches!(mixed, SignatureRefusal::BadSignature { .. }), "a signature of another type than its key");
}

/// The order of the group (RFC 8032 §5.1), little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn a_second_spelling_of_a_signature_does_not_count() {
    let refusal = bent(|parts| {
        let mut carry = 0_u16;
        for (byte, l) in parts.signature.iter_mut().skip(32).zip(L) {
            let sum = u16::from(*byte) + u16::from(l) + carry;
            *byte = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
    });
    assert!(matches!(refusal, SignatureRefusal::BadSignature { .. }), "s + L verifies like s where nobody looks");
}

#[test]
fn a_weak_key_signs_nothing() {
    let mut point = [0_u8; 32];
    point[0] = 1;
    let blob = [wire(b"ssh-ed25519"), wire(&point)].concat();
    // R = the neutral point, s = 0: fits every file under a lax verification
    let signature = [point, [0; 32]].concat();
    let weak = ed25519_dalek::VerifyingKey::from_bytes(&point).unwrap();
    let lax = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    assert!(ed25519_dalek::Verifier::verify(&weak, b"any file", &lax).is_ok(), "this is the danger");
    let envelope = Envelope {
        key: &blob,
        key_kind: ED25519.into(),
        namespace: NAMESPACE.into(),
        hash: ssh_key::HashAlg::Sha512,
        signature_kind: ED25519.into(),
        signature: &signature,
    };
    assert!(!fits(&VerifierKey::Ed25519(weak), &envelope, POLICY.as_bytes()));
    assert!(public_key::read(&blob).unwrap_err().contains("weak"));
}

#[test]
fn private_keys_are_read_or_refused_without_a_word_of_them() {
    assert_eq!(private(1), private(1));
    assert_eq!(signed_by(1), signed_by(1), "the same key and bytes give the same signature");
    assert_ne!(public(1), public(2));
    let noisy = private_key_from_seed([1; 32], &format!("a\nb\u{1b}{}", "c".repeat(10_000)));
    assert_eq!(public_line(&noisy).unwrap(), public(1));
    let noisy = ssh_key::PrivateKey::from_openssh(noisy).unwrap();
    assert_eq!(noisy.comment(), format!("ab{}", "c".repeat(253)));
    for text in ["", "secret", &private(1)[..200], &private(1).replacen("OPENSSH", "RSA", 2), &public(1)] {
        let refusal = sign(text, b"").unwrap_err();
        assert_eq!(refusal, SignatureRefusal::UnreadableKey);
        assert_eq!(public_line(text).unwrap_err(), refusal);
        assert!(is_well_said(&refusal.to_string()), "{refusal}");
    }
}
