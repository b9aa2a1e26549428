//! What every actor stands on: mail, supervision, clock, journal, shelf, cipher and money.
//!
//! The kernel knows no room, no policy and no protocol. Nothing here names a tenant: a tenant is an opaque
//! [`ids::TenantKey`] that opens nothing by itself.
pub mod background;
pub mod cipher;
pub mod clock;
pub mod codec;
pub mod disclosure;
pub mod erasures;
pub mod fabric;
pub mod fair;
pub mod ids;
pub mod invariants;
pub mod journal;
pub mod limits;
pub mod mail;
pub mod money;
pub mod obituary;
pub mod outcome;
pub mod residue;
pub mod shelf;
pub mod trace;
pub mod transparency;
