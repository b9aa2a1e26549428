//! Who is served next: the waiting lane with the lowest counter of weighted service.
//!
//! A lane of which one more waits when it is granted a slot is *crowded*. What it is served gives way, so it keeps nobody
//! from a processor; it would still keep others from its slots, for as long as everybody else keeps it from processors. So
//! where the lane that is the next to be served has one waiting and none in service, it is granted a slot beside those.
//! That is a pool's choice; it serves twice as many slices as it has slots then, at most.
//!
//! # The bound
//!
//! A slice is *reserved* when its slot is granted and *corrected* to what it cost when the slot comes back, both
//! divided by the weight of its lane. Let `W` be the slots, `U` the largest slice charged and `E` the largest
//! correction. Then no two lanes that wait are further apart than `B = U + (W − 1)·E`, and `U + W·E` where slots are
//! granted beside those of crowded lanes:
//!
//! * a lane is granted a slot at the lowest level `s` of all that wait. If it then has `a` slices in service, the new
//!   one comes to at most `U` and each of the others is corrected upwards by at most `E`: it stands at
//!   `s + U + (a − 1)·E` or lower until it is served again;
//! * a lane that was waiting at that moment, with `b ≤ W − a` slices in service, is corrected downwards by at most
//!   `b·E`: it stands at `s − b·E` or higher; beside crowded lanes `a` is one and `b` may be `W`;
//! * a lane that comes later is lifted to the level of the latest grant, and no correction takes it below.
//!
//! So the service two lanes receive over any time in which both wait throughout differs by `2·B` at most: `2·U` where
//! costs are known beforehand, `2·W·U` where nothing about them is known. Both are reached where nobody is served beside
//! crowded lanes, so neither can be improved there (VTC, OSDI 2024, has the first as `2·max(w·L)`; start-time fair queueing
//! is the single-slot case).
use crate::invariants::FAIR1;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::{NonZeroU32, NonZeroUsize};

/// Counter units for one unit of cost at weight one: the rounding of a division by any weight in use is far below one
/// unit of cost.
const SCALE: u128 = 1 << 20;
/// How far a lane's estimate follows its latest slice: one eighth.
const ESTIMATE_SHIFT: u32 = 3;
/// The part of their patience that may be expected to pass in the queue is one of so many. An expectation is a mean: a
/// queue let grow to the whole of it would serve every other one too late, and all that work would be in vain.
const PATIENCE_PARTS: u64 = 2;

/// The fixed sizes of one pool.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Slices served at the same time, but for those beside crowded lanes.
    pub slots: NonZeroUsize,
    /// Whether as many again may be served beside those of crowded lanes. Not where a slot stands for something that is
    /// taken however much its work gives way: memory, a connection.
    pub crowds_give_way: bool,
    /// Waiting in one lane.
    pub queue_max: usize,
    /// Lanes that wait or are served at the same time.
    pub lanes_max: usize,
    /// What a slice of a lane nothing is known about is reckoned to cost. A constant on purpose: learnt from other
    /// lanes, it would let one tenant's large slices turn another tenant away.
    pub slice_cost: u64,
}

/// A place in a lane's queue. Later places are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(u64);

/// A granted slot. It is used up by giving it back, so that no slot comes back twice.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub struct Granted<K> {
    key: K,
    ticket: Ticket,
    weight: NonZeroU32,
    reserved: u128,
    /// What the slices before have cost.
    spent: u64,
    is_crowded: bool,
}

impl<K: Copy> Granted<K> {
    /// True where others of its lane wait for the next slot: the lane sends more than it can be served at once.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.is_crowded
    }

    /// Whose place in a queue this answers.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The lane that is served.
    #[must_use]
    pub fn key(&self) -> K {
        self.key
    }
}

/// How far apart the waiting lanes stand, beside how far they may. In counter units.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Gap {
    /// The highest counter of a waiting lane less the lowest.
    pub observed: u128,
    /// `B`, of the slices charged so far.
    pub bound: u128,
}

impl Gap {
    /// True as long as invariant FAIR1 holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.observed <= self.bound
    }

    /// Observed over bound, in millionths, rounded up: at most a million as long as the invariant holds.
    #[must_use]
    pub fn ratio_ppm(&self) -> u64 {
        let ppm = self.observed.saturating_mul(1_000_000).div_ceil(self.bound.max(1));
        u64::try_from(ppm).unwrap_or(u64::MAX)
    }
}

/// Who was granted so many slots in a row is alone: a tenth of a second of common searches.
pub(super) const GRANTS_ALONE: u64 = 1_000;

/// Whose grants follow each other, whatever the pool they came from.
#[derive(Debug)]
pub struct Presence<K> {
    latest: Option<K>,
    /// Grants since the latest one that was somebody else's than the one before it; none where there was no such grant.
    since_others: Option<u64>,
}

impl<K> Default for Presence<K> {
    fn default() -> Self {
        Self { latest: None, since_others: None }
    }
}

impl<K: Copy + Eq> Presence<K> {
    /// A slot was granted. Says whether others were served, too, not long ago.
    pub fn granted(&mut self, key: K) -> bool {
        self.since_others = match self.latest.replace(key) {
            Some(latest) if latest != key => Some(0),
            _ => self.since_others.map(|grants| grants.saturating_add(1)).filter(|grants| *grants <= GRANTS_ALONE),
        };
        self.since_others.is_some()
    }
}

/// Why nobody can be taken into a queue. Costs are in the pool's unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The lane's own queue is full; one place is free after about this much.
    QueueFull {
        /// Until a place is free.
        next_place: u64,
    },
    /// The lane's own queue would not be served in time.
    TooLate {
        /// After about this much the expected wait is short enough.
        too_long: u64,
    },
    /// As many lanes are waiting or served as the pool takes.
    TooManyLanes,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    ticket: Ticket,
    /// What its slices so far have cost.
    spent: u64,
}

#[derive(Debug)]
struct LaneState {
    weight: NonZeroU32,
    /// Weighted service, with what is reserved.
    counter: u128,
    /// Where the lane stood at least when it began to wait: a refund does not take it below.
    base: u128,
    /// The number of the grant that served it last.
    last_grant: u64,
    waiting: VecDeque<Waiting>,
    in_service: usize,
    /// What its next slice is reckoned to cost.
    estimate: u64,
    /// What one that waits is reckoned to cost with all its slices.
    whole_estimate: u64,
}

impl LaneState {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_service == 0
    }
}

/// Standing among the waiting: the lowest counter first, among equals the one served longest ago.
type Standing<K> = (u128, u64, K);

/// The state of one pool.
#[derive(Debug)]
pub struct Fair<K> {
    limits: Limits,
    lanes: BTreeMap<K, LaneState>,
    /// Lanes that wait.
    backlogged: BTreeSet<Standing<K>>,
    /// The weights of the lanes that wait, summed.
    backlogged_weight: u64,
    /// Idle lanes that have had more than those that wait: kept until the others have caught up.
    indebted: BTreeSet<(u128, K)>,
    in_service: usize,
    /// Of those, granted to lanes that were crowded.
    crowded_in_service: usize,
    /// Where the lane of the latest grant stood: the lowest of those that waited then.
    level: u128,
    slice_max: u128,
    correction_max: u128,
    tickets: u64,
    grants: u64,
    widest_gap_ppm: u64,
}

impl<K: Copy + Ord> Fair<K> {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: BTreeMap::new(),
            backlogged: BTreeSet::new(),
            backlogged_weight: 0,
            indebted: BTreeSet::new(),
            in_service: 0,
            crowded_in_service: 0,
            level: 0,
            slice_max: 0,
            correction_max: 0,
            tickets: 0,
            grants: 0,
            widest_gap_ppm: 0,
        }
    }

    /// Somebody comes to a lane and would wait for so long (in the pool's unit of cost) at most.
    ///
    /// # Errors
    /// [`Refused`]: by the lane's own queue only, never by that of another.
    pub fn arrive(&mut self, key: K, weight: NonZeroU32, patience: u64) -> Result<Ticket, Refused> {
        let waiting = self.lanes.get(&key).map_or(0, |lane| lane.waiting.len());
        if waiting >= self.limits.queue_max {
            return Err(Refused::QueueFull { next_place: self.expected_wait(key, weight, 1) });
        }
        let expected = self.expected_wait(key, weight, waiting.saturating_add(1));
        let most = patience / PATIENCE_PARTS;
        if expected > most {
            return Err(Refused::TooLate { too_long: expected.saturating_sub(most) });
        }
        if !self.lanes.contains_key(&key) {
            self.make_room()?;
        }
        let ticket = Ticket(self.tickets);
        self.tickets = self.tickets.saturating_add(1);
        self.wait(key, weight, |waiting| waiting.push_back(Waiting { ticket, spent: 0 }));
        Ok(ticket)
    }

    /// Grants a free slot to the waiting lane that has had the least. To be asked again until there is nothing to
    /// grant.
    pub fn grant(&mut self) -> Option<Granted<K>> {
        let (lowest, _, key) = *self.backlogged.first()?;
        let lane = self.lanes.get(&key)?;
        if !self.has_slot_for(lane.waiting.len(), lane.in_service) {
            return None;
        }
        self.note_gap();
        let lane = self.lanes.get_mut(&key)?;
        let Waiting { ticket, spent } = lane.waiting.pop_front()?;
        self.backlogged.pop_first();
        let reserved = weighted(lane.estimate, lane.weight);
        self.grants = self.grants.saturating_add(1);
        lane.counter = lowest.saturating_add(reserved);
        lane.last_grant = self.grants;
        lane.in_service = lane.in_service.saturating_add(1);
        let (weight, is_crowded) = (lane.weight, !lane.waiting.is_empty());
        if is_crowded {
            self.backlogged.insert((lane.counter, lane.last_grant, key));
        } else {
            self.backlogged_weight = self.backlogged_weight.saturating_sub(u64::from(weight.get()));
        }
        self.in_service = self.in_service.saturating_add(1);
        self.crowded_in_service = self.crowded_in_service.saturating_add(usize::from(is_crowded));
        self.level = lowest;
        self.slice_max = self.slice_max.max(reserved);
        self.forgive();
        Some(Granted { key, ticket, weight, reserved, spent, is_crowded })
    }

    /// A slot comes back, and its slice has cost so much.
    pub fn give_back(&mut self, granted: Granted<K>, cost: u64) {
        let (key, whole) = (granted.key, granted.spent.saturating_add(cost));
        self.correct(granted, cost);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.whole_estimate = followed(lane.whole_estimate, whole);
        }
        self.clear_up(key);
    }

    /// A slice ends and its work would go on with another one: in the same slot where the lane is the next to be served
    /// in any case, and a slot is free for it.
    ///
    /// # Errors
    /// Otherwise the slot has come back, and the work waits first in its lane, beyond what the lane's queue holds:
    /// what was begun is not refused.
    pub fn renew(&mut self, granted: Granted<K>, cost: u64) -> Result<Granted<K>, Ticket> {
        let Granted { key, ticket, weight, spent, .. } = granted;
        self.correct(granted, cost);
        let place = Waiting { ticket, spent: spent.saturating_add(cost) };
        self.wait(key, weight, |waiting| waiting.push_front(place));
        let is_next = self.backlogged.first().is_some_and(|(_, _, first)| *first == key);
        is_next.then(|| self.grant()).flatten().ok_or(ticket)
    }

    /// Somebody no longer waits. Says whether they still did.
    pub fn leave(&mut self, key: K, ticket: Ticket) -> bool {
        let Some(lane) = self.lanes.get_mut(&key) else { return false };
        let Some(place) = lane.waiting.iter().position(|waiting| waiting.ticket == ticket) else { return false };
        lane.waiting.remove(place);
        if lane.waiting.is_empty() {
            self.backlogged.remove(&(lane.counter, lane.last_grant, key));
            self.backlogged_weight = self.backlogged_weight.saturating_sub(u64::from(lane.weight.get()));
        }
        self.clear_up(key);
        true
    }

    /// The greatest [`Gap::ratio_ppm`] any grant has seen so far.
    #[must_use]
    pub fn widest_gap_ppm(&self) -> u64 {
        self.widest_gap_ppm
    }

    /// The gap as it stands.
    #[must_use]
    pub fn gap(&self) -> Gap {
        let lowest = self.backlogged.first().map_or(0, |(counter, _, _)| *counter);
        let highest = self.backlogged.last().map_or(lowest, |(counter, _, _)| *counter);
        let Limits { slots, crowds_give_way, .. } = self.limits;
        let corrected = slots.get().saturating_sub(usize::from(!crowds_give_way));
        let corrected = u128::try_from(corrected).unwrap_or(u128::MAX);
        let bound = self.slice_max.saturating_add(corrected.saturating_mul(self.correction_max));
        Gap { observed: highest.saturating_sub(lowest), bound }
    }

    /// Slots in use.
    #[must_use]
    pub fn in_service(&self) -> usize {
        self.in_service
    }

    /// Lanes that are remembered.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// A free slot, for a lane of which so many wait and are in service; or one beside those of crowded lanes.
    fn has_slot_for(&self, waiting: usize, in_service: usize) -> bool {
        let slots = self.limits.slots.get();
        let kept_by_others = self.in_service.saturating_sub(self.crowded_in_service);
        let is_only_one = waiting == 1 && in_service == 0;
        self.in_service < slots || self.limits.crowds_give_way && is_only_one && kept_by_others < slots
    }

    /// What a lane's n-th in the queue has to wait: the lane's own work before it, at the lane's share of the slots.
    /// There is no baseline in it that could drift.
    fn expected_wait(&self, key: K, weight: NonZeroU32, nth: usize) -> u64 {
        let lane = self.lanes.get(&key);
        if self.has_slot_for(nth, lane.map_or(0, |lane| lane.in_service)) {
            return 0;
        }
        let (estimate, weight) =
            lane.map_or((self.limits.slice_cost, weight.get()), |lane| (lane.whole_estimate, lane.weight.get()));
        let joins = lane.is_none_or(|lane| lane.waiting.is_empty());
        let competing = self.backlogged_weight.saturating_add(if joins { u64::from(weight) } else { 0 });
        let work = u128::from(estimate).saturating_mul(u128::try_from(nth).unwrap_or(u128::MAX));
        let share = u128::from(weight).saturating_mul(u128::try_from(self.limits.slots.get()).unwrap_or(1));
        u64::try_from(work.saturating_mul(u128::from(competing)) / share.max(1)).unwrap_or(u64::MAX)
    }

    /// A lane more fits in, at the cost of the smallest debt where there is no other way.
    fn make_room(&mut self) -> Result<(), Refused> {
        if self.lanes.len() < self.limits.lanes_max {
            return Ok(());
        }
        let (_, smallest_debt) = self.indebted.pop_first().ok_or(Refused::TooManyLanes)?;
        self.lanes.remove(&smallest_debt);
        Ok(())
    }

    /// Queues; a lane that begins to wait is lifted to the level of the latest grant: no credit for having been idle.
    fn wait(&mut self, key: K, weight: NonZeroU32, queue: impl FnOnce(&mut VecDeque<Waiting>)) {
        let (level, estimate) = (self.level, self.limits.slice_cost);
        let lane = self.lanes.entry(key).or_insert_with(|| LaneState {
            weight,
            counter: level,
            base: level,
            last_grant: 0,
            waiting: VecDeque::new(),
            in_service: 0,
            estimate,
            whole_estimate: estimate,
        });
        if lane.waiting.is_empty() {
            self.indebted.remove(&(lane.counter, key));
            lane.weight = weight;
            lane.counter = lane.counter.max(level);
            lane.base = level;
            self.backlogged.insert((lane.counter, lane.last_grant, key));
            self.backlogged_weight = self.backlogged_weight.saturating_add(u64::from(weight.get()));
        }
        queue(&mut lane.waiting);
    }

    /// The slice's reservation becomes its cost.
    fn correct(&mut self, granted: Granted<K>, cost: u64) {
        let Granted { key, weight, reserved, is_crowded, .. } = granted;
        let charge = weighted(cost, weight);
        self.slice_max = self.slice_max.max(charge);
        self.correction_max = self.correction_max.max(charge.abs_diff(reserved));
        self.in_service = self.in_service.saturating_sub(1);
        self.crowded_in_service = self.crowded_in_service.saturating_sub(usize::from(is_crowded));
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        let waits = self.backlogged.remove(&(lane.counter, lane.last_grant, key));
        let corrected = lane.counter.saturating_add(charge).saturating_sub(reserved);
        lane.counter = corrected.max(lane.base);
        lane.in_service = lane.in_service.saturating_sub(1);
        lane.estimate = followed(lane.estimate, cost);
        if waits {
            self.backlogged.insert((lane.counter, lane.last_grant, key));
        }
    }

    /// An idle lane is remembered as long as it is in debt; where nothing is going on at all, nobody is.
    fn clear_up(&mut self, key: K) {
        if self.in_service == 0 && self.backlogged.is_empty() {
            self.lanes.clear();
            self.indebted.clear();
            (self.level, self.slice_max, self.correction_max) = (0, 0, 0);
            return;
        }
        if let Some(lane) = self.lanes.get(&key).filter(|lane| lane.is_idle()) {
            self.indebted.insert((lane.counter, key));
        }
        self.forgive();
    }

    /// Forgets the idle lanes the others have caught up with: they would be lifted if they came.
    fn forgive(&mut self) {
        while let Some((counter, key)) = self.indebted.first().copied()
            && counter <= self.level
        {
            self.indebted.pop_first();
            self.lanes.remove(&key);
        }
    }

    fn note_gap(&mut self) {
        let gap = self.gap();
        debug_assert!(gap.holds(), "{}: {gap:?}", FAIR1.promise);
        self.widest_gap_ppm = self.widest_gap_ppm.max(gap.ratio_ppm());
    }
}

/// An estimate after another cost.
fn followed(estimate: u64, cost: u64) -> u64 {
    let towards = cost.abs_diff(estimate) >> ESTIMATE_SHIFT;
    if cost > estimate { estimate.saturating_add(towards) } else { estimate.saturating_sub(towards) }
}

/// A cost as it counts for a lane of this weight.
fn weighted(cost: u64, weight: NonZeroU32) -> u128 {
    u128::from(cost).saturating_mul(SCALE) / u128::from(weight.get())
}
