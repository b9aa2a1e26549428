//! A million random operations against an independent model: holds, settlements, cancellations, duplicates, crashes,
//! reconciliations, other ceilings, clocks that jump. The model keeps flat lists and labels windows by what the calendar
//! on the wall says; it shares no code with the rules but the types it is given.
use super::accounts::{Accounts, Spender, Sum};
use super::candidates::{OUTPUT_TOKENS_MIN, worst_case, worst_tokens};
use super::hold::Embedding;
use super::rules::{Balance, Call, Cover, Ended, Weighed};
use super::tests::{candidate, rules};
use crate::entry::{AnswerRecorded, ChargeAttributed, Entry, Reconciled};
use crate::limits::scope::{GENERAL, NO_USER};
use crate::question::{ModelUsed, Usage};
use crate::supervisor::fixtures::NOW;
use crate::supervisor::fold::Fold;
use crate::supervisor::opening::owed;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::HoldRecords;
use dice::Dice;
use model::Model;
use std::collections::BTreeMap;
use std::sync::Arc;

mod dice;
mod model;

const HOUR_MS: u64 = 3_600_000;

/// One open hold of the model.
#[derive(Clone)]
struct Held {
    number: u64,
    call: Call,
    sum: (u64, u64),
    /// Made under other ceilings: it may be more than the present ones allow.
    is_older: bool,
}

struct World {
    dice: Dice,
    policy: Arc<PolicySnapshot>,
    balance: Balance,
    journal: Vec<Entry>,
    model: Model,
    open: Vec<Held>,
    now: u64,
    names: u64,
    /// Calls that broke off: posted, and perhaps charged.
    unsure: Vec<(Spender, u64, u64)>,
    /// What providers charged for them.
    perhaps: u64,
    /// Receipts: what recorded answers were charged, and what comparisons with statements found.
    receipts: u64,
    ended: Vec<u64>,
    waits: u64,
    denials: u64,
}

fn draw_policy(dice: &mut Dice) -> Arc<PolicySnapshot> {
    let zone = *dice.pick(&["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]);
    let holds = *dice.pick(&["escrow", "strict"]);
    let mut further = format!("  time_zone: {zone}\n  holds: {holds}\n");
    if dice.roll(2) == 0 {
        further += &format!("  hourly_limit_usd: \"{}\"\n", NanoUsd(5_000 + dice.roll(20_000)));
    }
    let rows = dice.roll(4);
    if rows > 0 {
        further += "  ceilings:\n";
    }
    for _ in 0..rows {
        let level = *dice.pick(&["domain", "usecase", "user", "key"]);
        let name = *dice.pick(&["\"*\"", "a", "b"]);
        let window = *dice.pick(&["hour", "day", "month"]);
        let money = format!("limit_usd: \"{}\"", NanoUsd(2_000 + dice.roll(20_000)));
        let tokens = format!("limit_tokens: {}", 500 + dice.roll(20_000));
        let both = format!("{money}, {tokens}");
        let limit = *dice.pick(&[&money, &tokens, &both]);
        further += &format!("    - {{level: {level}, name: {name}, window: {window}, {limit}}}\n");
    }
    let day = 5_000 + dice.roll(40_000);
    let month = day * (1 + dice.roll(8));
    rules(day, month, &further)
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let policy = draw_policy(&mut dice);
        let balance = Balance::new(Default::default(), Accounts::default(), &policy);
        let model = Model::new(&policy);
        Self {
            dice,
            policy,
            balance,
            journal: Vec::new(),
            model,
            open: Vec::new(),
            now: NOW,
            names: 0,
            unsure: Vec::new(),
            perhaps: 0,
            receipts: 0,
            ended: Vec::new(),
            waits: 0,
            denials: 0,
        }
    }

    fn draw_call(&mut self) -> Call {
        self.names += 1;
        let dice = &mut self.dice;
        let mut name = |share: u64, unnamed: &str| {
            Some(if dice.roll(10) < share { (*dice.pick(&["a", "b", "c"])).to_owned() } else { unnamed.to_owned() })
        };
        let spender =
            Spender { domain: name(5, GENERAL), usecase: name(5, GENERAL), user: name(8, NO_USER), key: name(10, "") };
        let max_tokens = u32::try_from(1 + self.dice.roll(300)).unwrap();
        let price = self.dice.roll(12);
        let mut candidates = vec![candidate(price, max_tokens, false)];
        if self.dice.roll(2) == 0 {
            candidates.push(candidate(price / 3, max_tokens, true));
        }
        candidates.iter_mut().for_each(|one| one.answers = if max_tokens.is_multiple_of(5) { 2 } else { 1 });
        Call {
            query_id: format!("q{}", self.names),
            spender,
            admitted_unix_ms: self.now - self.dice.roll(2_000),
            candidates,
            embedding: self.dice.embedding(),
            fallback: None,
            is_grounded: true,
            prompt_tokens: self.dice.roll(200),
        }
    }

    /// A hold: what is decided must be what the numbers say.
    fn hold(&mut self) {
        let call = self.draw_call();
        let (now, at_rest) = self.model.rooms(&call.spender, call.admitted_unix_ms);
        let needs = |tokens: u32| {
            let cut = |one: &super::hold::Candidate| {
                let mut cut = one.clone();
                cut.route.max_tokens = cut.route.max_tokens.min(tokens);
                (worst_case(&cut, call.prompt_tokens).0, worst_tokens(&cut, call.prompt_tokens))
            };
            call.candidates.iter().map(cut).collect::<Vec<_>>()
        };
        let fits =
            |needs: &[(u64, u64)], room: (u64, u64)| needs.iter().any(|need| need.0 <= room.0 && need.1 <= room.1);
        let (whole, least) = (needs(u32::MAX), needs(OUTPUT_TOKENS_MIN));
        match self.balance.weigh(&call, self.now) {
            Weighed::Fits(fit) => {
                let fitting: Vec<_> = fit
                    .candidates
                    .iter()
                    .map(|one| (worst_case(one, call.prompt_tokens).0, worst_tokens(one, call.prompt_tokens)))
                    .collect();
                assert!(fitting.iter().all(|need| need.0 <= now.0 && need.1 <= now.1), "held what does not fit");
                assert!(fits(&least, at_rest));
                let made = self.balance.make(&fit, &call);
                let all = fitting.iter().fold((0, 0), |sum, need| (sum.0 + need.0, sum.1 + need.1));
                let dearest = |part: fn(&(u64, u64)) -> u64| fitting.iter().map(part).max().unwrap();
                let answer = if fits(&[all], now) { all } else { (dearest(|need| need.0), dearest(|need| need.1)) };
                let beside = |one: &Embedding| (answer.0 + one.worst().money.0, answer.1 + one.tokens);
                let sum = fit.embedding.as_ref().map_or(answer, beside);
                assert!((made.amount.0, fit.tokens()) == sum && fits(&[sum], now), "held for what does not fit");
                let has_room = call.embedding.as_ref().is_some_and(|one| fits(&[beside(one)], now));
                assert_eq!(fit.embedding.is_some(), has_room && fits(&whole, now), "looked up where there is room");
                self.cover(made.cover);
                self.model.change(&call.spender, call.admitted_unix_ms, |tally| {
                    tally.held = (tally.held.0 + sum.0, tally.held.1 + sum.1);
                });
                self.model.check(&call.spender, call.admitted_unix_ms);
                self.open.push(Held { number: made.number, call, sum, is_older: false });
            }
            Weighed::MustWait(tight) => {
                self.waits += 1;
                assert!(!tight.is_empty() && !fits(&whole, now) && fits(&least, at_rest), "made to wait for nothing");
            }
            Weighed::Refused(rejection) => {
                self.denials += 1;
                let justified = !fits(&whole, now) && (!fits(&least, at_rest) || !fits(&least, now));
                assert!(justified, "refused without reason: {}", rejection.detail);
                let empty = self.model.empty(&call.spender, call.admitted_unix_ms);
                assert!(rejection.retry_after_ms.is_some() || !fits(&least, empty), "no wait: {}", rejection.detail);
            }
        }
    }

    fn cover(&mut self, cover: Cover) {
        match cover {
            Cover::Covered => {}
            Cover::Ahead(block) | Cover::Grow(block) => {
                self.journal.push(Entry::EscrowTaken { block, at_unix_ms: self.now });
                self.balance.escrowed(block);
                assert!(!matches!(self.balance.cover(self.now), Cover::Grow(_)), "a block that does not cover");
            }
            Cover::Record(taken) => self.journal.push(Entry::HoldTaken(taken)),
        }
    }

    fn take_open(&mut self) -> Option<Held> {
        let count = self.open.len() as u64;
        (count > 0).then(|| self.open.swap_remove(usize::try_from(self.dice.roll(count)).unwrap()))
    }

    fn record(&mut self, held: &Held, money: u64, tokens: u64) {
        let call = &held.call;
        let usage = Usage { prompt_tokens: tokens, completion_tokens: 0, cost: NanoUsd(money) };
        let key_id = call.spender.key.clone().unwrap();
        self.journal.push(Entry::AnswerRecorded(Box::new(AnswerRecorded {
            query_id: call.query_id.clone(),
            kind: "ask".into(),
            question: String::new(),
            answer: String::new(),
            abstained: false,
            cited: Vec::new(),
            model: ModelUsed::default(),
            usage,
            overrun: NanoUsd(money.saturating_sub(held.sum.0)),
            policy_version: String::new(),
            key_id: key_id.clone(),
            user_id: call.spender.user.clone().filter(|user| user != NO_USER),
            admitted_unix_ms: call.admitted_unix_ms,
            cleared_unix_ms: self.now,
            idempotency_key: None,
            cut_short: false,
        })));
        let named = |name: &Option<String>| name.clone().filter(|name| name != GENERAL);
        let (domain, usecase) = (named(&call.spender.domain), named(&call.spender.usecase));
        if domain.is_some() || usecase.is_some() {
            self.journal.push(Entry::ChargeAttributed(Box::new(ChargeAttributed {
                query_id: call.query_id.clone(),
                domain,
                usecase,
                key_id,
                user_id: call.spender.user.clone().filter(|user| user != NO_USER),
                provider: String::new(),
                model: String::new(),
                charged: NanoUsd(money),
                prompt_tokens: tokens,
                completion_tokens: 0,
                admitted_unix_ms: call.admitted_unix_ms,
                cleared_unix_ms: self.now,
            })));
        }
        self.receipts += money;
        let within = if held.is_older { (0, 0) } else { held.sum };
        let above = (money.saturating_sub(within.0), tokens.saturating_sub(within.1));
        self.model.post(&call.spender, call.admitted_unix_ms, (money, tokens), above);
    }

    /// A call that broke off, or whose room panicked: counted as spent, and perhaps charged.
    fn note_unsure(&mut self, held: &Held, amount: u64) {
        if amount > 0 {
            let older = if held.is_older { amount } else { 0 };
            self.model.post(&held.call.spender, held.call.admitted_unix_ms, (amount, 0), (older, 0));
            self.unsure.push((held.call.spender.clone(), held.call.admitted_unix_ms, amount));
            self.perhaps += self.dice.roll(amount + 1);
        }
    }

    fn let_go(&mut self, held: &Held) {
        let sum = held.sum;
        let older = if held.is_older { sum } else { (0, 0) };
        self.model.change(&held.call.spender, held.call.admitted_unix_ms, |tally| {
            tally.held = (tally.held.0 - sum.0, tally.held.1 - sum.1);
            tally.above = (tally.above.0 - older.0, tally.above.1 - older.1);
        });
    }

    fn settle(&mut self) {
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
        self.model.check(&held.call.spender, held.call.admitted_unix_ms);
    }

    fn cancel(&mut self) {
        let Some(held) = self.take_open() else { return };
        self.let_go(&held);
        let ended = if self.dice.roll(10) == 0 { Ended::Unknown } else { Ended::Unused };
        self.note_unsure(&held, if ended == Ended::Unknown { held.sum.0 } else { 0 });
        if let Some(closed) = self.balance.returned(held.number, ended, NanoUsd::ZERO, self.now) {
            self.journal.push(Entry::HoldClosed(Box::new(closed)));
        }
        self.ended.push(held.number);
    }

    /// A notice that comes twice changes nothing.
    fn repeat(&mut self) {
        if let Some(number) = self.ended.last() {
            let before = (self.balance.held(), self.balance.ledger.clone());
            assert_eq!(
                self.balance.returned(
                    *number,
                    Ended::Settled(Sum { money: NanoUsd(7), tokens: 7 }),
                    NanoUsd::ZERO,
                    self.now
                ),
                None
            );
            assert_eq!((self.balance.held(), self.balance.ledger.clone()), before);
        }
    }

    fn folded(&self) -> (Fold, Accounts) {
        let (mut fold, mut accounts) = (Fold::default(), Accounts::default());
        for (at, entry) in self.journal.iter().enumerate() {
            fold.apply(Position(at as u64), entry);
            accounts.apply(entry);
            assert!(fold.ledger.books.balance(), "{entry:?} {:?}", fold.ledger.books);
        }
        (fold, accounts)
    }

    /// kill -9: memory is gone, the journal stays. Some calls had reached their provider, and one perhaps its record.
    fn crash(&mut self) {
        if self.dice.roll(2) == 0
            && let Some(held) = self.take_open()
        {
            let money = self.dice.roll(held.sum.0 + 1);
            self.let_go(&held);
            self.record(&held, money, held.sum.1);
        }
        let mut charged = std::mem::take(&mut self.perhaps);
        for held in std::mem::take(&mut self.open) {
            self.let_go(&held);
            if self.dice.roll(3) > 0 {
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
    fn adopt(&mut self) {
        let strict = self.policy.router.budget.holds;
        self.policy = draw_policy(&mut self.dice);
        if strict != self.policy.router.budget.holds
            && strict == HoldRecords::Escrow
            && self.balance.held() == NanoUsd::ZERO
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

    fn jump(&mut self) {
        match self.dice.roll(6) {
            0 => self.now -= self.dice.roll(50 * HOUR_MS),
            1 => self.now += self.dice.roll(40 * 24 * HOUR_MS),
            _ => self.now += self.dice.roll(HOUR_MS),
        }
        self.now = self.now.max(NOW);
    }

    fn at_rest(mut self) {
        while !self.open.is_empty() {
            self.cancel();
        }
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
            let spender = self.spender_of(&key.account);
            let bounds = again.bounds_of(&spender, key.stretch.starts_unix_ms);
            let replayed = bounds.iter().find(|bound| bound.key == key).unwrap();
            assert_eq!(replayed.counter.posted, posted, "{key:?}: memory and journal disagree");
        }
    }

    fn spender_of(&self, account: &super::accounts::Account) -> Spender {
        use super::accounts::Account;
        match account.clone() {
            Account::Tenant => Spender::default(),
            Account::Domain(name) => Spender { domain: Some(name), ..Spender::default() },
            Account::Usecase(name) => Spender { usecase: Some(name), ..Spender::default() },
            Account::User(name) => Spender { user: Some(name), ..Spender::default() },
            Account::Key(name) => Spender { key: Some(name), ..Spender::default() },
        }
    }

    fn step(&mut self) {
        match self.dice.roll(1_000) {
            0..=449 => self.hold(),
            450..=779 => self.settle(),
            780..=899 => self.cancel(),
            900..=939 => self.repeat(),
            940..=994 => self.jump(),
            995..=997 => self.crash(),
            _ => self.adopt(),
        }
    }
}

/// Runs of so many steps from each of these seeds.
fn run(seeds: std::ops::Range<u64>, steps: usize) {
    let (mut waits, mut denials) = (0, 0);
    for seed in seeds {
        let mut world = World::new(seed);
        for _ in 0..steps {
            world.step();
        }
        (waits, denials) = (waits + world.waits, denials + world.denials);
        world.at_rest();
    }
    assert!(waits > 0 && denials > 0, "nothing was ever tight: {waits} waits, {denials} denials");
}

#[test]
fn half_a_million_operations_agree_with_the_model() {
    run(1..501, 1_000);
}

#[test]
fn another_half_million_operations_agree_with_the_model() {
    run(10_001..10_501, 1_000);
}
