//! What the registry's tests are made of.
use super::credentials::{FreshKey, forge};
use super::directory::Directory;
use super::entry::{Entry, KeyRecord};
use crate::gitops::messages::Sound;
use crate::gitops::signer::PlatformSigner;
use crate::gitops::templates;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::access::Role;
use bailiwick_policy::compile::{PolicySnapshot, compile};
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::schema::{Encryption, Plan, Quotas, Status, TenantConfig, TenantFile, TenantMetadata};
use bailiwick_policy::sovereignty::Region;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) const ACME: Uuid = Uuid::from_u128(0xacce << 112);
pub(crate) const BETA: Uuid = Uuid::from_u128(0xbe7a << 112);
pub(crate) const NOW: u64 = 1_760_000_000_000;

pub(crate) fn record(name: &str, id: Uuid) -> TenantFile {
    TenantFile {
        id,
        name: name.to_owned(),
        status: Status::Active,
        plan: Plan::Pro,
        config: TenantConfig { region: "eu-west-1".to_owned(), retention_days: 30, encryption: Encryption::Standard },
        quotas: Quotas {
            max_requests_per_hour: 1_000,
            max_concurrent_requests: 8,
            max_cost_per_month: NanoUsd::parse_usd("310").unwrap(),
            max_storage_gb: 0.5,
            ..Quotas::default()
        },
        storage: None,
        metadata: TenantMetadata {
            industry: "quote \" and: colon".to_owned(),
            compliance: vec!["SOX".to_owned(), "GDPR".to_owned()],
            contact_email: "a@b.example".to_owned(),
        },
        created_at: Some("2026-01-01T00:00:00.000Z".to_owned()),
        updated_at: None,
    }
}

/// Where the tests' node is: the home of every record here.
pub(crate) fn here() -> Region {
    Region::named("eu-west-1").unwrap()
}

/// Signs what the house writes in the tests.
pub(crate) fn signer() -> PlatformSigner {
    PlatformSigner::from_seed(&Zeroizing::new([9; 32]))
}

/// The files of a new tenant, signed.
pub(crate) fn signed_folder(file: &TenantFile) -> FileTexts {
    let mut texts = templates::folder(file, &Region::default(), "2026-01-01T00:00:00Z");
    signer().sign_folder(&file.name, &[], &mut texts).unwrap();
    texts
}

pub(crate) fn policy_of(file: &TenantFile) -> Arc<PolicySnapshot> {
    sound(file).policy
}

/// What its folder gives.
pub(crate) fn sound(file: &TenantFile) -> Sound {
    sound_of(&file.name, signed_folder(file))
}

/// What a folder of these files gives.
pub(crate) fn sound_of(name: &str, texts: FileTexts) -> Sound {
    let policy = Arc::new(compile(name, &texts, &Guardrails::none()).unwrap());
    Sound { policy, texts: Arc::new(texts), golden: Ok(Arc::default()) }
}

pub(crate) fn fresh(seed: u8) -> FreshKey {
    let mut random = [seed; super::credentials::RANDOM_BYTES];
    random[0] = seed.wrapping_mul(7).wrapping_add(1);
    forge(random)
}

pub(crate) fn key_record(fresh: &FreshKey, tenant: Option<Uuid>, role: Option<Role>) -> KeyRecord {
    KeyRecord {
        key_id: fresh.key_id.clone(),
        tenant,
        role,
        user_id: None,
        digest: fresh.digest,
        created_unix_ms: NOW,
        expires_unix_ms: None,
        revoked_unix_ms: None,
        issued_by: "test".to_owned(),
    }
}

/// `acme` and `beta`, both serving.
pub(crate) fn two_tenants() -> Directory {
    let mut directory = Directory::default();
    for (name, id) in [("acme", ACME), ("beta", BETA)] {
        directory.apply(&Entry::TenantRegistered { id, name: name.to_owned(), at_unix_ms: NOW });
        let key = key_of(&directory, id);
        directory.tenant_mut(key).unwrap().policy = Some(policy_of(&record(name, id)));
    }
    directory
}

pub(crate) fn key_of(directory: &Directory, id: Uuid) -> TenantKey {
    directory.find_id(id).unwrap().key
}
