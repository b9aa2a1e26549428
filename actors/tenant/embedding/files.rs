//! The files of a model as they lie in a folder, in the layout of sentence-transformers: read once, within bounds, each with its
//! digest. What is computed with are these bytes, so that nobody can exchange a file between check and use.
use super::ModelError;
use super::shape::TOKENS_MAX;
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The shape of the model.
pub(super) const CONFIG: &str = "config.json";
/// The vocabulary.
pub(super) const TOKENIZER: &str = "tokenizer.json";
/// The weights.
pub(super) const WEIGHTS: &str = "model.safetensors";
const MODULES: &str = "modules.json";
const POOLING: &str = "1_Pooling/config.json";
const LENGTHS: &str = "sentence_bert_config.json";

/// What there may be, the bytes it has at most, and whether it has to be there. Nothing else of the folder is read.
const FILES: [(&str, u64, bool); 6] = [
    (CONFIG, 64 << 10, true),
    (TOKENIZER, 32 << 20, true),
    (WEIGHTS, 1 << 30, true),
    (MODULES, 64 << 10, false),
    (POOLING, 64 << 10, false),
    (LENGTHS, 64 << 10, false),
];

/// The files of one model, by name.
#[derive(Debug)]
pub(super) struct Files(BTreeMap<&'static str, Vec<u8>>);

impl Files {
    /// Reads a folder.
    ///
    /// # Errors
    /// [`ModelError::File`]: one is missing, too large or unreadable.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        let mut files = BTreeMap::new();
        for (name, bytes_max, is_needed) in FILES {
            match read_one(&folder.join(name), bytes_max) {
                Ok(bytes) => {
                    files.insert(name, bytes);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_needed => {}
                Err(error) => {
                    let shown = folder.join(name);
                    return Err(ModelError::file(
                        shown.display().to_string(),
                        format!("{error}; name a folder that has it"),
                    ));
                }
            }
        }
        Ok(Self(files))
    }

    /// SHA-256 of each file, in hexadecimal digits.
    pub(super) fn digests(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, bytes)| ((*name).to_owned(), hex::encode(digest(&SHA256, bytes)))).collect()
    }

    /// Takes a file out.
    pub(super) fn take(&mut self, name: &str) -> Vec<u8> {
        self.0.remove(name).unwrap_or_default()
    }

    /// Most tokens of a text by what the folder says, which has to describe what this house computes: one transformer, the
    /// mean over its tokens, length 1.
    ///
    /// # Errors
    /// [`ModelError::File`].
    pub(super) fn tokens_max(&self) -> Result<usize, ModelError> {
        if let Some(modules) = self.json(MODULES)? {
            let kinds: Vec<&str> = modules
                .as_array()
                .map(|modules| modules.iter().filter_map(|module| module.get("type")?.as_str()).collect())
                .unwrap_or_default();
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.rsplit('.').next().unwrap_or_default()).collect();
            if !matches!(kinds.as_slice(), ["Transformer", "Pooling"] | ["Transformer", "Pooling", "Normalize"]) {
                let problem =
                    format!("its modules are {kinds:?}; only Transformer, Pooling and Normalize are computed");
                return Err(ModelError::file(MODULES, problem));
            }
        }
        if let Some(pooling) = self.json(POOLING)? {
            let modes = pooling
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, value)| name.starts_with("pooling_mode_") && value.as_bool().unwrap_or(false));
            let modes: Vec<&str> = modes.map(|(name, _)| name.as_str()).collect();
            if modes != ["pooling_mode_mean_tokens"] {
                let problem = format!("it pools by {modes:?}; only pooling_mode_mean_tokens is computed");
                return Err(ModelError::file(POOLING, problem));
            }
        }
        let lengths = self.json(LENGTHS)?;
        let most = lengths.and_then(|lengths| lengths.get("max_seq_length")?.as_u64());
        let most = most.map_or(TOKENS_MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        if most < 3 { Err(ModelError::file(LENGTHS, "max_seq_length is below 3: no text fits")) } else { Ok(most) }
    }

    fn json(&self, name: &str) -> Result<Option<Value>, ModelError> {
        let Some(bytes) = self.0.get(name) else { return Ok(None) };
        serde_json::from_slice(bytes).map(Some).map_err(|error| ModelError::file(name, error.to_string()))
    }
}

fn read_one(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let too_large = || std::io::Error::other(format!("it is larger than {bytes_max} bytes"));
    if size > bytes_max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max { Err(too_large()) } else { Ok(bytes) }
}
