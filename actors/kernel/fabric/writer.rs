//! The group commit: one thread that appends for all tenants and syncs once for everything that waited.
//!
//! It never waits for more work to come: while one group syncs, the next one gathers in the queue.
use super::chain::Head;
use super::record::Unit;
use super::seats::{Seat, Standing};
use super::store::{Pairs, Store, StoreFailure};
use super::{AppendError, Appended, record};
use crate::ids::{Epoch, TenantKey};
use crate::limits::{
    APPEND_BYTES_MAX, APPEND_GROUP_BYTES_MAX, APPEND_GROUP_MAX, APPEND_GROUP_TENANT_BYTES_MAX, APPEND_QUEUE_BYTES_MAX,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// What an append ends with.
pub type Answer = Result<Appended, AppendError>;

/// One append on its way to the log.
#[derive(Debug)]
pub struct Append {
    /// The seat of its tenant.
    pub seat: Arc<Seat>,
    /// Its tenant.
    pub tenant: TenantKey,
    /// The epoch of its owner.
    pub epoch: Epoch,
    /// What to append, sealed.
    pub payloads: Vec<Vec<u8>>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

impl Append {
    fn bytes(&self) -> usize {
        self.payloads.iter().map(Vec::len).sum()
    }
}

enum Job {
    Append(Append),
    Sync(SyncSender<Result<(), StoreFailure>>),
}

/// What waits in the queue.
#[derive(Default, Debug)]
struct Waiting {
    appends: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    fn enter(&self, bytes: usize) -> Result<(), usize> {
        if self.bytes.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes) > APPEND_QUEUE_BYTES_MAX {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            return Err(self.appends.load(Ordering::Acquire));
        }
        self.appends.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn leave(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.appends.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The queue before the writing thread, and the thread.
#[derive(Debug)]
pub struct Writer {
    queue: Option<SyncSender<Job>>,
    waiting: Arc<Waiting>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreFailure`] where the system gives no thread.
    pub fn start(store: Arc<dyn Store>, queue_max: usize) -> Result<Self, StoreFailure> {
        let (queue, jobs) = sync_channel(queue_max);
        let waiting = Arc::new(Waiting::default());
        let (seen, name) = (Arc::clone(&waiting), String::from("journal-writer"));
        let thread =
            std::thread::Builder::new().name(name).spawn(move || write_until_closed(store.as_ref(), &jobs, &seen))?;
        Ok(Self { queue: Some(queue), waiting, thread: Some(thread) })
    }

    /// Queues an append.
    ///
    /// # Errors
    /// [`AppendError`]; then it is certainly not appended, unless the thread has died.
    pub fn offer(&self, append: Append) -> Result<(), AppendError> {
        let bytes = append.bytes();
        if bytes > APPEND_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes, max: APPEND_BYTES_MAX });
        }
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        self.waiting.enter(bytes).map_err(AppendError::Full)?;
        queue.try_send(Job::Append(append)).map_err(|error| {
            self.waiting.leave(bytes);
            match error {
                TrySendError::Full(_) => AppendError::Full(self.waiting.appends.load(Ordering::Acquire)),
                TrySendError::Disconnected(_) => ended(),
            }
        })
    }

    /// Returns once everything written before is on the disk; shares the sync with whatever else waits. Blocking.
    ///
    /// # Errors
    /// [`StoreFailure`].
    pub fn sync(&self) -> Result<(), StoreFailure> {
        let ended = || StoreFailure(String::from("the writing thread has ended"));
        let (answer, answered) = sync_channel(1);
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(Job::Sync(answer)).map_err(|_closed| ended())?;
        answered.recv().map_err(|_closed| ended())?
    }
}

/// The answer where the thread is gone and with it the knowledge of what it wrote.
pub fn ended() -> AppendError {
    AppendError::Unsure(String::from("the writing thread has ended"))
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writing thread of the journals panicked; unacknowledged appends were lost");
        }
    }
}

/// An append whose records are written and wait for the sync.
struct Written {
    seat: Arc<Seat>,
    epoch: Epoch,
    appended: Appended,
    answer: oneshot::Sender<Answer>,
}

/// What is committed together.
#[derive(Default)]
struct Group {
    syncs: Vec<SyncSender<Result<(), StoreFailure>>>,
    appends: usize,
    bytes: usize,
    /// What each tenant has in it, and whose further appends wait for the next group.
    shares: BTreeMap<TenantKey, Share>,
}

/// A tenant's share of one group. Everybody in a group waits until all of it is written and synced, so nobody may fill
/// it alone.
#[derive(Default)]
struct Share {
    appends: Vec<Append>,
    bytes: usize,
    /// One of its appends waits for the next group: those after it do, too, to keep their order.
    is_over: bool,
}

impl Share {
    /// Takes an append in, or gives it back because it has to wait. The first one is taken whatever its size.
    fn take(&mut self, append: Append) -> Option<Append> {
        let so_far = self.bytes.saturating_add(append.bytes());
        self.is_over |= self.bytes > 0 && so_far > APPEND_GROUP_TENANT_BYTES_MAX;
        if self.is_over {
            return Some(append);
        }
        self.bytes = so_far;
        self.appends.push(append);
        None
    }
}

impl Group {
    fn is_full(&self) -> bool {
        self.appends >= APPEND_GROUP_MAX || self.syncs.len() >= APPEND_GROUP_MAX || self.bytes >= APPEND_GROUP_BYTES_MAX
    }

    fn take(&mut self, job: Job, later: &mut Vec<Append>, waiting: &Waiting) {
        match job {
            Job::Sync(answer) => self.syncs.push(answer),
            Job::Append(append) => self.take_append(append, later, waiting),
        }
    }

    fn take_append(&mut self, append: Append, later: &mut Vec<Append>, waiting: &Waiting) {
        let bytes = append.bytes();
        if let Some(append) = self.shares.entry(append.tenant).or_default().take(append) {
            return later.push(append);
        }
        self.appends = self.appends.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        waiting.leave(bytes);
    }

    /// True where nothing was offered to it.
    fn is_empty(&self) -> bool {
        self.shares.is_empty() && self.syncs.is_empty()
    }

    fn commit(self, store: &dyn Store) {
        let written: Vec<Written> = self.shares.into_values().flat_map(|share| write_share(share.appends)).collect();
        if written.is_empty() && self.syncs.is_empty() {
            return;
        }
        let outcome = store.sync();
        // Every seat learns the outcome before anybody is answered: who has an answer finds the records readable, and
        // who was told "unsure" cannot append before acquiring again.
        for written in &written {
            let mut state = written.seat.state();
            match &outcome {
                Ok(()) => state.settle(written.epoch, written.appended.last.next()),
                Err(failure) => state.fail(written.epoch, &failure.0),
            }
        }
        for Written { appended, answer, .. } in written {
            answer_if_awaited(
                answer,
                outcome.clone().map(|()| appended).map_err(|failure| AppendError::Unsure(failure.0)),
            );
        }
        for answer in self.syncs {
            let _gone = answer.send(outcome.clone());
        }
    }
}

fn answer_if_awaited(to: oneshot::Sender<Answer>, answer: Answer) {
    let _gone = to.send(answer);
}

fn write_until_closed(store: &dyn Store, jobs: &Receiver<Job>, waiting: &Waiting) {
    let mut later: Vec<Append> = Vec::new();
    loop {
        let mut group = Group::default();
        // who had to wait goes first, so that nobody waits for ever
        for append in std::mem::take(&mut later) {
            if group.is_full() {
                later.push(append);
            } else {
                group.take_append(append, &mut later, waiting);
            }
        }
        if group.is_empty() {
            let Ok(first) = jobs.recv() else { break };
            group.take(first, &mut later, waiting);
        }
        while !group.is_full() && later.len() < APPEND_GROUP_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            group.take(job, &mut later, waiting);
        }
        group.commit(store);
    }
    // What the shelves wrote since the last append.
    if let Err(failure) = store.sync() {
        tracing::error!(reason = %failure, "closing the store: the last sync failed");
    }
}

/// Writes one tenant's appends of a group and answers those that are refused.
///
/// Record by record, because some stores pay for a unit with a write and a wait of its own, before every answer: what was cut
/// off in the middle of an append is told by its records.
fn write_share(appends: Vec<Append>) -> Vec<Written> {
    let Some(seat) = appends.first().map(|append| Arc::clone(&append.seat)) else { return Vec::new() };
    let mut state = seat.state();
    let (mut written, mut frames, mut end) = (Vec::with_capacity(appends.len()), Vec::new(), None);
    for Append { seat, tenant, epoch, payloads, answer } in appends {
        let placed = state.admit(epoch).and_then(|(journal, head)| {
            let (placed, appended) = place(tenant, epoch, head, &payloads)?;
            frames.extend(placed.frames);
            state.standing = Standing::Owned { journal: Arc::clone(&journal), head: placed.head };
            end = Some((journal, epoch));
            Ok(appended)
        });
        match placed {
            Ok(appended) => written.push(Written { seat, epoch, appended, answer }),
            Err(error) => answer_if_awaited(answer, Err(error)),
        }
    }
    if let Some((journal, epoch)) = end
        && let Err(failure) = journal.append(frames)
    {
        state.fail(epoch, &failure.0);
        for Written { answer, .. } in written.drain(..) {
            answer_if_awaited(answer, Err(AppendError::Unsure(failure.0.clone())));
        }
    }
    written
}

/// Records as the store keeps them, and where the journal ends with them.
struct Placed {
    frames: Pairs,
    head: Head,
}

/// Places the records of one append after the journal's head.
fn place(
    tenant: TenantKey,
    epoch: Epoch,
    start: Head,
    payloads: &[Vec<u8>],
) -> Result<(Placed, Appended), AppendError> {
    let (mut head, mut last, mut first_hash) = (start, start.next, None);
    let mut frames = Vec::with_capacity(payloads.len());
    for (left, payload) in (0..payloads.len()).rev().zip(payloads) {
        let unit = if left == 0 { Unit::Ends } else { Unit::GoesOn };
        let too_large = || AppendError::TooLarge { bytes: payload.len(), max: super::PAYLOAD_BYTES_MAX };
        let (next, frame) = head.extend(tenant, epoch, payload, unit).ok_or_else(too_large)?;
        frames.push((record::key(head.next).to_vec(), frame));
        last = head.next;
        first_hash = first_hash.or(Some(next.hash));
        head = next;
    }
    let appended = Appended { first: start.next, first_hash: first_hash.unwrap_or(head.hash), last, head: head.hash };
    Ok((Placed { frames, head }, appended))
}
