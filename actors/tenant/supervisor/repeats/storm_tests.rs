//! The storm: thousands of duplicates, other bodies, failures, panics and crashes in every order, against a model that
//! knows only the journal. However they come, one key is charged once.
use super::name::Name;
use super::rules::{Came, Repeats, Waited, judge};
use crate::digest::MatterDigest;
use crate::question::{Matter, Question};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};

/// Duplicates of one storm, and storms.
const DUPLICATES: u32 = 10_000;
const STORMS: u64 = 12;
const KEYS: u32 = 7;

/// What one caller was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// The answer of this number, for the body asked.
    Answer(u32),
    /// The first one failed without a charge.
    Failed,
    /// Another body stands under the key.
    OtherBody,
    /// Too many wait.
    Busy,
}

/// A first call on its way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    key: u32,
    attempt: u64,
    caller: u32,
    body: u32,
    searched: bool,
}

#[derive(Default)]
struct World {
    repeats: Repeats<u32>,
    flights: Vec<Flight>,
    /// The journal: key → body and number of the answer.
    kept: BTreeMap<u32, (u32, u32)>,
    charges: BTreeMap<u32, u32>,
    answers: u32,
    /// caller → key, body.
    asked: BTreeMap<u32, (u32, u32)>,
    told: BTreeMap<u32, Told>,
    /// Callers whose line was dropped with the process.
    cut: BTreeSet<u32>,
}

fn name(key: u32) -> Name {
    Name::of("api key", &key.to_string())
}

fn body(number: u32) -> MatterDigest {
    MatterDigest::of(&Matter::Ask(Question { text: number.to_string(), ..Question::default() }))
}

impl World {
    fn tell(&mut self, caller: u32, told: Told) {
        assert_eq!(self.told.insert(caller, told), None, "told twice: {caller}");
    }

    fn tell_all(&mut self, waited: Waited<u32>, told: Told) {
        waited.same.into_iter().for_each(|caller| self.tell(caller, told));
        waited.other.into_iter().for_each(|caller| self.tell(caller, Told::OtherBody));
    }

    fn come(&mut self, key: u32, asked: u32) {
        let caller = u32::try_from(self.asked.len()).unwrap();
        self.asked.insert(caller, (key, asked));
        match self.repeats.came(name(key), body(asked), caller) {
            Came::First { attempt, waiter } => {
                self.flights.push(Flight { key, attempt, caller: waiter, body: asked, searched: false });
            }
            Came::Waits => {}
            Came::Refused(caller, rejection) => {
                let told = if rejection.retry_after_ms.is_some() { Told::Busy } else { Told::OtherBody };
                self.tell(caller, told);
            }
        }
    }

    /// The next step of a flight: its search of the journal, then its end.
    fn advance(&mut self, at: usize, succeeds: bool) {
        let flight = self.flights[at];
        let asked = body(flight.body);
        if flight.searched {
            self.flights.swap_remove(at);
            return self.end(flight, succeeds);
        }
        match self.kept.get(&flight.key).copied() {
            Some((kept, answer)) => {
                self.flights.swap_remove(at);
                let waited = self.repeats.ended(&name(flight.key), flight.attempt, body(kept));
                self.tell_all(waited, Told::Answer(answer));
                let told = judge(body(kept), asked).map_or(Told::OtherBody, |()| Told::Answer(answer));
                self.tell(flight.caller, told);
            }
            None => {
                self.flights[at].searched = true;
                for other in self.repeats.runs(&name(flight.key), flight.attempt, asked) {
                    self.tell(other, Told::OtherBody);
                }
            }
        }
    }

    fn end(&mut self, flight: Flight, succeeds: bool) {
        let told = if succeeds {
            self.answers += 1;
            *self.charges.entry(flight.key).or_default() += 1;
            // the answer and what is kept of it are one append
            assert_eq!(self.kept.insert(flight.key, (flight.body, self.answers)), None, "answered twice");
            Told::Answer(self.answers)
        } else {
            Told::Failed
        };
        self.tell(flight.caller, told);
        let waited = self.repeats.ended(&name(flight.key), flight.attempt, body(flight.body));
        assert!(waited.other.is_empty(), "they were refused when the call set out");
        self.tell_all(waited, told);
    }

    /// The process ends: only the journal is left.
    fn crash(&mut self) {
        self.repeats = Repeats::default();
        self.flights.clear();
        let silent = self.asked.keys().filter(|caller| !self.told.contains_key(caller)).copied();
        self.cut.extend(silent);
    }

    fn settle(&mut self) {
        while !self.flights.is_empty() {
            self.advance(0, true);
        }
    }

    /// What must hold when nothing is in flight any more.
    fn audit(&self) {
        assert_eq!(self.repeats.in_flight(), 0, "a key stays in flight for ever");
        for (key, charges) in &self.charges {
            assert_eq!(*charges, 1, "key {key} was charged more than once");
        }
        for (caller, (key, asked)) in &self.asked {
            let Some(told) = self.told.get(caller) else {
                assert!(self.cut.contains(caller), "caller {caller} waits for ever");
                continue;
            };
            if let Told::Answer(number) = told {
                assert_eq!(self.kept.get(key), Some(&(*asked, *number)), "one key, one body, one answer");
            }
        }
    }
}

#[test]
fn a_storm_of_duplicates_is_charged_once() {
    for storm in 0..STORMS {
        let mut random = StdRng::seed_from_u64(storm);
        let mut world = World::default();
        for _ in 0..DUPLICATES {
            world.come(random.random_range(0..KEYS), u32::from(random.random_ratio(1, 20)));
            let at: Vec<usize> = (0..world.flights.len()).collect();
            if let Some(at) = at.choose(&mut random).filter(|_| random.random_ratio(1, 40)) {
                world.advance(*at, random.random_ratio(2, 3));
            }
            if random.random_ratio(1, 2_000) {
                world.crash();
            }
        }
        world.settle();
        world.audit();
        assert_eq!(world.answers, KEYS, "every key of storm {storm} was answered");
        let same = world.told.values().filter(|told| matches!(told, Told::Answer(_))).count();
        assert!(same > usize::try_from(DUPLICATES / 2).unwrap(), "only {same} duplicates were told the answer");
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Come { key: u32, body: u32 },
    Advance { which: prop::sample::Index, succeeds: bool },
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u32, 0..2_u32).prop_map(|(key, body)| Step::Come { key, body }),
        4 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, succeeds)| Step::Advance { which, succeeds }),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #[test]
    fn in_every_order_one_key_is_charged_once(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Come { key, body } => world.come(key, body),
                Step::Advance { which, succeeds } if !world.flights.is_empty() => {
                    world.advance(which.index(world.flights.len()), succeeds);
                }
                Step::Advance { .. } => {}
                Step::Crash => world.crash(),
            }
        }
        world.settle();
        world.audit();
    }
}
