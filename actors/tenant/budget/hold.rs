//! A hold: money set aside for one turn. Moving it along is the right to spend up to it; dropping it gives it back.
use super::accounts::Sum;
use super::rules::Ended;
use actix::{Message, Recipient};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::schema::{EmbeddingRoute, Route};

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

impl Candidate {
    /// Shortens its answers to what the policy allows, where it says.
    pub fn cap(&mut self, tokens: Option<u32>) {
        self.route.max_tokens = tokens.map_or(self.route.max_tokens, |tokens| tokens.min(self.route.max_tokens));
    }
}

/// The embedding of a question, held for beside its answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Embedding {
    /// Provider and model.
    pub route: EmbeddingRoute,
    /// Price the hold was reckoned with.
    pub price: crate::catalog::Price,
    /// Tokens of the question at worst.
    pub tokens: u64,
}

impl Embedding {
    /// What so many tokens come to.
    #[must_use]
    pub fn of(&self, tokens: u64) -> Sum {
        Sum { money: self.price.of(tokens, 0), tokens }
    }

    /// What it may use at worst.
    #[must_use]
    pub fn worst(&self) -> Sum {
        self.of(self.tokens)
    }
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
    embedding: Option<Embedding>,
    embedded: Option<Sum>,
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
        let (embedding, embedded, unsure) = (None, None, NanoUsd::ZERO);
        Self { number, amount, candidates, prompt_tokens, embedding, embedded, unsure, home: Some(home) }
    }

    /// The same hold, its amount reckoned with an embedding as well.
    pub(crate) fn with_embedding(mut self, embedding: Option<Embedding>) -> Self {
        self.embedding = embedding;
        self
    }

    /// A hold of nothing, for an answer that was paid for before: it names no candidate and has nowhere to return to.
    pub(crate) fn of_nothing() -> Self {
        Self {
            number: 0,
            amount: NanoUsd::ZERO,
            candidates: Vec::new(),
            prompt_tokens: 0,
            embedding: None,
            embedded: None,
            unsure: NanoUsd::ZERO,
            home: None,
        }
    }

    /// What is held.
    #[must_use]
    pub fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// The embedding that may be called once, before the candidates; `None` where it is not held for or was called.
    #[must_use]
    pub fn embedding(&self) -> Option<&Embedding> {
        self.embedding.as_ref().filter(|_| self.embedded.is_none())
    }

    /// Notes that the question was embedded, and how many tokens that took.
    pub(crate) fn note_embedded(&mut self, tokens: u64) {
        if let Some(embedding) = self.embedding() {
            self.embedded = Some(embedding.of(tokens));
        }
    }

    /// The embedding that was called and what it took, where it was.
    #[must_use]
    pub fn embedded(&self) -> Option<(&Embedding, Sum)> {
        self.embedding.as_ref().zip(self.embedded)
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
        // what the embedding took beyond its worst case is an overrun, and takes nothing from the answer
        let looked_up =
            self.embedded().map_or(NanoUsd::ZERO, |(embedding, used)| used.money.min(embedding.worst().money));
        self.unsure.saturating_add(looked_up).saturating_add(amount) <= self.amount
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
        // nobody knows whether the call that panicked was billed, and an embedding that was called stands in no record
        if std::thread::panicking() || self.embedded.is_some() {
            return self.go_home(Ended::Unknown);
        }
        self.go_home(Ended::Unused);
    }
}
