//! Who owns which journal on this node, and where each owned journal ends.
//!
//! A seat has two locks. `turn` is held through a whole acquisition or shredding, which read and sync. `state` is held
//! for moments only, because the writer of all tenants takes it: verifying one long journal delays nobody else.
use super::chain::Head;
use super::store::Keyed;
use super::{AppendError, Holding};
use crate::ids::{Epoch, Position, TenantKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// What the owner of a seat may do.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Nobody owns the journal: never acquired, being acquired, or shredded.
    Vacant,
    /// The owner may append.
    Owned {
        /// The tree of the journal.
        journal: Arc<dyn Keyed>,
        /// Where it ends, counting what is written but not yet synced.
        head: Head,
    },
    /// A write failed, so nobody knows where the journal ends until it is acquired again.
    Failed(String),
}

/// The state of one seat.
#[derive(Debug)]
pub struct State {
    /// The newest epoch; appends with another are stale.
    pub epoch: Epoch,
    /// What that epoch's owner may do.
    pub standing: Standing,
    /// Records before this position are durable; absent until the journal was first acquired here.
    pub durable: Option<Position>,
}

impl State {
    /// The journal and its head, for an append with the given epoch.
    ///
    /// # Errors
    /// [`AppendError::Stale`] for another epoch, [`AppendError::Unsure`] after a failed write.
    pub fn admit(&self, ours: Epoch) -> Result<(Arc<dyn Keyed>, Head), AppendError> {
        match &self.standing {
            Standing::Owned { journal, head } if self.epoch == ours => Ok((Arc::clone(journal), *head)),
            Standing::Failed(reason) if self.epoch == ours => Err(AppendError::Unsure(reason.clone())),
            _ => Err(AppendError::Stale { ours, owner: self.epoch }),
        }
    }

    /// Notes that a write of this epoch's owner failed. A newer owner is not touched: it read for itself.
    pub fn fail(&mut self, epoch: Epoch, reason: &str) {
        if self.epoch == epoch {
            self.standing = Standing::Failed(reason.to_owned());
        }
    }

    /// Notes that records of this epoch's owner up to `next` are durable.
    pub fn settle(&mut self, epoch: Epoch, next: Position) {
        if self.epoch == epoch {
            self.durable = self.durable.max(Some(next));
        }
    }
}

/// The seat of one tenant.
#[derive(Debug)]
pub struct Seat {
    turn: Mutex<()>,
    state: Mutex<State>,
}

impl Seat {
    /// Waits for the turn to acquire or shred.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for a moment.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The seats of every tenant acquired on this node since it started: at most as many as it has tenants.
#[derive(Default, Debug)]
pub struct Seats(RwLock<HashMap<TenantKey, Arc<Seat>>>);

impl Seats {
    /// The seat of a tenant that was acquired here.
    pub fn get(&self, tenant: TenantKey) -> Option<Arc<Seat>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned()
    }

    /// The seat of a tenant, set up vacant where there was none.
    pub fn of(&self, tenant: TenantKey) -> Arc<Seat> {
        if let Some(seat) = self.get(tenant) {
            return seat;
        }
        let mut seats = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let vacant = || State { epoch: Epoch(0), standing: Standing::Vacant, durable: None };
        Arc::clone(
            seats.entry(tenant).or_insert_with(|| Arc::new(Seat { turn: Mutex::new(()), state: Mutex::new(vacant()) })),
        )
    }

    /// Who holds what.
    pub fn view(&self) -> Vec<Holding> {
        let seats = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut holdings: Vec<Holding> = seats
            .iter()
            .filter_map(|(tenant, seat)| {
                let state = seat.state();
                let held = matches!(state.standing, Standing::Owned { .. });
                held.then(|| Holding { tenant: *tenant, epoch: state.epoch, node: String::from("here") })
            })
            .collect();
        holdings.sort_by_key(|holding| holding.tenant);
        holdings
    }
}
