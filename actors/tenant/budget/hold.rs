//! A hold: money set aside for one turn. Moving it along is the right to spend up to it; dropping it gives it back.
use super::accounts::Sum;
use super::rules::Ended;
use actix::{Message, Recipient};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::schema::Route;

/// A model that this hold pays for.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    /// Provider, model and limits.
    pub route: Route,
    /// Price the hold was reckoned with.
    pub price: crate::catalog::Price,
    /// True for the fallback.
    pub fallback: bool,
    /// Answers asked for at once (`n` of a chat completion): each may use all its tokens.
    pub answers: u32,
    /// Its answer is shorter than the caller and the router allow, because no more could be paid.
    pub is_cut: bool,
}

/// Money held for one turn.
#[derive(Debug)]
pub struct Hold {
    number: u64,
    amount: NanoUsd,
    /// What may be called, in order; every one fits into the amount.
    pub candidates: Vec<Candidate>,
    /// Tokens of the prompt as counted for the hold.
    pub prompt_tokens: u64,
    /// What calls may have cost of which nobody knows whether they were billed.
    unsure: NanoUsd,
    home: Option<Recipient<Returned>>,
}

/// A hold came home: settled with what was used, or unused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct Returned {
    /// Which hold.
    pub number: u64,
    /// How it ended.
    pub ended: Ended,
    /// What calls may have cost beside, of which nobody knows whether they were billed.
    pub unsure: NanoUsd,
}

impl Hold {
    /// A hold of the given amount. Made by the budget room only.
    pub(crate) fn new(
        number: u64,
        amount: NanoUsd,
        candidates: Vec<Candidate>,
        prompt_tokens: u64,
        home: Recipient<Returned>,
    ) -> Self {
        Self { number, amount, candidates, prompt_tokens, unsure: NanoUsd::ZERO, home: Some(home) }
    }

    /// A hold of nothing, for an answer that was paid for before: it names no candidate and has nowhere to return to.
    pub(crate) fn of_nothing() -> Self {
        Self {
            number: 0,
            amount: NanoUsd::ZERO,
            candidates: Vec::new(),
            prompt_tokens: 0,
            unsure: NanoUsd::ZERO,
            home: None,
        }
    }

    /// What is held.
    #[must_use]
    pub fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// Ends the hold with what was really used, once that is durable.
    pub(crate) fn settle(mut self, used: Sum) {
        self.go_home(Ended::Settled(used));
    }

    /// A call may have been billed, and nothing came of it: so much of the hold may be gone.
    pub(crate) fn note_unsure(&mut self, amount: NanoUsd) {
        self.unsure = self.unsure.saturating_add(amount);
    }

    /// True where the hold still covers so much.
    pub(crate) fn covers(&self, amount: NanoUsd) -> bool {
        self.unsure.saturating_add(amount) <= self.amount
    }

    /// What calls may have cost of which nobody knows whether they were billed.
    pub(crate) fn unsure(&self) -> NanoUsd {
        self.unsure
    }

    /// Ends the turn's use of the money without giving it back: it may have been spent, and no record says so. It
    /// stays held, and under the escrow, until the rooms are rebuilt.
    pub(crate) fn stay(mut self) {
        self.home = None;
    }

    /// True where the budget room of this address made the hold.
    pub(crate) fn is_of(&self, home: &Recipient<Returned>) -> bool {
        self.home.as_ref() == Some(home)
    }

    fn go_home(&mut self, ended: Ended) {
        if let Some(home) = self.home.take() {
            bailiwick_kernel::mail::post_certain_to(
                &home,
                Returned { number: self.number, ended, unsure: self.unsure },
            );
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return self.go_home(Ended::Unknown); // nobody knows whether the call that panicked was billed
        }
        self.go_home(Ended::Unused);
    }
}
