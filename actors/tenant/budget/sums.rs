//! Sums of money and tokens held against each other. Pure.
use super::accounts::Sum;
use bailiwick_kernel::money::NanoUsd;

/// More than anybody may spend.
pub(super) const FULL: Sum = Sum { money: NanoUsd(u64::MAX), tokens: u64::MAX };

/// The lesser money and the fewer tokens.
pub(super) fn least(one: Sum, other: Sum) -> Sum {
    Sum { money: one.money.min(other.money), tokens: one.tokens.min(other.tokens) }
}

/// The greater money and the more tokens.
pub(super) fn most(one: Sum, other: Sum) -> Sum {
    Sum { money: one.money.max(other.money), tokens: one.tokens.max(other.tokens) }
}

/// Whether there is room for both.
pub(super) fn within(sum: Sum, room: Sum) -> bool {
    sum.money <= room.money && sum.tokens <= room.tokens
}
