//! Nodes put together wrongly on purpose, by the seams they are put together by: shared journals, rooms, clocks and
//! providers, addresses that were mixed up, handlers that know more than their tenant. Each is one line of a table and
//! must be caught by what a sound node passes. No line changes what the product does: the faults are built here.
mod edge;
mod parts;
mod provider;
mod rooms;
mod stores;

use super::world::Fault;

/// One fault.
pub(super) struct Leak {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) fault: Fault,
}

/// A line of a table.
pub(super) const fn leak(name: &'static str, what: &'static str, fault: Fault) -> Leak {
    Leak { name, what, fault }
}

pub(super) use edge::LEAKS as EDGE;
pub(super) use parts::LEAKS as PARTS;
pub(super) use provider::LEAKS as PROVIDER;
pub(super) use rooms::LEAKS as ROOMS;
pub(super) use stores::LEAKS as STORES;

/// Variations that A cannot see, which must be passed: what catches everything has found nothing.
pub(super) fn invisible() -> impl Iterator<Item = &'static Leak> {
    [stores::INVISIBLE, provider::INVISIBLE, rooms::INVISIBLE, edge::INVISIBLE].into_iter().flatten()
}
