//! What the engine keeps of a chunk, read without the copies its own documents are made of: most of what a search takes
//! beside the search itself.
use tantivy::schema::OwnedValue;
use tantivy::schema::document::{DeserializeError, DocumentDeserialize, DocumentDeserializer};

/// The stored fields of one chunk.
#[derive(Default, Debug)]
pub(super) struct Stored {
    /// Its text.
    pub(super) words: String,
    /// Everything else of it, encoded.
    pub(super) rest: Vec<u8>,
}

impl DocumentDeserialize for Stored {
    fn deserialize<'de, D: DocumentDeserializer<'de>>(mut fields: D) -> Result<Self, DeserializeError> {
        let mut stored = Self::default();
        while let Some((_field, value)) = fields.next_field::<OwnedValue>()? {
            // one field of each kind is stored
            match value {
                OwnedValue::Str(words) => stored.words = words,
                OwnedValue::Bytes(rest) => stored.rest = rest,
                _ => {}
            }
        }
        Ok(stored)
    }
}
