//! What was published last, sealed, on the disk before anything further goes.
use super::rules::Booked;
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::shelf::{Key, Shelf, Vault};

const SHELF: &str = "published";

/// The book. Cheap to clone.
#[derive(Clone)]
pub(super) struct Book {
    shelf: Shelf,
    vault: Vault,
}

fn place(target: &str, tenant: TenantKey) -> Vec<u8> {
    [tenant.as_bytes().as_slice(), target.as_bytes()].concat()
}

fn key(target: &str, tenant: TenantKey) -> Key {
    Key::of("head").name(place(target, tenant))
}

impl Book {
    pub(super) fn open(vault: Vault, cipher: Cipher) -> Result<Self, String> {
        let shelf = vault.shelf(cipher, SHELF).map_err(|error| format!("opening the book of heads: {error}"))?;
        Ok(Self { shelf, vault })
    }

    /// What was published last at a place. Blocking.
    pub(super) fn last(&self, target: &str, tenant: TenantKey) -> Result<Option<Booked>, String> {
        let noted = self.shelf.get(&key(target, tenant)).and_then(|noted| match noted {
            Some(noted) => Ok(Some(noted)),
            None => self.shelf.get_of_earlier_build(&place(target, tenant)),
        });
        noted.map_err(|error| format!("reading the book of heads: {error}"))
    }

    /// Notes what was published; it is on the disk when this returns. Blocking.
    pub(super) fn note(&self, target: &str, tenant: TenantKey, booked: &Booked) -> Result<(), String> {
        let noted = self.shelf.put(&key(target, tenant), booked);
        noted.map_err(|error| format!("writing the book of heads: {error}"))?;
        self.vault.sync().map_err(|error| format!("writing the book of heads: {error}"))
    }
}
