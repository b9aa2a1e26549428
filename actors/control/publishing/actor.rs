//! The shell of the publisher: one look after the other, and of each tenant and place one head at a time.
use super::Parts;
use super::book::Book;
use super::carrier::{self, Carrier, Undelivered};
use super::messages::{Place, Target};
use super::rules::{Booked, Pause, is_due, is_worth_asking, newer};
use crate::registry::messages::{Publishing, ReadPublishing};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::proofs::extension::{Taken, goes_on};
use bailiwick_tenant::proofs::forms::{CHECKPOINT, PublishedHead};
use bailiwick_tenant::proofs::messages::{Departing, PublishHead, ReadTaken, WitnessHead};
use futures_util::stream::{self, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Between two looks at which heads are due.
const LOOK: Duration = Duration::from_secs(1);
/// Heads on their way at the same time.
const HEADS_AT_ONCE: usize = 8;

/// The room.
pub struct Publisher {
    shared: Arc<Shared>,
    pauses: HashMap<(usize, TenantKey), Pause>,
}

/// What a look needs.
struct Shared {
    targets: Vec<Target>,
    node: Region,
    book: Book,
    carrier: Carrier,
    clock: SharedClock,
    registry: Recipient<ReadPublishing>,
}

/// Why a head was not published.
#[derive(Debug)]
enum Unpublished {
    /// Something that may pass.
    Failed(String),
    /// The journal does not go on from what was published: somebody has put an older state back, or signs two histories.
    Alarm(String),
}

impl From<String> for Unpublished {
    fn from(problem: String) -> Self {
        Self::Failed(problem)
    }
}

impl From<Rejection> for Unpublished {
    fn from(rejection: Rejection) -> Self {
        Self::Failed(rejection.to_string())
    }
}

impl Publisher {
    pub(super) fn new(parts: Parts) -> Result<Self, String> {
        let Parts { targets, node, vault, cipher, clock, registry } = parts;
        let (book, carrier) = (Book::open(vault, cipher)?, Carrier::new()?);
        let shared = Arc::new(Shared { targets, node, book, carrier, clock, registry });
        Ok(Self { shared, pauses: HashMap::new() })
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let now = self.shared.clock.now_unix_ms();
        let paused = self.pauses.iter().filter(|(_, pause)| pause.is_on(now)).map(|(key, _)| *key).collect();
        let looking = look(Arc::clone(&self.shared), paused);
        ctx.spawn(looking.into_actor(self).map(|done, act, ctx| {
            for (key, outcome) in done {
                act.note(key, outcome);
            }
            ctx.run_later(LOOK, Self::look);
        }));
    }

    fn note(&mut self, key: (usize, TenantKey), outcome: Result<(), Unpublished>) {
        let (target, tenant) = (self.shared.targets.get(key.0).map_or("", |target| target.name.as_str()), key.1);
        let result = match outcome {
            Ok(()) => {
                self.pauses.remove(&key);
                return;
            }
            Err(Unpublished::Failed(problem)) => {
                tracing::warn!(%tenant, target, %problem, "a signed head was not published; it is tried again");
                "failed"
            }
            Err(Unpublished::Alarm(problem)) => {
                tracing::error!(%tenant, target, %problem, "ALARM: a journal does not go on from the head published before; nothing is published");
                "alarm"
            }
        };
        metrics::counter!("bailiwick_heads_unpublished_total", "result" => result).increment(1);
        let pause = self.pauses.entry(key).or_default();
        *pause = pause.after_failure(self.shared.clock.now_unix_ms());
    }
}

impl Actor for Publisher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if !self.shared.targets.is_empty() {
            ctx.run_later(LOOK, Self::look);
        }
    }
}

type Done = Vec<((usize, TenantKey), Result<(), Unpublished>)>;

/// Publishes what is due; gives what came of everything that was tried.
async fn look(shared: Arc<Shared>, paused: Vec<(usize, TenantKey)>) -> Done {
    let (reply, awaited) = ReplySlot::pair();
    if shared.registry.send(ReadPublishing { reply }).await.is_err() {
        return Done::new();
    }
    let open = awaited.outcome().await.unwrap_or_default();
    let mut due = Vec::new();
    for (number, target) in shared.targets.iter().enumerate() {
        let taken = open.iter().filter(|tenant| target.takes(&tenant.name));
        due.extend(taken.map(|tenant| (number, target, tenant)));
    }
    due.retain(|(number, _, tenant)| !paused.contains(&(*number, tenant.tenant)));
    let (shared, open) = (&shared, open.as_slice());
    let tried = due.into_iter().map(|(number, target, tenant)| async move {
        ((number, tenant.tenant), publish(shared, target, tenant, open).await)
    });
    stream::iter(tried).buffer_unordered(HEADS_AT_ONCE).collect().await
}

/// Runs what blocks.
async fn off<T: Send + 'static>(job: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    bailiwick_kernel::residue::spawn_blocking(job)
        .await
        .unwrap_or_else(|_panicked| Err("it was interrupted".to_owned()))
}

async fn asked<M, T>(to: &Recipient<M>, question: impl FnOnce(ReplySlot<T>) -> M) -> Outcome<T>
where
    M: Message<Result = ()> + Send + 'static,
{
    let (reply, awaited) = ReplySlot::pair();
    offer(to, question(reply)).map_err(|(_, undelivered)| Rejection::from(undelivered))?;
    timeout(Duration::from_millis(ACKNOWLEDGE_MS), awaited.outcome())
        .await
        .unwrap_or_else(|_late| Err(Rejection::lost()))
}

/// Where the witness of a target takes in heads.
fn witness<'a>(name: &str, open: &'a [Publishing]) -> Result<&'a Publishing, Unpublished> {
    let found = open.iter().find(|tenant| tenant.name == name);
    found.ok_or_else(|| Unpublished::Failed(format!("the witness {name} is not open")))
}

/// What was published last there.
async fn last(
    shared: &Shared,
    target: &Target,
    tenant: &Publishing,
    open: &[Publishing],
) -> Result<Option<Booked>, Unpublished> {
    let (book, name, key) = (shared.book.clone(), target.name.clone(), tenant.tenant);
    let booked = off(move || book.last(&name, key)).await?;
    let place: Option<Taken> = match &target.place {
        Place::Webhook(_) => None,
        Place::Folder(folder) => {
            let folder = folder.clone();
            off(move || carrier::last_in(&folder, key)).await?
        }
        Place::Witness(name) => {
            let journal = key.to_hex();
            asked(&witness(name, open)?.taken, |reply| ReadTaken { journal, reply }).await?
        }
    };
    Ok(newer(booked, place))
}

async fn publish(
    shared: &Shared,
    target: &Target,
    tenant: &Publishing,
    open: &[Publishing],
) -> Result<(), Unpublished> {
    let last = last(shared, target, tenant, open).await?;
    let now = shared.clock.now_unix_ms();
    if !is_worth_asking(target.pace, last.as_ref(), now) {
        return Ok(());
    }
    let since = last.as_ref().map(|last| last.head.size);
    let region = match &target.place {
        Place::Webhook(webhook) => webhook.region.clone(),
        Place::Folder(_) | Place::Witness(_) => shared.node.as_str().to_owned(),
    };
    let departing = asked(&tenant.head, |reply| PublishHead { since, region, reply }).await;
    let departing = departing.map_err(|rejection| match (rejection.code, since) {
        (Code::InvalidRequest, Some(_)) => Unpublished::Alarm(rejection.detail),
        _ => Unpublished::Failed(rejection.to_string()),
    })?;
    let taken = Taken::from(&departing.head);
    // checked before it is known whether it is due: a fork of a journal that does not grow is one as well
    goes_on(last.as_ref().map(|last| &last.head), &departing.head)
        .map_err(|broken| Unpublished::Alarm(broken.to_string()))?;
    if !is_due(target.pace, last.as_ref(), taken.size, now) {
        return Ok(());
    }
    deliver(shared, target, tenant, departing, since, open).await?;
    let (book, name, key) = (shared.book.clone(), target.name.clone(), tenant.tenant);
    let (records, booked) = (taken.size, Booked { head: taken, at_unix_ms: now });
    off(move || book.note(&name, key, &booked)).await?;
    tracing::info!(tenant = %key, target = target.name, records, "a signed head was published");
    metrics::counter!("bailiwick_heads_published_total").increment(1);
    Ok(())
}

async fn deliver(
    shared: &Shared,
    target: &Target,
    tenant: &Publishing,
    departing: Departing,
    since: Option<u64>,
    open: &[Publishing],
) -> Result<(), Unpublished> {
    let Departing { head, mut transfer } = departing;
    match &target.place {
        Place::Witness(name) => {
            let taken = asked(&witness(name, open)?.take, |reply| WitnessHead { head, reply }).await;
            taken.map(drop).map_err(|rejection| match rejection.code {
                Code::Conflict => Unpublished::Alarm(rejection.detail),
                _ => Unpublished::Failed(rejection.to_string()),
            })
        }
        Place::Folder(folder) => {
            let (folder, key) = (folder.clone(), tenant.tenant);
            let head = PublishedHead { format: CHECKPOINT.to_owned(), head, since };
            off(move || carrier::append(&folder, key, &head)).await.map_err(Unpublished::Failed)
        }
        Place::Webhook(webhook) => {
            let head = PublishedHead { format: CHECKPOINT.to_owned(), head, since };
            let in_transit = transfer.cleared().in_transit();
            let sent = tokio::select! {
                sent = shared.carrier.send(webhook, in_transit, &head) => sent,
                withdrawn = transfer.withdrawn() => return Err(Unpublished::from(withdrawn)),
            };
            sent.map_err(|undelivered| match undelivered {
                Undelivered::Failed(problem) => Unpublished::Failed(problem),
                Undelivered::Contradicted(problem) => Unpublished::Alarm(problem),
            })
        }
    }
}
