//! Keys as pure decisions: issuing, revoking, rotating. Random bytes and the time come from the shell.
use super::credentials::FreshKey;
use super::directory::{Directory, Tenant};
use super::entry::{Entry, KeyRecord};
use super::messages::NewKey;
use super::rules::is_usable;
use bailiwick_kernel::limits::{KEYS_PER_TENANT_MAX, NOTE_CHARS_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::{Principal, Role};

/// A key decided but not yet durable: the entries to write, in order, and the record of the new key.
#[derive(Debug)]
pub struct Issue {
    /// What is to be journaled.
    pub entries: Vec<Entry>,
    /// The new key's record.
    pub record: KeyRecord,
}

/// Decides a new key.
///
/// # Errors
/// `forbidden` for a role above the issuer's, `quota_exceeded`, `invalid_request`.
pub fn issue(
    directory: &Directory,
    tenant: &Tenant,
    by: &Principal,
    new: &NewKey,
    fresh: &FreshKey,
    now_unix_ms: u64,
) -> Outcome<Issue> {
    permit(by, new.role, "issuing")?;
    if new.user_id.as_ref().is_some_and(|user| user.is_empty() || user.chars().count() > NOTE_CHARS_MAX) {
        return Err(Rejection::new(
            Code::InvalidRequest,
            format!("issuing a key: user_id must have 1 to {NOTE_CHARS_MAX} characters"),
        ));
    }
    let usable = directory.keys_of(Some(tenant.id)).into_iter().filter(|record| is_usable(record, now_unix_ms)).count();
    if usable >= KEYS_PER_TENANT_MAX {
        return Err(Rejection::new(
            Code::QuotaExceeded,
            format!(
                "issuing a key: the tenant has {usable} usable keys, the limit is {KEYS_PER_TENANT_MAX}; revoke one first"
            ),
        ));
    }
    let expires_unix_ms = new.expires_in_ms.map(|span| now_unix_ms.saturating_add(span));
    let record = record(directory, tenant, by, (new.role, new.user_id.clone(), expires_unix_ms), fresh, now_unix_ms)?;
    Ok(Issue { entries: vec![Entry::KeyIssued(record.clone())], record })
}

/// Decides a revocation. Revoking a revoked key changes nothing and is no error.
///
/// # Errors
/// `not_found`; `forbidden` for a key whose role the caller could not have issued.
pub fn revoke(
    directory: &Directory,
    tenant: &Tenant,
    by: &Principal,
    key_id: &str,
    now_unix_ms: u64,
) -> Outcome<Vec<Entry>> {
    let record = own(directory, tenant, key_id)?;
    permit(by, record.role.unwrap_or(Role::Owner), "revoking")?;
    if record.revoked_unix_ms.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![Entry::KeyRevoked { key_id: key_id.to_owned(), at_unix_ms: now_unix_ms, by: by.key_id.clone() }])
}

/// Decides a rotation: the successor has the same role, user and expiry.
///
/// # Errors
/// As [`revoke`]; `conflict` where the key is no longer usable.
pub fn rotate(
    directory: &Directory,
    tenant: &Tenant,
    by: &Principal,
    key_id: &str,
    fresh: &FreshKey,
    now_unix_ms: u64,
) -> Outcome<Issue> {
    let old = own(directory, tenant, key_id)?;
    let role = old.role.unwrap_or(Role::Owner);
    permit(by, role, "rotating")?;
    if !is_usable(old, now_unix_ms) {
        return Err(Rejection::new(Code::Conflict, "rotating a key: it is revoked or expired; issue a new one"));
    }
    let record = record(directory, tenant, by, (role, old.user_id.clone(), old.expires_unix_ms), fresh, now_unix_ms)?;
    let revoked = Entry::KeyRevoked { key_id: key_id.to_owned(), at_unix_ms: now_unix_ms, by: by.key_id.clone() };
    Ok(Issue { entries: vec![Entry::KeyIssued(record.clone()), revoked], record })
}

fn own<'a>(directory: &'a Directory, tenant: &Tenant, key_id: &str) -> Outcome<&'a KeyRecord> {
    directory
        .key(key_id)
        .filter(|record| record.tenant == Some(tenant.id))
        .ok_or_else(|| Rejection::new(Code::NotFound, "there is no such key for this tenant"))
}

fn permit(by: &Principal, role: Role, doing: &str) -> Outcome<()> {
    match by.role {
        None => Ok(()),
        Some(own) if own.may_issue(role) => Ok(()),
        Some(own) => Err(Rejection::new(
            Code::Forbidden,
            format!(
                "{doing} a key of role {}: a key of role {} may not; use a higher one",
                role.as_str(),
                own.as_str()
            ),
        )),
    }
}

fn record(
    directory: &Directory,
    tenant: &Tenant,
    by: &Principal,
    (role, user_id, expires_unix_ms): (Role, Option<String>, Option<u64>),
    fresh: &FreshKey,
    now_unix_ms: u64,
) -> Outcome<KeyRecord> {
    if directory.key(&fresh.key_id).is_some() {
        return Err(Rejection::retry_after(
            Code::Conflict,
            "issuing a key: the drawn public id is taken; try again",
            0,
        ));
    }
    Ok(KeyRecord {
        key_id: fresh.key_id.clone(),
        tenant: Some(tenant.id),
        role: Some(role),
        user_id,
        digest: fresh.digest,
        created_unix_ms: now_unix_ms,
        expires_unix_ms,
        revoked_unix_ms: None,
        issued_by: by.key_id.clone(),
    })
}
