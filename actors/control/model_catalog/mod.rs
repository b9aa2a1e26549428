//! Purpose: keeps the catalogue of providers and prices, and gives snapshots of it.
//! Owns: the catalogue in force.
//! Sends to: nobody; boot puts a snapshot into each tenant's rooms.
//! Never: calls a provider; holds a secret in a form that prints.
//! Invariants: the embedded provider is always there and costs nothing; a catalogue that is not sound is not taken.
pub mod rules;
#[cfg(test)]
mod tests;

use arc_swap::ArcSwap;
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::catalog::Catalog;
use std::sync::Arc;

/// The catalogue in force.
#[derive(Debug)]
pub struct ModelCatalog {
    in_force: ArcSwap<Catalog>,
    node: Region,
}

impl ModelCatalog {
    /// A catalogue of the providers of `config.toml`; the embedded one, which runs in the node's region, is added.
    ///
    /// # Errors
    /// Everything that is wrong with them, one sentence each.
    pub fn new(catalog: Catalog, node: Region) -> Result<Self, Vec<String>> {
        Ok(Self { in_force: ArcSwap::from_pointee(rules::sound(catalog, &node)?), node })
    }

    /// The catalogue in force now; it never changes under its holder.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Catalog> {
        self.in_force.load_full()
    }

    /// Replaces the catalogue: tenants opened from now on get it.
    ///
    /// # Errors
    /// Everything that is wrong with it; the one in force stays.
    pub fn replace(&self, catalog: Catalog) -> Result<(), Vec<String>> {
        self.in_force.store(Arc::new(rules::sound(catalog, &self.node)?));
        Ok(())
    }
}
