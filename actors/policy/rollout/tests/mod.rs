mod bets;
mod qualities;
mod simulations;
mod steps;

use super::*;

/// SplitMix64: the same traffic in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn outcome(arm: Arm, failed: bool) -> Event {
    Event::Outcome { arm, failed }
}

fn at(unix_ms: u64) -> Moment {
    Moment { unix_ms, is_frozen: false }
}
