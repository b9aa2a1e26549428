//! The platform's guardrails, read at the start. A file that is named and cannot be read keeps the node from starting.
use super::{Config, ConfigError};
use bailiwick_policy::guardrails::Guardrails;

impl Config {
    /// The guardrails of the file the configuration names.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`], [`ConfigError::Guardrails`].
    pub fn guardrails(&self) -> Result<Guardrails, ConfigError> {
        let Some(path) = &self.guardrails else { return Ok(Guardrails::none()) };
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { file: file.clone(), cause })?;
        Guardrails::parse(&file, &text).map_err(|errors| {
            ConfigError::Guardrails(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })
    }
}
