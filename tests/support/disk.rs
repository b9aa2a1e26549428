//! What lies on the disk of a house, read beside it: files, sealed records, the secrets of documents.
use super::House;
use bailiwick_control::kms::{KeyService, RootSource};
use bailiwick_kernel::disclosure;
use bailiwick_kernel::fabric::SecretState;
use bailiwick_kernel::ids::{Position, TenantKey};
use bailiwick_kernel::shelf::Vault;
use bailiwick_policy::sovereignty::Region;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use uuid::Uuid;

pub async fn post(house: &House, path: &str, key: &str, body: Value) -> Value {
    let (status, answer) = house.call(Method::POST, path, key, Some(body)).await;
    assert!((200..300).contains(&status), "{path}: {answer}");
    answer
}

#[expect(clippy::disallowed_methods, reason = "test")]
pub fn tenant_key(id: &str) -> TenantKey {
    TenantKey::mint(Uuid::parse_str(id).unwrap())
}

/// A tenant without ceilings that a thousand documents and some questions would reach.
pub async fn harbour(house: &House) -> (TenantKey, String) {
    let body = json!({
        "name": "harbour", "plan": "enterprise",
        "config": {"region": "local", "retention_days": 30, "encryption": "standard"},
        "quotas": {"max_requests_per_hour": 100_000, "max_concurrent_requests": 8, "max_cost_per_month": "10.50", "max_storage_gb": 1},
        "metadata": {"industry": "shipping", "compliance": ["SOC2"], "contact_email": "a@b.example"},
    });
    let made = post(house, "/admin/v1/tenants", &house.operator_key(), body).await;
    (tenant_key(made["id"].as_str().unwrap()), house.key("harbour", "owner").await)
}

pub async fn backed_up(house: &House, to: &Path) {
    post(house, "/admin/v1/backups", &house.operator_key(), json!({"folder": to})).await;
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

pub fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, bytes).unwrap();
    }
}

/// The tenant's records as they lie in a folder, still sealed, and the secrets of its documents.
pub type Sealed = (Vec<Vec<u8>>, HashMap<u64, SecretState>);

pub fn sealed_in(data: &Path, tenant: TenantKey) -> Sealed {
    let fabric = Vault::open(data).unwrap().fabric();
    let (mut records, mut at) = (Vec::new(), Position(0));
    loop {
        let read = fabric.read(tenant, at, 512).unwrap();
        let Some(last) = read.last() else { break };
        at = last.position.next();
        records.extend(read.into_iter().map(|record| record.payload));
    }
    let slots: Vec<u64> = records.iter().filter_map(|record| disclosure::slot_named(record)).collect();
    let states = fabric.secrets(tenant, &slots).unwrap();
    (records, slots.into_iter().zip(states).collect())
}

pub fn keys_of(data: &Path) -> KeyService {
    KeyService::open(data, &RootSource::File, &Region::default()).unwrap()
}
