//! Documents that have to go are taken out by the room itself: it looks when it starts, when other rules are in force, and
//! at the next instant at which one is due. One timer; nothing is looked at in between.
use super::RetrievalRoom;
use super::indexer::Work;
use super::ingest::{Afterwards, Desk, Leaving, Refused};
use super::pools::{PATIENCE, in_one_slice};
use super::requests::{noted, requests_about};
use super::rules::{due_unix_ms, is_due};
use super::truth::{Truth, TruthError};
use crate::erasures::records::ErasureAsked;
use crate::erasures::rules::{OpenRequests, removed_for};
use actix::WeakAddr;
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::erasures::{Event, Of, TenantErasures};
use bailiwick_kernel::mail;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::retention::Rules;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Documents looked at, and taken out, at a time.
const PORTION: usize = 256;
/// By whom the journal says they were removed.
pub(super) const BY: &str = "retention";
/// When it is looked again after something went wrong.
const AGAIN_MS: u64 = 60_000;
/// What has been due for longer is overdue: a look came in between, and one more.
const OVERDUE_MS: u64 = 2 * AGAIN_MS;
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

/// The points of every document that went are gone outside too.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct PointsGone;

impl Handler<PointsGone> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, _gone: PointsGone, ctx: &mut Context<Self>) {
        if self.owes_erasure {
            self.look_for_due(ctx);
        }
    }
}

/// A look has ended, and with what.
#[derive(Message)]
#[rtype(result = "()")]
struct Looked(Result<Seen, Refused>);

/// What a look has found.
struct Seen {
    /// When to look again.
    next_unix_ms: Option<u64>,
    /// Requests for erasure are open.
    owes: bool,
}

impl RetrievalRoom {
    /// Looks now, unless nothing ever has to go.
    pub(super) fn look_for_due(&mut self, ctx: &Context<Self>) {
        if let Erasing::Looking { again } = &mut self.erasing {
            *again = true;
            return;
        }
        self.erasing = Erasing::Idle;
        if !self.owes_erasure && !self.desk.corpus.policy.load().retention().end_anything() {
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

    /// Somebody asked for an erasure.
    pub(super) fn owe_erasure(&mut self, ctx: &Context<Self>) {
        self.owes_erasure = true;
        self.look_for_due(ctx);
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
        if let Ok(Seen { owes, .. }) = &looked
            && !again
        {
            self.owes_erasure = *owes;
        }
        match looked {
            Err(Refused { afterwards: Afterwards::End, .. }) => ctx.stop(),
            _ if again => self.look_for_due(ctx),
            Ok(Seen { next_unix_ms: None, .. }) => {}
            Ok(Seen { next_unix_ms: Some(due_unix_ms), .. }) => self.wait_for_due(due_unix_ms, ctx),
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
    /// Requests with documents that stay.
    still_open: BTreeSet<String>,
}

/// What is held against the documents.
#[derive(Clone)]
struct Held {
    rules: Arc<Rules>,
    open: Arc<OpenRequests>,
    erasures: TenantErasures,
}

impl Held {
    /// The rules about one document: with the requests that are about it, where there are any.
    fn rules_about(&self, held: &super::rules::Held) -> Option<Rules> {
        let requests = requests_about(held, &self.open, &self.erasures);
        (!requests.is_empty()).then(|| Rules { requests, ..Rules::clone(&self.rules) })
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Blocking.
fn look(truth: &Truth, against: &Held, after: Option<&str>, now_unix_ms: u64) -> Result<Portion, TruthError> {
    let mut portion = Portion::default();
    let held = truth.list(after, PORTION)?;
    if held.len() == PORTION {
        portion.last = held.last().map(|held| held.accepted.id.clone());
    }
    for held in held {
        let own = against.rules_about(&held);
        match due_unix_ms(&held.accepted, own.as_ref().unwrap_or(&against.rules), now_unix_ms) {
            Some(due_unix_ms) if due_unix_ms <= now_unix_ms => portion.due.push(held.accepted.id),
            next_unix_ms => {
                portion.next_unix_ms = earlier(portion.next_unix_ms, next_unix_ms);
                let requests = own.into_iter().flat_map(|rules| rules.requests);
                portion.still_open.extend(requests.map(|request| request.ground.name));
            }
        }
    }
    Ok(portion)
}

impl Desk {
    /// Takes out every document that has to go and that nothing keeps. Gives when to look again: when the next of them is
    /// due, or the first of those that may still come.
    async fn erase_due(&self, clock: &SharedClock) -> Result<Seen, Refused> {
        let truth = self.corpus.truth().await?;
        let asked = self.blocking(&truth, Truth::open_erasures).await?;
        let against = self.held_against(&asked);
        let mut still_open = BTreeSet::new();
        let began_unix_ms = clock.now_unix_ms();
        let mut next_unix_ms = against.rules.newcomer_due_unix_ms(super::rules::DATA, began_unix_ms);
        let mut erased = false;
        self.walk(&truth, &against, began_unix_ms, async |portion| {
            next_unix_ms = earlier(next_unix_ms, portion.next_unix_ms);
            still_open.extend(portion.still_open);
            if !portion.due.is_empty() {
                still_open.extend(self.erase(&truth, &against, portion.due, clock.now_unix_ms()).await?);
                erased = true;
            }
            Ok::<(), Refused>(())
        })
        .await?;
        if erased {
            self.ask_index(Work::Settle).await?;
        }
        if self.blocking(&truth, Truth::owes_points).await? {
            // what of a document may still lie outside is not erased; whoever takes it out says when it is gone
            still_open.extend(asked.iter().map(|asked| asked.id.clone()));
        }
        let ended: Vec<_> = asked.into_iter().filter(|asked| !still_open.contains(&asked.id)).collect();
        self.end_erasures(&truth, ended, clock.now_unix_ms()).await?;
        Ok(Seen { next_unix_ms, owes: !still_open.is_empty() })
    }

    /// What is held against documents now, with these requests open.
    fn held_against(&self, asked: &[ErasureAsked]) -> Held {
        let rules = Arc::new(self.corpus.policy.load().retention());
        let open = Arc::new(OpenRequests::of(asked.iter().cloned()));
        Held { rules, open, erasures: self.erasures.clone() }
    }

    /// How many documents were due so long ago that they should be gone.
    pub(super) async fn overdue(&self, now_unix_ms: u64) -> Outcome<u64> {
        let truth = self.corpus.truth().await?;
        let asked = self.blocking(&truth, Truth::open_erasures).await?;
        let against = self.held_against(&asked);
        let then_unix_ms = now_unix_ms.saturating_sub(OVERDUE_MS);
        let mut overdue = 0_u64;
        self.walk(&truth, &against, then_unix_ms, async |portion| {
            overdue = overdue.saturating_add(portion.due.len() as u64);
            Ok::<(), Rejection>(())
        })
        .await?;
        Ok(overdue)
    }

    /// Looks at every document as of an instant, portion by portion in the order of their ids, and hands each on.
    async fn walk<Failed: From<Rejection>>(
        &self,
        truth: &Arc<Truth>,
        against: &Held,
        at_unix_ms: u64,
        mut each: impl AsyncFnMut(Portion) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let mut after = None::<String>;
        loop {
            let (against, from) = (against.clone(), after.take());
            let looking = self.blocking(truth, move |truth| look(truth, &against, from.as_deref(), at_unix_ms));
            let portion = looking.await?;
            after.clone_from(&portion.last);
            each(portion).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Decides once more, under the gate and by the rules in force then, and takes out what still has to go.
    /// Gives the requests that are about documents which stay after all.
    async fn erase(
        &self,
        truth: &Arc<Truth>,
        against: &Held,
        ids: Vec<String>,
        now_unix_ms: u64,
    ) -> Result<Vec<String>, Refused> {
        let _gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let against = Held { rules: Arc::new(self.corpus.policy.load().retention()), ..against.clone() };
        let deciding = self.blocking(truth, move |truth| {
            let (mut leaving, mut staying) = (Vec::new(), Vec::new());
            for id in &ids {
                let Some(held) = truth.get(id)? else { continue };
                let own = against.rules_about(&held);
                let leave = is_due(&held.accepted, own.as_ref().unwrap_or(&against.rules), now_unix_ms);
                let requests = own.into_iter().flat_map(|rules| rules.requests).map(|request| request.ground.name);
                let requests: Vec<String> = requests.collect();
                match leave {
                    Some(leave) => {
                        let by = requests.first().map_or_else(|| BY.to_owned(), |request| removed_for(request));
                        leaving.push((Leaving { leave, by }, requests.into_iter().next().unwrap_or_default()));
                    }
                    None => staying.extend(requests),
                }
            }
            Ok((leaving, staying))
        });
        let (leaving, staying) = deciding.await?;
        if leaving.is_empty() {
            return Ok(staying);
        }
        let erased = |(leaving, request): &(Leaving, String)| Event::Erased {
            of: Of::Document,
            mark: self.erasures.mark(Of::Document, leaving.leave.id()).to_string(),
            request: request.clone(),
            stored_by_unix_ms: now_unix_ms,
        };
        // in the ledger first: what is written down and not done yet is done by the next look
        noted(&self.erasures, leaving.iter().map(erased).collect(), now_unix_ms).await?;
        let leaving = leaving.into_iter().map(|(leaving, _request)| leaving).collect();
        match self.take_out(leaving, now_unix_ms).await? {
            Afterwards::GoOn => Ok(staying),
            Afterwards::End => Err(Refused::lost()),
        }
    }

    /// Reads from the documents on a thread that gives way to whoever waits for an answer.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        truth: &Arc<Truth>,
        read: impl FnOnce(&Truth) -> Result<T, TruthError> + Send + 'static,
    ) -> Outcome<T> {
        let (truth, lane) = (Arc::clone(truth), self.corpus.parsers());
        Ok(in_one_slice(&self.corpus.lanes.writing, lane, PATIENCE, move || read(&truth)).await??)
    }
}
