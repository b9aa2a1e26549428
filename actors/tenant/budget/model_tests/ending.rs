//! Holds that come home.
use super::super::accounts::Sum;
use super::super::rules::Ended;
use super::{Held, World};
use crate::entry::Entry;
use bailiwick_kernel::money::NanoUsd;

impl World {
    /// A call that broke off, or whose room panicked: counted as spent, and perhaps charged.
    pub(super) fn note_unsure(&mut self, held: &Held, amount: u64) {
        if amount > 0 {
            let older = if held.is_older { amount } else { 0 };
            self.model.post(&held.call.spender, held.call.admitted_unix_ms, (amount, 0), (older, 0));
            self.unsure.push((held.call.spender.clone(), held.call.admitted_unix_ms, amount));
            self.perhaps += self.dice.roll(amount + 1);
        }
    }

    pub(super) fn let_go(&mut self, held: &Held) {
        let sum = held.sum;
        let older = if held.is_older { sum } else { (0, 0) };
        self.model.change(&held.call.spender, held.call.admitted_unix_ms, |tally| {
            tally.held = (tally.held.0 - sum.0, tally.held.1 - sum.1);
            tally.above = (tally.above.0 - older.0, tally.above.1 - older.1);
        });
    }

    pub(super) fn settle(&mut self) {
        let Some(held) = self.take_open() else { return };
        let mut money = self.dice.roll(held.sum.0 + 1);
        let mut tokens = self.dice.roll(held.sum.1 + 1);
        if self.dice.roll(40) == 0 {
            (money, tokens) = (held.sum.0 + self.dice.roll(50), held.sum.1 + self.dice.roll(50)); // a provider that overruns
        }
        self.let_go(&held);
        self.record(&held, money, tokens);
        let used = Sum { money: NanoUsd(money), tokens };
        let unsure = if self.dice.roll(8) == 0 { self.dice.roll(held.sum.0.saturating_sub(money) + 1) } else { 0 };
        let closed = self.balance.returned(held.number, Ended::Settled(used), NanoUsd(unsure), self.now);
        assert_eq!(closed.is_some(), unsure > 0);
        self.note_unsure(&held, unsure);
        self.journal.extend(closed.map(|closed| Entry::HoldClosed(Box::new(closed))));
        self.ended.push(held.number);
    }

    pub(super) fn cancel(&mut self) {
        let Some(held) = self.take_open() else { return };
        self.let_go(&held);
        let ended = if self.dice.roll(10) == 0 { Ended::Unknown } else { Ended::Unused };
        self.note_unsure(&held, if ended == Ended::Unknown { held.sum.0 } else { 0 });
        let closed = self.balance.returned(held.number, ended, NanoUsd::ZERO, self.now);
        self.journal.extend(closed.map(|closed| Entry::HoldClosed(Box::new(closed))));
        self.ended.push(held.number);
    }

    /// A call whose time is up: its provider was asked, and nobody knows what it will charge.
    pub(super) fn expire(&mut self) {
        let Some(held) = self.take_open() else { return };
        self.seen.expired += 1;
        self.now += self.dice.roll(60_000);
        let lost = self.dice.roll(held.sum.0 + 1);
        self.let_go(&held);
        self.note_unsure(&held, lost);
        let closed = self.balance.returned(held.number, Ended::Unused, NanoUsd(lost), self.now);
        self.journal.extend(closed.map(|closed| Entry::HoldClosed(Box::new(closed))));
        self.ended.push(held.number);
    }

    /// A notice that comes twice changes nothing.
    pub(super) fn repeat(&mut self) {
        let Some(number) = self.ended.last() else { return };
        let told = |balance: &super::Balance| (balance.held(), balance.ledger.clone(), balance.counters().clone());
        let before = told(&self.balance);
        let again = Ended::Settled(Sum { money: NanoUsd(7), tokens: 7 });
        assert_eq!(self.balance.returned(*number, again, NanoUsd::ZERO, self.now), None);
        assert_eq!(told(&self.balance), before);
    }
}
