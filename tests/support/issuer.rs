//! An identity provider: it signs tokens and publishes the keys it wants to be known.
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A key of the provider.
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

impl Signer {
    pub fn ed(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        Self::new(kid, Algorithm::EdDSA, EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()))
    }

    pub fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self::new(kid, Algorithm::ES256, EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()))
    }

    fn new(kid: &str, algorithm: Algorithm, key: EncodingKey) -> Self {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        Self { header, key }
    }

    pub fn sign(&self, claims: &Value) -> String {
        encode(&self.header, claims, &self.key).unwrap()
    }

    fn published(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.header.alg).unwrap();
        jwk.common.key_id.clone_from(&self.header.kid);
        jwk
    }
}

/// The provider's server.
pub struct Provider {
    pub issuer: String,
    /// What it answers; nothing but an error before the first set is published.
    set: Arc<Mutex<Option<String>>>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let set: Arc<Mutex<Option<String>>> = Arc::default();
        let shared = Arc::clone(&set);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                    if socket.read_buf(&mut head).await.is_ok_and(|read| read == 0) {
                        break;
                    }
                }
                let set = shared.lock().unwrap().clone();
                let (status, body) = set.map_or_else(|| ("503 Out", String::new()), |set| ("200 OK", set));
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: max-age=3600\r\n\
                     content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _gone = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { issuer: format!("http://127.0.0.1:{port}"), set }
    }

    pub fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Jwk> = signers.iter().map(|signer| signer.published()).collect();
        *self.set.lock().unwrap() = Some(json!({"keys": keys}).to_string());
    }

    /// The configuration of a house that trusts it for these tenants.
    pub fn trusted_for(&self, tenants: &[&str]) -> String {
        let issuer = &self.issuer;
        format!(
            "[[issuers]]\nissuer = \"{issuer}\"\naudience = \"bailiwick\"\ntenants = {tenants:?}\njwks_url = \"{issuer}/keys\"\n"
        )
    }

    /// What a good token says.
    pub fn claims(&self, tenant: &str, user: &str, role: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({"iss": self.issuer, "aud": "bailiwick", "sub": user, "tenant": tenant, "role": role, "exp": now + 600})
    }
}
