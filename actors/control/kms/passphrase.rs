//! The master key's file under a passphrase.
//!
//! Layout: mark, 16-byte salt of the passphrase, 16-byte salt of the sealing key, 16-byte commitment, 12-byte nonce, sealed
//! key, 16-byte tag. The passphrase becomes a key by PBKDF2-HMAC-SHA-256 with 600,000 rounds.
use super::key_file::KeyFileError;
use aws_lc_rs::pbkdf2;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bailiwick_kernel::cipher::CipherError;
use bailiwick_kernel::cipher::data_key::{COMMITMENT_BYTES, DataKey, KEY_BYTES, SALT_BYTES, SecretKey};
use secrecy::{ExposeSecret, SecretString};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

const MARK: &[u8; 4] = b"BWP1";
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();
const PURPOSE: &[u8] = b"bailiwick master key v1";
/// Bytes of the file.
pub(super) const SEALED_BYTES: usize = MARK.len() + 2 * SALT_BYTES + COMMITMENT_BYTES + 12 + KEY_BYTES + 16;

fn key_of(passphrase: &SecretString, salt: &[u8]) -> SecretKey {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    let text = passphrase.expose_secret().as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, text, key.as_mut_slice());
    key
}

/// Whether a file of this length is a sealed one.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.len() == SEALED_BYTES && bytes.starts_with(MARK)
}

/// Seals a master key.
pub(super) fn seal(passphrase: &SecretString, key: &SecretKey) -> Result<Vec<u8>, KeyFileError> {
    let (random, mut salts) = (SystemRandom::new(), [[0_u8; SALT_BYTES]; 2]);
    for salt in &mut salts {
        random.fill(salt).map_err(|_unspecified| KeyFileError::Random)?;
    }
    let [slow, quick] = &salts;
    let failed = |_error: CipherError| KeyFileError::Random;
    let sealing = DataKey::derive(&key_of(passphrase, slow), quick, &[PURPOSE]).map_err(failed)?;
    let mut sealed = [MARK.as_slice(), slow, quick, sealing.commitment()].concat();
    sealing.seal_onto(&random, MARK, key.as_slice(), &mut sealed).map_err(failed)?;
    Ok(sealed)
}

/// Opens a sealed file; nothing where the passphrase is another one, or the file was altered.
pub(super) fn open(passphrase: &SecretString, sealed: &[u8]) -> Option<SecretKey> {
    let rest = sealed.strip_prefix(MARK)?;
    let (slow, rest) = rest.split_first_chunk::<SALT_BYTES>()?;
    let (quick, rest) = rest.split_first_chunk::<SALT_BYTES>()?;
    let (commitment, rest) = rest.split_first_chunk::<COMMITMENT_BYTES>()?;
    let sealing = DataKey::derive(&key_of(passphrase, slow), quick, &[PURPOSE]).ok()?;
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    sealing.is_committed_to_by(commitment).then_some(())?;
    sealing.open_into(MARK, rest, key.as_mut_slice()).ok()?;
    Some(key)
}
