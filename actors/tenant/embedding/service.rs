//! A model and its threads: texts in, directions out, off every arbiter, in slices between which others come in.
use super::batches::batches;
use super::workers::{Lost, Workers};
use super::{Embedder, ModelError};
use bailiwick_kernel::background::Yielding;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Texts of a call, at most: as many as OpenAI takes.
pub const TEXTS_MAX: usize = 2_048;
/// Texts cut into tokens in one slice.
const TEXTS_PER_SLICE: usize = 64;

/// A model, asked by many at once.
pub struct Service {
    model: Arc<dyn Embedder>,
    /// For a question: somebody waits for it, and it is short.
    asked: Workers,
    /// For everything else: it takes seconds, and whoever answers goes first.
    much: Workers,
}

/// What came of a call.
#[derive(Debug)]
pub struct Embedded<T> {
    /// What was made of each text's direction, in the order of the texts.
    pub each: Vec<T>,
    /// Tokens the model read.
    pub tokens: u64,
}

impl Service {
    /// As many workers of each kind as this machine has processors.
    ///
    /// # Errors
    /// [`ModelError::Computing`]: the system has no thread left.
    pub fn start(model: Arc<dyn Embedder>) -> Result<Self, ModelError> {
        let count = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let asked = Workers::start(count, "embedding-asked", None).map_err(lost)?;
        let much = Workers::start(count, "embedding-much", Some(Yielding::Some)).map_err(lost)?;
        Ok(Self { model, asked, much })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &dyn Embedder {
        self.model.as_ref()
    }

    /// Embeds texts; `shape` makes of each direction what is wanted, on a worker, too. Dropped, it ends with its slice.
    ///
    /// # Errors
    /// [`ModelError::Text`], [`ModelError::Computing`].
    pub async fn embed<T: Send + 'static>(
        &self,
        texts: Vec<String>,
        shape: impl Fn(Vec<f32>) -> T + Clone + Send + 'static,
    ) -> Result<Embedded<T>, ModelError> {
        if texts.len() > TEXTS_MAX {
            let problem =
                format!("a call may have {TEXTS_MAX} texts, this one has {}; send fewer at once", texts.len());
            return Err(ModelError::Text(problem));
        }
        let workers = if texts.len() == 1 { &self.asked } else { &self.much };
        let tokens = Arc::new(self.read(workers, texts).await?);
        let lengths: Vec<usize> = tokens.iter().map(Vec::len).collect();
        let mut each: Vec<(usize, T)> = Vec::with_capacity(tokens.len());
        for batch in batches(&lengths) {
            let (model, tokens, shape) = (Arc::clone(&self.model), Arc::clone(&tokens), shape.clone());
            let encode = move || {
                let texts: Vec<&[u32]> = batch.iter().filter_map(|text| tokens.get(*text)).map(Vec::as_slice).collect();
                let directions = model.encode(&texts)?;
                Ok(batch.into_iter().zip(directions.into_iter().map(shape)).collect::<Vec<_>>())
            };
            each.extend(workers.run(encode).await.map_err(lost)??);
        }
        each.sort_unstable_by_key(|(text, _)| *text);
        let tokens = lengths.iter().fold(0, |sum: usize, length| sum.saturating_add(*length));
        Ok(Embedded {
            each: each.into_iter().map(|(_, made)| made).collect(),
            tokens: u64::try_from(tokens).unwrap_or(u64::MAX),
        })
    }

    async fn read(&self, workers: &Workers, texts: Vec<String>) -> Result<Vec<Vec<u32>>, ModelError> {
        let mut read = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter();
        loop {
            let slice: Vec<String> = texts.by_ref().take(TEXTS_PER_SLICE).collect();
            if slice.is_empty() {
                return Ok(read);
            }
            let model = Arc::clone(&self.model);
            let tokens = move || slice.iter().map(|text| model.tokens(text)).collect::<Result<Vec<_>, _>>();
            read.extend(workers.run(tokens).await.map_err(lost)??);
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Service").field("card", self.model.card()).finish_non_exhaustive()
    }
}

fn lost(lost: Lost) -> ModelError {
    ModelError::Computing(lost.to_string())
}
