//! Pure: the shape of a model, as its `config.json` says it, within bounds. Anything this encoder would compute wrongly is
//! refused: another architecture, another activation, relative positions.
use bailiwick_kernel::limits::EMBEDDING_DIMENSIONS_MAX;
use serde::Deserialize;

/// Most tokens of a text that are read; what is behind them is left out, as the models of this class were trained.
pub const TOKENS_MAX: usize = 256;
const WORDS_MAX: usize = 300_000;
const LAYERS_MAX: usize = 24;
const INNER_MAX: usize = 8_192;
const PLACES_MAX: usize = 8_192;
const KINDS_MAX: usize = 16;
/// A text is two tokens at least: those that begin and end it.
const PLACES_MIN: usize = 2;

/// The shape of a BERT encoder.
#[derive(Clone, PartialEq, Debug)]
pub struct Shape {
    /// Tokens of the vocabulary.
    pub words: usize,
    /// Numbers of a token's state, and of an embedding.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of attention in a layer.
    pub heads: usize,
    /// Numbers between the two products of a layer.
    pub inner: usize,
    /// Places of tokens in a text.
    pub places: usize,
    /// Kinds of tokens; only the first is used.
    pub kinds: usize,
    /// What is added to a variance.
    pub epsilon: f32,
}

#[derive(Deserialize)]
struct File {
    model_type: String,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f32,
}

impl Shape {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// What of it this encoder does not do, or what is beyond its bounds.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let is = |what: &str, found: &str, wanted: &str| {
            if found == wanted { Ok(()) } else { Err(format!("{what} is {found:?}; only {wanted:?} is computed")) }
        };
        is("model_type", &file.model_type, "bert")?;
        is("hidden_act", &file.hidden_act, "gelu")?;
        is("position_embedding_type", file.position_embedding_type.as_deref().unwrap_or("absolute"), "absolute")?;
        let within = |what: &str, found: usize, least: usize, most: usize| {
            let detail = || format!("{what} is {found}; it has to be {least} to {most}");
            if (least..=most).contains(&found) { Ok(found) } else { Err(detail()) }
        };
        let shape = Self {
            words: within("vocab_size", file.vocab_size, 1, WORDS_MAX)?,
            width: within("hidden_size", file.hidden_size, 1, EMBEDDING_DIMENSIONS_MAX)?,
            layers: within("num_hidden_layers", file.num_hidden_layers, 1, LAYERS_MAX)?,
            heads: within("num_attention_heads", file.num_attention_heads, 1, file.hidden_size)?,
            inner: within("intermediate_size", file.intermediate_size, 1, INNER_MAX)?,
            places: within("max_position_embeddings", file.max_position_embeddings, PLACES_MIN, PLACES_MAX)?,
            kinds: within("type_vocab_size", file.type_vocab_size, 1, KINDS_MAX)?,
            epsilon: file.layer_norm_eps,
        };
        if !shape.width.is_multiple_of(shape.heads) {
            return Err(format!("hidden_size {} is no multiple of num_attention_heads {}", shape.width, shape.heads));
        }
        if !(0.0..1.0).contains(&shape.epsilon) {
            return Err(format!("layer_norm_eps is {}; it has to be at least 0 and less than 1", shape.epsilon));
        }
        Ok(shape)
    }

    /// Most tokens of a text that are read.
    #[must_use]
    pub fn tokens_max(&self) -> usize {
        self.places.min(TOKENS_MAX)
    }
}
