//! A tenant's life as pure decisions: creating, changing, suspending, resuming, archiving, deleting, and what a
//! folder that was read means.
use super::directory::{CONTROL_ID, Directory, Folder, Tenant};
use super::entry::{Entry, Standing};
use super::messages::{NewTenant, TenantChanges};
use crate::gitops::rules::is_place;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::limits::{NOTE_CHARS_MAX, TENANT_FILES_MAX, TENANTS_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::{PolicySnapshot, TENANT, name_problem};
use bailiwick_policy::parse::{FileTexts, parse};
use bailiwick_policy::retention::LegalHold;
use bailiwick_policy::schema::{Status, TenantFile};
use uuid::Uuid;

/// What an operator wants of a tenant's standing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Stop serving, for this reason.
    Suspend(String),
    /// Serve again.
    Resume,
    /// Close.
    Archive,
    /// Delete softly.
    Delete,
}

/// Checks a name: lower-case letters, digits and inner hyphens.
///
/// # Errors
/// `invalid_request`.
pub fn check_name(name: &str) -> Outcome<()> {
    if let Some(problem) = name_problem(name) {
        return Err(Rejection::new(Code::InvalidRequest, format!("creating a tenant: {problem}")));
    }
    // a name in the form of a uuid could stand for another tenant's id
    if Uuid::parse_str(name).is_ok() {
        return Err(Rejection::new(
            Code::InvalidRequest,
            "creating a tenant: the name must not have the form of a uuid",
        ));
    }
    Ok(())
}

/// Decides createTenant: the record that is to be written to its folder.
///
/// # Errors
/// `conflict` where name or id is taken, `invalid_request`, `quota_exceeded`.
pub fn create(directory: &Directory, new: &NewTenant, drawn: Uuid, now_unix_ms: u64) -> Outcome<TenantFile> {
    check_signers(&new.signers)?;
    let id = new.id.unwrap_or(drawn);
    check_is_free(directory, &new.name, id)?;
    let now = rfc3339(now_unix_ms);
    Ok(TenantFile {
        id,
        name: new.name.clone(),
        status: Status::Active,
        plan: new.plan,
        config: new.config.clone(),
        quotas: new.quotas.clone(),
        storage: None,
        metadata: new.metadata.clone(),
        created_at: Some(now.clone()),
        updated_at: Some(now),
    })
}

/// Decides whether a tenant of these files may come here, under the name and id its own record says.
///
/// # Errors
/// `conflict` where name or id is taken, `invalid_request` where they are no files of a tenant, `quota_exceeded`.
pub fn take_in(directory: &Directory, texts: &FileTexts) -> Outcome<TenantFile> {
    let invalid = |problem: String| Rejection::new(Code::InvalidRequest, format!("taking a tenant in: {problem}"));
    if texts.len() > TENANT_FILES_MAX {
        return Err(invalid(format!("it has {} files, and {TENANT_FILES_MAX} are read", texts.len())));
    }
    if let Some(stranger) = texts.keys().find(|place| !is_place(place)) {
        return Err(invalid(format!(
            "{stranger:?} is no place of a file that is read of a tenant's folder; leave it out"
        )));
    }
    let text = texts.get(TENANT).ok_or_else(|| invalid(format!("it has no {TENANT}")))?;
    let record: TenantFile = parse(TENANT, text).map_err(|problem| invalid(problem.to_string()))?;
    check_is_free(directory, &record.name, record.id)?;
    Ok(record)
}

fn check_is_free(directory: &Directory, name: &str, id: Uuid) -> Outcome<()> {
    check_name(name)?;
    check_id(directory, id)?;
    if directory.find(name).is_some() || directory.strays().contains_key(name) {
        return Err(Rejection::new(Code::Conflict, "creating a tenant: the name is taken; choose another one"));
    }
    if directory.find_id(id).is_some() {
        return Err(Rejection::new(
            Code::Conflict,
            "creating a tenant: the id is taken; leave it out to have one drawn",
        ));
    }
    if directory.tenants().count() >= TENANTS_MAX {
        return Err(Rejection::new(
            Code::QuotaExceeded,
            format!("creating a tenant: this node holds {TENANTS_MAX} tenants at most"),
        ));
    }
    Ok(())
}

/// Each is one line; what is wrong with it as a signer is said when the folder is compiled.
fn check_signers(signers: &[String]) -> Outcome<()> {
    if signers.iter().any(|line| line.trim_start().starts_with('#') || line.chars().any(char::is_control)) {
        let detail = "creating a tenant: a signer is one line of allowed_signers, without a line break and no comment";
        return Err(Rejection::new(Code::InvalidRequest, detail));
    }
    Ok(())
}

fn check_id(directory: &Directory, id: Uuid) -> Outcome<()> {
    if id.is_nil() || id == CONTROL_ID {
        return Err(Rejection::new(Code::InvalidRequest, "the tenant's id is reserved; draw another uuid"));
    }
    if directory.was_destroyed(id) {
        return Err(Rejection::new(
            Code::Conflict,
            "the tenant's id belonged to a tenant that was destroyed and is never used again; draw another uuid",
        ));
    }
    Ok(())
}

/// Decides updateTenant: the record that is to be written.
///
/// # Errors
/// `conflict` where there is no valid record to change.
pub fn update(tenant: &Tenant, changes: &TenantChanges, now_unix_ms: u64) -> Outcome<TenantFile> {
    let policy = tenant.policy.as_ref().filter(|_| !matches!(tenant.folder, Folder::Gone));
    let policy = policy.ok_or_else(|| {
        Rejection::new(Code::Conflict, "changing a tenant: its folder is missing or not valid; repair it first")
    })?;
    if tenant.standing() == Standing::Deleted {
        return Err(Rejection::new(Code::Conflict, "changing a tenant: it is deleted"));
    }
    let mut record = policy.tenant.clone();
    record.plan = changes.plan.unwrap_or(record.plan);
    record.config = changes.config.clone().unwrap_or(record.config);
    record.quotas = changes.quotas.clone().unwrap_or(record.quotas);
    record.metadata = changes.metadata.clone().unwrap_or(record.metadata);
    record.updated_at = Some(rfc3339(now_unix_ms));
    Ok(record)
}

/// Decides a change of standing. Wishing for what is already so changes nothing and is no error.
///
/// # Errors
/// `conflict` where the state does not allow it, `invalid_request` for an overlong reason.
pub fn change_standing(tenant: &Tenant, wish: &Wish, by: &str, now_unix_ms: u64) -> Outcome<Vec<Entry>> {
    use Standing::{Active, Archived, Deleted, Suspended};
    let (standing, reason) = match (tenant.standing(), wish) {
        (Active, Wish::Suspend(reason)) => (Suspended, Some(reason.clone())),
        (Suspended, Wish::Suspend(_))
        | (Active, Wish::Resume)
        | (Archived, Wish::Archive)
        | (Deleted, Wish::Delete) => return Ok(Vec::new()),
        (Suspended | Archived, Wish::Resume) => (Active, None),
        (Active | Suspended, Wish::Archive) => (Archived, None),
        (Active | Suspended | Archived, Wish::Delete) => (Deleted, None),
        (Archived, Wish::Suspend(_)) => {
            return Err(Rejection::new(Code::Conflict, "suspending a tenant: it is archived; resume it first"));
        }
        (Deleted, _) => {
            return Err(Rejection::new(
                Code::Conflict,
                "changing a tenant: it is deleted and cannot come back; create a new one",
            ));
        }
    };
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > NOTE_CHARS_MAX) {
        return Err(Rejection::new(
            Code::InvalidRequest,
            format!("suspending a tenant: the reason is longer than {NOTE_CHARS_MAX} characters"),
        ));
    }
    Ok(vec![decision(tenant, standing, reason, by, now_unix_ms)])
}

fn decision(tenant: &Tenant, standing: Standing, reason: Option<String>, by: &str, now_unix_ms: u64) -> Entry {
    let file_status = match (&tenant.policy, &tenant.decision) {
        (Some(policy), _) => policy.tenant.status,
        (None, Some(earlier)) => earlier.file_status,
        (None, None) => Status::Active,
    };
    Entry::StandingChanged { id: tenant.id, standing, reason, file_status, at_unix_ms: now_unix_ms, by: by.to_owned() }
}

/// What a compiled folder means.
#[derive(Clone, PartialEq, Debug)]
pub enum Arrival {
    /// A tenant nobody knew: to be registered by this entry.
    New(Entry),
    /// A known tenant: its policy is to be committed. The entry is there where its `tenant.yaml` has spoken anew
    /// about its standing.
    Known(Uuid, Option<Entry>),
}

/// Decides what a folder that compiled means.
///
/// # Errors
/// Why it may not be loaded.
pub fn arrive(directory: &Directory, folder: &str, policy: &PolicySnapshot, now_unix_ms: u64) -> Outcome<Arrival> {
    let record = &policy.tenant;
    check_name(folder)?;
    if record.name != folder {
        return Err(Rejection::new(
            Code::Conflict,
            format!("tenant.yaml: the name is {:?}, but the folder is {folder:?}; they must be equal", record.name),
        ));
    }
    check_id(directory, record.id)?;
    let by_name = directory.find(folder).filter(|tenant| tenant.name == folder);
    match (by_name, directory.find_id(record.id)) {
        (None, None) if directory.tenants().count() >= TENANTS_MAX => {
            Err(Rejection::new(Code::QuotaExceeded, format!("this node holds {TENANTS_MAX} tenants at most")))
        }
        (None, None) => Ok(Arrival::New(Entry::TenantRegistered {
            id: record.id,
            name: folder.to_owned(),
            at_unix_ms: now_unix_ms,
        })),
        (Some(tenant), Some(same)) if tenant.key == same.key => {
            Ok(Arrival::Known(tenant.id, spoken_anew(tenant, record.status, now_unix_ms)))
        }
        (None, Some(_)) => Err(Rejection::new(
            Code::Conflict,
            "tenant.yaml: the id belongs to a tenant of another name; names never change, and every tenant has its own id",
        )),
        (Some(tenant), _) => Err(Rejection::new(
            Code::Conflict,
            format!("tenant.yaml: the id of this tenant is {} and never changes", tenant.id),
        )),
    }
}

fn spoken_anew(tenant: &Tenant, said: Status, now_unix_ms: u64) -> Option<Entry> {
    let decision = tenant.decision.as_ref()?;
    if decision.standing == Standing::Deleted || decision.file_status == said {
        return None;
    }
    let standing = match said {
        Status::Active => Standing::Active,
        Status::Suspended => Standing::Suspended,
        Status::Archived => Standing::Archived,
    };
    let reason = (said != Status::Active).then(|| "its tenant.yaml says so".to_owned());
    Some(Entry::StandingChanged {
        id: tenant.id,
        standing,
        reason,
        file_status: said,
        at_unix_ms: now_unix_ms,
        by: "tenant.yaml".to_owned(),
    })
}

/// Whether everything of a tenant may be destroyed: not while somebody else is owed a part of it.
///
/// # Errors
/// `retention_violation`, with the legal hold that is open and its basis.
pub fn destroy(holds: &[LegalHold], now_unix_ms: u64) -> Outcome<()> {
    let Some(hold) = holds.iter().find(|hold| hold.is_open(now_unix_ms)) else { return Ok(()) };
    let detail = format!(
        "destroying the tenant: the legal hold {:?} keeps documents of it ({}); have it released in governance.yaml first",
        hold.id, hold.basis
    );
    Err(Rejection::new(Code::RetentionViolation, detail))
}
