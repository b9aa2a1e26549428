//! The rules beside a brute-force oracle: every lane looked at for every grant, nothing kept in order, costs as exact
//! fractions over the common multiple of all weights.
use super::rules::{Fair, Granted, Limits, Ticket};
use super::tests::{Random, limits, limits_beside_crowds, weight};
use std::collections::BTreeMap;

const LANES: u64 = 12;
const WEIGHTS: [u32; 4] = [1, 2, 4, 8];
/// One unit of cost at weight one.
const ONE: i128 = 8;
const SLICE: u64 = 640;

#[derive(Default, Clone)]
struct OracleLane {
    weight: i128,
    counter: i128,
    base: i128,
    last_grant: usize,
    estimate: u64,
    waiting: Vec<Ticket>,
    in_service: usize,
}

#[derive(Default)]
struct Oracle {
    lanes: BTreeMap<u64, OracleLane>,
    level: i128,
    grants: usize,
    slots: usize,
    crowds_give_way: bool,
    /// Whether each that is served was granted to a crowded lane, by its ticket.
    served: BTreeMap<Ticket, bool>,
}

impl Oracle {
    fn arrive(&mut self, key: u64, weight: u32, ticket: Ticket) {
        let level = self.level;
        let lane = self.lanes.entry(key).or_insert_with(|| OracleLane {
            counter: level,
            estimate: SLICE,
            ..Default::default()
        });
        if lane.waiting.is_empty() {
            lane.weight = i128::from(weight);
            lane.counter = lane.counter.max(level);
            lane.base = level;
        }
        lane.waiting.push(ticket);
    }

    fn grant(&mut self) -> Option<(Ticket, i128)> {
        let waiting = self.lanes.iter().filter(|(_, lane)| !lane.waiting.is_empty());
        let key = *waiting.min_by_key(|(key, lane)| (lane.counter, lane.last_grant, **key))?.0;
        let lane = self.lanes.get_mut(&key).unwrap();
        let quiet = self.served.values().filter(|crowded| !**crowded).count();
        let alone = lane.in_service == 0 && lane.waiting.len() == 1;
        let beside = self.crowds_give_way && alone && quiet < self.slots;
        if self.served.len() >= self.slots && !beside {
            return None;
        }
        self.grants += 1;
        self.level = lane.counter;
        let reserved = i128::from(lane.estimate) * ONE / lane.weight;
        lane.counter += reserved;
        lane.last_grant = self.grants;
        lane.in_service += 1;
        let ticket = lane.waiting.remove(0);
        self.served.insert(ticket, !lane.waiting.is_empty());
        self.forget();
        Some((ticket, reserved))
    }

    fn give_back(&mut self, (key, ticket): (u64, Ticket), weight: u32, reserved: i128, cost: u64) {
        self.served.remove(&ticket).unwrap();
        let lane = self.lanes.get_mut(&key).unwrap();
        let charge = i128::from(cost) * ONE / i128::from(weight);
        lane.counter = (lane.counter - reserved + charge).max(lane.base);
        lane.in_service -= 1;
        lane.estimate = if cost > lane.estimate {
            lane.estimate + (cost - lane.estimate) / 8
        } else {
            lane.estimate - (lane.estimate - cost) / 8
        };
        self.forget();
    }

    fn leave(&mut self, key: u64, ticket: Ticket) {
        self.lanes.get_mut(&key).unwrap().waiting.retain(|waiting| *waiting != ticket);
        self.forget();
    }

    fn forget(&mut self) {
        if self.lanes.values().all(|lane| lane.waiting.is_empty() && lane.in_service == 0) {
            self.lanes.clear();
            self.level = 0;
        }
        let level = self.level;
        self.lanes.retain(|_, lane| !lane.waiting.is_empty() || lane.in_service > 0 || lane.counter > level);
    }
}

fn compare(limits: Limits, seed: u64) {
    let mut random = Random::seeded(seed);
    let mut fair = Fair::new(limits);
    let Limits { slots, crowds_give_way, .. } = limits;
    let slots = slots.get();
    let mut oracle = Oracle { slots, crowds_give_way, ..Oracle::default() };
    let mut tickets: Vec<(u64, Ticket)> = Vec::new();
    let mut running: Vec<(Granted<u64>, u32, i128)> = Vec::new();
    for step in 0..20_000 {
        match random.below(8) {
            0 if !tickets.is_empty() => {
                let (key, ticket) = tickets.swap_remove(random.below(tickets.len() as u64) as usize);
                assert!(fair.leave(key, ticket));
                oracle.leave(key, ticket);
            }
            1..4 if tickets.len() < 30 => {
                let key = random.below(LANES);
                let share = WEIGHTS[key as usize % WEIGHTS.len()];
                let ticket = fair.arrive(key, weight(share), u64::MAX).unwrap();
                oracle.arrive(key, share, ticket);
                tickets.push((key, ticket));
            }
            _ if !running.is_empty() => {
                let (granted, share, reserved) = running.swap_remove(random.below(running.len() as u64) as usize);
                // multiples of the weights: the oracle's fractions and the rules' counters are both exact
                let cost = random.below(300) * 8;
                let served = (granted.key(), granted.ticket());
                fair.give_back(granted, cost);
                oracle.give_back(served, share, reserved, cost);
            }
            _ => {}
        }
        loop {
            let (granted, expected) = (fair.grant(), oracle.grant());
            assert_eq!(
                granted.as_ref().map(Granted::ticket),
                expected.map(|(ticket, _)| ticket),
                "step {step} of seed {seed} with {slots} slots"
            );
            let (Some(granted), Some((ticket, reserved))) = (granted, expected) else { break };
            tickets.retain(|(_, waiting)| *waiting != ticket);
            let share = WEIGHTS[granted.key() as usize % WEIGHTS.len()];
            running.push((granted, share, reserved));
        }
        assert_eq!(fair.lanes(), oracle.lanes.len(), "step {step} of seed {seed} with {slots} slots");
    }
}

#[test]
fn every_grant_is_the_one_a_brute_force_oracle_makes() {
    for slots in [1, 2, 3, 8] {
        for limits in [limits(slots, SLICE), limits_beside_crowds(slots, SLICE)] {
            (0..5).for_each(|seed| compare(limits, seed * 10 + slots as u64));
        }
    }
}
