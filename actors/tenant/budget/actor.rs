//! The shell of the budget room: counts tokens, calls one rule, makes the escrow durable, hands the turn on.
use super::hold::{Candidate, Hold, Returned};
use super::ledger::Ledger;
use super::messages::{AdoptBudget, BookLate, CloseBudget, ReadBudget};
use super::rules::{Balance, Cover, candidates};
use crate::catalog::Catalog;
use crate::entry::Entry;
use crate::question::Matter;
use crate::routing::tokens;
use crate::supervisor::messages::BudgetFigures;
use crate::turn::{Funded, Grounded, Turn};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::fabric::Appended;
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::obituary::Obituary;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// An escrow nobody needs is given back after this long.
const ESCROW_IDLE: Duration = Duration::from_secs(2);
/// Tokens of our own words around question and passages, at most.
const PROMPT_FRAME_TOKENS: u64 = 512;

/// What a budget room is built from.
#[derive(Debug)]
pub struct BudgetParts {
    /// The tenant's journal.
    pub journal: Journal,
    /// The folded ledger, its escrow already reconciled.
    pub ledger: Ledger,
    /// The policy in force.
    pub policy: Arc<PolicySnapshot>,
    /// Prices.
    pub catalog: Arc<Catalog>,
    /// Time.
    pub clock: SharedClock,
    /// Routing.
    pub next: Recipient<Turn<Funded>>,
    /// Death notice.
    pub obituary: Obituary,
}

/// The budget room of one tenant.
#[derive(Debug)]
pub struct BudgetRoom {
    balance: Balance,
    journal: Journal,
    catalog: Arc<Catalog>,
    clock: SharedClock,
    next: Recipient<Turn<Funded>>,
    /// Funded turns that wait until the escrow that covers them is durable.
    parked: VecDeque<Turn<Funded>>,
    growing: bool,
    /// The escrow is being given back; who waits until that is durable.
    returning: Option<Vec<ReplySlot<()>>>,
    #[expect(dead_code, reason = "posts the death notice by its Drop")]
    obituary: Obituary,
}

impl Actor for BudgetRoom {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        ctx.run_interval(ESCROW_IDLE, |room, ctx| room.return_idle_escrow(ctx));
    }
}

impl BudgetRoom {
    /// Starts the room on the current arbiter.
    pub fn start(parts: BudgetParts) -> Addr<Self> {
        let BudgetParts { journal, ledger, policy, catalog, clock, next, obituary } = parts;
        let balance = Balance::new(ledger, &policy.router.budget, policy.tenant.quotas.max_cost_per_month);
        Self {
            balance,
            journal,
            catalog,
            clock,
            next,
            parked: VecDeque::new(),
            growing: false,
            returning: None,
            obituary,
        }
        .start()
    }

    fn fund(
        &mut self,
        turn: Turn<Grounded>,
        mut candidates: Vec<Candidate>,
        prompt_tokens: u64,
        ctx: &mut Context<Self>,
    ) {
        if self.parked.len() >= MAILBOX_MAX {
            return turn.refuse(Rejection::retry_after(
                Code::Overloaded,
                "too many calls of this tenant wait for their hold; try again shortly",
                250,
            ));
        }
        match self.balance.hold(&mut candidates, prompt_tokens, self.clock.now_unix_ms()) {
            Err(rejection) => turn.refuse(rejection),
            Ok(made) => {
                let hold = Hold::new(made.number, made.amount, candidates, prompt_tokens, ctx.address().recipient());
                let turn = turn.fund(hold);
                match made.cover {
                    Cover::Covered => self.hand_on(turn),
                    Cover::Grow(block) => {
                        self.parked.push_back(turn);
                        self.grow(block, ctx);
                    }
                }
            }
        }
    }

    fn hand_on(&self, turn: Turn<Funded>) {
        if let Err((turn, undelivered)) = offer(&self.next, turn) {
            turn.refuse(undelivered.into());
        }
    }

    fn grow(&mut self, block: NanoUsd, ctx: &mut Context<Self>) {
        if self.growing {
            return;
        }
        self.growing = true;
        let append = self.journal.append(&[Entry::EscrowTaken { block, at_unix_ms: self.clock.now_unix_ms() }]);
        ctx.spawn(append.into_actor(self).map(move |appended, room, ctx| room.grown(block, appended, ctx)));
    }

    fn grown(&mut self, block: NanoUsd, appended: Result<Appended, JournalError>, ctx: &mut Context<Self>) {
        self.growing = false;
        if let Err(error) = appended {
            tracing::error!(tenant = %self.journal.tenant(), %error, "the escrow could not be made durable; the rooms are rebuilt");
            return ctx.stop();
        }
        self.balance.escrowed(block);
        match self.balance.cover() {
            Cover::Covered => {
                while let Some(turn) = self.parked.pop_front() {
                    self.hand_on(turn);
                }
            }
            Cover::Grow(block) => self.grow(block, ctx),
        }
    }

    fn return_idle_escrow(&mut self, ctx: &mut Context<Self>) {
        if self.growing || self.returning.is_some() || !self.balance.escrow_is_idle() {
            return;
        }
        self.returning = Some(Vec::new());
        // from here on a new hold must take a new block, whose record follows this one
        self.balance.escrowed(NanoUsd::ZERO);
        let append = self.journal.append(&[Entry::EscrowReturned { at_unix_ms: self.clock.now_unix_ms() }]);
        ctx.spawn(append.into_actor(self).map(move |appended, room, ctx| {
            if let Err(error) = appended {
                tracing::error!(tenant = %room.journal.tenant(), %error, "the escrow could not be returned; the rooms are rebuilt");
                return ctx.stop();
            }
            for waiting in room.returning.take().unwrap_or_default() {
                waiting.answer(Ok(()));
            }
        }));
    }
}

/// The words a call sends to a model, for counting.
fn prompt_of(turn: &Turn<Grounded>) -> String {
    match &turn.case.matter {
        Matter::Ask(question) => {
            let mut words = question.text.clone();
            for passage in turn.stage.passages.iter() {
                words.push_str(&passage.title);
                words.push_str(&passage.text);
            }
            words
        }
        Matter::Search(search) => search.query.clone(),
        Matter::Chat(chat) => chat.body.get("messages").map(ToString::to_string).unwrap_or_default(),
        Matter::Embed(body) => body.get("input").map(ToString::to_string).unwrap_or_default(),
    }
}

impl Handler<Turn<Grounded>> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, turn: Turn<Grounded>, ctx: &mut Self::Context) {
        let policy = &turn.case.policy;
        let wanted = match &turn.case.matter {
            Matter::Chat(chat) => Some((chat.model.as_str(), chat.max_tokens)),
            Matter::Embed(body) => {
                Some((body.get("model").and_then(serde_json::Value::as_str).unwrap_or_default(), Some(0)))
            }
            Matter::Ask(_) | Matter::Search(_) => None,
        };
        let answers = match &turn.case.matter {
            Matter::Chat(chat) => chat
                .body
                .get("n")
                .and_then(serde_json::Value::as_u64)
                .map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX).max(1)),
            _ => 1,
        };
        let now = self.clock.now_unix_ms();
        let allowed = &policy.governance.allowed_models;
        let mut found = match candidates(&policy.router, allowed, &self.catalog, wanted, now) {
            Ok(found) => found,
            Err(rejection) => return turn.refuse(rejection),
        };
        found.iter_mut().for_each(|candidate| candidate.answers = answers);
        if found.iter().all(|candidate| candidate.price == crate::catalog::Price::default()) {
            return self.fund(turn, found, 0, ctx); // nothing costs anything: nothing to count
        }
        let prompt = prompt_of(&turn);
        if prompt.len() <= tokens::OFF_REACTOR_BYTES {
            let counted = tokens::count(&prompt).saturating_add(PROMPT_FRAME_TOKENS);
            return self.fund(turn, found, counted, ctx);
        }
        ctx.spawn(tokens::count_off_reactor(prompt).into_actor(self).map(move |counted, room, ctx| {
            room.fund(turn, found, counted.saturating_add(PROMPT_FRAME_TOKENS), ctx);
        }));
    }
}

impl Handler<Returned> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, returned: Returned, _: &mut Self::Context) {
        self.balance.returned(returned.number, returned.charged, self.clock.now_unix_ms());
    }
}

impl Handler<BookLate> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, BookLate(charged): BookLate, _: &mut Self::Context) {
        self.balance.ledger.book(charged, self.clock.now_unix_ms());
    }
}

impl Handler<AdoptBudget> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, AdoptBudget(policy): AdoptBudget, _: &mut Self::Context) {
        self.balance.adopt(&policy.router.budget, policy.tenant.quotas.max_cost_per_month);
    }
}

impl Handler<ReadBudget> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, read: ReadBudget, _: &mut Self::Context) {
        let now = self.clock.now_unix_ms();
        let (limit_day, limit_month) = self.balance.limits();
        let ledger = &self.balance.ledger;
        read.reply.answer(Ok(BudgetFigures {
            limit_month,
            limit_day,
            spent_month: ledger.spent_month(now),
            spent_day: ledger.spent_day(now),
            held: self.balance.held(),
            unreconciled: ledger.unreconciled,
            overrun: ledger.overrun,
        }));
    }
}

impl Handler<CloseBudget> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, close: CloseBudget, ctx: &mut Self::Context) {
        self.return_idle_escrow(ctx);
        match &mut self.returning {
            Some(waiting) => waiting.push(close.reply),
            None => close.reply.answer(Ok(())),
        }
    }
}
