//! Purpose: turns texts into directions with a small model on this node's own processors.
//! Owns: the weights and the vocabulary of a model that was registered here, the threads that compute with it.
//! Sends to: nobody; it is asked through [`Embedder`], by the provider of its kind alone.
//! Never: fetches anything; computes on an arbiter; knows a tenant; keeps a text.
//! Invariants: what is computed with is, byte for byte, what was checked when the model was added. A text's direction does not
//! depend on the texts beside it beyond rounding. A slice of work is bounded in tokens, a call in slices.
pub mod batches;
pub mod encoder;
mod files;
mod kernels;
pub mod model;
pub mod registered;
pub mod service;
pub mod shape;
mod vocabulary;
pub mod workers;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub use model::{Card, LocalModel};
pub use registered::Registered;

/// A model that gives each text a direction: the one seam between the arithmetic and whoever asks for it. Blocking; called on
/// a worker.
pub trait Embedder: Send + Sync {
    /// What it is.
    fn card(&self) -> &Card;

    /// The tokens of a text that the model reads: at least one, at most [`Card::tokens_max`].
    ///
    /// # Errors
    /// [`ModelError::Text`].
    fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError>;

    /// The direction of each text of a batch, as many numbers as [`Card::dimension`] says, of length 1.
    ///
    /// # Errors
    /// [`ModelError::Computing`].
    fn encode(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError>;
}

/// Why a model is not used, or a text not embedded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ModelError {
    /// One of its files is wrong.
    #[error("reading the model's {file}: {problem}")]
    File {
        /// Which.
        file: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file is another one than was checked when the model was added.
    #[error(
        "opening the model {model}: {file} has changed since the model was added; put the file back, or check what is there \
         now with `bailiwick model add`"
    )]
    Changed {
        /// Which model.
        model: String,
        /// Which file.
        file: String,
    },
    /// There is no such model on this node.
    #[error("opening the model {0}: it is not registered on this node; add it with `bailiwick model add`")]
    Unknown(String),
    /// The list of models cannot be read or written.
    #[error("keeping the list of models: {0}")]
    Register(String),
    /// A text cannot be cut into tokens.
    #[error("embedding a text: {0}")]
    Text(String),
    /// The weights do not fit, or the arithmetic came to no direction.
    #[error("computing with the model: {0}")]
    Computing(String),
}

impl ModelError {
    fn file(file: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::File { file: file.into(), problem: problem.into() }
    }
}
