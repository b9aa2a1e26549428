//! The shell of the compliance room: asks the other rooms for facts, and once a week for every tenant by itself.
use super::archive::{Archive, sha256_of};
use super::facts::Facts;
use super::gather::{self, NodeStanding};
use super::messages::{ForgetKept, MakeReport, ReadDue, ReadKept, TenantSource, WeekReported};
use super::report::{Checkpoint, Report};
use super::rules::{Subject, report};
use super::week::week_of;
use super::{REPORTS_AT_ONCE, WEEKS_KEPT_MAX};
use crate::backup::Backups;
use crate::kms::KeyService;
use crate::policy_watchdog::messages::ReadPatrol;
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_tenant::erasures::messages::CountOverdue;
use bailiwick_tenant::proofs::messages::{ReadHead, VerifyJournal};
use bailiwick_tenant::supervisor::messages::{ReadFlags, ReadPolicy};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// After the start: tenants are being opened before, and the watchdog has looked once.
const FIRST_LOOK: Duration = Duration::from_secs(15);
/// Between two looks at whose week has no report yet.
const LOOK: Duration = Duration::from_secs(60);
/// A room that has not said anything by then has not told its facts.
const ANSWER: Duration = Duration::from_secs(2);
/// A journal that has not been read again by then is not verified.
const VERIFYING: Duration = Duration::from_secs(120);

/// What a report is made with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Time.
    pub clock: SharedClock,
    /// Keeps weekly reports.
    pub archive: Archive,
    /// Says how keys are kept.
    pub keys: KeyService,
    /// Says what there is to go back to.
    pub backups: Backups,
    /// What the node is.
    pub node: NodeStanding,
    /// The watchdog.
    pub patrol: Recipient<ReadPatrol>,
    /// The registry.
    pub due: Recipient<ReadDue>,
    /// The registry, too.
    pub reported: Recipient<WeekReported>,
}

/// The room.
#[derive(Debug)]
pub struct Compliance {
    tools: Arc<Tools>,
    places: Arc<Semaphore>,
}

impl Compliance {
    /// A room that asks these.
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        Self { tools: Arc::new(tools), places: Arc::new(Semaphore::new(REPORTS_AT_ONCE)) }
    }

    /// Writes the week's report of every open tenant that has none yet, one after the other.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let tools = Arc::clone(&self.tools);
        let looking = async move {
            let (reply, awaited) = ReplySlot::pair();
            let week = week_of(tools.clock.now_unix_ms());
            if tools.due.send(ReadDue { week, reply }).await.is_err() {
                return;
            }
            for source in awaited.outcome().await.unwrap_or_default() {
                let tenant = source.key;
                if let Err(rejection) = keep_week(&tools, source).await {
                    // tried again at the next look
                    tracing::warn!(%tenant, %rejection, "the week's report could not be kept");
                }
            }
        };
        ctx.spawn(looking.into_actor(self).map(|(), _act, ctx| {
            ctx.run_later(LOOK, Self::look);
        }));
    }
}

/// Asks a room; nothing where it stays silent, is full, or refuses.
async fn asked<M, T>(to: &Recipient<M>, within: Duration, question: impl FnOnce(ReplySlot<T>) -> M) -> Option<T>
where
    M: Message<Result = ()> + Send + 'static,
{
    let (reply, awaited) = ReplySlot::pair();
    offer(to, question(reply)).ok()?;
    timeout(within, awaited.outcome()).await.ok()?.ok()
}

/// Does blocking work.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    bailiwick_kernel::residue::spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(Rejection::lost()))
}

/// Everything that is known of a tenant, and the head of its journal.
async fn facts_of(tools: &Tools, source: &TenantSource) -> (Facts, Option<Checkpoint>) {
    let mut facts = Facts::default();
    let now = || tools.clock.now_unix_ms();
    gather::of_registry(&mut facts, source, now());
    gather::of_node(&mut facts, &tools.node, source.policy.as_deref(), now());
    let (keys, tenant) = (tools.keys.clone(), source.key);
    let standing = blocking(move || keys.standing(tenant).map_err(|_unreadable| Rejection::lost())).await;
    if let Ok(Some(standing)) = standing {
        gather::of_keys(&mut facts, &standing, now());
    }
    let backups = tools.backups.clone();
    let shown = blocking(move || backups.evidence(tenant).map_err(|_unreadable| Rejection::lost())).await;
    if let Ok(evidence) = shown {
        gather::of_backups(&mut facts, &evidence);
    }
    if let Some(patrol) = asked(&tools.patrol, ANSWER, |reply| ReadPatrol { reply }).await {
        gather::of_patrol(&mut facts, &patrol, source);
    }
    let Some(doors) = &source.doors else { return (facts, None) };
    let (enforced, flags, overdue, verified) = tokio::join!(
        asked(&doors.policy, ANSWER, |reply| ReadPolicy { reply }),
        asked(&doors.flags, ANSWER, |reply| ReadFlags { reply }),
        asked(&doors.overdue, ANSWER, |reply| CountOverdue { reply }),
        asked(&doors.verify, VERIFYING, |reply| VerifyJournal { reply }),
    );
    if let Some(enforced) = enforced {
        gather::of_enforced(&mut facts, source, &enforced, now());
    }
    if let Some(flags) = flags {
        gather::of_level(&mut facts, flags.level.state, now());
    }
    if let Some(overdue) = overdue {
        gather::of_documents(&mut facts, overdue, now());
    }
    if let Some(verified) = verified {
        gather::of_journal(&mut facts, &verified, now());
    }
    // last: the head holds everything the facts rest on
    let head = asked(&doors.head, ANSWER, |reply| ReadHead { since: None, reply }).await;
    let checkpoint = head.map(|head| {
        gather::of_head(&mut facts, &head, now());
        Checkpoint {
            tenant_key: head.tenant_key,
            size: head.size,
            note: head.checkpoint,
            verifier_key: head.verifier_key,
        }
    });
    (facts, checkpoint)
}

async fn made(tools: &Tools, source: TenantSource) -> Report {
    let (facts, checkpoint) = facts_of(tools, &source).await;
    let settled = source.policy.as_ref().map(|policy| policy.settled());
    let now_unix_ms = tools.clock.now_unix_ms();
    let subject = Subject {
        tenant: source.name,
        tenant_id: source.id.to_string(),
        regimes: settled.as_ref().map(|policy| policy.sovereignty.compliance.clone()).unwrap_or_default(),
        policy_version: settled.map(|policy| policy.version.clone()).unwrap_or_default(),
        region: tools.node.region.to_string(),
        week: week_of(now_unix_ms),
        history: source.weeks,
        checkpoint,
    };
    report(subject, &facts, now_unix_ms)
}

/// Makes the week's report and keeps it: its bytes first, so that no week is written down without its report.
async fn keep_week(tools: &Tools, source: TenantSource) -> Outcome<()> {
    let (tenant, id) = (source.key, source.id);
    let excess = source.weeks.len().saturating_sub(WEEKS_KEPT_MAX - 1);
    let outgoing: Vec<_> = source.weeks.iter().take(excess).map(|week| week.week.clone()).collect();
    let report = made(tools, source).await;
    let (week, score, sha256) = (report.week.clone(), report.score, sha256_of(&report)?);
    let archive = tools.archive.clone();
    blocking(move || {
        archive.keep(id, &report)?;
        archive.forget(id, &outgoing)
    })
    .await?;
    let (reply, awaited) = ReplySlot::pair();
    let reported = WeekReported { tenant, week, sha256, score, reply };
    offer(&tools.reported, reported).map_err(|(_reported, undelivered)| Rejection::from(undelivered))?;
    awaited.outcome().await
}

impl Actor for Compliance {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_later(FIRST_LOOK, Self::look);
    }
}

impl Handler<MakeReport> for Compliance {
    type Result = ();

    fn handle(&mut self, MakeReport { source, reply }: MakeReport, ctx: &mut Self::Context) {
        let (tools, places) = (Arc::clone(&self.tools), Arc::clone(&self.places));
        let making = async move {
            let Ok(_place) = places.acquire_owned().await else { return reply.answer(Err(Rejection::lost())) };
            reply.answer(Ok(made(&tools, *source).await));
        };
        ctx.spawn(making.into_actor(self));
    }
}

impl Handler<ReadKept> for Compliance {
    type Result = ();

    fn handle(&mut self, ReadKept { tenant, week, reply }: ReadKept, ctx: &mut Self::Context) {
        let archive = self.tools.archive.clone();
        let reading = async move { reply.answer(blocking(move || archive.read(tenant, &week)).await) };
        ctx.spawn(reading.into_actor(self));
    }
}

impl Handler<ForgetKept> for Compliance {
    type Result = ();

    fn handle(&mut self, ForgetKept { tenant, weeks, reply }: ForgetKept, ctx: &mut Self::Context) {
        let archive = self.tools.archive.clone();
        let forgetting = async move { reply.answer(blocking(move || archive.forget(tenant, &weeks)).await) };
        ctx.spawn(forgetting.into_actor(self));
    }
}
