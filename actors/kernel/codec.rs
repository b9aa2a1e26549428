//! Record encoding: bincode behind a version byte and a limit, one Rust type per version, golden bytes in tests.
use bincode::config;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroize;

/// The version this build writes.
pub const VERSION: u8 = 1;
const LIMIT_BYTES: usize = 16 << 20;

/// Why bytes could not be encoded or decoded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodecError {
    /// Empty input.
    #[error("decoding a record: it is empty")]
    Empty,
    /// Written by a build this one does not know.
    #[error("decoding a record: version {0} is unknown to this build, which reads version {VERSION}; use a newer one")]
    Version(u8),
    /// Malformed, or larger than the limit.
    #[error("coding a record: {0}")]
    Malformed(String),
}

/// Encodes with the current version byte in front.
///
/// # Errors
/// [`CodecError::Malformed`] where the value cannot be encoded within the limit.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut growing = Growing(Vec::with_capacity(FIRST_BYTES));
    growing.push(&[VERSION]);
    let limited = config::standard().with_limit::<LIMIT_BYTES>();
    bincode::serde::encode_into_std_write(value, &mut growing, limited)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    Ok(growing.0)
}

/// Room made for an encoding before its first byte: most fit.
const FIRST_BYTES: usize = 1 << 10;

/// Bytes that leave no copy of themselves behind when they grow: an allocator would.
struct Growing(Vec<u8>);

impl Growing {
    fn push(&mut self, more: &[u8]) {
        let needed = self.0.len().saturating_add(more.len());
        if needed > self.0.capacity() {
            let mut roomier = Vec::with_capacity(needed.saturating_mul(2));
            roomier.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = roomier;
        }
        self.0.extend_from_slice(more);
    }
}

impl std::io::Write for Growing {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        self.push(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Decodes what [`encode`] wrote; trailing bytes are refused.
///
/// # Errors
/// [`CodecError`] for anything this build did not write.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if *version != VERSION {
        return Err(CodecError::Version(*version));
    }
    let limited = config::standard().with_limit::<LIMIT_BYTES>();
    let (value, read) =
        bincode::serde::decode_from_slice(body, limited).map_err(|error| CodecError::Malformed(error.to_string()))?;
    if read != body.len() {
        return Err(CodecError::Malformed(format!("{} bytes follow the record", body.len().saturating_sub(read))));
    }
    Ok(value)
}
