//! What the rules promise, with the service of every pair reckoned beside them.
use super::rules::{Fair, GRANTS_ALONE, Granted, Limits, Presence, Refused, Ticket};
use std::num::{NonZeroU32, NonZeroUsize};

/// The same numbers on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub(super) fn limits(slots: usize, slice_cost: u64) -> Limits {
    let slots = NonZeroUsize::new(slots).unwrap();
    Limits { slots, crowds_give_way: false, queue_max: 64, lanes_max: 20_000, slice_cost }
}

/// With slots beside those of crowded lanes.
pub(super) fn limits_beside_crowds(slots: usize, slice_cost: u64) -> Limits {
    Limits { crowds_give_way: true, ..limits(slots, slice_cost) }
}

pub(super) fn weight(weight: u32) -> NonZeroU32 {
    NonZeroU32::new(weight).unwrap()
}

pub(super) const ANY_WAIT: u64 = u64::MAX;
const LANES: usize = 6;
pub(super) const COST_MAX: u64 = 2_000;
/// Divisible by every weight in use, so that service is reckoned without rounding.
const WHOLE: u64 = 12;
const WEIGHTS: [u32; LANES] = [1, 1, 2, 2, 4, 4];

/// Service as it was really received, of every pair, over the time in which both wait: reckoned without the rules.
#[derive(Default)]
struct Witness {
    received: [u64; LANES],
    waiting: [usize; LANES],
    /// The least and the greatest lead of the first over the second since both wait.
    leads: [[Option<(i64, i64)>; LANES]; LANES],
    widest: u64,
}

impl Witness {
    fn lead(&self, one: usize, other: usize) -> i64 {
        self.received[one] as i64 - self.received[other] as i64
    }

    fn begins(&mut self, lane: usize) {
        self.waiting[lane] += 1;
        if self.waiting[lane] > 1 {
            return;
        }
        for other in (0..LANES).filter(|other| *other != lane) {
            if self.waiting[other] > 0 {
                let lead = self.lead(lane, other);
                self.leads[lane][other] = Some((lead, lead));
                self.leads[other][lane] = Some((-lead, -lead));
            }
        }
    }

    fn ends(&mut self, lane: usize) {
        self.waiting[lane] -= 1;
        if self.waiting[lane] == 0 {
            for other in 0..LANES {
                self.leads[lane][other] = None;
                self.leads[other][lane] = None;
            }
        }
    }

    /// A lane is served: its service so far is compared with that of all others that wait as it does.
    fn served(&mut self, lane: usize, cost: u64) {
        self.received[lane] += cost * WHOLE / u64::from(WEIGHTS[lane]);
        for other in (0..LANES).filter(|other| *other != lane) {
            let lead = self.lead(lane, other);
            if let Some((least, greatest)) = &mut self.leads[lane][other] {
                (*least, *greatest) = ((*least).min(lead), (*greatest).max(lead));
                self.widest = self.widest.max((*greatest - *least) as u64);
                self.leads[other][lane] = Some((-*greatest, -*least));
            }
        }
    }
}

struct Simulation {
    fair: Fair<usize>,
    witness: Witness,
    running: Vec<(Granted<usize>, u64)>,
    tickets: Vec<(usize, Ticket)>,
    events: usize,
    /// What two lanes may be apart in service, in costs.
    apart_max: usize,
    in_service_max: usize,
}

impl Simulation {
    fn new(limits: Limits) -> Self {
        let (slots, beside) = (limits.slots.get(), usize::from(limits.crowds_give_way));
        Self {
            fair: Fair::new(limits),
            witness: Witness::default(),
            running: Vec::new(),
            tickets: Vec::new(),
            events: 0,
            apart_max: 2 * (slots + beside),
            in_service_max: slots * (1 + beside),
        }
    }

    fn arrive(&mut self, lane: usize) {
        if let Ok(ticket) = self.fair.arrive(lane, weight(WEIGHTS[lane]), ANY_WAIT) {
            self.witness.begins(lane);
            self.tickets.push((lane, ticket));
            self.events += 1;
        }
    }

    fn leave(&mut self, which: usize) {
        let (lane, ticket) = self.tickets.swap_remove(which);
        if self.fair.leave(lane, ticket) {
            self.witness.ends(lane);
            self.events += 1;
        }
    }

    fn grant(&mut self, mut cost: impl FnMut(usize) -> u64) {
        loop {
            let gap = self.fair.gap();
            assert!(gap.holds(), "after {} events: {gap:?}", self.events);
            let Some(granted) = self.fair.grant() else { return };
            let lane = granted.key();
            let cost = cost(lane);
            self.witness.served(lane, cost);
            self.witness.ends(lane);
            let most = self.apart_max as u64 * COST_MAX * WHOLE;
            assert!(self.witness.widest <= most, "{} of {most} after {} events", self.witness.widest, self.events);
            self.tickets.retain(|(_, ticket)| *ticket != granted.ticket());
            self.running.push((granted, cost));
            assert!(self.running.len() <= self.in_service_max);
            self.events += 1;
        }
    }

    /// The work of a slice goes on with another one that costs so much, where it may.
    fn renew(&mut self, which: usize, next_cost: u64) {
        let (granted, cost) = self.running.swap_remove(which);
        let lane = granted.key();
        self.witness.begins(lane);
        match self.fair.renew(granted, cost) {
            Ok(granted) => {
                self.witness.served(lane, next_cost);
                self.witness.ends(lane);
                self.running.push((granted, next_cost));
            }
            Err(ticket) => self.tickets.push((lane, ticket)),
        }
        self.events += 1;
    }

    fn end(&mut self, which: usize) {
        let (granted, cost) = self.running.swap_remove(which);
        self.fair.give_back(granted, cost);
        self.events += 1;
    }
}

/// Arrivals in bursts, costs from nothing to the largest, cancellations, lanes that come and go.
pub(super) fn simulate(limits: Limits, seed: u64, events: usize) {
    let mut random = Random::seeded(seed);
    let mut simulation = Simulation::new(limits);
    let mut phase = [0_u64; LANES];
    while simulation.events < events {
        match random.below(16) {
            0 => phase[random.below(LANES as u64) as usize] = random.below(4),
            1 if !simulation.tickets.is_empty() => {
                simulation.leave(random.below(simulation.tickets.len() as u64) as usize);
            }
            2..8 if simulation.tickets.len() < 24 => {
                let lane = random.below(LANES as u64) as usize;
                for _ in 0..phase[lane] {
                    simulation.arrive(lane);
                }
            }
            8..10 if !simulation.running.is_empty() => {
                let cost = random.below(COST_MAX + 1);
                simulation.renew(random.below(simulation.running.len() as u64) as usize, cost);
            }
            _ if !simulation.running.is_empty() => {
                simulation.end(random.below(simulation.running.len() as u64) as usize);
            }
            _ => {}
        }
        simulation.grant(|lane| match phase[lane] {
            0 => 0,
            1 => COST_MAX,
            2 => random.below(COST_MAX + 1),
            _ => random.below(2) * COST_MAX,
        });
    }
}

#[test]
fn the_gap_stays_within_its_bound_with_one_slot() {
    (0..4).for_each(|seed| simulate(limits(1, COST_MAX / 2), seed, 500_000));
}

#[test]
fn the_gap_stays_within_its_bound_with_two_slots() {
    (0..6).for_each(|seed| simulate(limits(2, COST_MAX / 2), 10 + seed, 500_000));
}

#[test]
fn the_gap_stays_within_its_bound_with_three_slots() {
    (0..4).for_each(|seed| simulate(limits(3, COST_MAX / 2), 20 + seed, 500_000));
}

#[test]
fn the_gap_stays_within_its_bound_with_eight_slots() {
    (0..6).for_each(|seed| simulate(limits(8, COST_MAX / 2), 30 + seed, 500_000));
}

/// Small slices, by which a lane creeps up and its estimate forgets the large ones.
const CREEP: u64 = COST_MAX / 500;
/// What an estimate may come to after many of them: it stops following where an eighth of the difference is nothing.
const ESTIMATE: u64 = CREEP + 8;

/// Two lanes of weight one, always waiting. Each in turn creeps up to just below the other, and then has all slots at
/// once with slices nobody expected to be large. Gives the widest gap of service really received, and that of the
/// rules in millionths of the bound.
fn hostile(slots: usize) -> (u64, u64) {
    let mut simulation = Simulation::new(limits(slots, COST_MAX / 2));
    for turn in 0..20 {
        let (favoured, other) = (turn % 2, 1 - turn % 2);
        loop {
            for lane in 0..2 {
                while simulation.witness.waiting[lane] <= slots {
                    simulation.arrive(lane);
                }
            }
            let lead = simulation.witness.lead(other, favoured) / WHOLE as i64;
            let strikes = (0..=(slots as u64 * (ESTIMATE + CREEP)) as i64).contains(&lead);
            let large = if strikes { COST_MAX } else { CREEP };
            simulation.grant(|lane| if lane == favoured { large } else { 0 });
            while !simulation.running.is_empty() {
                simulation.end(0);
            }
            if strikes {
                break;
            }
        }
    }
    (simulation.witness.widest / WHOLE, simulation.fair.widest_gap_ppm())
}

#[test]
fn a_hostile_schedule_comes_near_the_bound() {
    for slots in [1, 2, 4] {
        let (widest, ppm) = hostile(slots);
        let bound = 2 * slots as u64 * COST_MAX;
        assert!(widest * 10 >= bound * 9, "{slots} slots: {widest} of {bound}");
        assert!((900_000..=1_000_000).contains(&ppm), "{slots} slots: {ppm} ppm");
    }
}

#[test]
fn fifty_weighted_lanes_get_their_shares() {
    const TENANTS: usize = 50;
    let mut random = Random::seeded(50);
    let mut fair = Fair::new(limits(2, 1_000));
    let weights: Vec<u32> = (0..TENANTS).map(|tenant| [1, 2, 4][tenant % 3]).collect();
    let mut served = [0_u64; TENANTS];
    for (lane, share) in weights.iter().enumerate() {
        for _ in 0..3 {
            fair.arrive(lane, weight(*share), ANY_WAIT).unwrap();
        }
    }
    let mut running: Vec<Granted<usize>> = Vec::new();
    for _ in 0..500_000 {
        while let Some(granted) = fair.grant() {
            running.push(granted);
        }
        let granted = running.swap_remove(random.below(running.len() as u64) as usize);
        let lane = granted.key();
        // slices of some tenants are ten times those of others, and no tenant's are alike
        let cost = (1 + random.below(if lane.is_multiple_of(2) { 2_000 } else { 200 })).min(2_000);
        served[lane] += cost;
        fair.arrive(lane, weight(weights[lane]), ANY_WAIT).unwrap();
        fair.give_back(granted, cost);
    }
    let shares: Vec<f64> = (0..TENANTS).map(|lane| served[lane] as f64 / f64::from(weights[lane])).collect();
    let (least, most) =
        shares.iter().fold((f64::MAX, 0.0_f64), |(least, most), share| (least.min(*share), most.max(*share)));
    assert!(least / most >= 0.995, "min-max ratio {:.4}", least / most);
}

/// Serves `slices` slices in one slot, each of this cost, with every lane waiting on; counts them by lane.
fn serve(fair: &mut Fair<usize>, lanes: usize, slices: usize, cost: u64) -> Vec<usize> {
    let mut counts = vec![0; lanes];
    for _ in 0..slices {
        let granted = fair.grant().unwrap();
        let lane = granted.key();
        counts[lane] += 1;
        fair.arrive(lane, weight(1), ANY_WAIT).unwrap();
        fair.give_back(granted, cost);
    }
    counts
}

#[test]
fn who_returns_from_idleness_is_served_next_and_gets_no_credit_for_it() {
    let mut fair = Fair::new(limits(1, 100));
    for lane in 0..9 {
        fair.arrive(lane, weight(1), ANY_WAIT).unwrap();
        fair.arrive(lane, weight(1), ANY_WAIT).unwrap();
    }
    serve(&mut fair, 9, 9_004, 100);
    fair.arrive(9, weight(1), ANY_WAIT).unwrap();
    fair.arrive(9, weight(1), ANY_WAIT).unwrap();
    assert_eq!(serve(&mut fair, 10, 1, 100)[9], 1, "it has not been served for longest");
    let counts = serve(&mut fair, 10, 1_000, 100);
    assert!(counts.iter().all(|count| (99..=101).contains(count)), "{counts:?}");
}

#[test]
fn a_debt_is_not_lost_by_leaving() {
    let mut fair = Fair::new(limits(1, 10));
    for lane in 0..2 {
        fair.arrive(lane, weight(1), ANY_WAIT).unwrap();
    }
    let granted = fair.grant().unwrap();
    assert_eq!(granted.key(), 0);
    fair.give_back(granted, 1_000);
    assert_eq!(fair.lanes(), 2, "lane 0 is idle and in debt");
    // lane 0 comes back at once; lane 1 is served until it has had as much
    fair.arrive(0, weight(1), ANY_WAIT).unwrap();
    let counts: usize = (0..100)
        .map(|_| {
            let granted = fair.grant().unwrap();
            let lane = granted.key();
            fair.arrive(1, weight(1), ANY_WAIT).unwrap();
            fair.give_back(granted, 10);
            lane
        })
        .sum();
    assert!((99..=100).contains(&counts), "{counts} of 100 slices of ten went to lane 1");
}

#[test]
fn an_idle_lane_costs_nothing_once_it_owes_nothing() {
    let mut fair = Fair::new(limits(1, 10));
    for lane in 0..100 {
        fair.arrive(lane, weight(1), ANY_WAIT).unwrap();
    }
    fair.arrive(100, weight(1), ANY_WAIT).unwrap();
    for _ in 0..100 {
        let granted = fair.grant().unwrap();
        fair.give_back(granted, 10);
    }
    assert_eq!(fair.lanes(), 101, "all owe as much as the last one has not had");
    let last = fair.grant().unwrap();
    fair.give_back(last, 10);
    assert_eq!(fair.lanes(), 0);
}

#[test]
fn a_free_slot_is_never_kept_from_who_waits() {
    let mut random = Random::seeded(7);
    let mut fair = Fair::new(limits(3, 10));
    let (mut waiting, mut running) = (0_usize, Vec::new());
    for _ in 0..20_000 {
        if random.below(2) == 0 {
            let lane = random.below(40) as usize;
            if fair.arrive(lane, weight(1 + lane as u32 % 4), ANY_WAIT).is_ok() {
                waiting += 1;
            }
        } else if !running.is_empty() {
            let granted = running.swap_remove(random.below(running.len() as u64) as usize);
            fair.give_back(granted, random.below(100));
        }
        while let Some(granted) = fair.grant() {
            running.push(granted);
            waiting -= 1;
        }
        assert!(running.len() == 3 || waiting == 0, "{} run while {waiting} wait", running.len());
        assert_eq!(fair.in_service(), running.len());
    }
}

#[test]
fn a_lane_is_refused_for_its_own_queue_only() {
    let mut fair = Fair::new(limits(2, 1_000));
    let [aggressor, victim, third] = [0, 1, 2];
    for _ in 0..66 {
        fair.arrive(aggressor, weight(1), ANY_WAIT).unwrap();
        while fair.grant().is_some_and(|granted| granted.key() == aggressor) {}
    }
    // 64 wait, and alone the lane has both slots: the next place is free after half a slice
    assert_eq!(fair.arrive(aggressor, weight(1), ANY_WAIT), Err(Refused::QueueFull { next_place: 500 }));
    // the victim is one of two that wait, on two slots: it expects one slice of its own,
    // and that may be half of its patience
    assert_eq!(fair.arrive(victim, weight(1), 1_998), Err(Refused::TooLate { too_long: 1 }));
    assert!(fair.arrive(victim, weight(1), 2_000).is_ok());
    assert_eq!(fair.arrive(victim, weight(1), 3_000), Err(Refused::TooLate { too_long: 500 }));
    // with four times the weight of each of the two others
    assert_eq!(fair.arrive(third, weight(4), 1_498), Err(Refused::TooLate { too_long: 1 }));
    assert!(fair.arrive(third, weight(4), 1_500).is_ok());
}

#[test]
fn an_expectation_follows_the_lanes_own_costs_only() {
    let mut fair = Fair::new(limits(1, 1_000));
    for _ in 0..40 {
        fair.arrive(0, weight(1), ANY_WAIT).unwrap();
    }
    for _ in 0..39 {
        let granted = fair.grant().unwrap();
        fair.give_back(granted, 1_000_000);
    }
    let _running = fair.grant().unwrap();
    fair.arrive(0, weight(1), ANY_WAIT).unwrap();
    // one of two that wait, at a cost of its own that nothing is known about
    assert_eq!(fair.arrive(1, weight(1), 0), Err(Refused::TooLate { too_long: 2_000 }));
    let Err(Refused::TooLate { too_long: expected }) = fair.arrive(0, weight(1), 0) else {
        panic!("it would have to wait")
    };
    assert!((1_900_000..=2_000_000).contains(&expected), "{expected}");
}

#[test]
fn lanes_are_bounded_and_debts_give_way_to_who_comes() {
    let mut fair = Fair::new(Limits { lanes_max: 3, ..limits(1, 10) });
    for lane in 0..3 {
        fair.arrive(lane, weight(1), ANY_WAIT).unwrap();
    }
    assert_eq!(fair.arrive(3, weight(1), ANY_WAIT), Err(Refused::TooManyLanes));
    let granted = fair.grant().unwrap();
    assert_eq!(fair.arrive(3, weight(1), ANY_WAIT), Err(Refused::TooManyLanes));
    fair.give_back(granted, 50);
    assert!(fair.arrive(3, weight(1), ANY_WAIT).is_ok(), "lane 0 is idle");
    assert_eq!(fair.lanes(), 3);
}

#[test]
fn a_slice_goes_on_only_where_its_lane_is_next_anyway() {
    let mut fair = Fair::new(limits(1, 10));
    fair.arrive(0, weight(1), ANY_WAIT).unwrap();
    let granted = fair.grant().unwrap();
    let granted = fair.renew(granted, 10).expect("nobody else waits");
    fair.arrive(1, weight(2), ANY_WAIT).unwrap();
    let waits = fair.renew(granted, 10).expect_err("the other has had less");
    fair.arrive(0, weight(1), ANY_WAIT).unwrap();
    let other = fair.grant().unwrap();
    assert_eq!(other.key(), 1);
    let other = fair.renew(other, 5).expect("5 at weight 2 is less than what the first has had");
    fair.renew(other, 100).expect_err("the first has had less");
    assert_eq!(fair.grant().unwrap().ticket(), waits, "first in its lane, as before");
}

#[test]
fn who_is_served_for_long_without_another_is_alone() {
    let mut presence = Presence::default();
    assert!((0..10).all(|_| !presence.granted(1)), "nobody else was ever there");
    assert!(presence.granted(2));
    assert!((0..=GRANTS_ALONE).all(|_| presence.granted(1)));
    assert!((0..10).all(|_| !presence.granted(1)), "the other one has gone");
}
