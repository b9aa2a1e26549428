//! The kernel through its public doors.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test")]
mod cipher;
mod codec;
mod mail;
mod vault;

use bailiwick_kernel::ids::TenantKey;

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(number))
}
