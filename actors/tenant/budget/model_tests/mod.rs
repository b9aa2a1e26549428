//! A million random operations against an independent model: holds, settlements, cancellations, calls that expire, duplicates,
//! blocks that land late or never, crashes, reconciliations, other ceilings, clocks that jump. The model keeps flat lists, has
//! prices and sums of its own and labels windows by what the calendar on the wall says; it shares no code with the rules but the
//! types it is given. After every operation it is checked wherever that has changed it.
use super::accounts::{Accounts, Spender};
use super::fixtures::{Charged, answer_records, candidate, rules};
use super::rules::{Balance, Call};
use crate::entry::Entry;
use crate::limits::scope::{GENERAL, NO_USER};
use crate::supervisor::fixtures::NOW;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
pub(super) use dice::Dice;
use model::Model;
use std::sync::Arc;

mod crashing;
mod denial;
mod dice;
mod ending;
mod holding;
mod model;

const HOUR_MS: u64 = 3_600_000;
/// What money is counted in: small amounts, and amounts whose last digits a float would lose.
const UNITS: [u64; 3] = [1, 1, 1_000_000_000_007];

/// One open hold of the model.
#[derive(Clone)]
struct Held {
    number: u64,
    call: Call,
    sum: (u64, u64),
    /// Made under other ceilings: it may be more than the present ones allow.
    is_older: bool,
    /// Waits for its block: nobody was called for it.
    is_parked: bool,
}

/// A block that is being made durable.
#[derive(Clone, Copy)]
struct Growing {
    block: NanoUsd,
    charged_before: NanoUsd,
    /// Where its record stands.
    at: usize,
}

struct World {
    dice: Dice,
    unit: u64,
    policy: Arc<PolicySnapshot>,
    balance: Balance,
    journal: Vec<Entry>,
    growing: Option<Growing>,
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
    seen: Seen,
}

/// How often what has to be tried was.
#[derive(Clone, Copy, Default, Debug)]
struct Seen {
    waits: u64,
    denials: u64,
    denials_in_numbers: u64,
    parked: u64,
    blocks_refused: u64,
    expired: u64,
}

fn draw_policy(dice: &mut Dice, unit: u64) -> Arc<PolicySnapshot> {
    let zone = *dice.pick(&["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]);
    let holds = *dice.pick(&["escrow", "strict"]);
    let mut further = format!("  time_zone: {zone}\n  holds: {holds}\n");
    // what is left over when amounts are counted in a large unit
    let rest = unit / 3;
    if dice.roll(2) == 0 {
        further += &format!("  hourly_limit_usd: \"{}\"\n", NanoUsd((5_000 + dice.roll(20_000)) * unit + rest));
    }
    let rows = dice.roll(4);
    if rows > 0 {
        further += "  ceilings:\n";
    }
    for _ in 0..rows {
        let level = *dice.pick(&["domain", "usecase", "user", "key"]);
        let name = *dice.pick(&["\"*\"", "a", "b"]);
        let window = *dice.pick(&["hour", "day", "month"]);
        let money = format!("limit_usd: \"{}\"", NanoUsd((2_000 + dice.roll(20_000)) * unit + rest));
        let tokens = format!("limit_tokens: {}", 500 + dice.roll(20_000));
        let both = format!("{money}, {tokens}");
        let limit = *dice.pick(&[&money, &tokens, &both]);
        further += &format!("    - {{level: {level}, name: {name}, window: {window}, {limit}}}\n");
    }
    let day = 5_000 + dice.roll(40_000);
    let month = day * (1 + dice.roll(8));
    rules(day * unit + rest, month * unit + rest, &further)
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let unit = *dice.pick(&UNITS);
        let policy = draw_policy(&mut dice, unit);
        let balance = Balance::new(Default::default(), Accounts::default(), &policy);
        let model = Model::new(&policy);
        Self {
            dice,
            unit,
            policy,
            balance,
            journal: Vec::new(),
            growing: None,
            model,
            open: Vec::new(),
            now: NOW,
            names: 0,
            unsure: Vec::new(),
            perhaps: 0,
            receipts: 0,
            ended: Vec::new(),
            seen: Seen::default(),
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
        let price = self.dice.roll(12) * self.unit;
        let mut candidates = vec![candidate(price, max_tokens, false)];
        if self.dice.roll(2) == 0 {
            candidates.push(candidate(price / 3, max_tokens, true));
        }
        candidates.iter_mut().for_each(|one| {
            one.answers = if max_tokens.is_multiple_of(5) { 2 } else { 1 };
            // prompts are cheaper than answers
            one.price.input_nano_usd_per_token /= 2;
        });
        Call {
            query_id: format!("q{}", self.names),
            spender,
            admitted_unix_ms: self.now - self.dice.roll(2_000),
            candidates,
            embedding: self.dice.embedding(self.unit),
            fallback: None,
            is_grounded: true,
            prompt_tokens: self.dice.roll(200),
        }
    }

    /// Takes out an open hold that was handed on.
    fn take_open(&mut self) -> Option<Held> {
        let handed: Vec<usize> = (0..self.open.len()).filter(|at| !self.open[*at].is_parked).collect();
        (!handed.is_empty()).then(|| self.open.swap_remove(*self.dice.pick(&handed)))
    }

    fn record(&mut self, held: &Held, money: u64, tokens: u64) {
        let call = &held.call;
        self.journal.extend(answer_records(&Charged {
            query_id: &call.query_id,
            spender: &call.spender,
            money,
            tokens,
            overrun: money.saturating_sub(held.sum.0),
            admitted_unix_ms: call.admitted_unix_ms,
            cleared_unix_ms: self.now,
        }));
        self.receipts += money;
        let within = if held.is_older { (0, 0) } else { held.sum };
        let above = (money.saturating_sub(within.0), tokens.saturating_sub(within.1));
        self.model.post(&call.spender, call.admitted_unix_ms, (money, tokens), above);
    }

    fn jump(&mut self) {
        match self.dice.roll(6) {
            0 => self.now -= self.dice.roll(50 * HOUR_MS),
            1 => self.now += self.dice.roll(40 * 24 * HOUR_MS),
            _ => self.now += self.dice.roll(HOUR_MS),
        }
        self.now = self.now.max(NOW);
    }

    fn step(&mut self) {
        match self.dice.roll(1_000) {
            0..=449 => self.hold(),
            450..=699 => self.settle(),
            700..=779 => self.cancel(),
            780..=809 => self.expire(),
            810..=839 => self.repeat(),
            840..=939 => self.land(),
            940..=994 => self.jump(),
            995..=997 => self.crash(),
            _ => self.adopt(),
        }
        self.model.check();
    }
}

/// Runs of so many steps from each of these seeds.
fn run(seeds: std::ops::Range<u64>, steps: usize) {
    let mut all = Seen::default();
    for seed in seeds {
        let mut world = World::new(seed);
        for _ in 0..steps {
            world.step();
        }
        let Seen { waits, denials, denials_in_numbers, parked, blocks_refused, expired } = world.seen;
        all = Seen {
            waits: all.waits + waits,
            denials: all.denials + denials,
            denials_in_numbers: all.denials_in_numbers + denials_in_numbers,
            parked: all.parked + parked,
            blocks_refused: all.blocks_refused + blocks_refused,
            expired: all.expired + expired,
        };
        world.at_rest();
    }
    let tried = [all.waits, all.denials_in_numbers, all.parked, all.blocks_refused, all.expired];
    assert!(tried.iter().all(|times| *times > 100), "nothing was ever tight: {all:?}");
    assert_eq!(all.denials, all.denials_in_numbers, "a refusal without the numbers that justify it");
}

#[test]
fn half_a_million_operations_agree_with_the_model() {
    run(1..501, 1_000);
}

#[test]
fn another_half_million_operations_agree_with_the_model() {
    run(10_001..10_501, 1_000);
}
