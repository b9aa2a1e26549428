//! Nothing of a neighbour reaches a tenant: noninterference as a property of two runs (Goguen and Meseguer 1982; a
//! hyperproperty, Clarkson and Schneider 2010). Tenant A follows one trace in worlds that differ only in B and C: their
//! documents, policies, load and failures. Everything A can observe must be the same bytes in all of them.
//!
//! `world` builds one node, `neighbours` says what the others are and do, `trace` is A's day, `watcher` writes down
//! what A sees, `tests` compares. `leaks` are nodes that were put together wrongly on purpose, each of which the same
//! comparison has to catch, and variations of the node that A cannot see, which it has to pass.
mod leaks;
mod model;
mod neighbours;
mod policies;
mod tests;
mod trace;
mod watcher;
mod world;
