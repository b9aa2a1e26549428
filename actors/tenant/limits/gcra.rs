//! One counter of the generic cell rate algorithm (ITU-T I.371, annex A), exact in integers.
//!
//! The allowance of a window may be used at once and is refilled continuously. A unit's share of the window, window /
//! amount, is seldom a whole number of nanoseconds; so time is counted in *ticks* of 1 / amount nanoseconds, in which
//! one unit is exactly the window's number of nanoseconds. Nothing is rounded until a wait is told, and that is rounded
//! up: a request that waits it out is admitted, one that comes a nanosecond earlier is not.

/// So many units in a window.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Rate {
    /// Units in a window, and the most that can come at once.
    pub(super) amount: u64,
    /// Nanoseconds of the window.
    pub(super) window_ns: u64,
}

/// The time at which a counter is whole again, in ticks of its rate. A fresh counter is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Cell {
    whole_at: u128,
    /// Ticks given back since the counter was made.
    returned: u128,
}

/// What one counter gave, so that it can be given back in part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Given {
    whole_at: u128,
    returned: u128,
}

/// Why a counter gives nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dry {
    /// It gives after so many nanoseconds, and not one earlier.
    For {
        /// Nanoseconds, at least 1.
        wait_ns: u64,
    },
    /// More units than a window has: it never gives them.
    Forever,
}

impl Rate {
    fn ticks(self, now_ns: u64) -> u128 {
        u128::from(now_ns).saturating_mul(self.amount.into())
    }

    fn of_units(self, units: u64) -> u128 {
        u128::from(units).saturating_mul(self.window_ns.into())
    }

    fn nanoseconds(self, ticks: u128) -> u64 {
        match u128::from(self.amount) {
            0 => u64::MAX,
            amount => u64::try_from(ticks.div_ceil(amount)).unwrap_or(u64::MAX),
        }
    }

    /// Ticks that are used up now; none in a counter that is whole.
    fn used(self, cell: Cell, now_ns: u64) -> u128 {
        cell.whole_at.saturating_sub(self.ticks(now_ns))
    }

    /// Whether so many units could be taken now.
    pub(super) fn peek(self, cell: Cell, now_ns: u64, units: u64) -> Result<(), Dry> {
        if units > self.amount {
            return Err(Dry::Forever);
        }
        let wanted = self.used(cell, now_ns).saturating_add(self.of_units(units));
        match wanted.saturating_sub(self.of_units(self.amount)) {
            0 => Ok(()),
            missing => Err(Dry::For { wait_ns: self.nanoseconds(missing) }),
        }
    }

    /// Takes units that were looked at.
    pub(super) fn take(self, cell: &mut Cell, now_ns: u64, units: u64) -> Given {
        cell.whole_at = cell.whole_at.max(self.ticks(now_ns)).saturating_add(self.of_units(units));
        Given { whole_at: cell.whole_at, returned: cell.returned }
    }

    /// Gives units of a taking back. What time has refilled already is not given a second time: only the part of the
    /// taking that still stands in the counter is, lowered by whatever was given back since.
    pub(super) fn give_back(self, cell: &mut Cell, given: Given, now_ns: u64, units: u64) {
        let moved = cell.returned.saturating_sub(given.returned);
        let standing = given.whole_at.saturating_sub(moved).saturating_sub(self.ticks(now_ns));
        let back = self.of_units(units).min(standing);
        cell.whole_at = cell.whole_at.saturating_sub(back);
        cell.returned = cell.returned.saturating_add(back);
    }

    /// Units that could be taken now, whole ones.
    pub(super) fn remaining(self, cell: Cell, now_ns: u64) -> u64 {
        let left = self.of_units(self.amount).saturating_sub(self.used(cell, now_ns));
        left.checked_div(self.window_ns.into()).and_then(|units| u64::try_from(units).ok()).unwrap_or(self.amount)
    }

    /// True where this counter has a smaller part of a unit left than another, or as much for longer.
    pub(super) fn has_less_left(self, cell: Cell, other: Self, its: Cell, now_ns: u64) -> bool {
        let left = |rate: Self, cell: Cell| rate.of_units(rate.amount).saturating_sub(rate.used(cell, now_ns));
        // left / window, compared without a division
        let mine = left(self, cell).saturating_mul(other.window_ns.into());
        let yours = left(other, its).saturating_mul(self.window_ns.into());
        mine < yours || (mine == yours && self.window_ns > other.window_ns)
    }

    /// The counter under another amount of the same window: units used stay used. Takings of before cannot be given
    /// back to it.
    pub(super) fn rebased(self, cell: Cell, other: Self, now_ns: u64) -> Cell {
        // one unit is the window's number of ticks under either amount
        Cell { whole_at: other.ticks(now_ns).saturating_add(self.used(cell, now_ns)), returned: 0 }
    }

    /// Nanoseconds until the counter is whole, rounded up; 0 where it is.
    pub(super) fn whole_in_ns(self, cell: Cell, now_ns: u64) -> u64 {
        match self.used(cell, now_ns) {
            0 => 0,
            used => self.nanoseconds(used),
        }
    }
}
