//! Another way to the same decisions: a bucket that fills, looked at by brute force. Shares nothing with the counters.

/// Random numbers, the same in every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.throw() % end
    }
}

/// A bucket of `amount` units that fills at `amount` a window. Content is counted in parts: `window_ns` to a unit, so
/// that `amount` parts come every nanosecond.
#[derive(Clone)]
pub(super) struct Bucket {
    amount: u128,
    window_ns: u128,
    parts: u128,
    filled_at_ns: u64,
}

impl Bucket {
    pub(super) fn full(amount: u64, window_ns: u64) -> Self {
        let (amount, window_ns) = (u128::from(amount), u128::from(window_ns));
        Self { amount, window_ns, parts: amount * window_ns, filled_at_ns: 0 }
    }

    fn parts_at(&self, now_ns: u64) -> u128 {
        let come = u128::from(now_ns - self.filled_at_ns) * self.amount;
        (self.parts + come).min(self.amount * self.window_ns)
    }

    pub(super) fn has(&self, now_ns: u64, units: u64) -> bool {
        self.parts_at(now_ns) >= u128::from(units) * self.window_ns
    }

    pub(super) fn take(&mut self, now_ns: u64, units: u64) {
        self.parts = self.parts_at(now_ns) - u128::from(units) * self.window_ns;
        self.filled_at_ns = now_ns;
    }

    pub(super) fn units(&self, now_ns: u64) -> u64 {
        u64::try_from(self.parts_at(now_ns) / self.window_ns).unwrap()
    }

    /// True where it has so many units after `wait_ns` and had not a nanosecond before.
    pub(super) fn is_exact_wait(&self, now_ns: u64, units: u64, wait_ns: u64) -> bool {
        self.has(now_ns + wait_ns, units) && !self.has(now_ns + wait_ns - 1, units)
    }
}
