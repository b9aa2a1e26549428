//! The catalogue of invariants: one id each, named by assertions, tests and production alike.

/// A promise of the house that may never be broken. The id stands in the log line of the incarnation that dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invariant {
    /// Short stable id.
    pub id: &'static str,
    /// What is promised.
    pub promise: &'static str,
}

/// Spent and held together never exceed the limit.
pub const BUD1: Invariant = Invariant { id: "BUD1", promise: "settled + held <= limit, in integer nano-USD" };
/// A journal is dense and chained.
pub const JRN1: Invariant = Invariant { id: "JRN1", promise: "record n+1 follows record n and carries its hash" };
/// Nothing is acknowledged that is not durable.
pub const JRN2: Invariant = Invariant { id: "JRN2", promise: "an acknowledged append survives kill -9" };
/// Rooms serve one tenant.
pub const ISO1: Invariant = Invariant { id: "ISO1", promise: "a room holds the belongings of exactly one tenant" };
/// No answer without a policy verdict.
pub const POL1: Invariant = Invariant { id: "POL1", promise: "only a cleared turn answers" };
/// An index serves only under the guard it was judged by.
pub const IDX1: Invariant =
    Invariant { id: "IDX1", promise: "every searchable chunk was admitted by the guard in force" };
/// A neighbour's demand does not change anybody's share.
pub const FAIR1: Invariant = Invariant {
    id: "FAIR1",
    promise: "weighted service of any two waiting lanes of a pool stays within the derived bound",
};

/// A rate admits no more than it says, at any level.
pub const LIM1: Invariant = Invariant {
    id: "LIM1",
    promise: "in every time T admitted <= amount + amount * T / window; a refusal at one level counts at none",
};
/// A storage quota is never passed.
pub const STO1: Invariant =
    Invariant { id: "STO1", promise: "kept + reserved <= ceiling, at every level; at rest nothing is reserved" };

/// Bytes are where their tenant allows it.
pub const SOV1: Invariant = Invariant {
    id: "SOV1",
    promise: "0 bytes kept or sent outside the allowed regions at any instant, by the lists in force and those of admission",
};

/// Keys outlast what they seal, and seal no more than they may.
pub const KEY1: Invariant = Invariant {
    id: "KEY1",
    promise: "a tenant's key is durable before the first byte under it and never made anew over sealed data; a data key seals < 2^32 messages",
};

/// What is to be gone is gone, and what is kept is not.
pub const RET1: Invariant = Invariant {
    id: "RET1",
    promise: "a document leaves the shelf only with an Erasable of a verdict; what was erased does not return from any backup",
};

/// A used-up error budget stops releases, and nothing that takes one back.
pub const SLO1: Invariant = Invariant {
    id: "SLO1",
    promise: "no release that people would notice comes into force while frozen, but one that takes back or that two people let through; a freeze survives kill -9",
};

/// All of them, for the documentation and the tests that walk the catalogue.
pub const ALL: &[Invariant] = &[BUD1, JRN1, JRN2, ISO1, POL1, IDX1, FAIR1, LIM1, STO1, SOV1, KEY1, RET1, SLO1];
