//! `allowed_signers` and `revoked_signers`: what is read, and what is said of slips.
use super::pattern_list::PatternList;
use super::*;
use bailiwick_kernel::limits::{POLICY_FILE_BYTES_MAX, SIGNERS_MAX};
use proptest::prelude::*;

fn errors(text: &str) -> Vec<String> {
    Signers::parse("allowed_signers", text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn good_lines_read() {
    let key = public(1);
    for (line, principal) in [
        (format!("alice@example.com {key}"), "alice@example.com"),
        (format!("  \talice@example.com\t{}\t", key.replace(' ', "\t\t")), "alice@example.com"),
        (format!("alice@example.com {key} alice's laptop, \"old\""), "alice@example.com"),
        (format!("!mallory@*,*@example.com,alice {key}"), "*@example.com"),
        (format!("\"Alice A,alice\" {key}"), "Alice A"),
        (format!("ssh-admins {key}"), "ssh-admins"),
        (format!("a namespaces=\"file,bailiwick-policy\" {key}"), "a"),
        (format!("a NameSpaces=\"*\",VALID-AFTER=\"20200229\",Valid-Before=\"209912312359\" {key}"), "a"),
        (format!("élan@example.com {key}"), "élan@example.com"),
        (format!("a {key}\r\n"), "a"),
    ] {
        let signed = check(&signers(&line), &signed_by(1)).unwrap();
        assert_eq!(signed.principal, principal, "{line}");
    }
}

/// One broken line among good ones is told with its place and what to do.
fn is_told(line: &str, column: &str, words: &str) {
    let text = format!("# signers\n\n{line}\nlast@example.com {}\n", public(1));
    let found = errors(&text);
    assert_eq!(found.len(), 1, "{line}: {found:?}");
    assert!(found[0].starts_with(&format!("allowed_signers:3:{column}: ")) && found[0].contains(words), "{found:?}");
    assert!(!found[0].contains('\n') && found[0].split(": ").count() >= 3, "{found:?}");
}

#[test]
fn slips_in_principals_and_options_name_their_place_and_what_to_do() {
    let key = public(1);
    let base64 = key.split(' ').nth(1).unwrap();
    for (line, column, words) in [
        ("a".into(), "2", "the key is missing: add the line of the signer's .pub file"),
        ("a,".into(), "3", "a name is missing between the commas"),
        ("a,,b x".into(), "3", "a name is missing between the commas"),
        (format!("! {key}"), "1", "a name is missing"),
        (format!("!a {key}"), "1", "only says what is not meant: add what is"),
        (format!("\"a {key}"), "1", "a quote begins here and does not end"),
        (format!("\"a\"b {key}"), "4", "the principals end with the quote: write a blank here"),
        (format!("!b,\"a\" {key}"), "4", "quotes go around all principals"),
        (format!("\"a ,b\" {key}"), "2", "has a blank at its end"),
        (key.clone(), "1", "the line begins with the key: write who signs with it before ssh-ed25519"),
        (format!("a cert-authority {key}"), "3", "certificates are not supported: write a line with each signer's own"),
        (format!("a Cert-Authority,namespaces=\"x\" {key}"), "3", "certificates are not supported"),
        (
            format!("a namespace=\"x\" {key}"),
            "3",
            "unknown option or key type \"namespace\": did you mean \"namespaces\"?",
        ),
        (format!("a valid-untill=\"20200101\" {key}"), "3", "known here: namespaces, valid-after, valid-before"),
        (format!("a no-pty {key}"), "3", "unknown option or key type \"no-pty\": known here"),
        (format!("a ed25519 {base64}"), "3", "unknown option or key type \"ed25519\": known here"),
        (format!("a namespaces=\"x\",namespaces=\"y\" {key}"), "18", "\"namespaces\" stands here twice: keep one"),
        (format!("a valid-after=\"20200101\",valid-after=\"20200101\" {key}"), "26", "twice"),
        (format!("a valid-before=\"20200101\",Valid-Before=\"20200101\" {key}"), "27", "twice"),
        (format!("a namespaces=x {key}"), "14", "in double quotes: write namespaces=\"...\""),
        (format!("a valid-after=20200101 {key}"), "15", "in double quotes: write valid-after=\"...\""),
        (format!("a namespaces {key}"), "13", "in double quotes"),
        (format!("a namespaces = \"x\" {key}"), "13", "in double quotes"),
        (format!("a namespaces=\"x {key}"), "14", "namespaces begins here and does not end"),
        (format!("a namespaces=\"x\\\"y\" {key}"), "16", "a backslash means nothing here"),
        (format!("a namespaces=\"\" {key}"), "15", "a name is missing"),
        (format!("a namespaces=\"x, y\" {key}"), "17", "has a blank at its end"),
        (format!("a namespaces=\"!x\" {key}"), "15", "only says what is not meant"),
        (format!("a namespaces=\"x\"valid-after=\"20200101\" {key}"), "17", "separated by a comma"),
        (format!("a namespaces=\"x\", {key}"), "18", "an option is missing here"),
        (format!("a ,namespaces=\"x\" {key}"), "3", "an option is missing here"),
    ] {
        is_told(&line, column, words);
    }
}

#[test]
fn times_that_do_not_exist_are_refused() {
    let key = public(1);
    for (line, column, words) in [
        (format!("a valid-after=\"2020\" {key}"), "16", "no time after 1970: write YYYYMMDD"),
        (format!("a valid-after=\"2020-01-01\" {key}"), "16", "no time"),
        (format!("a valid-after=\"20200230\" {key}"), "16", "no time"),
        (format!("a valid-after=\"20201301\" {key}"), "16", "no time"),
        (format!("a valid-after=\"2020010124\" {key}"), "16", "no time"),
        (format!("a valid-after=\"202001012400\" {key}"), "16", "no time"),
        (format!("a valid-after=\"20200101126000\" {key}"), "16", "no time"),
        (format!("a valid-after=\"20200101120060\" {key}"), "16", "no time"),
        (format!("a valid-after=\"20200101ZZ\" {key}"), "16", "no time"),
        (format!("a valid-after=\"٢٠٢٠\" {key}"), "16", "no time"),
        (format!("a valid-after=\"\" {key}"), "16", "no time"),
        (format!("a valid-after=\"19700101\" {key}"), "16", "no time after 1970"),
        (format!("a valid-before=\"19691231\" {key}"), "17", "no time after 1970"),
        (format!("a valid-after=\"20200101\",valid-before=\"20200101\" {key}"), "26", "never be valid"),
        (format!("a valid-before=\"20200101\",valid-after=\"20200102\" {key}"), "27", "never be valid"),
    ] {
        is_told(&line, column, words);
    }
}

#[test]
fn keys_that_do_not_count_name_what_to_use_instead() {
    let key = public(1);
    let base64 = key.split(' ').nth(1).unwrap();
    let certificate = "ssh-ed25519-cert-v01@openssh.com";
    for (line, column, words) in [
        ("a ssh-rsa AAAA".into(), "3", "ssh-rsa is not supported: use a key made with `ssh-keygen -t ed25519`"),
        ("a ssh-dss AAAA".into(), "3", "ssh-dss is not supported: use"),
        ("a ecdsa-sha2-nistp521 AAAA".into(), "3", "ecdsa-sha2-nistp521 is not supported: use"),
        ("a sk-ssh-ed25519@openssh.com AAAA".into(), "3", "lives on a security key, which is not supported: use"),
        (format!("a {certificate} AAAA"), "3", "certificates are not supported: write the signer's own key"),
        ("a ssh-ed2551 AAAA".into(), "3", "unknown key type \"ssh-ed2551\": did you mean \"ssh-ed25519\"?"),
        ("a ssh-ed25519".into(), "14", "the key is cut off: copy the line"),
        (format!("a ssh-ed25519 {base64}="), "15", "the key is no base64: copy the line"),
        (format!("a ssh-ed25519 {}", &base64[1..]), "15", "no base64"),
        (format!("a ssh-ed25519 {}", &base64[..64]), "15", "the key is broken"),
        (format!("a ecdsa-sha2-nistp256 {base64}"), "23", "the key is \"ssh-ed25519\", but the line calls it"),
        (format!("\u{feff}a {key}"), "1", "U+FEFF stands here and cannot be seen: remove it"),
        (format!("a\u{200b}b {key}"), "2", "cannot be seen"),
        (format!("é\u{1b}b {key}"), "2", "cannot be seen"),
        (format!("a {key} \0"), "84", "cannot be seen"),
    ] {
        is_told(&line, column, words);
    }
}

#[test]
fn a_key_is_written_in_one_way_only() {
    use base64ct::{Base64, Encoding};
    let line = |kind: &str, blob: &[u8]| format!("a {kind} {}", Base64::encode_string(blob));
    let ed25519 = Base64::decode_vec(public(1).split(' ').nth(1).unwrap()).unwrap();
    let ecdsa = Base64::decode_vec(ECDSA_LINE.split(' ').nth(1).unwrap()).unwrap();
    let mut weak = [0; 32];
    weak[0] = 1;
    let mut compressed = ecdsa[ecdsa.len() - 65..ecdsa.len() - 32].to_vec();
    compressed[0] = 3;
    let compressed = [wire(b"ecdsa-sha2-nistp256"), wire(b"nistp256"), wire(&compressed)].concat();
    let off_curve = [wire(b"ssh-ed25519"), wire(&[2; 32])].concat();
    let longer =
        [wire(b"ssh-ed25519"), (33_u32.to_be_bytes()).to_vec(), ed25519[ed25519.len() - 32..].to_vec()].concat();
    for (text, words) in [
        (line("ssh-ed25519", &[&ed25519[..], b"x"].concat()), "the key is broken"),
        (line("ecdsa-sha2-nistp256", &[&ecdsa[..], b"x"].concat()), "the key is broken"),
        (line("ecdsa-sha2-nistp256", &compressed), "not written as ssh writes it"),
        (line("ssh-ed25519", &[wire(b"ssh-ed25519"), wire(&weak)].concat()), "the key is weak"),
        (line("ssh-ed25519", &off_curve), "no point of the curve"),
        (line("ssh-ed25519", &longer), "the key is"),
    ] {
        assert!(errors(&text)[0].contains(words), "{text}: {:?}", errors(&text));
        let bare = text.strip_prefix("a ").unwrap();
        assert!(Revoked::parse("revoked_signers", bare).unwrap_err()[0].problem.contains(words), "{bare}");
    }
}

#[test]
fn every_broken_line_is_named_and_the_size_is_bounded() {
    let key = public(1);
    let found = errors(&format!("a\n# fine\nb {key}\nc cert-authority {key}\n!d {key}\n"));
    assert_eq!(found.iter().map(|error| error.split(':').nth(1).unwrap()).collect::<Vec<_>>(), ["1", "4", "5"]);
    let full: String = (0..SIGNERS_MAX).map(|number| format!("s{number} {key}\n")).collect();
    assert_eq!(signers(&full).len(), SIGNERS_MAX);
    let found = errors(&format!("{full}\none-more {key}\nand-another {key}\n"));
    assert_eq!(found, ["allowed_signers:66:1: more than 64 signers: remove those who no longer sign"]);
    let huge = format!("#{}", " ".repeat(POLICY_FILE_BYTES_MAX));
    assert!(errors(&huge)[0].starts_with("allowed_signers: 1048577 bytes are more than"));
    assert!(Revoked::parse("revoked_signers", &huge).is_err());
}

#[test]
fn revoked_keys_read_as_their_pub_files_have_them() {
    let key = public(1);
    for good in ["", "\n# none\n", &key, &format!("{key} laptop\r\n\n {ECDSA_LINE}"), "ssh-rsa AAAAB3NzaC1yc2EAAAAA"] {
        revoked(good);
    }
    for (line, place, words) in [
        (format!("a {key}"), "1:1", "\"a\" is no key type: write the key as in its .pub file"),
        ("SHA256:abc".into(), "1:1", "is no key type"),
        ("SSHKRL".into(), "1:1", "is no key type"),
        (format!("{key}\n{}", key.replace("AAAAC3", "AAAA")), "2:13", "the key is"),
        ("ssh-ed25519".into(), "1:12", "cut off"),
        ("ssh-rsa AAAA".into(), "1:9", "cut off"),
        ("ssh-rsa AAAAC3NzaC1lZDI1NTE5".into(), "1:9", "but the line calls it \"ssh-rsa\""),
        ("ssh-rsa-cert-v01@openssh.com AAAA".into(), "1:1", "certificates are not supported"),
    ] {
        let error = Revoked::parse("revoked_signers", &line).unwrap_err().remove(0).to_string();
        assert!(error.starts_with(&format!("revoked_signers:{place}: ")) && error.contains(words), "{error}");
    }
}

#[test]
fn patterns_match_as_in_ssh() {
    for (list, word, is_admitted) in [
        ("alice@example.com", "alice@example.com", true),
        ("alice@example.com", "Alice@example.com", false),
        ("alice@example.com", "alice@example.com.evil.org", false),
        ("*@example.com", "alice@example.com", true),
        ("*@example.com", "@example.com", true),
        ("*@example.com", "alice@example.org", false),
        ("?@b", "a@b", true),
        ("?@b", "@b", false),
        ("?@b", "aa@b", false),
        ("*", "", true),
        ("a*b*c", "aXbXbXc", true),
        ("a*b*c", "aXbXbX", false),
        ("**?", "", false),
        ("!bob@*,*@example.com", "bob@example.com", false),
        ("*@example.com,!bob@*", "bob@example.com", false),
        ("*@example.com,!bob@*", "alice@example.com", true),
        ("a,b", "c", false),
    ] {
        assert_eq!(PatternList::parse(list).unwrap().admits(word), is_admitted, "{list} {word}");
    }
    let hostile = format!("{}b", "a*".repeat(2_000));
    assert!(!PatternList::parse(&hostile).unwrap().admits(&"a".repeat(4_000)), "and it does not take for ever");
}

#[test]
fn an_identity_has_the_lines_that_mean_it() {
    let text = format!("*@example.com,!bob@* {}\nbob@example.com {}\n", public(1), public(2));
    for (identity, seeds) in [("alice@example.com", &[1][..]), ("bob@example.com", &[2]), ("eve@example.org", &[])] {
        let theirs = signers(&text).for_identity(identity);
        assert_eq!(theirs.len(), seeds.len());
        for seed in [1, 2] {
            assert_eq!(check(&theirs, &signed_by(seed)).is_ok(), seeds.contains(&seed), "{identity} {seed}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn no_text_panics(text in any::<String>(), line in "[a!*,\" \t=#\\\\éZ0-9-]{0,40}( ssh-ed25519 [A-Za-z0-9+/=]{0,90})?") {
        for text in [&text, &line, &format!("a {line} {}", ECDSA_LINE)] {
            if let Err(errors) = Signers::parse("allowed_signers", text) {
                prop_assert!(errors.iter().all(|error| !error.to_string().contains('\n')));
            }
            let _ = Revoked::parse("revoked_signers", text);
            let _ = check(&signers(&format!("a {ECDSA_LINE}")), text);
            let _ = public_line(text);
        }
    }
}
