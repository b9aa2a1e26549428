//! How long it takes to wrap every tenant's keys under a new root key: 100,000 keyrings of one key, and 20,000, as many as a node
//! may hold, of five.
//!
//! `cargo bench -p bailiwick-control --bench rewrap`; `BAILIWICK_REWRAP_DIVISOR=10` takes a tenth of both.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_control::kms::keyring::{Keyring, Version};
use bailiwick_control::kms::providers::{
    KeyProvider,
    local_file::{LocalFile, NAME},
};
use bailiwick_control::kms::rewrap::rewrap;
use bailiwick_control::kms::{KeyService, RootSource};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_policy::sovereignty::Region;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The goal, in seconds for 100,000 keys.
const GOAL_S: f64 = 10.0;

#[expect(clippy::disallowed_methods, reason = "bench")]
fn tenant(number: usize) -> TenantKey {
    TenantKey::mint(Uuid::from_u128(number as u128 + 1))
}

/// Keyrings as a server writes them, without its syncs.
fn fill(data: &Path, tenants: usize, versions: u32) {
    drop(KeyService::open(data, &RootSource::File, &Region::default()).unwrap());
    let root: [u8; 32] = std::fs::read(data.join("master.key")).unwrap().try_into().unwrap();
    let root = LocalFile::new(Arc::new(Zeroizing::new(root)), None);
    for number in 0..tenants {
        let mut keyring = Keyring::empty(tenant(number), false);
        for number in 1..=versions {
            let mut version = Version {
                number,
                provider: NAME.to_owned(),
                key_id: None,
                region: "local".to_owned(),
                made_unix_ms: Some(1_760_000_000_000),
                wrapped: String::new(),
            };
            let context = keyring.context_of(&version).unwrap();
            version.wrapped = hex::encode(root.wrap_key(&[7; 32], &context).unwrap());
            keyring.push(version);
        }
        let file = data.join("keys").join(format!("{}.keyring", tenant(number).to_hex()));
        std::fs::write(file, keyring.bytes().unwrap()).unwrap();
    }
}

fn main() {
    let divisor: usize = std::env::var("BAILIWICK_REWRAP_DIVISOR").map_or(1, |text| text.parse().unwrap());
    for (tenants, versions) in [(100_000 / divisor, 1), (20_000 / divisor, 5)] {
        let data = tempfile::tempdir().unwrap();
        fill(data.path(), tenants, versions);
        let began = Instant::now();
        let done = rewrap(data.path(), &RootSource::File).unwrap();
        let took = began.elapsed().as_secs_f64();
        assert_eq!((done.keyrings, done.keys), (tenants as u64, tenants as u64 * u64::from(versions)));
        println!(
            "{} keys in {} keyrings wrapped under a new root key in {took:.2} s (goal: 100,000 in {GOAL_S} s)",
            done.keys, done.keyrings
        );
    }
}
