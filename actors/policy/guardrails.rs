//! Guardrails: the platform's law above every tenant. Its rules forbid and require, they permit nothing, and no rule of a
//! tenant overrides one. Keys it has revoked sign nothing, whatever a tenant's list of signers says.
use crate::conflicts::{Kind, conflicts};
use crate::language::Rule;
use crate::language::checks::{Enacted, GUARDRAIL_PREFIX, Origin, problems};
use crate::parse::{FileError, parse};
use crate::places::Places;
use crate::signature::Revoked;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The file of the guardrails.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardrailsFile {
    /// The rules: `forbid` and `require` only.
    pub guardrails: Vec<Rule>,
}

/// Checked guardrails.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Guardrails {
    rules: Vec<Rule>,
    revoked: Arc<Revoked>,
}

impl Guardrails {
    /// A platform that forbids nothing of its own.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the file of the guardrails.
    ///
    /// # Errors
    /// Everything that is wrong with it: syntax, types, a rule that permits, one that no request matches, and one that
    /// could not be judged for some request, which then nobody could make.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileError>> {
        let read: GuardrailsFile = parse(file, text).map_err(|error| vec![error])?;
        let places = Places::of(text);
        let guardrails = Self { rules: read.guardrails, revoked: Arc::default() };
        let enacted: Vec<_> = guardrails.enacted().collect();
        let at = |index: usize, path: &str, problem: &str| {
            places.error(file, &format!("guardrails[{index}].{path}"), problem)
        };
        let mut errors: Vec<_> =
            problems(&enacted).iter().map(|(index, path, problem)| at(*index, path, problem)).collect();
        if errors.is_empty() {
            let found = conflicts(&enacted).found;
            errors.extend(
                found.iter().filter(|conflict| conflict.kind.refuses() && conflict.kind != Kind::Overlap).map(
                    |conflict| {
                        let index =
                            enacted.iter().position(|enacted| enacted.rule.id == conflict.rule).unwrap_or_default();
                        at(index, "when", &conflict.problem)
                    },
                ),
            );
        }
        if errors.is_empty() { Ok(guardrails) } else { Err(errors) }
    }

    /// The same, under which these keys sign nothing.
    #[must_use]
    pub fn revoking(self, revoked: Revoked) -> Self {
        Self { revoked: Arc::new(revoked), ..self }
    }

    /// Keys that sign nothing.
    #[must_use]
    pub fn revoked(&self) -> Arc<Revoked> {
        Arc::clone(&self.revoked)
    }

    /// The guardrails as rules above a tenant's.
    pub fn enacted(&self) -> impl Iterator<Item = Enacted> + '_ {
        self.rules.iter().cloned().map(|mut rule| {
            rule.id.insert_str(0, GUARDRAIL_PREFIX);
            Enacted { rule, origin: Origin::Platform }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "guardrails:\n  - id: no-calls-to-cn\n    effect: forbid\n    actions: [generate]\n    when: { model.region: cn-* }\n    \
                        reason: no provider there has signed\n";

    #[test]
    fn guardrails_forbid_and_never_permit() {
        let read = Guardrails::parse("guardrails.yaml", GOOD).unwrap();
        assert_eq!(read.enacted().map(|enacted| enacted.rule.id).collect::<Vec<_>>(), ["platform.no-calls-to-cn"]);
        assert!(read.enacted().all(|enacted| enacted.is_guardrail()));
        let table = [
            ("effect: forbid", "effect: permit", "guardrails.yaml:3:13: guardrails[0].effect: a guardrail narrows"),
            (
                "model.region",
                "model.regoin",
                "guardrails.yaml:5:27: guardrails[0].when.model.regoin: unknown attribute",
            ),
            ("model.region: cn-*", "user.id: mallory", "asks for an attribute this request lacks"),
            ("effect:", "efect:", "unknown key \"efect\": did you mean \"effect\"?"),
        ];
        for (from, to, expected) in table {
            let errors = Guardrails::parse("guardrails.yaml", &GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(errors[0].to_string().contains(expected), "{to}: {}", errors[0]);
        }
    }
}
