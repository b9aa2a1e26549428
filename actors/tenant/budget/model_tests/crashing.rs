//! Crashes, other ceilings, and what has to be true at rest.
use super::super::accounts::{Account, Accounts, Spender, Sum};
use super::super::rules::Balance;
use super::model::Model;
use super::{World, draw_policy};
use crate::entry::{Entry, Reconciled};
use crate::supervisor::fold::Fold;
use crate::supervisor::opening::owed;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::schema::HoldRecords;
use std::collections::BTreeMap;

impl World {
    fn folded(&self) -> (Fold, Accounts) {
        let (mut fold, mut accounts) = (Fold::default(), Accounts::default());
        for (at, entry) in self.journal.iter().enumerate() {
            fold.apply(Position(at as u64), entry);
            accounts.apply(entry);
            assert!(fold.ledger.books.balance(), "{entry:?} {:?}", fold.ledger.books);
        }
        (fold, accounts)
    }

    /// kill -9: memory is gone, the journal stays, perhaps without a block that was under way. Some of the calls that were
    /// handed on had reached their provider, and one perhaps its record.
    pub(super) fn crash(&mut self) {
        let is_torn = self.growing.take().is_some_and(|growing| growing.at + 1 == self.journal.len());
        if is_torn && self.dice.roll(2) == 0 {
            self.journal.pop();
        } else if self.dice.roll(2) == 0
            && let Some(held) = self.take_open()
        {
            let money = self.dice.roll(held.sum.0 + 1);
            self.let_go(&held);
            self.record(&held, money, held.sum.1);
        }
        let mut charged = std::mem::take(&mut self.perhaps);
        for held in std::mem::take(&mut self.open) {
            self.let_go(&held);
            if !held.is_parked && self.dice.roll(3) > 0 {
                charged += self.dice.roll(held.sum.0 + 1);
            }
        }
        let (fold, _) = self.folded();
        let lost = owed(&fold, &self.policy, None, self.now);
        self.journal.extend(lost.iter().cloned());
        let (fold, accounts) = self.folded();
        let unreconciled: u64 = fold.ledger.lumps.iter().map(|lump| lump.amount.0).sum();
        assert!(charged <= unreconciled, "a crash lost {charged} of {unreconciled}");
        assert_eq!((fold.ledger.books.escrow, fold.ledger.open_holds.len()), (NanoUsd::ZERO, 0));
        self.balance = Balance::new(fold.ledger.clone(), accounts, &self.policy);
        self.ended.clear();
        // the operator compares with the statements, sometimes at once and sometimes finding more than was held
        let charged = if self.dice.roll(20) == 0 { charged + 1 + unreconciled } else { charged };
        let charged = if unreconciled == 0 { 0 } else { charged };
        let reconciled = Reconciled {
            lumps: fold.ledger.lumps.clone(),
            charged: NanoUsd(charged),
            by: "operator".into(),
            at_unix_ms: self.now,
        };
        for (spender, at, amount) in std::mem::take(&mut self.unsure) {
            self.model.take_back(&spender, at, amount);
        }
        let mut left = charged;
        for lump in &reconciled.lumps {
            let kept = left.min(lump.amount.0);
            left -= kept;
            // what was unknown is no overdraft of the rules
            self.model.post(&lump.spender, lump.at_unix_ms, (kept, 0), (kept, 0));
        }
        self.model.post(&Spender::default(), self.now, (left, 0), (left, 0));
        self.receipts += charged;
        for portion in reconciled.portions() {
            self.journal.push(Entry::Reconciled(Box::new(portion.clone())));
            self.balance.reconciled(&portion);
        }
    }

    /// Other ceilings: the model counts everything anew.
    pub(super) fn adopt(&mut self) {
        let strict = self.policy.router.budget.holds;
        self.policy = draw_policy(&mut self.dice, self.unit);
        if strict != self.policy.router.budget.holds
            && strict == HoldRecords::Escrow
            && self.balance.held() == NanoUsd::ZERO
            && self.growing.is_none()
        {
            self.journal.push(Entry::EscrowReturned { at_unix_ms: self.now });
            self.balance.escrowed(NanoUsd::ZERO);
        }
        self.balance.adopt(&self.policy);
        let before = std::mem::replace(&mut self.model, Model::new(&self.policy));
        for (spender, at, sum, _) in before.posted {
            // lower ceilings may find more spent than they allow: that is no overdraft of theirs
            self.model.post(&spender, at, sum, sum);
        }
        for held in &mut self.open {
            let sum = held.sum;
            held.is_older = true;
            self.model.change(&held.call.spender, held.call.admitted_unix_ms, |tally| {
                tally.held = (tally.held.0 + sum.0, tally.held.1 + sum.1);
                tally.above = (tally.above.0 + sum.0, tally.above.1 + sum.1);
            });
        }
    }

    pub(super) fn at_rest(mut self) {
        while !self.open.is_empty() {
            self.land();
            self.cancel();
            self.model.check();
        }
        self.land();
        assert_eq!(self.balance.held(), NanoUsd::ZERO);
        assert!(self.balance.counters().in_use().iter().all(|(_, counter, ..)| counter.pending == Sum::default()));
        let (fold, accounts) = self.folded();
        let books = fold.ledger.books;
        assert_eq!(
            books.spent.0 + books.overrun.0,
            self.receipts,
            "the sum of what was posted is the sum of the receipts"
        );
        let counted = fold.ledger.by_day.values().map(|spent| spent.0).sum::<u64>();
        assert_eq!(counted, self.receipts + books.unreconciled.0);
        assert_eq!(books.unreconciled.0, self.unsure.iter().map(|(_, _, amount)| amount).sum::<u64>());
        let rows: BTreeMap<u64, u64> =
            fold.spend.days().iter().map(|(day, rows)| (*day, rows.total().cost_usd.0)).collect();
        let views: BTreeMap<u64, u64> = fold.ledger.by_day.iter().map(|(day, spent)| (*day, spent.0)).collect();
        let kept = |days: BTreeMap<u64, u64>| days.into_iter().filter(|(_, spent)| *spent > 0).collect::<Vec<_>>();
        assert_eq!(kept(rows), kept(views), "the rows of a day are the day's total");
        let mut again = Balance::new(fold.ledger, accounts, &self.policy);
        let mut names: BTreeMap<_, _> = BTreeMap::new();
        for (key, counter, ..) in self.balance.counters().in_use() {
            names.insert(key, counter.posted);
        }
        for (key, posted) in names {
            let bounds = again.bounds_of(&spender_of(&key.account), key.stretch.starts_unix_ms);
            let replayed = bounds.iter().find(|bound| bound.key == key).unwrap();
            assert_eq!(replayed.counter.posted, posted, "{key:?}: memory and journal disagree");
        }
    }
}

fn spender_of(account: &Account) -> Spender {
    match account.clone() {
        Account::Tenant => Spender::default(),
        Account::Domain(name) => Spender { domain: Some(name), ..Spender::default() },
        Account::Usecase(name) => Spender { usecase: Some(name), ..Spender::default() },
        Account::User(name) => Spender { user: Some(name), ..Spender::default() },
        Account::Key(name) => Spender { key: Some(name), ..Spender::default() },
    }
}
