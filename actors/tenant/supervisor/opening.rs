//! Opening a tenant: acquire, fold, reconcile what a crash left open. Off the arbiter, before any room exists.
use super::fold::Fold;
use super::lineage::{Derived, DerivedError};
use crate::entry::{Entry, HoldClosed};
use crate::feedback::SharedDistrust;
use crate::rollout::SharedRollout;
use crate::rollout::rules::Standing;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::journal::JournalError;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::shelf::Belongings;
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A tenant ready for its rooms.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) belongings: Belongings,
    pub(super) fold: Fold,
    pub(super) derived: Arc<Mutex<Derived>>,
    /// Read by every search.
    pub(super) distrust: Arc<SharedDistrust>,
}

/// Runs one job on derived state off the arbiter. Jobs of one tenant wait for each other here, not on the threads they
/// share with every other tenant.
pub(super) async fn on_derived<T: Send + 'static>(
    derived: Arc<Mutex<Derived>>,
    job: impl FnOnce(&mut Derived) -> Result<T, DerivedError> + Send + 'static,
) -> Result<T, String> {
    let mut derived = derived.lock_owned().await;
    let tenant = derived.tenant();
    // a panic inside a job leaves a fold that is at worst behind, and the journal makes it current
    let done = bailiwick_kernel::residue::spawn_blocking(move || job(&mut derived).map_err(|error| error.to_string()));
    let done = done.await.map_err(|_panicked| "reading derived state panicked".to_owned()).flatten();
    if let Err(reason) = &done {
        tracing::error!(%tenant, %reason, "reading the journal failed");
    }
    done
}

/// Opens, for the first time or, with the derived state of the incarnation before, anew: folds the journal, books the escrow a crash left open, records the policy where it is another one.
pub(super) async fn open(
    belongings: Belongings,
    former: Option<Arc<Mutex<Derived>>>,
    policy: Arc<PolicySnapshot>,
    rollout: Arc<SharedRollout>,
    clock: SharedClock,
) -> Result<Opened, String> {
    let opening = bailiwick_kernel::residue::spawn_blocking(move || match former {
        Some(former) => Ok::<_, String>((belongings.reacquire().map_err(|error| error.to_string())?, former)),
        None => {
            let derived = Derived::open(&belongings).map_err(|error| error.to_string())?;
            Ok((belongings, Arc::new(Mutex::new(derived))))
        }
    });
    let (belongings, derived) = opening.await.map_err(|_panicked| "opening the journal panicked".to_owned())??;
    let journal = belongings.journal.clone();
    let before = on_derived(Arc::clone(&derived), |derived| {
        derived.follow(journal);
        Ok(derived.catch_up()?.clone())
    })
    .await?;
    let begins = rollout.begins(&policy, before.rollout.as_ref());
    let entries = owed(&before, &policy, begins, clock.now_unix_ms());
    if !entries.is_empty() {
        belongings.journal.append(&entries).await.map_err(|error: JournalError| error.to_string())?;
    }
    let fold = on_derived(Arc::clone(&derived), |derived| Ok(derived.catch_up()?.clone())).await?;
    let distrust = Arc::new(SharedDistrust::new(fold.distrust.clone()));
    Ok(Opened { belongings, fold, derived, distrust })
}

/// Entries that must stand in the journal before rooms may run.
pub(crate) fn owed(fold: &Fold, policy: &PolicySnapshot, begins: Option<Standing>, at_unix_ms: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    let block = fold.ledger.open_block();
    if block > NanoUsd::ZERO {
        entries.push(Entry::Unreconciled { amount: block, at_unix_ms });
    }
    // nobody knows whether the providers of these calls were paid
    entries.extend(fold.ledger.open_holds.values().map(|hold| {
        Entry::HoldClosed(Box::new(HoldClosed {
            query_id: hold.query_id.clone(),
            unreconciled: hold.amount,
            spender: hold.spender.clone(),
            admitted_unix_ms: hold.admitted_unix_ms,
            at_unix_ms,
        }))
    }));
    let in_force = (policy.version.clone(), policy.digest.clone());
    if fold.policy.as_ref() != Some(&in_force) {
        entries.push(Entry::PolicyAdopted { version: in_force.0, digest: in_force.1, at_unix_ms });
    }
    entries.extend(begins.map(|standing| Entry::RolloutStands { standing: Box::new(standing), at_unix_ms, by: None }));
    entries
}
