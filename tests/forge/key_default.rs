//@ E0277
//! There is no tenant key that nobody minted.
use bailiwick_kernel::ids::TenantKey;

pub fn forge<T: Default>() -> T {
    T::default()
}

pub fn use_it() {
    let _: TenantKey = forge();
}
