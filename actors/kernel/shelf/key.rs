//! What a value of a shelf stands under. The store's keys lie on the disk as they are, and stay in its log after they are gone:
//! so nothing stands there that anybody has written.
use crate::cipher::{Cipher, CipherError, SHELF_NAME_BYTES};

/// Ends a kind, so that no kind is the beginning of another one.
const END_OF_KIND: u8 = 0;

/// What a value stands under, as its owner knows it: a kind; a name, where there are several of the kind; numbers, where there are
/// several of the name.
///
/// Kinds and numbers stand in the store as they are, and values of one kind and name lie in the order of their numbers. Of a
/// name there is a keyed digest: names have no order, and those who have the disk learn that there are some.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    kind: &'static str,
    name: Option<Vec<u8>>,
    numbers: Vec<u8>,
}

impl Key {
    /// The one value of a kind, or the beginning of all its values. A kind has no zero byte.
    #[must_use]
    pub const fn of(kind: &'static str) -> Self {
        Self { kind, name: None, numbers: Vec::new() }
    }

    /// Of this name.
    #[must_use]
    pub fn name(self, name: impl AsRef<[u8]>) -> Self {
        Self { name: Some(name.as_ref().to_vec()), ..self }
    }

    /// Of this number, behind those before it.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.numbers.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// As it stands in the store: on one shelf, under one tenant's keys.
    pub(super) fn stored(&self, shelf: &str, cipher: &Cipher) -> Result<Stored, CipherError> {
        let length = self.kind.len() + 1 + SHELF_NAME_BYTES + self.numbers.len();
        let mut stored = Vec::with_capacity(length);
        stored.extend_from_slice(self.kind.as_bytes());
        stored.push(END_OF_KIND);
        if let Some(name) = &self.name {
            stored.extend_from_slice(&cipher.shelf_name(&[shelf, self.kind], name)?);
        }
        stored.extend_from_slice(&self.numbers);
        Ok(Stored(stored))
    }
}

/// What a value stands under in the store: where a scan goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored(Vec<u8>);

impl Stored {
    /// The number it ends with, where it ends with one.
    #[must_use]
    pub fn last_number(&self) -> Option<u64> {
        let (_, last) = self.0.split_last_chunk::<8>()?;
        Some(u64::from_be_bytes(*last))
    }

    pub(super) fn from_store(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
