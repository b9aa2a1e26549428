//! Digests of what is said: names of contents, and places drawn by them.
use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256 of bytes, in hexadecimal: equal names, equal bytes.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// The place these parts draw, below `places`: the first 8 bytes of SHA-256 over every part's length (8 bytes) and bytes, most
/// significant first, times the places, over 2^64. Integers only, so that others can write it again.
#[must_use]
pub fn place(parts: &[&str], places: u32) -> u32 {
    let mut input = Vec::with_capacity(parts.iter().map(|part| part.len().saturating_add(8)).sum());
    for part in parts {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part.as_bytes());
    }
    let hash = digest(&SHA256, &input);
    let number = hash.as_ref().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
    let place = (u128::from(number) * u128::from(places)) >> 64;
    u32::try_from(place).unwrap_or(u32::MAX) // below `places`
}
