//! A single-tenant system on its way into a tenant: what was begun, how far it is, and what goes back where it is not wanted.
//!
//! Everything stands in a folder beside the tenant's own, `tenants/.migrate-<tenant>`, and is on the disk before anything it
//! speaks of is done: whoever is killed goes on where the disk says, and whoever goes back takes out what the disk names.
pub mod rules;
pub mod state;
#[cfg(test)]
mod tests;
