//@ E0277
//! A tenant key cannot be read from text.
use bailiwick_kernel::ids::TenantKey;

pub fn forge(text: &str) -> TenantKey {
    text.parse::<TenantKey>().unwrap()
}
