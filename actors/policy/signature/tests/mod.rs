//! Keys, files and signatures the tests share. The ECDSA signature was made once by `ssh-keygen`, so that the attacks
//! are the same in every run; `openssh` asks the present `ssh-keygen` for new ones.
use super::*;

mod attacks;
mod grammar;
mod openssh;
mod refusals;

const FILE: &str = "policies/retrieval.yaml";
const POLICY: &str = "\
tenant_id: acme-corp
security:
  allowlist: [upload.local, docs.example.org]
  forbidden_patterns: [\"(?i)ignore previous instructions\"]
  signature_required: true
  min_trust_score: 0.6
";
const ECDSA_LINE: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJgzNkBdwQtM+jYLB2GS7er9CjleiuHwPaOMB7CFIj0iFmcg4pJhMBO4RjzGqYEiX9Zbq2BndLh1KC1d7gb+4y8=";
const ECDSA_SIGNATURE: &str = "\
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE
EEmDM2QF3BC0z6NgsHYZLt6v0KOV6K4fA9o4wHsIUiPSIWZyDikmEwE7hGPMapgSJf1lur
YGd0uHUoLV3uBv7jLwAAABBiYWlsaXdpY2stcG9saWN5AAAAAAAAAAZzaGE1MTIAAABkAA
AAE2VjZHNhLXNoYTItbmlzdHAyNTYAAABJAAAAIQDTGgNf2M0o9vmwwKcELgpDW2pkm4rF
pGFpo+WmanQBAwAAACB0UcR1AjwxBh5xm0+tpWcoeWuaZ2g0S8sWucp6U6W/0g==
-----END SSH SIGNATURE-----
";
/// 2026-01-15T12:00:00Z.
const NOW: i64 = 1_768_478_400;

fn private(seed: u8) -> String {
    private_key_from_seed([seed; 32], "tests")
}

/// Type and base64 of a key.
fn public(seed: u8) -> String {
    public_line(&private(seed)).unwrap()
}

fn signers(text: &str) -> Signers {
    Signers::parse("allowed_signers", text).unwrap()
}

fn revoked(text: &str) -> Revoked {
    Revoked::parse("revoked_signers", text).unwrap()
}

fn signed_by(seed: u8) -> String {
    sign(&private(seed), POLICY.as_bytes()).unwrap()
}

fn check(signers: &Signers, signature: &str) -> Result<Signed, SignatureRefusal> {
    verify(signers, FILE, POLICY.as_bytes(), signature, NOW)
}

/// The armour as ssh-keygen writes it, around any bytes.
fn armoured(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    let base64 = Base64::encode_string(bytes);
    let lines: Vec<_> = base64.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

/// A string of the SSH wire format.
fn wire(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// The fields of a signature, to be bent one by one.
#[derive(Clone)]
struct Parts {
    magic: Vec<u8>,
    version: u32,
    key: Vec<u8>,
    namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Vec<u8>,
    kind: Vec<u8>,
    signature: Vec<u8>,
    inside: Vec<u8>,
    behind: Vec<u8>,
}

impl Parts {
    fn of(signature: &str) -> Self {
        let raw = envelope::dearmour(signature).unwrap();
        let envelope = envelope::open(&raw).unwrap();
        Self {
            magic: b"SSHSIG".to_vec(),
            version: 1,
            key: envelope.key.to_vec(),
            namespace: envelope.namespace.into_bytes(),
            reserved: Vec::new(),
            hash: envelope.hash.as_str().as_bytes().to_vec(),
            kind: envelope.signature_kind.into_bytes(),
            signature: envelope.signature.to_vec(),
            inside: Vec::new(),
            behind: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let signature = [wire(&self.kind), wire(&self.signature), self.inside.clone()].concat();
        [
            self.magic.clone(),
            self.version.to_be_bytes().to_vec(),
            wire(&self.key),
            wire(&self.namespace),
            wire(&self.reserved),
            wire(&self.hash),
            wire(&signature),
            self.behind.clone(),
        ]
        .concat()
    }

    fn armoured(&self) -> String {
        armoured(&self.bytes())
    }
}
