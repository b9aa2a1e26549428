//! Who may enter: authentication and authorisation as pure decisions. The order is part of the promise: a tenant's
//! key learns nothing about other tenants, neither from the words nor from which check spoke first.
use super::credentials::{Digest, ShownKey};
use super::directory::{Directory, Folder, Tenant};
use super::entry::{KeyRecord, Standing};
use crate::identity::rules::Passed;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::{HANDLE_LEASE_MS, RESTART_WINDOW_MS, RESTARTS_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::{Principal, Right, Role};
use bailiwick_policy::schema::{User, UserStatus};
use std::collections::BTreeMap;

/// What is told of a sealed tenant, whatever was said of its key.
const SEALED: &str = "this tenant is sealed: the key of its own that wraps its data is withheld or cannot be reached; it opens by \
                      itself once the key can be used again";
/// Compared against where no such key exists, so that an unknown id takes as long as a wrong secret.
const NOBODY: Digest = [0; 32];

/// Somebody who may enter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admission {
    /// Who.
    pub principal: Principal,
    /// Until when without knocking again.
    pub lease_until_unix_ms: u64,
    /// Into where.
    pub into: Place,
}

/// Where somebody may enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The fleet.
    Fleet,
    /// One tenant.
    Tenant(TenantKey),
}

/// Decides a knock.
///
/// # Errors
/// `unauthenticated`, `forbidden`, `not_found`, `invalid_request`, `tenant_suspended`.
pub fn judge(
    directory: &Directory,
    shown: Option<&ShownKey>,
    named: Option<&str>,
    right: Right,
    now_unix_ms: u64,
) -> Outcome<Admission> {
    let record = authenticate(directory, shown, now_unix_ms)?;
    let into = match record.tenant {
        None => for_operator(directory, named, right)?,
        Some(id) => {
            let tenant = directory.find_id(id).ok_or_else(Rejection::unauthenticated)?;
            unlocked(tenant, record.user_id.as_deref())?;
            Place::Tenant(for_tenant(directory, tenant, record.role, named, right)?)
        }
    };
    let principal = Principal {
        key_id: record.key_id.clone(),
        user_id: record.user_id.clone(),
        role: record.role,
        attributes: BTreeMap::new(),
    };
    let lease_until_unix_ms = lease_until(record.expires_unix_ms, now_unix_ms);
    Ok(Admission { principal, lease_until_unix_ms, into })
}

/// Decides a knock with a verified token: its issuer has spoken for the tenant, the tenant's `users.yaml` may lower the
/// role it gives or lock its user out.
///
/// # Errors
/// As [`judge`].
pub fn judge_token(
    directory: &Directory,
    token: &Passed,
    named: Option<&str>,
    right: Right,
    now_unix_ms: u64,
) -> Outcome<Admission> {
    let tenant = directory.find(token.tenant()).filter(|tenant| !tenant.destroying && token.is_accepted(now_unix_ms));
    let tenant = tenant.ok_or_else(Rejection::unauthenticated)?;
    let user = unlocked(tenant, Some(token.user_id()))?;
    let role = user.map_or(token.role(), |user| user.role.lower(token.role()));
    let into = Place::Tenant(for_tenant(directory, tenant, Some(role), named, right)?);
    let principal = Principal {
        key_id: token.key_id().to_owned(),
        user_id: Some(token.user_id().to_owned()),
        role: Some(role),
        attributes: token.attributes().clone(),
    };
    Ok(Admission { principal, lease_until_unix_ms: lease_until(Some(token.expires_unix_ms()), now_unix_ms), into })
}

fn lease_until(expires_unix_ms: Option<u64>, now_unix_ms: u64) -> u64 {
    let lease_over = now_unix_ms.saturating_add(HANDLE_LEASE_MS);
    expires_unix_ms.map_or(lease_over, |expiry| expiry.min(lease_over))
}

/// What the tenant's `users.yaml` says of a user; a locked one is refused like somebody unknown.
fn unlocked<'a>(tenant: &'a Tenant, user_id: Option<&str>) -> Outcome<Option<&'a User>> {
    let user = user_id.and_then(|user_id| tenant.policy.as_ref().and_then(|policy| policy.user(user_id)));
    match user {
        Some(user) if user.status == UserStatus::Locked => Err(Rejection::unauthenticated()),
        user => Ok(user),
    }
}

fn authenticate<'a>(directory: &'a Directory, shown: Option<&ShownKey>, now_unix_ms: u64) -> Outcome<&'a KeyRecord> {
    let shown = shown.ok_or_else(Rejection::unauthenticated)?;
    let record = directory.key(&shown.key_id);
    let proven = shown.proves(record.map_or(&NOBODY, |record| &record.digest));
    record.filter(|record| proven && is_usable(record, now_unix_ms)).ok_or_else(Rejection::unauthenticated)
}

/// True where a key may still be used.
#[must_use]
pub fn is_usable(record: &KeyRecord, now_unix_ms: u64) -> bool {
    record.revoked_unix_ms.is_none() && record.expires_unix_ms.is_none_or(|expiry| now_unix_ms < expiry)
}

fn for_operator(directory: &Directory, named: Option<&str>, right: Right) -> Outcome<Place> {
    if right == Right::Fleet {
        return Ok(Place::Fleet);
    }
    let name = named.ok_or_else(|| {
        Rejection::new(
            Code::InvalidRequest,
            "the platform operator's key belongs to no tenant: name one with the header x-bailiwick-tenant",
        )
    })?;
    let tenant = directory.find(name).filter(|tenant| !tenant.destroying).ok_or_else(no_such_tenant)?;
    // keys of a suspended tenant can be revoked by the operator, and only by the operator
    if right != Right::Govern {
        serving(tenant)?;
    }
    Ok(Place::Tenant(tenant.key))
}

fn for_tenant(
    directory: &Directory,
    tenant: &Tenant,
    role: Option<Role>,
    named: Option<&str>,
    right: Right,
) -> Outcome<TenantKey> {
    if right == Right::Fleet {
        return Err(forbidden(right));
    }
    if named.is_some_and(|named| directory.find(named).map(|found| found.key) != Some(tenant.key)) {
        return Err(no_such_tenant());
    }
    if !role.is_some_and(|role| role.may(right)) {
        return Err(forbidden(right));
    }
    serving(tenant)?;
    Ok(tenant.key)
}

/// Passes a tenant whose rooms may be open.
///
/// # Errors
/// `tenant_suspended` with the reason, `tenant_sealed`.
pub fn serving(tenant: &Tenant) -> Outcome<()> {
    if tenant.may_serve() {
        return Ok(());
    }
    let detail = match (tenant.standing(), &tenant.quarantine, &tenant.folder) {
        (Standing::Suspended, ..) => "this tenant is suspended; ask the platform operator",
        (Standing::Archived, ..) => "this tenant is archived; ask the platform operator",
        (Standing::Deleted, ..) => "this tenant is deleted",
        (Standing::Active, Some(_), _) => {
            "this tenant was closed after repeated faults; the platform operator can resume it"
        }
        (Standing::Active, None, _) if tenant.sealed.is_some() => {
            return Err(Rejection::new(Code::TenantSealed, SEALED));
        }
        (Standing::Active, None, Folder::Elsewhere(_)) => {
            let detail = "this tenant's data-sovereignty.yaml does not allow its data to be where this node is; ask the \
                          platform operator";
            return Err(Rejection::new(Code::SovereigntyViolation, detail));
        }
        (Standing::Active, None, Folder::Gone) => "this tenant is suspended: its folder is gone",
        (Standing::Active, None, _) => "this tenant does not serve: its files are not valid; ask the platform operator",
    };
    Err(Rejection::new(Code::TenantSuspended, detail))
}

/// The one answer for a tenant that does not exist, and for one that is somebody else's.
#[must_use]
pub fn no_such_tenant() -> Rejection {
    Rejection::new(Code::NotFound, "there is no such tenant for this key")
}

fn forbidden(right: Right) -> Rejection {
    let wanted = match right {
        Right::Ask => "asking",
        Right::Ingest => "adding and removing documents",
        Right::Feedback => "judging answers",
        Right::Audit => "reading documents, lineage and policy",
        Right::Observe => "seeing usage",
        Right::Govern => "changing keys and policies",
        Right::Fleet => "managing tenants",
    };
    Rejection::new(Code::Forbidden, format!("this key does not permit {wanted}; use a key whose role does"))
}

/// Whether a supervisor that died may be built anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestartVerdict {
    /// It may.
    Rebuild,
    /// It died too often within the window.
    Quarantine,
}

/// Counts one death into those of the window.
pub fn restart(deaths_unix_ms: &mut Vec<u64>, now_unix_ms: u64) -> RestartVerdict {
    deaths_unix_ms.retain(|at| now_unix_ms.saturating_sub(*at) < RESTART_WINDOW_MS);
    deaths_unix_ms.push(now_unix_ms);
    if deaths_unix_ms.len() > usize::try_from(RESTARTS_MAX).unwrap_or(usize::MAX) {
        RestartVerdict::Quarantine
    } else {
        RestartVerdict::Rebuild
    }
}
