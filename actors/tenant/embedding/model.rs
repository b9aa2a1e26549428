//! A model whose files were read and tried: shapes, vocabulary, and one pass over two texts that has to come to directions.
use super::encoder::Encoder;
use super::files::{CONFIG, Files, TOKENIZER, WEIGHTS};
use super::shape::Shape;
use super::vocabulary::Vocabulary;
use super::{Embedder, ModelError};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a model is tried with: a short text and one that is cut.
const TRIED_WITH: [&str; 2] = ["a", "the quick brown fox jumps over the lazy dog "];
/// How far a direction's length may be from 1: what rounding leaves.
const LENGTH_TOLERANCE: f32 = 1e-3;

/// What a model is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Numbers of an embedding.
    pub dimension: usize,
    /// Most tokens of a text that are read.
    pub tokens_max: usize,
    /// SHA-256 over the lines `digest  name` of its files in order, as sha256sum prints them: what tells two models apart.
    pub digest: String,
    /// SHA-256 of each file.
    pub files: BTreeMap<String, String>,
}

/// A model, ready to compute.
#[derive(Debug)]
pub struct LocalModel {
    card: Card,
    vocabulary: Vocabulary,
    encoder: Encoder,
}

impl LocalModel {
    /// Reads a folder and tries the model.
    ///
    /// # Errors
    /// [`ModelError::File`], [`ModelError::Text`], [`ModelError::Computing`].
    pub fn try_out(folder: &Path) -> Result<Self, ModelError> {
        Self::of(Files::read(folder)?)
    }

    /// Reads a folder whose files have to be those of a card, before anything is made of them.
    ///
    /// # Errors
    /// [`ModelError::Changed`], and those of [`LocalModel::try_out`].
    pub fn open(name: &str, folder: &Path, card: &Card) -> Result<Self, ModelError> {
        let files = Files::read(folder)?;
        let found = files.digests();
        let is_other = |file: &&String| found.get(*file) != card.files.get(*file);
        if let Some(file) = card.files.keys().chain(found.keys()).find(is_other) {
            return Err(ModelError::Changed { model: name.to_owned(), file: file.clone() });
        }
        Self::of(files)
    }

    fn of(mut files: Files) -> Result<Self, ModelError> {
        let digests = files.digests();
        let config = files.take(CONFIG);
        let config = std::str::from_utf8(&config).map_err(|error| ModelError::file(CONFIG, error.to_string()))?;
        let shape = Shape::read(config).map_err(|problem| ModelError::file(CONFIG, problem))?;
        let tokens_max = files.tokens_max()?.min(shape.tokens_max());
        let vocabulary = Vocabulary::read(&files.take(TOKENIZER), &shape, tokens_max)?;
        let dimension = shape.width;
        let encoder = Encoder::read(files.take(WEIGHTS), shape)
            .map_err(|error| ModelError::file(WEIGHTS, format!("{error}; take all files from the same model")))?;
        let lines: String = digests.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        let digest = hex::encode(digest(&SHA256, lines.as_bytes()));
        let model = Self { card: Card { dimension, tokens_max, digest, files: digests }, vocabulary, encoder };
        model.try_one_pass()?;
        Ok(model)
    }

    fn try_one_pass(&self) -> Result<(), ModelError> {
        let [short, long] = TRIED_WITH;
        let texts = [self.tokens(short)?, self.tokens(&long.repeat(self.card.tokens_max))?];
        let directions = self.encode(&texts.each_ref().map(Vec::as_slice))?;
        let is_one = |direction: &Vec<f32>| {
            let length = direction.iter().map(|number| number * number).sum::<f32>().sqrt();
            direction.len() == self.card.dimension && (length - 1.0).abs() <= LENGTH_TOLERANCE
        };
        if directions.len() == texts.len() && directions.iter().all(is_one) {
            return Ok(());
        }
        Err(ModelError::Computing(String::from("a text comes to no direction of length 1; the weights are no model's")))
    }
}

impl Embedder for LocalModel {
    fn card(&self) -> &Card {
        &self.card
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.vocabulary.tokens(text)
    }

    fn encode(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.encoder.encode(batch).map_err(|error| ModelError::Computing(error.to_string()))
    }
}
