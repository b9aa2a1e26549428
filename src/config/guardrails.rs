//! The platform's guardrails and revoked keys, read at the start. A file that is named and cannot be read keeps the node from starting.
use super::{Config, ConfigError};
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::parse::FileError;
use bailiwick_policy::signature::Revoked;
use std::path::Path;

impl Config {
    /// The guardrails of the file the configuration names.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`], [`ConfigError::Guardrails`].
    pub fn guardrails(&self) -> Result<Guardrails, ConfigError> {
        let rules = match &self.guardrails {
            Some(path) => read(path, Guardrails::parse)?,
            None => Guardrails::none(),
        };
        let revoked = match &self.revoked_signers {
            Some(path) => read(path, Revoked::parse)?,
            None => Revoked::default(),
        };
        Ok(rules.revoking(revoked))
    }
}

fn read<T>(path: &Path, parse: impl FnOnce(&str, &str) -> Result<T, Vec<FileError>>) -> Result<T, ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { file: file.clone(), cause })?;
    parse(&file, &text).map_err(|errors| {
        ConfigError::Guardrails(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}
