//! Pairs read from files, and what a look at changed files comes to.
use super::*;
use rcgen::{CertificateParams, KeyPair};

struct Pair {
    certificate: String,
    key: String,
}

fn pair(name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn written(folder: &Path, certificate: &str, key: &str) -> PairFiles {
    let files = PairFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    files
}

#[test]
fn a_pair_is_exchanged_for_another_one_and_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (pair("first.example"), pair("second.example"));
    let files = written(folder.path(), &first.certificate, &first.key);
    let mut renewal = Listening::of(files, &Clients::Unasked).unwrap().renewal;
    let shown = renewal.leaf().unwrap();
    assert!(matches!(renewal.look(), Looked::Unchanged));
    // half of a renewal, text that is no certificate, nothing at all
    for (certificate, key) in
        [(&*second.certificate, &*first.key), ("-----BEGIN", &*second.key), ("", ""), (&*first.certificate, "no key")]
    {
        let files = written(folder.path(), certificate, key);
        assert!(matches!(renewal.look(), Looked::Kept(_)), "{certificate:.20} {key:.20}");
        assert!(matches!(renewal.look(), Looked::Unchanged), "what is wrong is found once");
        assert_eq!(renewal.leaf().unwrap(), shown);
        assert!(Listening::of(files, &Clients::Unasked).is_err(), "nobody starts with it");
    }
    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    assert!(matches!(renewal.look(), Looked::Kept(TlsError::Unreadable { .. })));
    written(folder.path(), &second.certificate, &second.key);
    assert!(matches!(renewal.look(), Looked::Renewed));
    assert_ne!(renewal.leaf().unwrap(), shown);
    assert!(matches!(renewal.look(), Looked::Unchanged));
}

#[test]
fn a_pair_that_does_not_belong_together_is_said_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let files = written(folder.path(), &pair("a.example").certificate, &pair("b.example").key);
    let told = Listening::of(files.clone(), &Clients::Unasked).err().unwrap().to_string();
    assert!(
        told.contains("certificate.pem") && told.contains("key.pem") && told.contains("belongs together"),
        "{told}"
    );
    let own = pair("a.example");
    let files = written(folder.path(), &own.certificate, &own.key);
    for (nobody, expected) in [
        ("", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "sign clients"),
    ] {
        let authorities = folder.path().join("authorities.pem");
        std::fs::write(&authorities, nobody).unwrap();
        let told = Listening::of(files.clone(), &Clients::Required(authorities)).err().unwrap().to_string();
        assert!(told.contains("authorities.pem") && told.contains(expected), "{told}");
    }
}
