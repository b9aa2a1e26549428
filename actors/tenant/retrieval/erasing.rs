//! Documents that have to go are taken out by the room itself: it looks when it starts, when other rules are in force, and
//! at the next instant at which one is due. One timer; nothing is looked at in between.
use super::RetrievalRoom;
use super::indexer::Work;
use super::ingest::{Afterwards, Desk, Refused};
use super::pools::{PATIENCE, in_one_slice};
use super::rules::{due_unix_ms, is_due};
use super::truth::{Truth, TruthError};
use actix::WeakAddr;
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::mail;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::retention::{Erasable, Rules};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Documents looked at, and taken out, at a time.
const PORTION: usize = 256;
/// By whom the journal says they were removed.
pub(super) const BY: &str = "retention";
/// When it is looked again after something went wrong.
const AGAIN_MS: u64 = 60_000;
/// The longest a timer runs: whoever sets the machine's clock, or lets it sleep, moves what is due.
const TIMER_MS_MAX: u64 = 3_600_000;

/// How the room stands with what has to go.
#[derive(Default)]
pub(super) enum Erasing {
    /// Nothing ever has to go, as far as is known.
    #[default]
    Idle,
    /// The next is due at an instant.
    Waiting {
        /// When.
        due_unix_ms: u64,
        /// Wakes the room.
        _timer: Timer,
    },
    /// It looks now.
    Looking {
        /// Other rules came meanwhile: it looks once more.
        again: bool,
    },
}

/// Wakes the room, unless it is dropped before. Not a timer of the room's context, which would keep a room alive that
/// nobody can reach any more.
pub(super) struct Timer(JoinHandle<()>);

impl Timer {
    fn start(room: WeakAddr<RetrievalRoom>, after: Duration) -> Self {
        Self(actix::spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(room) = room.upgrade() {
                mail::post_certain(&room, Wake);
            }
        }))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A timer has run out.
#[derive(Message)]
#[rtype(result = "()")]
struct Wake;

/// A look has ended, and with what.
#[derive(Message)]
#[rtype(result = "()")]
struct Looked(Result<Option<u64>, Refused>);

impl RetrievalRoom {
    /// Looks now, unless nothing ever has to go.
    pub(super) fn look_for_due(&mut self, ctx: &Context<Self>) {
        if let Erasing::Looking { again } = &mut self.erasing {
            *again = true;
            return;
        }
        self.erasing = Erasing::Idle;
        if !self.desk.corpus.policy.load().retention().end_anything() {
            return;
        }
        self.erasing = Erasing::Looking { again: false };
        let (desk, clock, room) = (self.desk.clone(), Arc::clone(&self.clock), ctx.address());
        // to its end, even where the room goes meanwhile: what is appended is taken over
        actix::spawn(async move {
            let looked = desk.erase_due(&clock).await;
            mail::post_certain(&room, Looked(looked));
        });
    }

    fn wait_for_due(&mut self, due_unix_ms: u64, ctx: &Context<Self>) {
        let left_ms = due_unix_ms.saturating_sub(self.clock.now_unix_ms()).min(TIMER_MS_MAX);
        let timer = Timer::start(ctx.address().downgrade(), Duration::from_millis(left_ms));
        self.erasing = Erasing::Waiting { due_unix_ms, _timer: timer };
    }
}

impl Handler<Wake> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, _wake: Wake, ctx: &mut Context<Self>) {
        match self.erasing {
            Erasing::Waiting { due_unix_ms, .. } if self.clock.now_unix_ms() < due_unix_ms => {
                self.wait_for_due(due_unix_ms, ctx);
            }
            Erasing::Waiting { .. } => self.look_for_due(ctx),
            // a look that began before the timer could be stopped sees what is due
            Erasing::Idle | Erasing::Looking { .. } => {}
        }
    }
}

impl Handler<Looked> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, Looked(looked): Looked, ctx: &mut Context<Self>) {
        let again = matches!(self.erasing, Erasing::Looking { again: true });
        self.erasing = Erasing::Idle;
        match looked {
            Err(Refused { afterwards: Afterwards::End, .. }) => ctx.stop(),
            _ if again => self.look_for_due(ctx),
            Ok(None) => {}
            Ok(Some(due_unix_ms)) => self.wait_for_due(due_unix_ms, ctx),
            Err(Refused { rejection, .. }) => {
                tracing::warn!(tenant = %self.desk.corpus.tenant(), %rejection, "erasing what is due; trying again in a minute");
                self.wait_for_due(self.clock.now_unix_ms().saturating_add(AGAIN_MS), ctx);
            }
        }
    }
}

/// What a portion of the documents comes to.
#[derive(Default)]
struct Portion {
    due: Vec<String>,
    next_unix_ms: Option<u64>,
    last: Option<String>,
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Blocking.
fn look(truth: &Truth, rules: &Rules, after: Option<&str>, now_unix_ms: u64) -> Result<Portion, TruthError> {
    let mut portion = Portion::default();
    let held = truth.list(after, PORTION)?;
    if held.len() == PORTION {
        portion.last = held.last().map(|held| held.accepted.id.clone());
    }
    for held in held {
        match due_unix_ms(&held.accepted, rules, now_unix_ms) {
            Some(due_unix_ms) if due_unix_ms <= now_unix_ms => portion.due.push(held.accepted.id),
            next_unix_ms => portion.next_unix_ms = earlier(portion.next_unix_ms, next_unix_ms),
        }
    }
    Ok(portion)
}

impl Desk {
    /// Takes out every document that has to go and that nothing keeps. Gives when to look again: when the next of them is
    /// due, or the first of those that may still come.
    async fn erase_due(&self, clock: &SharedClock) -> Result<Option<u64>, Refused> {
        let truth = self.corpus.truth().await?;
        let rules = Arc::new(self.corpus.policy.load().retention());
        let began_unix_ms = clock.now_unix_ms();
        let mut next_unix_ms = rules.newcomer_due_unix_ms(super::rules::DATA, began_unix_ms);
        let (mut after, mut erased) = (None, false);
        loop {
            let portion = {
                let (rules, after) = (Arc::clone(&rules), after.take());
                self.blocking(&truth, move |truth| look(truth, &rules, after.as_deref(), began_unix_ms)).await?
            };
            next_unix_ms = earlier(next_unix_ms, portion.next_unix_ms);
            if !portion.due.is_empty() {
                self.erase(&truth, portion.due, clock.now_unix_ms()).await?;
                erased = true;
            }
            after = portion.last;
            if after.is_none() {
                break;
            }
        }
        if erased {
            self.ask_index(Work::Settle).await?;
        }
        Ok(next_unix_ms)
    }

    /// Decides once more, under the gate and by the rules in force then, and takes out what still has to go.
    async fn erase(&self, truth: &Arc<Truth>, ids: Vec<String>, now_unix_ms: u64) -> Result<(), Refused> {
        let _gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let rules = self.corpus.policy.load().retention();
        let leaves = self.blocking(truth, move |truth| {
            let leave = |id: &String| {
                let held = truth.get(id)?;
                Ok(held.and_then(|held| is_due(&held.accepted, &rules, now_unix_ms)))
            };
            ids.iter().filter_map(|id| leave(id).transpose()).collect::<Result<Vec<Erasable>, TruthError>>()
        });
        let leaves = leaves.await?;
        if leaves.is_empty() {
            return Ok(());
        }
        match self.take_out(leaves, BY, now_unix_ms).await? {
            Afterwards::GoOn => Ok(()),
            Afterwards::End => Err(Refused::lost()),
        }
    }

    /// Reads from the documents on a thread that gives way to whoever waits for an answer.
    async fn blocking<T: Send + 'static>(
        &self,
        truth: &Arc<Truth>,
        read: impl FnOnce(&Truth) -> Result<T, TruthError> + Send + 'static,
    ) -> Outcome<T> {
        let (truth, lane) = (Arc::clone(truth), self.corpus.parsers());
        Ok(in_one_slice(&self.corpus.lanes.writing, lane, PATIENCE, move || read(&truth)).await??)
    }
}
