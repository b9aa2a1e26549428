//! Pure decisions of the budget: whether a call's worst case fits every ceiling it stands under, whether it must wait or
//! be refused, when the escrow must grow, what comes back. Invariant BUD1: posted + held never exceeds a limit.
use super::accounts::{Accounts, Spender, Sum};
use super::breaker::{Breaker, BreakerState, restrict, used_ppm};
use super::candidates::{fits, shortest, shrunk, worst};
use super::counters::{Bound, CounterKey, Counters};
use super::hold::{Candidate, Embedding};
use super::ledger::Ledger;
use super::messages::BookLate;
use super::refusal::exceeded;
use super::sums::{FULL, least, most, within};
use crate::entry::{Entry, HoldClosed, HoldTaken, Lump, Reconciled};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Rejection;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::{BreakerAction, BudgetBreaker, HoldRecords};
use std::collections::BTreeMap;

/// The escrow grows to this many times what is held, so that most holds need no record of their own. All of it counts as
/// spent after a crash, until it is reconciled.
const ESCROW_HEADROOM: u64 = 8;
/// When a call may try again that found the line full or waited in vain.
pub const TRY_AGAIN_MS: u64 = 1_000;

/// The balance of one tenant.
#[derive(Clone, Debug)]
pub struct Balance {
    /// What the journal says.
    pub ledger: Ledger,
    counters: Counters,
    breaker: Breaker,
    breaker_rule: Option<BudgetBreaker>,
    records: HoldRecords,
    counts_tokens: bool,
    held: NanoUsd,
    /// Held without a record of its own: what the escrow must cover.
    unrecorded: NanoUsd,
    /// The last hold that had no record of its own: about what the next one will come to.
    last_unrecorded: NanoUsd,
    holds: BTreeMap<u64, Open>,
    next_hold: u64,
}

/// A hold that has not come home.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Open {
    sum: Sum,
    spender: Spender,
    admitted_unix_ms: u64,
    keys: Vec<CounterKey>,
    /// The call's name.
    query_id: String,
    /// The hold has a record of its own.
    is_recorded: bool,
}

impl Open {
    /// The record that ends it without an answer.
    fn closed(&self, unreconciled: NanoUsd, now_unix_ms: u64) -> HoldClosed {
        HoldClosed {
            query_id: self.query_id.clone(),
            unreconciled,
            spender: self.spender.clone(),
            admitted_unix_ms: self.admitted_unix_ms,
            at_unix_ms: now_unix_ms,
        }
    }
}

/// What a call asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// Names the call.
    pub query_id: String,
    /// Whose ceilings it stands under.
    pub spender: Spender,
    /// When it was admitted: the time whose windows hold for it.
    pub admitted_unix_ms: u64,
    /// What it may use, in order.
    pub candidates: Vec<Candidate>,
    /// The embedding its question is looked up by, called before any of them.
    pub embedding: Option<Embedding>,
    /// The router's fallback, for a breaker that downgrades.
    pub fallback: Option<Candidate>,
    /// True for a question from documents.
    pub is_grounded: bool,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
}

/// Whether a call fits.
#[derive(Clone, PartialEq, Debug)]
pub enum Weighed {
    /// It does.
    Fits(Fit),
    /// It will, if enough of what is held now comes back.
    MustWait(Vec<CounterKey>),
    /// It does not, whatever comes back.
    Refused(Rejection),
}

/// A call that fits, not held yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Fit {
    /// What may be called, each within the sum.
    pub candidates: Vec<Candidate>,
    /// What may be called before them; the sum is for both.
    pub embedding: Option<Embedding>,
    sum: Sum,
    bounds: Vec<Bound>,
}

impl Fit {
    /// The same with an embedding, where there is room for both: an answer never yields to its looking up.
    fn beside(self, embedding: Option<Embedding>, room: Sum) -> Self {
        let Some(embedding) = embedding else { return self };
        let sum = self.sum.plus(embedding.worst());
        if within(sum, room) { Self { embedding: Some(embedding), sum, ..self } } else { self }
    }

    /// True where nothing is held for it.
    #[must_use]
    pub fn takes_nothing(&self) -> bool {
        self.sum == Sum::default()
    }

    /// The most tokens it may use.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.sum.tokens
    }

    /// The counters it will be held against.
    pub fn keys(&self) -> impl Iterator<Item = &CounterKey> {
        self.bounds.iter().map(|bound| &bound.key)
    }
}

/// What a hold needs before it may be handed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cover {
    /// The durable escrow covers it.
    Covered,
    /// The durable escrow covers it, and should grow to this size before it is used up.
    Ahead(NanoUsd),
    /// The escrow must first be made durable at this size.
    Grow(NanoUsd),
    /// This record must first be durable.
    Record(Box<HoldTaken>),
}

/// A hold that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// Its number.
    pub number: u64,
    /// What it holds.
    pub amount: NanoUsd,
    /// What it needs.
    pub cover: Cover,
}

/// How a hold ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// What was used is in the journal, under the call's name.
    Settled(Sum),
    /// No provider was paid.
    Unused,
    /// Nobody knows whether a provider was paid: all of it counts as spent until it is reconciled.
    Unknown,
}

impl Balance {
    /// A balance on a folded ledger and its accounts under a policy.
    #[must_use]
    pub fn new(ledger: Ledger, accounts: Accounts, policy: &PolicySnapshot) -> Self {
        let mut balance = Self {
            ledger,
            counters: Counters::new(accounts, policy),
            breaker: Breaker::default(),
            breaker_rule: None,
            records: HoldRecords::default(),
            counts_tokens: false,
            held: NanoUsd::ZERO,
            unrecorded: NanoUsd::ZERO,
            last_unrecorded: NanoUsd::ZERO,
            holds: BTreeMap::new(),
            next_hold: 0,
        };
        balance.adopt(policy);
        balance
    }

    /// Takes other ceilings over; holds made before stay, and count against the new ones.
    pub fn adopt(&mut self, policy: &PolicySnapshot) {
        let budget = &policy.router.budget;
        self.breaker_rule = budget.circuit_breaker.clone();
        self.records = budget.holds;
        self.counts_tokens = budget.ceilings.iter().any(|ceiling| ceiling.limit_tokens.is_some());
        self.counters.adopt(policy);
        for open in self.holds.values_mut() {
            let bounds = self.counters.bounds(&open.spender, open.admitted_unix_ms);
            open.keys = self.counters.hold(&bounds, open.sum);
        }
    }

    /// True where calls that cost nothing are counted all the same, for their tokens.
    #[must_use]
    pub fn counts_tokens(&self) -> bool {
        self.counts_tokens
    }

    /// What is held now.
    #[must_use]
    pub fn held(&self) -> NanoUsd {
        self.held
    }

    /// The counters in use, with their ceilings.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The ceilings of the tenant itself, with their counters, at a time.
    pub fn of_tenant(&mut self, at_unix_ms: u64) -> Vec<Bound> {
        self.counters.of_tenant(at_unix_ms)
    }

    /// The ceilings a call of this spender stands under, with their counters.
    #[cfg(test)]
    pub(super) fn bounds_of(&mut self, spender: &Spender, at_unix_ms: u64) -> Vec<Bound> {
        self.counters.bounds(spender, at_unix_ms)
    }

    /// The circuit breaker, judged anew.
    pub fn breaker(&mut self, now_unix_ms: u64) -> (BreakerState, u64) {
        let used = used_ppm(&self.counters.of_tenant(now_unix_ms));
        let state = self.breaker_rule.as_ref().map_or(BreakerState::Closed, |rule| self.breaker.judge(rule, used));
        (state, used)
    }

    /// How often the circuit breaker went over since the rooms were built.
    #[must_use]
    pub fn breaker_switches(&self) -> u64 {
        self.breaker.switches()
    }

    /// Whether a call fits: in full, cut to what is left, later, or never. Nothing is held yet.
    pub fn weigh(&mut self, call: &Call, now_unix_ms: u64) -> Weighed {
        let (candidates, embedding) = match self.restricted(call, now_unix_ms) {
            Ok(allowed) => allowed,
            Err(rejection) => return Weighed::Refused(rejection),
        };
        let bounds = self.counters.bounds(&call.spender, call.admitted_unix_ms);
        let tightest = |room: fn(&Bound) -> Sum| bounds.iter().map(room).fold(FULL, least);
        let (room, at_rest) = (tightest(Bound::room), tightest(Bound::room_at_rest));
        let whole: Vec<_> = candidates.iter().filter(|one| fits(one, call.prompt_tokens, room)).cloned().collect();
        if !whole.is_empty() {
            return Weighed::Fits(fit(whole, call.prompt_tokens, bounds, room).beside(embedding, room));
        }
        let may_ever = candidates.iter().any(|one| fits(&shortest(one), call.prompt_tokens, at_rest));
        if !may_ever {
            return Weighed::Refused(exceeded(&candidates, call.prompt_tokens, &bounds, now_unix_ms));
        }
        let wanted = candidates.iter().map(|one| worst(one, call.prompt_tokens)).fold(FULL, least);
        let tight: Vec<_> = bounds
            .iter()
            .filter(|bound| {
                let (room, pending) = (bound.room(), bound.counter.pending);
                (wanted.money > room.money && pending.money > NanoUsd::ZERO)
                    || (wanted.tokens > room.tokens && pending.tokens > 0)
            })
            .map(|bound| bound.key.clone())
            .collect();
        if !tight.is_empty() {
            return Weighed::MustWait(tight);
        }
        // nothing will come back: what is left buys a shorter answer
        let cut: Vec<_> = candidates.iter().filter_map(|one| shrunk(one, call.prompt_tokens, room)).collect();
        if cut.is_empty() {
            return Weighed::Refused(exceeded(&candidates, call.prompt_tokens, &bounds, now_unix_ms));
        }
        Weighed::Fits(fit(cut, call.prompt_tokens, bounds, room))
    }

    /// What may be called: while the breaker acts, nothing that an answer can do without.
    fn restricted(&mut self, call: &Call, now_unix_ms: u64) -> Result<(Vec<Candidate>, Option<Embedding>), Rejection> {
        let (state, used) = self.breaker(now_unix_ms);
        let is_approved = now_unix_ms < self.ledger.approved_until_unix_ms;
        let lets_pass = |rule: &BudgetBreaker| rule.action == BreakerAction::RequireApproval && is_approved;
        let open = self.breaker_rule.as_ref().filter(|rule| state == BreakerState::Open && !lets_pass(rule));
        let Some(rule) = open else { return Ok((call.candidates.clone(), call.embedding.clone())) };
        let (action, (_, closes_ppm)) = (rule.action, rule.opens_and_closes_ppm());
        let kept = restrict(action, call.candidates.clone(), call.fallback.clone(), call.is_grounded, used);
        kept.map(|candidates| (candidates, None)).map_err(|rejection| {
            // it acts until the last of the windows that hold it open has ended
            let is_full = |bound: &&Bound| used_ppm(std::slice::from_ref(*bound)) >= closes_ppm;
            let tenants = self.of_tenant(now_unix_ms);
            let ends = tenants.iter().filter(is_full).map(|bound| bound.key.stretch.ends_unix_ms).max();
            Rejection { retry_after_ms: ends.map(|ends| ends.saturating_sub(now_unix_ms)), ..rejection }
        })
    }

    /// Holds what fits.
    pub fn make(&mut self, fit: &Fit, call: &Call) -> Made {
        let number = self.next_hold;
        self.next_hold = self.next_hold.saturating_add(1);
        let amount = fit.sum.money;
        let is_recorded = self.records == HoldRecords::Strict && amount > NanoUsd::ZERO;
        let open = Open {
            sum: fit.sum,
            spender: call.spender.clone(),
            admitted_unix_ms: call.admitted_unix_ms,
            keys: self.counters.hold(&fit.bounds, fit.sum),
            query_id: call.query_id.clone(),
            is_recorded,
        };
        if !is_recorded {
            self.unrecorded = self.unrecorded.saturating_add(amount);
            self.last_unrecorded = amount;
        }
        self.holds.insert(number, open);
        self.held = self.held.saturating_add(amount);
        let cover = if is_recorded {
            Cover::Record(Box::new(HoldTaken {
                query_id: call.query_id.clone(),
                amount,
                spender: call.spender.clone(),
                admitted_unix_ms: call.admitted_unix_ms,
            }))
        } else {
            self.cover(call.admitted_unix_ms)
        };
        Made { number, amount, cover }
    }

    /// Whether the durable escrow covers what is held now.
    pub fn cover(&mut self, now_unix_ms: u64) -> Cover {
        if self.unrecorded == NanoUsd::ZERO {
            return Cover::Covered;
        }
        let block = self.block(self.unrecorded, now_unix_ms);
        if self.unrecorded > self.ledger.books.escrow {
            Cover::Grow(block)
        } else if self.has_less_left_than(4, self.unrecorded, block) {
            Cover::Ahead(block)
        } else {
            Cover::Covered
        }
    }

    /// What the escrow should grow to before the next call comes: asked when one came home, so that the record is on its way
    /// while no answer waits behind it.
    pub fn grow_at_rest(&mut self, now_unix_ms: u64) -> Option<NanoUsd> {
        let wanted = self.unrecorded.saturating_add(self.last_unrecorded);
        let block = self.block(wanted, now_unix_ms);
        self.has_less_left_than(2, wanted, block).then_some(block)
    }

    /// A block for so much, never larger than what may be spent.
    fn block(&mut self, wanted: NanoUsd, now_unix_ms: u64) -> NanoUsd {
        let bounds = self.counters.of_tenant(now_unix_ms);
        let room = bounds.iter().map(Bound::room).fold(FULL, least).money;
        let ahead = wanted.saturating_times(ESCROW_HEADROOM).saturating_sub(self.unrecorded);
        self.unrecorded.saturating_add(ahead.min(room))
    }

    /// Whether the escrow has less left behind `wanted` than this part of what a fresh block would have.
    fn has_less_left_than(&self, part: u64, wanted: NanoUsd, block: NanoUsd) -> bool {
        let escrow = self.ledger.books.escrow;
        let (left, fresh) = (escrow.saturating_sub(wanted), block.saturating_sub(wanted));
        block > escrow && left < NanoUsd(fresh.0 / part)
    }

    /// A hold came home. What was charged is in the journal already; here it moves from held to spent. `unsure` is what
    /// calls may have cost beside. Gives the record that ends the hold, where its answer's record does not, and says what
    /// is open.
    pub fn returned(&mut self, number: u64, ended: Ended, unsure: NanoUsd, now_unix_ms: u64) -> Option<HoldClosed> {
        let open = self.holds.remove(&number)?;
        self.counters.release(&open.keys, open.sum);
        self.held = self.held.saturating_sub(open.sum.money);
        if !open.is_recorded {
            self.unrecorded = self.unrecorded.saturating_sub(open.sum.money);
        }
        if let Ended::Settled(used) = ended {
            self.counters.post(&open.spender, used, open.admitted_unix_ms);
            self.ledger.charged(used.money, open.sum.money);
        }
        let unreconciled = if ended == Ended::Unknown { open.sum.money } else { unsure };
        let is_closed_by_its_answer = matches!(ended, Ended::Settled(_)) || !open.is_recorded;
        if unreconciled == NanoUsd::ZERO && is_closed_by_its_answer {
            return None;
        }
        self.lose(&open.spender, unreconciled, open.admitted_unix_ms);
        Some(open.closed(unreconciled, now_unix_ms))
    }

    /// Counts as spent what nobody knows about.
    fn lose(&mut self, spender: &Spender, amount: NanoUsd, at_unix_ms: u64) {
        self.counters.post(spender, Sum { money: amount, tokens: 0 }, at_unix_ms);
        self.ledger.lose(Lump { amount, spender: spender.clone(), at_unix_ms });
    }

    /// A charge became durable whose hold was made by an earlier incarnation of this room.
    /// Gives the record of what is open.
    pub fn book_late(&mut self, late: &BookLate, now_unix_ms: u64) -> Option<HoldClosed> {
        let BookLate { query_id, spender, used, overrun, unsure, admitted_unix_ms } = late;
        self.counters.post(spender, *used, *admitted_unix_ms);
        self.ledger.charged(used.money, used.money.saturating_sub(*overrun));
        if *unsure == NanoUsd::ZERO {
            return None;
        }
        self.lose(spender, *unsure, *admitted_unix_ms);
        Some(HoldClosed {
            query_id: query_id.clone(),
            unreconciled: *unsure,
            spender: spender.clone(),
            admitted_unix_ms: *admitted_unix_ms,
            at_unix_ms: now_unix_ms,
        })
    }

    /// The escrow is durable at this size.
    pub fn escrowed(&mut self, block: NanoUsd) {
        self.ledger.books.set_escrow(block);
    }

    /// True where a block is outstanding that nothing needs.
    #[must_use]
    pub fn escrow_is_idle(&self) -> bool {
        self.held == NanoUsd::ZERO && self.ledger.books.escrow > NanoUsd::ZERO
    }

    /// Takes back what was counted as spent and, by the providers' statements, was not.
    pub fn reconciled(&mut self, reconciled: &Reconciled) {
        for (lump, released) in reconciled.releases() {
            self.counters.take_back(&lump.spender, Sum { money: released, tokens: 0 }, lump.at_unix_ms);
        }
        let beyond = Sum { money: reconciled.beyond(), tokens: 0 };
        self.counters.post(&Spender::default(), beyond, reconciled.at_unix_ms);
        self.ledger.apply(&Entry::Reconciled(Box::new(reconciled.clone())));
    }
}

/// Holds for one call after the other where there is room, because a call that breaks off may have been billed; else the
/// dearest of what may be called. What does not fit was struck.
fn fit(candidates: Vec<Candidate>, prompt_tokens: u64, bounds: Vec<Bound>, room: Sum) -> Fit {
    let worst = || candidates.iter().map(|one| worst(one, prompt_tokens));
    let all = worst().fold(Sum::default(), Sum::plus);
    let sum = if within(all, room) { all } else { worst().fold(Sum::default(), most) };
    Fit { candidates, embedding: None, sum, bounds }
}
