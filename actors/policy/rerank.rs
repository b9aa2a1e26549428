//! What a tenant's `policies/retrieval.yaml` says about a second look at the passages found first. Pure.
use crate::findings::{Findings, Source};
use crate::schema::RetrievalPolicy;
use bailiwick_kernel::limits::TOP_K_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Passages looked at twice unless the tenant says otherwise.
const TOP_N: u32 = 50;

/// What is done where the second look comes to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenItFails {
    /// The passages stay in the order they were found in, and the answer says so.
    #[default]
    KeepOrder,
    /// Nothing is answered.
    Refuse,
}

/// `settings.rerank` of `policies/retrieval.yaml`: a model made for it says how well each of the first passages found answers
/// the question, and an answer is given from the best. Absent: from those found first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankSettings {
    /// The model that ranks; `allowed_models` of governance.yaml must allow it, rules permit it `embed`, and `config.toml` name a
    /// provider of kind `rerank` that has a price for it.
    pub model: String,
    /// Passages it looks at, 2 to 100.
    #[serde(default = "top_n")]
    pub top_n: u32,
    /// What is done where it fails.
    #[serde(default)]
    pub when_it_fails: WhenItFails,
}

fn top_n() -> u32 {
    TOP_N
}

impl RerankSettings {
    /// Passages it looks at.
    #[must_use]
    pub fn top_n(&self) -> usize {
        usize::try_from(self.top_n).unwrap_or(usize::MAX).min(TOP_K_MAX)
    }
}

pub(crate) fn check(source: &Source<RetrievalPolicy>, findings: &mut Findings) {
    let Some(settings) = &source.value.settings.rerank else { return };
    findings.written(source, "settings.rerank.model", &settings.model);
    let fits = usize::try_from(settings.top_n).is_ok_and(|top_n| (2..=TOP_K_MAX).contains(&top_n));
    if !fits {
        let problem = format!("{} is out of range: write 2 to {TOP_K_MAX}", settings.top_n);
        findings.refuse(source, "settings.rerank.top_n", problem);
    }
}
