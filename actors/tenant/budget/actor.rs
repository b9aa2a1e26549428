//! The shell of the budget room: counts tokens, calls one rule, makes what holds need durable, hands the turn on.
use super::accounts::Accounts;
use super::candidates::{candidates, embedding, fallback};
use super::figures::figures;
use super::hold::{Embedding, Returned};
use super::ledger::Ledger;
use super::messages::{AdoptBudget, ApproveSpending, BookLate, CloseBudget, ReadBudget, Reconcile};
use super::rules::{Balance, Call, Cover};
use super::till::{Caller, is_full};
use super::waiting::Line;
use crate::cache::rules::semantic;
use crate::catalog::{Catalog, Price};
use crate::entry::{Entry, Reconciled, SpendingApproved};
use crate::limits::rates::{Taken, TokenRates};
use crate::question::{Matter, Passage};
use crate::routing::demands::Demands;
use crate::routing::tokens;
use crate::turn::{Case, Funded, Grounded, Turn};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::obituary::Obituary;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::EmbeddingRoute;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// An escrow nobody needs is given back after this long.
const ESCROW_IDLE: Duration = Duration::from_secs(2);
/// How often it is looked who has waited for money long enough.
const LINE_LOOK: Duration = Duration::from_millis(100);

/// Members whose allowance of tokens is whole again are forgotten this often.
const SWEEP: Duration = Duration::from_secs(60);
const MILLISECOND_NS: u64 = 1_000_000;

/// What a budget room is built from.
#[derive(Debug)]
pub struct BudgetParts {
    /// The tenant's journal.
    pub journal: Journal,
    /// The folded ledger, its escrow already reconciled.
    pub ledger: Ledger,
    /// The folded accounts.
    pub accounts: Accounts,
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
    pub(super) balance: Balance,
    pub(super) journal: Journal,
    catalog: Arc<Catalog>,
    pub(super) clock: SharedClock,
    pub(super) next: Recipient<Turn<Funded>>,
    /// Tokens a minute, at every level.
    pub(super) token_rates: TokenRates,
    /// What open holds took of them, by the hold's number.
    pub(super) tokens_taken: BTreeMap<u64, Taken>,
    /// Calls that wait until money held by others comes back.
    pub(super) line: Line<Caller>,
    /// Funded turns that wait until the escrow that covers them is durable.
    pub(super) parked: VecDeque<Turn<Funded>>,
    pub(super) growing: bool,
    /// The escrow is being given back; who waits until that is durable.
    returning: Option<Vec<ReplySlot<()>>>,
    /// Who closes the room.
    closing: Vec<ReplySlot<()>>,
    #[expect(dead_code, reason = "posts the death notice by its Drop")]
    obituary: Obituary,
}

impl Actor for BudgetRoom {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        ctx.run_interval(ESCROW_IDLE, |room, ctx| room.return_idle_escrow(ctx));
        ctx.run_interval(LINE_LOOK, |room, ctx| {
            if !room.line.is_empty() {
                room.dismiss_the_late(ctx);
            }
        });
        ctx.run_interval(SWEEP, |room, _| {
            let now_ns = room.now_ns();
            room.token_rates.sweep(now_ns);
        });
    }
}

impl BudgetRoom {
    /// Starts the room on the current arbiter.
    pub fn start(parts: BudgetParts) -> Addr<Self> {
        let BudgetParts { journal, ledger, accounts, policy, catalog, clock, next, obituary } = parts;
        let room = Self {
            balance: Balance::new(ledger, accounts, &policy),
            journal,
            catalog,
            clock,
            next,
            token_rates: TokenRates::new(&policy.tenant.quotas),
            tokens_taken: BTreeMap::new(),
            line: Line::default(),
            parked: VecDeque::new(),
            growing: false,
            returning: None,
            closing: Vec::new(),
            obituary,
        };
        room.say_what_is_not_embedded(&policy);
        room.start()
    }

    /// The time rates are counted in.
    pub(super) fn now_ns(&self) -> u64 {
        self.clock.now_unix_ms().saturating_mul(MILLISECOND_NS)
    }

    /// Says once for a policy where its semantic cache will find nothing, since nothing may be embedded.
    fn say_what_is_not_embedded(&self, policy: &PolicySnapshot) {
        let Some(rules) = semantic(policy) else { return };
        if embedding(rules, &self.catalog, "", self.clock.now_unix_ms()).is_none() {
            let EmbeddingRoute { provider, model } = &rules.embedding;
            tracing::warn!(
                tenant = %self.journal.tenant(), %provider, %model,
                "no question is looked up by its meaning: the embedding model has no provider or no price in force; the operator must add them to config.toml"
            );
        }
    }

    /// Gives the escrow back for who closes the room, once no block is under way.
    pub(super) fn close_if_asked(&mut self, ctx: &mut Context<Self>) {
        if self.growing || self.closing.is_empty() {
            return;
        }
        self.return_idle_escrow(ctx);
        match &mut self.returning {
            Some(waiting) => waiting.append(&mut self.closing),
            None => self.closing.drain(..).for_each(|reply| reply.answer(Ok(()))),
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
        ctx.spawn(append.into_actor(self).map(|appended, room, ctx| {
            if let Err(error) = appended {
                tracing::error!(tenant = %room.journal.tenant(), %error, "the escrow could not be returned; the rooms are rebuilt");
                return ctx.stop();
            }
            for waiting in room.returning.take().unwrap_or_default() {
                waiting.answer(Ok(()));
            }
        }));
    }

    /// Appends an entry about money that somebody waits for; it takes effect here once it is durable.
    fn append_then(
        &self,
        entries: Vec<Entry>,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>, Result<(), Rejection>) + 'static,
    ) {
        let append = self.journal.append(&entries);
        ctx.spawn(append.into_actor(self).map(move |appended, room, ctx| {
            let failed = appended.as_ref().is_err_and(|error| !is_full(error));
            then(room, ctx, appended.map(|_| ()).map_err(|error| Rejection::new(Code::Internal, error.to_string())));
            if failed {
                ctx.stop(); // what stands in the journal is unknown: the rooms are rebuilt from it
            }
        }));
    }
}

/// Which model a passed-through call names, and how long its answer may be.
fn wanted(matter: &Matter) -> Option<(&str, Option<u32>)> {
    match matter {
        Matter::Chat(chat) => Some((chat.model.as_str(), chat.max_tokens)),
        Matter::Embed(body) => {
            Some((body.get("model").and_then(serde_json::Value::as_str).unwrap_or_default(), Some(0)))
        }
        Matter::Rank(ranking) => Some((ranking.model.as_str(), Some(0))),
        Matter::Ask(_) | Matter::Search(_) => None,
    }
}

/// The embedding of a question that the cache wants looked up.
fn lookup(case: &Case, catalog: &Catalog, now_unix_ms: u64) -> Option<Embedding> {
    let Matter::Ask(question) = &case.matter else { return None };
    let rules = semantic(&case.policy).filter(|_| case.lookup.is_some())?;
    embedding(rules, catalog, &question.text, now_unix_ms)
}

/// How many answers a call asks for at once.
fn answers(matter: &Matter) -> u32 {
    let Matter::Chat(chat) = matter else { return 1 };
    let asked = chat.body.get("n").and_then(serde_json::Value::as_u64);
    asked.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX).max(1))
}

/// The tokens of a call's prompt.
fn prompt_tokens(matter: &Matter, passages: &[Passage], demands: Demands) -> u64 {
    match matter {
        Matter::Ask(question) => tokens::count_grounded(question, passages, demands),
        Matter::Search(search) => tokens::count(&search.query),
        Matter::Chat(chat) => tokens::count_chat(&chat.body),
        Matter::Embed(body) => tokens::count_chat(body),
        Matter::Rank(ranking) => tokens::count_ranking(ranking),
    }
}

/// The bytes of a call's prompt, about.
fn prompt_bytes(matter: &Matter, passages: &[Passage]) -> usize {
    passages.iter().fold(matter.bytes(), |sum, passage| sum.saturating_add(passage.text.len()))
}

impl Handler<Turn<Grounded>> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, turn: Turn<Grounded>, ctx: &mut Self::Context) {
        let policy = &turn.case.policy;
        let allowed = &policy.governance.allowed_models;
        let now = self.clock.now_unix_ms();
        let found = candidates(&policy.router, allowed, &self.catalog, wanted(&turn.case.matter), now);
        let mut found = match found {
            Ok(found) => found,
            Err(rejection) => return turn.refuse(rejection),
        };
        let answers = answers(&turn.case.matter);
        found.iter_mut().for_each(|candidate| candidate.answers = answers);
        let cap = turn.case.ruled.obligations().cap_tokens;
        let mut fallback = fallback(&policy.router, &self.catalog, now);
        found.iter_mut().chain(&mut fallback).for_each(|candidate| candidate.cap(cap));
        let call = Call {
            query_id: turn.case.query_id.to_string(),
            spender: turn.case.spender(),
            admitted_unix_ms: turn.case.admitted_unix_ms,
            embedding: lookup(&turn.case, &self.catalog, now),
            // words cannot be embedded or ranked by a model that chats
            fallback: fallback.filter(|_| !matches!(turn.case.matter, Matter::Embed(_) | Matter::Rank(_))),
            is_grounded: matches!(turn.case.matter, Matter::Ask(_)),
            prompt_tokens: 0,
            candidates: found,
        };
        // a breaker may put the fallback in the place of what was asked for
        let mut prices = call.candidates.iter().chain(&call.fallback).map(|candidate| candidate.price);
        let is_free = prices.all(|price| price == Price::default()) && call.embedding.is_none();
        let counts_tokens = self.balance.counts_tokens() || self.token_rates.are_limited();
        if is_free && !counts_tokens {
            return self.fund(Caller { turn, call }, ctx); // nothing costs anything: nothing to count
        }
        let (matter, passages) = (&turn.case.matter, &turn.stage.passages);
        let (bytes, demands) = (prompt_bytes(matter, passages), turn.case.demands());
        if bytes <= tokens::OFF_REACTOR_BYTES {
            let prompt_tokens = prompt_tokens(matter, passages, demands);
            return self.fund(Caller { turn, call: Call { prompt_tokens, ..call } }, ctx);
        }
        let (matter, passages) = (matter.clone(), Arc::clone(passages));
        let counting = tokens::off_reactor(move || prompt_tokens(&matter, &passages, demands));
        ctx.spawn(counting.into_actor(self).map(move |counted, room, ctx| {
            // where counting fails, the bytes, which no count exceeds
            let prompt_tokens = counted.unwrap_or_else(|| u64::try_from(bytes).unwrap_or(u64::MAX));
            room.fund(Caller { turn, call: Call { prompt_tokens, ..call } }, ctx);
        }));
    }
}

impl Handler<Returned> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, returned: Returned, ctx: &mut Self::Context) {
        let Returned { number, ended, unsure } = returned;
        self.give_tokens_back(number, ended);
        if let Some(closed) = self.balance.returned(number, ended, unsure, self.clock.now_unix_ms()) {
            // nobody waits for it: without this record a crash counts the hold as spent until it is reconciled
            self.append_then(vec![Entry::HoldClosed(Box::new(closed))], ctx, |_, _, _| ());
        }
        self.try_the_line_again(ctx);
        if self.returning.is_none()
            && self.closing.is_empty()
            && let Some(block) = self.balance.grow_at_rest(self.clock.now_unix_ms())
        {
            self.grow(block, ctx);
        }
    }
}

impl Handler<BookLate> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, late: BookLate, ctx: &mut Self::Context) {
        if let Some(closed) = self.balance.book_late(&late, self.clock.now_unix_ms()) {
            self.append_then(vec![Entry::HoldClosed(Box::new(closed))], ctx, |_, _, _| ());
        }
        // it was taken out of the block that covers the present holds
        if let Cover::Grow(block) = self.balance.cover(self.clock.now_unix_ms()) {
            self.grow(block, ctx);
        }
    }
}

impl Handler<AdoptBudget> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, AdoptBudget(policy): AdoptBudget, ctx: &mut Self::Context) {
        self.say_what_is_not_embedded(&policy);
        self.balance.adopt(&policy);
        let now_ns = self.now_ns();
        self.token_rates.adopt(&policy.tenant.quotas, now_ns);
        self.try_the_line_again(ctx);
    }
}

impl Handler<Reconcile> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, reconcile: Reconcile, ctx: &mut Self::Context) {
        let Reconcile { charged, by, reply } = reconcile;
        // taken, so that a second comparison cannot release the same money again
        let lumps = std::mem::take(&mut self.balance.ledger.lumps);
        if lumps.is_empty() {
            let detail = "reconciling: nothing is unreconciled; GET /v1/usage shows budget.unreconciled";
            return reply.answer(Err(Rejection::new(Code::Conflict, detail)));
        }
        let reconciled = Reconciled { lumps, charged, by, at_unix_ms: self.clock.now_unix_ms() };
        let portions = reconciled.portions();
        let entries = portions.iter().cloned().map(|portion| Entry::Reconciled(Box::new(portion))).collect();
        self.append_then(entries, ctx, move |room, ctx, appended| {
            if appended.is_err() {
                room.balance.ledger.lumps.extend(reconciled.lumps.iter().cloned());
            }
            reply.answer(appended.map(|()| {
                portions.iter().for_each(|portion| room.balance.reconciled(portion));
                reconciled
            }));
            room.try_the_line_again(ctx);
        });
    }
}

impl Handler<ApproveSpending> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, approve: ApproveSpending, ctx: &mut Self::Context) {
        let ApproveSpending { until_unix_ms, by, reply } = approve;
        let approved = SpendingApproved { by, until_unix_ms, at_unix_ms: self.clock.now_unix_ms() };
        let entries = vec![Entry::SpendingApproved(Box::new(approved.clone()))];
        self.append_then(entries, ctx, move |room, ctx, appended| {
            reply.answer(appended.map(|()| {
                room.balance.ledger.approved_until_unix_ms = approved.until_unix_ms;
                approved
            }));
            room.try_the_line_again(ctx);
        });
    }
}

impl Handler<ReadBudget> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, read: ReadBudget, _: &mut Self::Context) {
        let waiting = self.line.len();
        read.reply.answer(Ok(figures(&mut self.balance, waiting, self.clock.now_unix_ms())));
    }
}

impl Handler<CloseBudget> for BudgetRoom {
    type Result = ();

    fn handle(&mut self, close: CloseBudget, ctx: &mut Self::Context) {
        self.closing.push(close.reply);
        self.close_if_asked(ctx);
    }
}
