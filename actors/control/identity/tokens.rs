//! An identity provider for the tests: real keys, true tokens, and every way to make a false one.
use super::issuer::{ALGORITHMS, Issuer, KeySource};
use super::keys::KeySet;
use super::rules::{Held, Standing, Trusted};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, RsaPublicKeyComponents,
};
use base64ct::{Base64UrlUnpadded, Encoding};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const ISSUER: &str = "https://login.example/realms/acme";
pub(crate) const AUDIENCE: &str = "bailiwick";

/// What precedes the RSAPrivateKey in the PKCS #8 form of a key of 2048 bits.
const RSA_PKCS8_HEAD: usize = 26;

/// One key pair.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
    pub(crate) jwk: Value,
}

pub(crate) fn text(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

impl Signer {
    pub(crate) fn ed(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(pair.public_key().as_ref())});
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self { kid: kid.to_owned(), algorithm: Algorithm::EdDSA, key, jwk }
    }

    pub(crate) fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": text(x), "y": text(y)});
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self { kid: kid.to_owned(), algorithm: Algorithm::ES256, key, jwk }
    }

    pub(crate) fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let jwk =
            json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": text(&public.n), "e": text(&public.e)});
        let key = EncodingKey::from_rsa_der(&pair.as_der().unwrap().as_ref()[RSA_PKCS8_HEAD..]);
        Self { kid: kid.to_owned(), algorithm: Algorithm::RS256, key, jwk }
    }

    pub(crate) fn head(&self) -> Value {
        json!({"alg": self.algorithm, "typ": "JWT", "kid": self.kid})
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_under(&self.head(), claims)
    }

    pub(crate) fn sign_under(&self, head: &Value, claims: &Value) -> String {
        let message = message(head, claims);
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// Head and claims as they are signed.
pub(crate) fn message(head: &Value, claims: &Value) -> String {
    format!("{}.{}", text(head.to_string().as_bytes()), text(claims.to_string().as_bytes()))
}

/// A token signed with a secret, as a server would make it that takes a public key for one.
pub(crate) fn hmac(algorithm: Algorithm, kid: &str, secret: &[u8], claims: &Value) -> String {
    let message = message(&json!({"alg": algorithm, "typ": "JWT", "kid": kid}), claims);
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), algorithm).unwrap();
    format!("{message}.{signature}")
}

/// What a good token says at this time.
pub(crate) fn claims(now_unix_ms: u64) -> Value {
    let now = now_unix_ms / 1_000;
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "chiara", "tenant": "acme", "role": "operator",
        "iat": now, "nbf": now, "exp": now + 300})
}

pub(crate) fn key_set(signers: &[&Signer]) -> Vec<u8> {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk.clone()).collect();
    json!({"keys": keys}).to_string().into_bytes()
}

pub(crate) fn issuer(name: &str, tenants: &[&str], keys: PathBuf) -> Issuer {
    Issuer {
        issuer: name.to_owned(),
        audience: AUDIENCE.to_owned(),
        keys: KeySource::File(keys),
        algorithms: ALGORITHMS.to_vec(),
        tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect(),
        tenant_claim: "tenant".to_owned(),
        role_claim: "role".to_owned(),
        user_claim: "sub".to_owned(),
        roles: BTreeMap::new(),
        attributes: BTreeMap::new(),
        leeway_s: 60,
    }
}

pub(crate) fn standing(issuers: &[(Issuer, &[&Signer])], good_until_unix_ms: u64) -> Standing {
    let trusted = |(issuer, signers): &(Issuer, &[&Signer])| {
        let keys = KeySet::read(&key_set(signers)).unwrap();
        Trusted { issuer: Arc::new(issuer.clone()), held: Some(Arc::new(Held { keys, good_until_unix_ms })) }
    };
    Standing { version: 1, issuers: issuers.iter().map(trusted).collect() }
}
