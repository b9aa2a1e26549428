//! What of a text a model reads: the tokens of `tokenizer.json`, by the crate its makers read it with.
use super::ModelError;
use super::shape::Shape;
use tokenizers::{Tokenizer, TruncationParams};

/// Bytes of a text that are looked at, at most. The tokens a model reads stand in far fewer, and time follows bytes.
const TEXT_BYTES_MAX: usize = 32 << 10;

/// A vocabulary and how texts are cut into its tokens.
#[derive(Debug)]
pub struct Vocabulary(Tokenizer);

impl Vocabulary {
    /// Reads a `tokenizer.json` for a model of this shape, to cut texts after so many tokens. Its own padding and truncation are not used: files come with those
    /// of whoever wrote them.
    ///
    /// # Errors
    /// It cannot be read; it knows tokens the model has no row for.
    pub fn read(file: &[u8], shape: &Shape, tokens_max: usize) -> Result<Self, ModelError> {
        let wrong = |problem: String| ModelError::file("tokenizer.json", problem);
        let mut tokenizer = Tokenizer::from_bytes(file).map_err(|error| wrong(error.to_string()))?;
        let last = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        if usize::try_from(last).unwrap_or(usize::MAX) >= shape.words {
            return Err(wrong(format!(
                "it knows the token {last}, and the model's vocab_size is {}; take both from the same model",
                shape.words
            )));
        }
        let _padded = tokenizer.with_padding(None);
        let truncation = TruncationParams { max_length: tokens_max, ..TruncationParams::default() };
        let _cut = tokenizer.with_truncation(Some(truncation)).map_err(|error| wrong(error.to_string()))?;
        Ok(Self(tokenizer))
    }

    /// The tokens of a text, those that begin and end it included.
    ///
    /// # Errors
    /// The vocabulary has no token for something of the text, or none at all comes of it.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        let read = text.get(..end).unwrap_or(text);
        let encoding = self.0.encode_fast(read, true).map_err(|error| ModelError::Text(error.to_string()))?;
        let tokens = encoding.get_ids().to_vec();
        if tokens.is_empty() { Err(ModelError::Text(String::from("no token comes of it"))) } else { Ok(tokens) }
    }
}
