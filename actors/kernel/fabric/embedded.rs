//! The embedded back end: one store for the node, a log ahead of it, one thread that commits for all tenants.
use super::blobs::Blobs;
use super::chain::{Damage, End, Head, Walk};
use super::seats::{Seat, Seats, Standing};
use super::secrets::Secrets;
use super::store::{Keyed, Pairs, SledStore, Store, StoreFailure};
use super::write_ahead::WriteAhead;
use super::writer::{Append, Writer, ended};
use super::*;
use super::{ledger, record};
use crate::limits::{APPEND_QUEUE_MAX, APPEND_RECORDS_MAX, READ_BYTES_MAX};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

/// One machine's store. Dropping it finishes what is queued, syncs and closes.
#[derive(Debug)]
pub struct Embedded {
    writer: Writer,
    store: Arc<dyn Store>,
    ledger: Arc<dyn Keyed>,
    blobs: Blobs,
    secrets: Secrets,
    seats: Seats,
}

/// One tree of one tenant.
#[derive(Clone, Debug)]
pub struct Tree {
    keyed: Arc<dyn Keyed>,
}

impl Tree {
    /// Reads a value.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, FabricError> {
        self.keyed.get(key).map_err(|failure| failure.while_doing("reading a shelf"))
    }

    /// Writes a value.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn put(&self, key: &[u8], value: Vec<u8>) -> Result<(), FabricError> {
        self.apply(vec![(key.to_vec(), value)], &[])
    }

    /// Writes, then removes, as one unit.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn apply(&self, puts: Pairs, removals: &[Vec<u8>]) -> Result<(), FabricError> {
        self.keyed.apply(puts, removals).map_err(|failure| failure.while_doing("writing a shelf"))
    }

    /// Values of a prefix in key order, after a key, at most `max`.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn scan(&self, prefix: &[u8], after: Option<&[u8]>, max: usize) -> Result<Pairs, FabricError> {
        let from = after.map_or_else(|| prefix.to_vec(), |key| [key, &[0]].concat().max(prefix.to_vec()));
        let mut found = Vec::new();
        let mut collect = |key: &[u8], value: &[u8]| {
            if found.len() >= max || !key.starts_with(prefix) {
                return ControlFlow::Break(());
            }
            found.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        self.keyed.visit(&from, &mut collect).map_err(|failure| failure.while_doing("scanning a shelf"))?;
        Ok(found)
    }

    /// Empties the tree.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn clear(&self) -> Result<(), FabricError> {
        self.keyed.clear().map_err(|failure| failure.while_doing("emptying a shelf"))
    }
}

fn journal_name(tenant: TenantKey) -> String {
    format!("{}/journal", tenant.to_hex())
}

fn damaged(tenant: TenantKey) -> impl Fn(Damage) -> FabricError {
    move |Damage { position, reason }| FabricError::Damaged { tenant, position, reason }
}

fn sealed(position: Position, frame: &record::Frame<'_>) -> SealedRecord {
    SealedRecord { position, epoch: frame.epoch, hash: frame.hash, payload: frame.payload.to_vec() }
}

/// Carries a walk over a journal's tree from a position on; `keep` sees each whole record and may end it early.
fn walk_tree(
    journal: &dyn Keyed,
    walk: &mut Walk,
    mut keep: impl FnMut(Position, record::Frame<'_>) -> ControlFlow<()>,
) -> Result<Result<(), Damage>, StoreFailure> {
    let mut outcome = Ok(());
    let from = record::key(walk.next());
    journal.visit(&from, &mut |key, value| {
        let at = walk.next();
        match walk.step(key, value) {
            Ok(Some(frame)) => keep(at, frame),
            Ok(None) => ControlFlow::Continue(()),
            Err(damage) => {
                outcome = Err(damage);
                ControlFlow::Break(())
            }
        }
    })?;
    Ok(outcome)
}

impl Embedded {
    /// Opens or creates the store of a data folder. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`], also where another process has it open.
    pub fn open(folder: &Path) -> Result<Self, FabricError> {
        let opening = |failure: StoreFailure| failure.while_doing("opening the store");
        let folder_of_store = folder.join("store");
        let sled = SledStore::open(&folder_of_store).map_err(opening)?;
        let store = WriteAhead::open(&folder_of_store.join("ahead"), Arc::new(sled)).map_err(opening)?;
        Self::over(Arc::new(store), folder, APPEND_QUEUE_MAX)
    }

    /// The back end over any store, its larger blobs in a data folder, at most `queue_max` appends waiting. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn over(store: Arc<dyn Store>, folder: &Path, queue_max: usize) -> Result<Self, FabricError> {
        let opening = |failure: StoreFailure| failure.while_doing("opening the store");
        let (blobs, secrets) = (Blobs::open(Arc::clone(&store), folder)?, Secrets::open(folder)?);
        let ledger = store.tree(ledger::TREE).map_err(opening)?;
        let writer = Writer::start(Arc::clone(&store), queue_max).map_err(opening)?;
        Ok(Self { writer, store, ledger, blobs, secrets, seats: Seats::default() })
    }

    /// Opens one tree of one tenant. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn tree(&self, tenant: TenantKey, name: &'static str) -> Result<Tree, FabricError> {
        let name = format!("{}/shelf/{name}", tenant.to_hex());
        Ok(Tree { keyed: self.store.tree(&name).map_err(|failure| failure.while_doing("opening a shelf"))? })
    }

    /// Returns once everything written before, shelves and blobs included, is on the disk. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn sync(&self) -> Result<(), FabricError> {
        self.writer.sync().map_err(|failure| failure.while_doing("syncing the store"))
    }

    /// The newest record of a journal, without acquiring it; nothing where it has none. Blocking: reads what was appended
    /// since it was acquired last.
    ///
    /// # Errors
    /// [`FabricError`].
    pub fn newest(&self, tenant: TenantKey) -> Result<Option<SealedRecord>, FabricError> {
        let marked = self.ledger_entry(tenant)?.mark.next.0;
        let durable = self.durable(tenant).unwrap_or(Position(u64::MAX));
        let Some(journal) = self.store.existing(&journal_name(tenant)) else { return Ok(None) };
        let mut newest = None;
        let mut walk = Walk::starting_at(tenant, Position(marked.saturating_sub(1)));
        let stored = walk_tree(journal.as_ref(), &mut walk, |position, frame| {
            if position >= durable {
                return ControlFlow::Break(());
            }
            // what follows the end of the last unit was cut off and is none
            if frame.unit == record::Unit::Ends {
                newest = Some(sealed(position, &frame));
            }
            ControlFlow::Continue(())
        });
        stored.map_err(|failure| failure.while_doing("reading a journal"))?.map_err(damaged(tenant))?;
        Ok(newest)
    }

    /// Whether a tenant has anything in the store, among the blobs or among the secrets.
    ///
    /// # Errors
    /// [`FabricError::Store`] where the folders cannot be read.
    pub fn holds(&self, tenant: TenantKey) -> Result<bool, FabricError> {
        let in_store = !self.store.names(&format!("{}/", tenant.to_hex())).is_empty();
        Ok(in_store || self.blobs.holds(tenant)? || self.secrets.holds(tenant)?)
    }

    fn ledger_entry(&self, tenant: TenantKey) -> Result<ledger::Entry, FabricError> {
        const DOING: &str = "reading who owns a journal";
        let bytes = self.ledger.get(tenant.as_bytes()).map_err(|failure| failure.while_doing(DOING))?;
        let Some(bytes) = bytes else { return Ok(ledger::Entry { epoch: Epoch(0), mark: Head::genesis(tenant) }) };
        ledger::decode(&bytes).ok_or_else(|| {
            StoreFailure(format!("the entry of {tenant} was altered; restore the node from a backup"))
                .while_doing(DOING)
        })
    }

    pub(super) fn write_ledger(&self, tenant: TenantKey, entry: &ledger::Entry) -> Result<(), FabricError> {
        let put = (tenant.as_bytes().to_vec(), ledger::encode(entry));
        self.ledger.apply(vec![put], &[]).map_err(|failure| failure.while_doing("noting who owns a journal"))
    }

    /// The blobs.
    pub(super) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The secrets of documents.
    pub(super) fn secrets_kept(&self) -> &Secrets {
        &self.secrets
    }

    /// Writes records of a journal nobody owns.
    pub(super) fn write_frames(&self, tenant: TenantKey, frames: Pairs) -> Result<(), FabricError> {
        const DOING: &str = "putting a journal back";
        let journal = self.store.tree(&journal_name(tenant)).map_err(|failure| failure.while_doing(DOING))?;
        journal.apply(frames, &[]).map_err(|failure| failure.while_doing(DOING))
    }

    /// Refuses the owner so far from here on. Answers the next epoch, and whether the journal was verified before in
    /// this process.
    fn vacate(seat: &Seat, persisted: Epoch) -> (Epoch, bool) {
        let mut state = seat.state();
        state.epoch = Epoch(persisted.max(state.epoch).0.saturating_add(1));
        state.standing = Standing::Vacant;
        (state.epoch, state.durable.is_some())
    }

    /// Verifies a journal and cuts what was not written to its end. Verified once from its first record, a journal is verified
    /// from the last mark when it is acquired again by the same process: reading verifies as well.
    fn verify(
        &self,
        tenant: TenantKey,
        mark: Head,
        verified_before: bool,
        journal: &dyn Keyed,
    ) -> Result<Head, FabricError> {
        const DOING: &str = "verifying a journal";
        let last_marked = Position(mark.next.0.saturating_sub(1));
        let start = if verified_before { Walk::starting_at(tenant, last_marked) } else { Walk::from_genesis(tenant) };
        let mut walk = start.passing(mark);
        let stored = walk_tree(journal, &mut walk, |_, _| ControlFlow::Continue(()));
        stored.map_err(|failure| failure.while_doing(DOING))?.map_err(damaged(tenant))?;
        let End { head, unfinished } = walk.finish().map_err(damaged(tenant))?;
        if let Some(position) = unfinished.first() {
            tracing::warn!(%tenant, position = position.0, "what was not written to its end was cut off the journal");
            let keys: Vec<_> = unfinished.iter().map(|position| record::key(*position).to_vec()).collect();
            journal.apply(Vec::new(), &keys).map_err(|failure| failure.while_doing(DOING))?;
        }
        Ok(head.unwrap_or(mark))
    }

    /// How far a tenant's journal is durable, where it was acquired here.
    fn durable(&self, tenant: TenantKey) -> Option<Position> {
        self.seats.get(tenant).and_then(|seat| seat.state().durable)
    }

    fn queue(
        &self,
        tenant: TenantKey,
        epoch: Epoch,
        payloads: Vec<Vec<u8>>,
    ) -> Result<oneshot::Receiver<writer::Answer>, AppendError> {
        if payloads.is_empty() || payloads.len() > APPEND_RECORDS_MAX {
            return Err(AppendError::Count { records: payloads.len(), max: APPEND_RECORDS_MAX });
        }
        if let Some(payload) = payloads.iter().find(|payload| payload.len() > PAYLOAD_BYTES_MAX) {
            return Err(AppendError::TooLarge { bytes: payload.len(), max: PAYLOAD_BYTES_MAX });
        }
        let Some(seat) = self.seats.get(tenant) else {
            let owner = self.ledger_entry(tenant).map_err(|error| AppendError::Unsure(error.to_string()))?.epoch;
            return Err(AppendError::Stale { ours: epoch, owner });
        };
        let (answer, answered) = oneshot::channel();
        self.writer.offer(Append { seat, tenant, epoch, payloads, answer })?;
        Ok(answered)
    }
}

impl Fabric for Embedded {
    fn acquire(&self, tenant: TenantKey) -> Result<Tenure, FabricError> {
        let seat = self.seats.of(tenant);
        let _turn = seat.turn();
        let ledger::Entry { epoch, mark } = self.ledger_entry(tenant)?;
        let (epoch, verified_before) = Self::vacate(&seat, epoch);
        let opening = |failure: StoreFailure| failure.while_doing("opening a journal");
        let journal = self.store.tree(&journal_name(tenant)).map_err(opening)?;
        let head = self.verify(tenant, mark, verified_before, journal.as_ref())?;
        self.write_ledger(tenant, &ledger::Entry { epoch, mark: head })?;
        self.sync()?;
        let mut state = seat.state();
        state.standing = Standing::Owned { journal, head };
        state.durable = Some(head.next);
        Ok(Tenure { epoch, next: head.next })
    }

    fn append(
        &self,
        tenant: TenantKey,
        epoch: Epoch,
        payloads: Vec<Vec<u8>>,
    ) -> BoxFuture<Result<Appended, AppendError>> {
        let queued = self.queue(tenant, epoch, payloads);
        Box::pin(async move { queued?.await.unwrap_or_else(|_dropped| Err(ended())) })
    }

    fn read(&self, tenant: TenantKey, from: Position, max: usize) -> Result<Vec<SealedRecord>, FabricError> {
        let durable = self.durable(tenant);
        let Some(journal) = self.store.existing(&journal_name(tenant)) else { return Ok(Vec::new()) };
        let end = Position(from.0.saturating_add(u64::try_from(max).unwrap_or(u64::MAX)))
            .min(durable.unwrap_or(Position(u64::MAX)));
        if from >= end {
            return Ok(Vec::new());
        }
        let (mut records, mut bytes) = (Vec::new(), 0_usize);
        let mut walk = Walk::starting_at(tenant, Position(from.0.saturating_sub(1)));
        let stored = walk_tree(journal.as_ref(), &mut walk, |position, frame| {
            if position >= from {
                bytes = bytes.saturating_add(frame.payload.len());
                records.push(sealed(position, &frame));
            }
            if position.next() >= end || bytes >= READ_BYTES_MAX {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        stored.map_err(|failure| failure.while_doing("reading a journal"))?.map_err(damaged(tenant))?;
        let broken_off = durable.is_some() && walk.next() < end && bytes < READ_BYTES_MAX;
        if broken_off {
            let reason = String::from("it is torn or missing, although it was durable");
            return Err(FabricError::Damaged { tenant, position: walk.next(), reason });
        }
        Ok(records)
    }

    fn keep_pace(&self) {
        self.store.keep_pace();
    }

    fn blobs_put(&self, tenant: TenantKey, blobs: Vec<Blob>) -> Result<(), FabricError> {
        self.blobs.put(&self.writer, tenant, blobs)
    }

    fn blob_get(&self, tenant: TenantKey, name: &str) -> Result<Option<Vec<u8>>, FabricError> {
        self.blobs.get(tenant, name)
    }

    fn blob_delete(&self, tenant: TenantKey, name: &str) -> Result<(), FabricError> {
        self.blobs.delete(tenant, name)
    }

    fn secrets_keep(&self, tenant: TenantKey, secrets: &[Secret]) -> Result<u64, FabricError> {
        self.secrets.keep(tenant, secrets)
    }

    fn secrets_sync(&self, tenant: TenantKey) -> Result<(), FabricError> {
        self.secrets.sync(tenant)
    }

    fn secrets(&self, tenant: TenantKey, slots: &[u64]) -> Result<Vec<SecretState>, FabricError> {
        self.secrets.states(tenant, slots)
    }

    fn secrets_destroy(&self, tenant: TenantKey, slots: &[u64]) -> Result<(), FabricError> {
        // whoever copies blobs and secrets finds both as they were at one moment
        let _removing = self.blobs.removing();
        self.secrets.destroy(tenant, slots)
    }

    fn shred(&self, tenant: TenantKey) -> Result<(), FabricError> {
        const DOING: &str = "removing the trees of a tenant";
        let seat = self.seats.of(tenant);
        let _turn = seat.turn();
        let (epoch, _) = Self::vacate(&seat, self.ledger_entry(tenant)?.epoch);
        seat.state().durable = None;
        // First, so that a shredding cut short leaves no mark of records that are gone.
        self.write_ledger(tenant, &ledger::Entry { epoch, mark: Head::genesis(tenant) })?;
        for name in self.store.names(&format!("{}/", tenant.to_hex())) {
            self.store.drop_tree(&name).map_err(|failure| failure.while_doing(DOING))?;
        }
        self.blobs.shred(tenant)?;
        self.secrets.shred(tenant)?;
        self.sync()
    }

    fn view(&self) -> Vec<Holding> {
        self.seats.view()
    }
}
