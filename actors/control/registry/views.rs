//! Tenants and keys as the outside sees them.
use super::directory::{Directory, Folder, Tenant};
use super::entry::{KeyRecord, Standing};
use super::messages::{KeyView, PolicyStanding, TenantFilters, TenantView};
use super::rules::is_usable;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_policy::schema::{Encryption, Plan, Quotas, Status, TenantConfig, TenantFile, TenantMetadata};
use uuid::Uuid;

/// A tenant as shown: its record with the status that is in force, its state and the reason for it.
#[must_use]
pub fn tenant_view(tenant: &Tenant) -> TenantView {
    let mut record =
        tenant.policy.as_ref().map_or_else(|| empty_record(tenant.id, &tenant.name), |policy| policy.tenant.clone());
    record.status = match tenant.standing() {
        Standing::Active => Status::Active,
        Standing::Suspended => Status::Suspended,
        Standing::Archived | Standing::Deleted => Status::Archived,
    };
    if record.created_at.is_none() {
        record.created_at = Some(rfc3339(tenant.registered_unix_ms));
    }
    let (state, reason) = state_of(tenant);
    TenantView {
        record,
        state: state.to_owned(),
        reason,
        generation: tenant.generation,
        policy_version: version_of(tenant),
    }
}

/// The version that came through last.
fn version_of(tenant: &Tenant) -> String {
    tenant.policy.as_ref().map(|policy| policy.settled().version.clone()).unwrap_or_default()
}

fn state_of(tenant: &Tenant) -> (&'static str, Option<String>) {
    let decided = tenant.decision.as_ref().and_then(|decision| decision.reason.clone());
    if tenant.destroying {
        return ("deleted", Some("everything it owned is being destroyed".to_owned()));
    }
    let newest_files = match &tenant.folder {
        Folder::Refused(problem) | Folder::Frozen(problem) | Folder::Elsewhere(problem) => Some(problem.clone()),
        Folder::Unread => Some("its folder has not been read yet".to_owned()),
        Folder::Gone => Some("its folder is gone".to_owned()),
        Folder::Sound => None,
    };
    match tenant.standing() {
        Standing::Deleted => ("deleted", decided),
        Standing::Archived => ("archived", decided),
        Standing::Suspended => ("suspended", decided),
        Standing::Active if tenant.quarantine.is_some() => ("quarantined", tenant.quarantine.clone()),
        Standing::Active if tenant.sealed.is_some() => ("sealed", tenant.sealed.clone()),
        Standing::Active if matches!(tenant.folder, Folder::Gone | Folder::Elsewhere(_)) => ("suspended", newest_files),
        Standing::Active if tenant.policy.is_none() => ("refused", newest_files),
        Standing::Active => ("serving", newest_files),
    }
}

/// What the policies of every tenant come to, by name.
#[must_use]
pub fn policies(directory: &Directory) -> Vec<PolicyStanding> {
    let of = |tenant: &Tenant| PolicyStanding {
        tenant: tenant.name.clone(),
        policy_version: version_of(tenant),
        conflicts: tenant.policy.as_ref().map(|policy| (*policy.conflicts).clone()).unwrap_or_default(),
        refused: match &tenant.folder {
            Folder::Refused(problem) | Folder::Frozen(problem) | Folder::Elsewhere(problem) => Some(problem.clone()),
            Folder::Gone => Some("its folder is gone".to_owned()),
            Folder::Unread | Folder::Sound => None,
        },
    };
    let mut standings: Vec<_> = directory.tenants().map(of).collect();
    standings.sort_by(|one, other| one.tenant.cmp(&other.tenant));
    standings
}

/// A folder that never compiled: shown with the nil id and an empty record, because nothing in it is known.
#[must_use]
pub fn stray_view(name: &str, problem: &str) -> TenantView {
    TenantView {
        record: empty_record(Uuid::nil(), name),
        state: "refused".to_owned(),
        reason: Some(problem.to_owned()),
        generation: 0,
        policy_version: String::new(),
    }
}

fn empty_record(id: Uuid, name: &str) -> TenantFile {
    TenantFile {
        id,
        name: name.to_owned(),
        status: Status::Suspended,
        plan: Plan::Free,
        config: TenantConfig { region: String::new(), retention_days: 0, encryption: Encryption::Standard },
        quotas: Quotas::default(),
        storage: None,
        metadata: TenantMetadata { industry: String::new(), compliance: Vec::new(), contact_email: String::new() },
        created_at: None,
        updated_at: None,
    }
}

/// listTenants: every tenant that passes the filters, by name.
#[must_use]
pub fn list(directory: &Directory, filters: &TenantFilters) -> Vec<TenantView> {
    let registered = directory.tenants().map(tenant_view);
    let strays = directory.strays().iter().map(|(name, problem)| stray_view(name, problem));
    let mut views: Vec<_> = registered.chain(strays).filter(|view| passes(view, filters)).collect();
    views.sort_by(|one, other| one.record.name.cmp(&other.record.name));
    views
}

fn passes(view: &TenantView, filters: &TenantFilters) -> bool {
    let record = &view.record;
    filters.status.is_none_or(|status| status == record.status)
        && filters.plan.is_none_or(|plan| plan == record.plan)
        && filters.region.as_ref().is_none_or(|region| *region == record.config.region)
        && filters.industry.as_ref().is_none_or(|industry| *industry == record.metadata.industry)
        && filters.compliance.as_ref().is_none_or(|regime| record.metadata.compliance.contains(regime))
}

/// A key as listed.
#[must_use]
pub fn key_view(record: &KeyRecord, now_unix_ms: u64) -> Option<KeyView> {
    Some(KeyView {
        key_id: record.key_id.clone(),
        user_id: record.user_id.clone(),
        role: record.role?,
        created_at: rfc3339(record.created_unix_ms),
        expires_at: record.expires_unix_ms.map(rfc3339),
        revoked: !is_usable(record, now_unix_ms),
    })
}
