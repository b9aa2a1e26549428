//! The shell of the fair pool: holds the rules behind a lock, reads the clock, wakes who is served.
use super::rules::{Fair, Granted, Limits, Presence, Refused, Ticket};
use crate::ids::TenantKey;
use crate::outcome::{Code, Outcome, Rejection};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Longest a slice of work should keep its slot; checked by [`Slot::renew`], so that work in small pieces is cut there.
pub const SLICE: Duration = Duration::from_millis(2);

/// Slots of one kind of work, shared by all tenants of a node. Costs are nanoseconds a slot is kept.
#[derive(Clone, Debug)]
pub struct FairPool(Arc<Shared>);

/// Who is served in any of the pools that were made with it.
#[derive(Clone, Debug, Default)]
pub struct Neighbours(Arc<Mutex<Presence<TenantKey>>>);

impl Neighbours {
    fn granted(&self, tenant: TenantKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).granted(tenant)
    }
}

#[derive(Debug)]
struct Shared {
    kind: String,
    neighbours: Neighbours,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: Fair<TenantKey>,
    waiting: BTreeMap<Ticket, oneshot::Sender<Slot>>,
}

impl State {
    /// Grants every free slot somebody waits for.
    fn grant_all(&mut self) -> Vec<(oneshot::Sender<Slot>, Granted<TenantKey>)> {
        let mut served = Vec::new();
        while let Some(granted) = self.rules.grant() {
            match self.waiting.remove(&granted.ticket()) {
                Some(waiter) => served.push((waiter, granted)),
                None => self.rules.give_back(granted, 0),
            }
        }
        served
    }
}

impl FairPool {
    /// A pool for one kind of work, whose name stands in messages and metrics.
    #[must_use]
    pub fn new(kind: impl Into<String>, limits: Limits) -> Self {
        Self::beside(kind, limits, Neighbours::default())
    }

    /// A pool whose tenants share something with those of other pools: a node's processors.
    #[must_use]
    pub fn beside(kind: impl Into<String>, limits: Limits, neighbours: Neighbours) -> Self {
        let state = State { rules: Fair::new(limits), waiting: BTreeMap::new() };
        Self(Arc::new(Shared { kind: kind.into(), neighbours, state: Mutex::new(state) }))
    }

    /// The lane of one tenant. It costs nothing while it is not used.
    #[must_use]
    pub fn lane(&self, tenant: TenantKey, weight: NonZeroU32) -> Lane {
        Lane { pool: Arc::clone(&self.0), tenant, weight }
    }

    /// The kind of work.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// How near to its derived bound the gap between two waiting lanes has come at any grant, in millionths: at most a
    /// million (invariant FAIR1).
    #[must_use]
    pub fn widest_gap_ppm(&self) -> u64 {
        self.0.lock().rules.widest_gap_ppm()
    }

    /// Slots in use.
    #[must_use]
    pub fn in_service(&self) -> usize {
        self.0.lock().rules.in_service()
    }
}

impl Shared {
    /// The rules are whole at every point where a panic could reach: they contain none.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who is served now, and says whether their work should give way.
    fn serves(&self, granted: &Granted<TenantKey>) -> bool {
        self.neighbours.granted(granted.key()) && granted.is_crowded()
    }

    fn give_back(self: &Arc<Self>, granted: Granted<TenantKey>, cost: u64) {
        let served = {
            let mut state = self.lock();
            state.rules.give_back(granted, cost);
            state.grant_all()
        };
        self.hand_out(served);
    }

    /// Outside the lock: whoever has gone meanwhile gives the slot back here, without a slot's own `Drop` in between.
    fn hand_out(self: &Arc<Self>, mut served: Vec<(oneshot::Sender<Slot>, Granted<TenantKey>)>) {
        while let Some((waiter, granted)) = served.pop() {
            let should_give_way = self.serves(&granted);
            let slot = Slot { pool: Arc::clone(self), granted: Some(granted), began: None, should_give_way };
            let Err(mut unwanted) = waiter.send(slot) else { continue };
            if let Some(granted) = unwanted.granted.take() {
                let mut state = self.lock();
                state.rules.give_back(granted, 0);
                served.extend(state.grant_all());
            }
        }
    }
}

/// The way of one tenant to a pool's slots: bound to the tenant, so that nobody can use another's share.
#[derive(Clone, Debug)]
pub struct Lane {
    pool: Arc<Shared>,
    tenant: TenantKey,
    weight: NonZeroU32,
}

impl Lane {
    /// Waits for a slot. Dropping the future leaves the queue; a slot granted meanwhile goes to the next.
    ///
    /// # Errors
    /// `overloaded` at once, with the time to come back after, where the lane's queue is full or its wait is expected
    /// to take more than half of `patience`; and when `patience` is over.
    pub async fn enter(&self, patience: Duration) -> Outcome<Slot> {
        let place = self.queue(patience)?;
        tokio::time::timeout(patience, place.slot()).await.unwrap_or_else(|_elapsed| {
            Err(self.overloaded("no slot came free in time; send less at once", nanoseconds(patience)))
        })
    }

    fn queue(&self, patience: Duration) -> Outcome<Place> {
        let (waiter, slot) = oneshot::channel();
        let (ticket, served) = {
            let mut state = self.pool.lock();
            let ticket = state
                .rules
                .arrive(self.tenant, self.weight, nanoseconds(patience))
                .map_err(|refused| self.refuse(refused))?;
            state.waiting.insert(ticket, waiter);
            (ticket, state.grant_all())
        };
        self.pool.hand_out(served);
        Ok(Place { pool: Arc::clone(&self.pool), tenant: self.tenant, ticket, slot })
    }

    fn refuse(&self, refused: Refused) -> Rejection {
        match refused {
            Refused::QueueFull { next_place } => {
                self.overloaded("this tenant's queue is full; send less at once", next_place)
            }
            Refused::TooLate { too_long } => {
                self.overloaded("this tenant's queue would not be served in time; send less at once", too_long)
            }
            Refused::TooManyLanes => self.overloaded("the node serves too much at once; try again shortly", 0),
        }
    }

    fn overloaded(&self, wrong: &str, after_ns: u64) -> Rejection {
        let after_ms = (after_ns / NANOSECONDS_PER_MS).clamp(RETRY_MS_MIN, RETRY_MS_MAX);
        Rejection::retry_after(Code::Overloaded, format!("waiting for {}: {wrong}", self.pool.kind), after_ms)
    }
}

const NANOSECONDS_PER_MS: u64 = 1_000_000;
/// Sooner than this nobody is told to come back.
const RETRY_MS_MIN: u64 = 100;
/// Later than this nobody is told to come back: an expectation so far ahead is a guess.
const RETRY_MS_MAX: u64 = 60_000;

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A place in a lane's queue, left by its own `Drop`.
#[derive(Debug)]
pub struct Place {
    pool: Arc<Shared>,
    tenant: TenantKey,
    ticket: Ticket,
    slot: oneshot::Receiver<Slot>,
}

impl Place {
    /// Waits until it is this place's turn.
    ///
    /// # Errors
    /// [`Rejection::lost`] where the pool is gone.
    pub async fn slot(mut self) -> Outcome<Slot> {
        let mut slot = (&mut self.slot).await.map_err(|_gone| Rejection::lost())?;
        slot.began = Some(Instant::now());
        Ok(slot)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let served = {
            let mut state = self.pool.lock();
            if state.waiting.remove(&self.ticket).is_none() {
                return;
            }
            state.rules.leave(self.tenant, self.ticket);
            // who is left alone, or was behind this one, may be served beside a crowd
            state.grant_all()
        };
        self.pool.hand_out(served);
    }
}

/// A slot in use. Its `Drop`, in a panic too, gives it back and charges the time it was kept.
#[derive(Debug)]
pub struct Slot {
    pool: Arc<Shared>,
    granted: Option<Granted<TenantKey>>,
    /// When its work began; a slot nobody came for costs nothing.
    began: Option<Instant>,
    should_give_way: bool,
}

impl Slot {
    /// True where others of its lane wait for the next slot and other tenants are served, too: the lane sends more than
    /// it can be served at once, and somebody is there to feel it.
    #[must_use]
    pub fn should_give_way(&self) -> bool {
        self.should_give_way
    }

    /// For work in small pieces, between two of them: goes on in this slot where its slice is not over, or where its
    /// lane is the next to be served in any case.
    ///
    /// # Errors
    /// Otherwise the place in which the rest of the work waits for the next slot; this one has been given back.
    pub fn renew(mut self) -> Result<Self, Place> {
        let (Some(began), Some(granted)) = (self.began, self.granted.take()) else { return Ok(self) };
        let kept = began.elapsed();
        if kept < SLICE {
            self.granted = Some(granted);
            return Ok(self);
        }
        let tenant = granted.key();
        let (waiter, slot) = oneshot::channel();
        let (renewed, served) = {
            let mut state = self.pool.lock();
            let renewed = state.rules.renew(granted, nanoseconds(kept));
            if let Err(ticket) = &renewed {
                state.waiting.insert(*ticket, waiter);
            }
            (renewed, state.grant_all())
        };
        self.pool.hand_out(served);
        match renewed {
            Ok(granted) => {
                self.should_give_way = self.pool.serves(&granted);
                (self.granted, self.began) = (Some(granted), Some(Instant::now()));
                Ok(self)
            }
            Err(ticket) => Err(Place { pool: Arc::clone(&self.pool), tenant, ticket, slot }),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(granted) = self.granted.take() {
            let cost = self.began.map_or(0, |began| nanoseconds(began.elapsed()));
            self.pool.give_back(granted, cost);
        }
    }
}
