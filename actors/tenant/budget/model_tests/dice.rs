//! What decides a random run.
use super::super::hold::Embedding;
use crate::catalog::Price;
use bailiwick_policy::schema::EmbeddingRoute;

/// xorshift: the same run for the same seed.
pub(in crate::budget) struct Dice(pub(in crate::budget) u64);

impl Dice {
    pub(in crate::budget) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    pub(in crate::budget) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }

    /// What a question is looked up by, for one call in three.
    pub(super) fn embedding(&mut self, unit: u64) -> Option<Embedding> {
        let route = EmbeddingRoute { provider: "p".into(), model: "e".into() };
        let price = Price { input_nano_usd_per_token: self.roll(12) * unit, output_nano_usd_per_token: 0 };
        let tokens = self.roll(200);
        (self.roll(3) == 0).then_some(Embedding { route, price, tokens })
    }
}
