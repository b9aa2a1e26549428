//! Purpose: says of every flow of a tenant's bytes, before the first of them, whether its region allows it now.
//! Owns: the sovereignty in force, and a count of the transfers under way by region.
//! Sends to: nobody; the rooms of one tenant ask it.
//! Never: sends anything itself; another tenant's rules; a region taken from a caller's word.
//! Invariants: SOV1 (nothing is kept or sent without a [`Cleared`] of the policy in force; a policy is acknowledged when
//! nothing is under way to where it forbids).
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::schema::Sovereignty;
use bailiwick_policy::sovereignty::{Cleared, Flow, Region};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The borders of one tenant on this node.
#[derive(Debug)]
pub struct Egress {
    node: Region,
    in_force: watch::Sender<Arc<Sovereignty>>,
    /// Transfers under way by the region they go to.
    under_way: watch::Sender<BTreeMap<String, u64>>,
}

impl Egress {
    /// The borders of a tenant whose data was cleared to be kept on this node.
    #[must_use]
    pub fn new(kept: &Cleared, sovereignty: &Sovereignty) -> Arc<Self> {
        Arc::new(Self {
            node: kept.region().clone(),
            in_force: watch::Sender::new(Arc::new(sovereignty.clone())),
            under_way: watch::Sender::new(BTreeMap::new()),
        })
    }

    /// Where this node runs, and with it everything it keeps.
    #[must_use]
    pub fn node(&self) -> &Region {
        &self.node
    }

    /// Decides about a flow that stays on this node or begins here.
    ///
    /// # Errors
    /// `sovereignty_violation`.
    pub fn clear_here(&self, flow: Flow) -> Outcome<Cleared> {
        clear(&self.in_force.borrow(), flow, self.node.as_str())
    }

    /// Decides whether a turn that was admitted under an earlier policy may be sent to a region now: both must allow it.
    ///
    /// # Errors
    /// `sovereignty_violation`.
    pub fn may_send(&self, admitted_under: &Sovereignty, region: &str) -> Outcome<Cleared> {
        let first = clear(admitted_under, Flow::Call, region)?;
        let now = clear(&self.in_force.borrow(), Flow::Call, region)?;
        Ok(first.and(&now))
    }

    /// Begins a transfer. It is under way until what this gives is dropped; a policy that forbids it is acknowledged after
    /// that.
    ///
    /// # Errors
    /// `sovereignty_violation`; nothing is under way then.
    pub fn depart(self: &Arc<Self>, admitted_under: &Sovereignty, region: &str) -> Outcome<Transfer> {
        // counted before it is decided: whoever adopts a policy in between sees it
        let counted = Counted::one(Arc::clone(self), region);
        let cleared = self.may_send(admitted_under, region)?;
        Ok(Transfer { cleared, rules: self.in_force.subscribe(), _counted: counted })
    }

    /// Begins the transfer of a signed head, by the rules in force. It is under way until what this gives is dropped.
    ///
    /// # Errors
    /// `sovereignty_violation`; nothing is under way then.
    pub fn publish(self: &Arc<Self>, region: &str) -> Outcome<Transfer> {
        self.begin(Flow::Publish, region)
    }

    /// Begins the transfer of spans, by the rules in force. It is under way until what this gives is dropped.
    ///
    /// # Errors
    /// `sovereignty_violation`; nothing is under way then.
    pub fn trace(self: &Arc<Self>, region: &str) -> Outcome<Transfer> {
        self.begin(Flow::Trace, region)
    }

    /// Begins asking a cache outside, or giving it something, by the rules in force. It is under way until what this gives is
    /// dropped.
    ///
    /// # Errors
    /// `sovereignty_violation`; nothing is under way then.
    pub fn share(self: &Arc<Self>, region: &str) -> Outcome<Transfer> {
        self.begin(Flow::Cache, region)
    }

    /// Begins reading documents from a bucket, by the rules in force. It is under way until what this gives is dropped.
    ///
    /// # Errors
    /// `sovereignty_violation`; nothing is under way then.
    pub fn fetch(self: &Arc<Self>, region: &str) -> Outcome<Transfer> {
        self.begin(Flow::Fetch, region)
    }

    /// Begins keeping vectors in a store outside, or asking there, by the rules in force. It is under way until what this gives is
    /// dropped.
    ///
    /// # Errors
    /// `sovereignty_violation`; nothing is under way then.
    pub fn index(self: &Arc<Self>, region: &str) -> Outcome<Transfer> {
        self.begin(Flow::Index, region)
    }

    /// Decides about having something deleted where it lies outside. Nobody waits for its end: it is on the way to where nothing is
    /// to be any more.
    ///
    /// # Errors
    /// `sovereignty_violation` where the encryption on the way is not known.
    pub fn take_back(&self, region: &Region) -> Outcome<Cleared> {
        self.in_force.borrow().clear_to_take_back(region).map_err(|problem| violation(&problem))
    }

    fn begin(self: &Arc<Self>, flow: Flow, region: &str) -> Outcome<Transfer> {
        // counted before it is decided, like every transfer
        let counted = Counted::one(Arc::clone(self), region);
        let cleared = clear(&self.in_force.borrow(), flow, region)?;
        Ok(Transfer { cleared, rules: self.in_force.subscribe(), _counted: counted })
    }

    /// Puts other rules in force: from here on nothing departs that they forbid, and transfers under way to where they
    /// forbid are told to end.
    pub fn adopt(&self, sovereignty: &Sovereignty) {
        self.in_force.send_replace(Arc::new(sovereignty.clone()));
    }

    /// Waits until nothing is under way to where the rules in force forbid: until it has ended, or they allow it again.
    pub async fn settled(&self) {
        let (mut under_way, mut rules) = (self.under_way.subscribe(), self.in_force.subscribe());
        loop {
            let is_settled = {
                let rules = rules.borrow_and_update();
                under_way.borrow_and_update().keys().all(|region| rules.clear(Flow::Call, region).is_ok())
            };
            if is_settled {
                return;
            }
            // neither ends: both senders are this very value
            tokio::select! {
                _ended = under_way.changed() => {}
                _allowed = rules.changed() => {}
            }
        }
    }
}

fn violation(problem: &str) -> Rejection {
    Rejection::new(Code::SovereigntyViolation, problem)
}

fn clear(sovereignty: &Sovereignty, flow: Flow, region: &str) -> Outcome<Cleared> {
    sovereignty.clear(flow, region).map_err(|problem| violation(&problem))
}

/// Whether a tenant of these rules may be kept in a region at all.
///
/// # Errors
/// `sovereignty_violation`, with what the operator can do.
pub fn clear_to_keep(sovereignty: &Sovereignty, node: &Region) -> Outcome<Cleared> {
    sovereignty.clear(Flow::Store, node.as_str()).map_err(|problem| {
        violation(&format!(
            "{problem}; this node keeps everything in {node}: serve the tenant from a node in an allowed region, or state \
             `region` in config.toml where it is another one"
        ))
    })
}

/// One transfer of a turn's bytes to a region, from before the first of them until it is dropped.
#[derive(Debug)]
pub struct Transfer {
    cleared: Cleared,
    rules: watch::Receiver<Arc<Sovereignty>>,
    _counted: Counted,
}

impl Transfer {
    /// What it was cleared for.
    #[must_use]
    pub fn cleared(&self) -> &Cleared {
        &self.cleared
    }

    /// Waits until it may go on no longer, and says why. Whoever sends ends at once then.
    pub async fn withdrawn(&mut self) -> Rejection {
        loop {
            let verdict = clear(&self.rules.borrow_and_update(), self.cleared.flow(), self.cleared.region().as_str());
            if let Err(rejection) = verdict {
                return rejection;
            }
            if self.rules.changed().await.is_err() {
                // the rules are owned by the borders this transfer holds on to: they are there as long as it is
                std::future::pending::<()>().await;
            }
        }
    }
}

/// One transfer in the count.
#[derive(Debug)]
struct Counted {
    egress: Arc<Egress>,
    region: String,
}

impl Counted {
    fn one(egress: Arc<Egress>, region: &str) -> Self {
        egress.under_way.send_if_modified(|under_way| {
            let count = under_way.entry(region.to_owned()).or_default();
            *count = count.saturating_add(1);
            false // only ends are waited for
        });
        Self { egress, region: region.to_owned() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.egress.under_way.send_modify(|under_way| {
            let left = under_way.get(&self.region).map_or(0, |count| count.saturating_sub(1));
            if left == 0 {
                under_way.remove(&self.region);
            } else {
                under_way.insert(self.region.clone(), left);
            }
        });
    }
}
