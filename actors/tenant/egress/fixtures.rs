//! What tests need of a border: lists, and something cleared.
use super::Egress;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::Sovereignty;
use bailiwick_policy::sovereignty::{Cleared, Flow};
use std::sync::Arc;

/// Rules of these lists.
pub(crate) fn sovereignty(allowed: &[&str], forbidden: &[&str]) -> Sovereignty {
    serde_json::from_value(serde_json::json!({
        "region": "eu-west-1", "allowed_regions": allowed, "forbidden_regions": forbidden,
        "retention": {"logs_days": 1, "data_days": 1, "backups_days": 1},
        "encryption": {"at_rest": "AES-256", "in_transit": "TLS-1.3"},
    }))
    .unwrap()
}

/// Something cleared to be kept at `eu-west-1`.
pub(crate) fn here() -> Cleared {
    sovereignty(&["eu-west-1"], &[]).clear(Flow::Store, "eu-west-1").unwrap()
}

/// The borders of a tenant on a node at `eu-west-1`.
pub(crate) fn borders(policy: &PolicySnapshot) -> Arc<Egress> {
    Egress::new(&here(), &policy.sovereignty)
}
