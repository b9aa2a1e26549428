//! The kernel through its public doors.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test")]
mod cipher;
mod codec;
mod legacy;
mod mail;
mod swaps;
mod two_keys;
mod vault;

use bailiwick_kernel::cipher::keys::{KeyVersion, TenantKeys};
use bailiwick_kernel::ids::TenantKey;

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(number))
}

/// Keys of a tenant: versions 1, 2 … with these bytes, all for one region.
fn keys(number: u128, versions: &[u8], region: &str) -> TenantKeys {
    let version =
        |(number, byte): (u32, &u8)| KeyVersion { number, region: region.to_owned(), key: [*byte; 32].into() };
    TenantKeys { tenant: tenant(number), legacy: None, versions: (1..).zip(versions).map(version).collect() }
}
