//! A server that speaks Vault's transit protocol as its API documentation and its source have it: `encrypt` and `decrypt` of
//! aes256-gcm96 keys with `associated_data`, tokens, policies, `min_decryption_version`, a sealed Vault. Vault itself is in no
//! registry the tests may use.
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const TOKEN: &str = "hvs.of-the-tests";

/// How the Vault treats a key, or everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may be used.
    Allowed,
    /// A policy denies its use.
    Denied,
    /// Its `min_decryption_version` is above what it has sealed.
    TooOld,
    /// It was deleted.
    Deleted,
    /// The node's token was revoked.
    UnknownToken,
    /// The Vault itself is sealed.
    Sealed,
    /// It says more than anybody should read.
    Endless,
    /// It says something else than the protocol has.
    Nonsense,
    /// It says nothing.
    Mute,
}

#[derive(Default)]
struct State {
    verdicts: HashMap<String, Verdict>,
    calls: HashMap<String, u64>,
}

pub struct Vault {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Vault {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    pub fn be(&self, key: &str, verdict: Verdict) {
        self.state.lock().unwrap().verdicts.insert(key.to_owned(), verdict);
    }

    pub fn calls(&self, key: &str) -> u64 {
        self.state.lock().unwrap().calls.get(key).copied().unwrap_or_default()
    }
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) {
    let mut seen = Vec::new();
    loop {
        let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") else {
            if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8(seen[..end].to_vec()).unwrap();
        let header = |name: &str| {
            head.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)))
        };
        let length: usize = header("content-length").map_or(0, |(_, value)| value.trim().parse().unwrap());
        while seen.len() < end + 4 + length {
            if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body: Value = serde_json::from_slice(&seen[end + 4..end + 4 + length]).unwrap_or_default();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let token = header("x-vault-token").map_or("", |(_, value)| value.trim()).to_owned();
        let marked = header("x-vault-request").is_some();
        seen.drain(..end + 4 + length);
        let answer = answer(&state, head.starts_with("POST ") && marked, &path, &token, &body);
        let Some((status, text)) = answer else {
            let _gone = socket.read(&mut [0; 1]).await;
            return;
        };
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", text.len());
        if socket.write_all(head.as_bytes()).await.is_err() || socket.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn errors(status: u16, said: &str) -> Option<(u16, String)> {
    Some((status, json!({"errors": [said]}).to_string()))
}

fn answer(state: &Mutex<State>, is_call: bool, path: &str, token: &str, body: &Value) -> Option<(u16, String)> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let ["v1", "transit", verb, key] = parts.as_slice() else { return errors(404, "no handler for route") };
    let verdict = {
        let mut state = state.lock().unwrap();
        *state.calls.entry((*key).to_owned()).or_default() += 1;
        state.verdicts.get(*key).copied().unwrap_or(Verdict::Deleted)
    };
    if !is_call || token != TOKEN {
        return errors(403, "permission denied\n* invalid token");
    }
    match verdict {
        Verdict::Denied => return errors(403, "1 error occurred:\n\t* permission denied\n\n"),
        Verdict::UnknownToken => {
            return errors(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n");
        }
        Verdict::Sealed => return errors(503, "Vault is sealed"),
        Verdict::Deleted => return errors(400, "encryption key not found"),
        Verdict::TooOld if *verb == "decrypt" => {
            return errors(400, "ciphertext or signature version is disallowed by policy (too old)");
        }
        Verdict::Endless => return Some((200, format!("{{\"data\": \"{}\"}}", "x".repeat(1 << 20)))),
        Verdict::Nonsense => return Some((200, "<html>".to_owned())),
        Verdict::Mute => return None,
        Verdict::Allowed | Verdict::TooOld => {}
    }
    let bytes = |field: &str| Base64::decode_vec(body[field].as_str().unwrap_or_default()).unwrap_or_default();
    let (name, associated) = (key.as_bytes(), bytes("associated_data"));
    let mut secret = [7; 32];
    secret.iter_mut().zip(name).for_each(|(byte, letter)| *byte = *letter);
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret).unwrap());
    match *verb {
        "encrypt" => {
            let (nonce, mut sealed) = (rand::random::<[u8; NONCE_LEN]>(), bytes("plaintext"));
            cipher
                .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut sealed)
                .unwrap();
            let text = Base64::encode_string(&[nonce.as_slice(), &sealed].concat());
            Some((200, json!({"data": {"ciphertext": format!("vault:v1:{text}"), "key_version": 1}}).to_string()))
        }
        "decrypt" => {
            let text = body["ciphertext"].as_str().unwrap_or_default();
            let Some(Ok(sealed)) = text.strip_prefix("vault:v1:").map(Base64::decode_vec) else {
                return errors(400, "invalid ciphertext: no prefix");
            };
            let (nonce, rest) = sealed.split_at(NONCE_LEN.min(sealed.len()));
            let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else {
                return errors(400, "invalid ciphertext: too short");
            };
            let mut rest = rest.to_vec();
            match cipher.open_in_place(nonce, Aad::from(associated), &mut rest) {
                Ok(plain) => Some((200, json!({"data": {"plaintext": Base64::encode_string(plain)}}).to_string())),
                Err(_unspecified) => errors(400, "cipher: message authentication failed"),
            }
        }
        _ => errors(404, "unsupported path"),
    }
}
