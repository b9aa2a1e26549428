//! The ledger: what the journal says happened to the tenant's money, in double entry. A pure fold over entries. Which
//! account and which window a charge counts in is the business of [`super::accounts`].
use super::accounts::Spender;
use crate::entry::{Entry, HoldClosed, HoldTaken, Lump};
use bailiwick_kernel::money::NanoUsd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;
/// Days kept for views; months are kept for ever (twelve small rows a year).
const DAYS_KEPT: usize = 62;
/// Lumps kept apart until they are reconciled; what further ones hold is known of the tenant only.
pub const LUMPS_MAX: usize = 1_024;

/// Where money stands. Every transfer takes from one book what it gives to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Books {
    /// What was taken out of the tenant's allowance so far: the sum of all other books.
    pub drawn: NanoUsd,
    /// Set aside, not spent: blocks and holds that have a record.
    pub escrow: NanoUsd,
    /// Charged for recorded answers, within what was held for them.
    pub spent: NanoUsd,
    /// Charged above what was held, because a provider reported more.
    pub overrun: NanoUsd,
    /// Set aside when a crash came, and perhaps spent. Counts as spent until it is reconciled.
    pub unreconciled: NanoUsd,
}

impl Books {
    /// True where nothing was made and nothing lost.
    #[must_use]
    pub fn balance(&self) -> bool {
        let Self { drawn, escrow, spent, overrun, unreconciled } = self;
        let held = escrow.saturating_add(*spent).saturating_add(*overrun).saturating_add(*unreconciled);
        held == *drawn
    }

    /// Charged in all.
    #[must_use]
    pub fn charged(&self) -> NanoUsd {
        self.spent.saturating_add(self.overrun)
    }

    fn draw(&mut self, amount: NanoUsd) -> NanoUsd {
        self.drawn = self.drawn.saturating_add(amount);
        amount
    }

    fn give_back(&mut self, amount: NanoUsd) {
        self.drawn = self.drawn.saturating_sub(amount);
    }

    /// Takes up to an amount out of escrow, and the rest out of the allowance.
    fn take_from_escrow(&mut self, amount: NanoUsd) -> NanoUsd {
        let set_aside = amount.min(self.escrow);
        self.escrow = self.escrow.saturating_sub(set_aside);
        self.draw(amount.saturating_sub(set_aside));
        amount
    }

    /// Sets so much aside in all.
    pub fn set_escrow(&mut self, wanted: NanoUsd) {
        let more = wanted.saturating_sub(self.escrow);
        let less = self.escrow.saturating_sub(wanted);
        self.draw(more);
        self.give_back(less);
        self.escrow = wanted;
    }
}

/// What one tenant's money did, folded from its journal.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Spent by UTC day (days since the epoch).
    pub by_day: BTreeMap<u64, NanoUsd>,
    /// Spent by UTC month (year × 12 + month − 1).
    pub by_month: BTreeMap<u64, NanoUsd>,
    /// Where the money stands.
    pub books: Books,
    /// What crashes left open, oldest first. Saved beside.
    #[serde(skip)]
    pub lumps: Vec<Lump>,
    /// Holds with a record of their own that have not ended, by the call they are for. Saved beside.
    #[serde(skip)]
    pub open_holds: BTreeMap<String, HoldTaken>,
    /// Until when spending beyond the circuit breaker's threshold is approved.
    pub approved_until_unix_ms: u64,
}

/// What has not ended: saved beside the ledger, a few in one value, because together they exceed one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Open {
    /// A hold with a record of its own.
    Hold(HoldTaken),
    /// What a crash left open.
    Lump(Lump),
}

/// The UTC day of a time.
#[must_use]
pub fn day_of(unix_ms: u64) -> u64 {
    unix_ms / DAY_MS
}

/// The UTC month of a time.
#[must_use]
pub fn month_of(unix_ms: u64) -> u64 {
    let timestamp = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let date = timestamp.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned(jiff::tz::TimeZone::UTC).date();
    u64::try_from(i64::from(date.year()) * 12 + i64::from(date.month()) - 1).unwrap_or(0)
}

impl Ledger {
    fn view(&mut self, at_unix_ms: u64, change: impl Fn(NanoUsd) -> NanoUsd) {
        for (window, key) in [(&mut self.by_day, day_of(at_unix_ms)), (&mut self.by_month, month_of(at_unix_ms))] {
            let booked = window.get(&key).copied().unwrap_or_default();
            let changed = change(booked);
            if changed != booked {
                window.insert(key, changed);
            }
        }
        while self.by_day.len() > DAYS_KEPT {
            self.by_day.pop_first();
        }
    }

    fn charge(&mut self, cost: NanoUsd, overrun: NanoUsd, at_unix_ms: u64) {
        let within = cost.saturating_sub(overrun);
        let within = self.books.take_from_escrow(within);
        self.books.spent = self.books.spent.saturating_add(within);
        let above = self.books.draw(cost.min(overrun));
        self.books.overrun = self.books.overrun.saturating_add(above);
        self.view(at_unix_ms, |booked| booked.saturating_add(cost));
    }

    /// Counts as spent what perhaps was.
    pub fn lose(&mut self, lump: Lump) {
        if lump.amount == NanoUsd::ZERO {
            return;
        }
        let amount = self.books.take_from_escrow(lump.amount);
        self.books.unreconciled = self.books.unreconciled.saturating_add(amount);
        self.view(lump.at_unix_ms, |booked| booked.saturating_add(amount));
        let is_same = |other: &&mut Lump| other.spender == lump.spender && other.at_unix_ms == lump.at_unix_ms;
        if let Some(same) = self.lumps.iter_mut().find(is_same) {
            same.amount = same.amount.saturating_add(amount);
        } else if self.lumps.len() < LUMPS_MAX {
            self.lumps.push(lump);
        } else {
            let at_unix_ms = lump.at_unix_ms;
            let nobodys = |other: &&mut Lump| other.spender == Spender::default();
            match self.lumps.iter_mut().rev().find(nobodys) {
                Some(last) => last.amount = last.amount.saturating_add(amount),
                None => self.lumps.push(Lump { amount, spender: Spender::default(), at_unix_ms }),
            }
        }
    }

    /// What has not ended, to be saved.
    #[must_use]
    pub fn open(&self) -> Vec<Open> {
        let holds = self.open_holds.values().cloned().map(Open::Hold);
        holds.chain(self.lumps.iter().cloned().map(Open::Lump)).collect()
    }

    /// Takes back what was saved by [`Ledger::open`].
    pub fn restore(&mut self, open: impl IntoIterator<Item = Open>) {
        for one in open {
            match one {
                Open::Hold(hold) => drop(self.open_holds.insert(hold.query_id.clone(), hold)),
                Open::Lump(lump) => self.lumps.push(lump),
            }
        }
    }

    /// Folds one entry in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::AnswerRecorded(answer) => {
                self.charge(answer.usage.cost, answer.overrun, answer.cleared_unix_ms);
                if let Some(hold) = self.open_holds.remove(&answer.query_id) {
                    let unused = hold.amount.saturating_sub(answer.usage.cost);
                    self.books.set_escrow(self.books.escrow.saturating_sub(unused));
                }
            }
            Entry::EscrowTaken { block, .. } => self.books.set_escrow(block.saturating_add(self.recorded_holds())),
            Entry::EscrowReturned { .. } => self.books.set_escrow(self.recorded_holds()),
            Entry::Unreconciled { amount, at_unix_ms } => {
                self.lose(Lump { amount: *amount, spender: Default::default(), at_unix_ms: *at_unix_ms });
            }
            Entry::HoldTaken(taken) => {
                self.books.set_escrow(self.books.escrow.saturating_add(taken.amount));
                self.open_holds.insert(taken.query_id.clone(), (**taken).clone());
            }
            Entry::HoldClosed(closed) => self.close(closed),
            Entry::Reconciled(reconciled) => {
                let mut released_in_all = NanoUsd::ZERO;
                for (lump, released) in reconciled.releases() {
                    released_in_all = released_in_all.saturating_add(released);
                    self.view(lump.at_unix_ms, |booked| booked.saturating_sub(released));
                }
                let open = reconciled.lumps.iter().fold(NanoUsd::ZERO, |sum, lump| sum.saturating_add(lump.amount));
                self.books.unreconciled = self.books.unreconciled.saturating_sub(open);
                self.books.spent = self.books.spent.saturating_add(open.saturating_sub(released_in_all));
                self.books.give_back(released_in_all);
                let beyond = self.books.draw(reconciled.beyond());
                self.books.overrun = self.books.overrun.saturating_add(beyond);
                self.view(reconciled.at_unix_ms, |booked| booked.saturating_add(beyond));
                for settled in &reconciled.lumps {
                    let is_same =
                        |lump: &&mut Lump| lump.spender == settled.spender && lump.at_unix_ms == settled.at_unix_ms;
                    if let Some(lump) = self.lumps.iter_mut().find(is_same) {
                        lump.amount = lump.amount.saturating_sub(settled.amount);
                    }
                }
                self.lumps.retain(|lump| lump.amount > NanoUsd::ZERO);
            }
            Entry::SpendingApproved(approved) => self.approved_until_unix_ms = approved.until_unix_ms,
            Entry::DocumentAccepted(_)
            | Entry::ErasureAsked(_)
            | Entry::ErasureEnded(_)
            | Entry::AnswerContinued { .. }
            | Entry::AnswerCited(_)
            | Entry::DocumentRemoved { .. }
            | Entry::Refused { .. }
            | Entry::FeedbackGiven(_)
            | Entry::ChargeAttributed(_)
            | Entry::ReplyKept(_)
            | Entry::ReplyContinued { .. }
            | Entry::EmbeddingCharged(_)
            | Entry::RequestJudged(_)
            | Entry::RolloutStands { .. }
            | Entry::RequestLogged(_)
            | Entry::DocumentShredded
            | Entry::ApprovalAsked(_)
            | Entry::ApprovalDecided(_)
            | Entry::ApprovalUsed(_)
            | Entry::PassagesCited(_)
            | Entry::EvaluationKept(_)
            | Entry::PolicyAdopted { .. }
            | Entry::LineageImported(_)
            | Entry::AnswerGrounded(_)
            | Entry::AnswerMeasured(_)
            | Entry::PassagesRejected(_)
            | Entry::TrustRestored(_)
            | Entry::HeadWitnessed(_)
            | Entry::TurnsCounted(_)
            | Entry::ReleasesFrozen(_)
            | Entry::ReleasesThawed { .. }
            | Entry::OverrideAsked(_)
            | Entry::FreezeOverridden(_)
            | Entry::DenseJudged(_)
            | Entry::WeightLearnt(_)
            | Entry::EvaluationBegun(_)
            | Entry::AnswerJudged(_)
            | Entry::QualityWeighed(_)
            | Entry::PassagesFound(_)
            | Entry::ConversationTold(_)
            | Entry::PassagesRanked(_) => {}
        }
    }

    fn close(&mut self, closed: &HoldClosed) {
        let HoldClosed { query_id, unreconciled, spender, admitted_unix_ms, .. } = closed;
        let hold = self.open_holds.remove(query_id).map(|hold| hold.amount);
        let lost = hold.map_or(*unreconciled, |amount| amount.min(*unreconciled));
        self.lose(Lump { amount: lost, spender: spender.clone(), at_unix_ms: *admitted_unix_ms });
        let unused = hold.map_or(NanoUsd::ZERO, |amount| amount.saturating_sub(lost));
        self.books.set_escrow(self.books.escrow.saturating_sub(unused));
    }

    /// Spent in the UTC month of the given time.
    #[must_use]
    pub fn spent_month(&self, now_unix_ms: u64) -> NanoUsd {
        self.by_month.get(&month_of(now_unix_ms)).copied().unwrap_or_default()
    }

    /// What a room does to its copy when a charge has become durable: as [`Ledger::apply`] does from the journal.
    pub fn charged(&mut self, cost: NanoUsd, held: NanoUsd) {
        let within = self.books.take_from_escrow(cost.min(held));
        self.books.spent = self.books.spent.saturating_add(within);
        let above = self.books.draw(cost.saturating_sub(held));
        self.books.overrun = self.books.overrun.saturating_add(above);
    }

    /// What a crash left in blocks, beside holds that have a record of their own.
    #[must_use]
    pub fn open_block(&self) -> NanoUsd {
        self.books.escrow.saturating_sub(self.recorded_holds())
    }

    fn recorded_holds(&self) -> NanoUsd {
        self.open_holds.values().fold(NanoUsd::ZERO, |sum, hold| sum.saturating_add(hold.amount))
    }
}
