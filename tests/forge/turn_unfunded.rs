//@ E0599
//! A turn without a hold cannot carry a provider's answer.
use bailiwick_tenant::turn::{Draft, Grounded, Turn};

pub fn skip_the_budget(turn: Turn<Grounded>, draft: Draft) {
    let _ = turn.answer(draft);
}
