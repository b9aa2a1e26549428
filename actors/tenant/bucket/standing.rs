//! How a tenant's bucket stands, as it is told.
use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};

/// How a bucket stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BucketView {
    /// The place, as `tenant.yaml` names it.
    pub place: String,
    /// Objects it had at the last look that could be ended.
    pub objects: u64,
    /// Those of them that are documents here, as they are there.
    pub here: u64,
    /// Those that are not read: empty, too large, erased here, or refused.
    pub skipped: u64,
    /// Documents whose object is gone and which something keeps here.
    pub kept: u64,
    /// RFC 3339 time of the last look that could be ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<String>,
    /// Why the last look could not be ended, or what it left undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Written by the background, read by whoever asks.
#[derive(Debug, Default)]
pub struct Standing(ArcSwapOption<BucketView>);

impl Standing {
    /// How the bucket stands; nothing where the tenant has none.
    #[must_use]
    pub fn view(&self) -> Option<BucketView> {
        self.0.load().as_deref().cloned()
    }

    /// It stands so.
    pub(super) fn set(&self, view: Option<BucketView>) {
        self.0.store(view.map(std::sync::Arc::new));
    }
}
