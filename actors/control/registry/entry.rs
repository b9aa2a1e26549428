//! What stands in the control plane's own journal. Encoded by `kernel::codec`; a change of a type here is a new
//! codec version. Contents of files do not stand here: `tenants/` is their truth.
use super::credentials::Digest;
use crate::compliance::report::Score;
use bailiwick_kernel::journal::Readable;
use bailiwick_policy::access::Role;
use bailiwick_policy::commit::Committed;
use bailiwick_policy::rehearsal::Rehearsal;
use bailiwick_policy::schema::Status;
use bailiwick_tenant::slo::rules::Frozen;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Where a tenant stands, by decision of an operator or of its `tenant.yaml`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Standing {
    /// Serves.
    Active,
    /// Keeps everything, serves nothing.
    Suspended,
    /// Closed; kept until its retention ends.
    Archived,
    /// Deleted softly: kept until its retention ends, cannot be resumed.
    Deleted,
}

/// A key as kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Public id.
    pub key_id: String,
    /// The tenant it opens; `None` for the platform operator.
    pub tenant: Option<Uuid>,
    /// The role within the tenant; `None` for the platform operator.
    pub role: Option<Role>,
    /// The user it belongs to.
    pub user_id: Option<String>,
    /// SHA-256 of the secret.
    pub digest: Digest,
    /// When it was issued.
    pub created_unix_ms: u64,
    /// From when on it opens nothing.
    pub expires_unix_ms: Option<u64>,
    /// When it was revoked.
    pub revoked_unix_ms: Option<u64>,
    /// Whose key issued it.
    pub issued_by: String,
}

/// What a rehearsal came to, in figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RehearsalFigures {
    /// Recorded requests that were replayed.
    pub requests: u64,
    /// Those of them that would be refused.
    pub refused: u64,
    /// Those whose answer would be withheld.
    pub withheld: u64,
    /// Golden questions that were searched for.
    pub golden_questions: u64,
    /// Documents with an answer that were found before …
    pub golden_found_before: u64,
    /// … and with it.
    pub golden_found_after: u64,
}

impl From<&Rehearsal> for RehearsalFigures {
    fn from(rehearsal: &Rehearsal) -> Self {
        let Rehearsal { recorded, golden } = rehearsal;
        Self {
            requests: recorded.requests,
            refused: recorded.refused,
            withheld: recorded.withheld,
            golden_questions: golden.questions,
            golden_found_before: golden.found_before,
            golden_found_after: golden.found_after,
        }
    }
}

/// The control plane keeps no documents.
impl Readable for Entry {}

/// One entry of the control journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// A tenant is known from here on; its id is never used again.
    TenantRegistered {
        /// Its id.
        id: Uuid,
        /// Its name.
        name: String,
        /// When.
        at_unix_ms: u64,
    },
    /// Its record was changed by an operator.
    TenantChanged {
        /// Which tenant.
        id: Uuid,
        /// Digest of its files after the change.
        digest: String,
        /// When.
        at_unix_ms: u64,
        /// By whose key.
        by: String,
    },
    /// Its standing was changed by an operator, or by an edit of its `tenant.yaml`.
    StandingChanged {
        /// Which tenant.
        id: Uuid,
        /// The new standing.
        standing: Standing,
        /// Why.
        reason: Option<String>,
        /// What `tenant.yaml` said at that time: where it says something else later, the file has spoken last.
        file_status: Status,
        /// When.
        at_unix_ms: u64,
        /// By whose key, or `tenant.yaml`.
        by: String,
    },
    /// A key was issued.
    KeyIssued(KeyRecord),
    /// A key was revoked.
    KeyRevoked {
        /// Which.
        key_id: String,
        /// When.
        at_unix_ms: u64,
        /// By whose key.
        by: String,
    },
    /// Everything of a tenant is being destroyed; finished at the next start where this was interrupted.
    DestructionBegun {
        /// Which tenant.
        id: Uuid,
        /// When.
        at_unix_ms: u64,
        /// By whose key.
        by: String,
    },
    /// Nothing of the tenant is left. Its id stays taken, its name is free.
    DestructionDone {
        /// Which tenant.
        id: Uuid,
        /// When.
        at_unix_ms: u64,
    },
    /// A policy comes into force: signed, newer than every one before, and found without conflicts. The tenant's rooms take
    /// it over from here on, or at their next opening.
    PolicyCommitted {
        /// Which tenant.
        id: Uuid,
        /// The version answers are stamped with.
        version: String,
        /// What the next change is held against.
        committed: Committed,
        /// Who signed what changed.
        signed_by: BTreeSet<String>,
        /// When.
        at_unix_ms: u64,
    },
    /// A release of a tenant is committed: its policy files, models and flags. Its texts are kept.
    ReleaseCommitted {
        /// Which tenant.
        id: Uuid,
        /// Names the release: a digest of its files.
        release: String,
        /// The version answers are stamped with.
        version: String,
        /// It is brought to people in stages, beside the last one that came through.
        is_staged: bool,
        /// What its rehearsal came to, where there was one.
        rehearsal: Option<RehearsalFigures>,
        /// When.
        at_unix_ms: u64,
    },
    /// A release that was brought to people in stages has reached everybody, or was sent back.
    RolloutEnded {
        /// Which tenant.
        id: Uuid,
        /// Which release.
        release: String,
        /// It has reached everybody.
        reached_everybody: bool,
        /// When.
        at_unix_ms: u64,
    },
    /// A new version of a tenant's key seals from here on. It stood in the keyring before it stands here.
    TenantKeyMade {
        /// Which tenant.
        id: Uuid,
        /// The version's number.
        version: u32,
        /// The customer's key that wraps it; `None` for the node's root key.
        kms_key_id: Option<String>,
        /// When.
        at_unix_ms: u64,
        /// By whose key, or `key_rotation_days`, or `kms_key_id` where the tenant names another key.
        by: String,
    },
    /// A tenant is closed because the key of its own that wraps its keys is withheld, or was not to be reached for too long.
    TenantSealed {
        /// Which tenant.
        id: Uuid,
        /// What was said of the key.
        reason: String,
        /// When.
        at_unix_ms: u64,
    },
    /// The key is to be had again: the tenant serves.
    TenantUnsealed {
        /// Which tenant.
        id: Uuid,
        /// When.
        at_unix_ms: u64,
    },
    /// The week's compliance report of a tenant was made. Its bytes are kept beside the journal.
    ComplianceReported {
        /// Which tenant.
        id: Uuid,
        /// ISO week in UTC.
        week: String,
        /// SHA-256 of the report, in hexadecimal.
        sha256: String,
        /// What it came to.
        score: Score,
        /// When.
        at_unix_ms: u64,
    },
    /// A tenant's releases are frozen, because its error budget is used up, or free again.
    ReleasesStand {
        /// Which tenant.
        id: Uuid,
        /// The freeze.
        frozen: Option<Frozen>,
        /// When.
        at_unix_ms: u64,
    },
}
