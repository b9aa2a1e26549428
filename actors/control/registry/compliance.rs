//! What the registry knows of tenants for those who report on them, and reports as auditors and the operator ask for them.
use super::actor::Registry;
use super::changes::Change;
use super::directory::{Folder, Tenant};
use super::entry::Entry;
use super::handles::{AuditHandle, FleetHandle, call};
use super::lodging::Stage;
use super::messages::{AuditRequest, FleetRequest};
use super::rules::no_such_tenant;
use crate::compliance::DUE_AT_ONCE;
use crate::compliance::archive::not_kept;
use crate::compliance::messages::{ForgetKept, LastWeek, MakeReport, ReadDue, ReadKept, TenantSource, WeekReported};
use crate::compliance::report::{Report, WeekScore};
use crate::drift::messages::{DriftMap, DriftSource, ReadDrift};
use actix::prelude::*;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_tenant::quality::messages::{QualityView, ReadQuality};
use bailiwick_tenant::supervisor::doors::Doors;
use std::sync::Arc;

const WEEK_MS: u64 = 7 * 86_400_000;

/// An audit request with the tenant it is for; only an [`AuditHandle`] makes one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Audited {
    tenant: TenantKey,
    request: AuditRequest,
}

/// Why the newest files are not in force, where they are not.
fn refused(folder: &Folder) -> Option<String> {
    match folder {
        Folder::Refused(problem) | Folder::Frozen(problem) | Folder::Elsewhere(problem) => Some(problem.clone()),
        Folder::Gone => Some("its folder is gone".to_owned()),
        Folder::Unread | Folder::Sound => None,
    }
}

impl Registry {
    pub(super) fn doors_of(&self, tenant: &Tenant) -> Option<Arc<Doors>> {
        match self.lodgings.get(&tenant.key).map(|lodging| &lodging.stage) {
            Some(Stage::Open(doors)) => Some(Arc::clone(doors)),
            _ => None,
        }
    }

    /// What is known of a tenant, and where the rest is asked.
    fn source_of(&self, tenant: &Tenant) -> TenantSource {
        TenantSource {
            key: tenant.key,
            id: tenant.id,
            name: tenant.name.clone(),
            policy: tenant.policy.clone(),
            committed: tenant.committed.clone(),
            signed_by: tenant.commits.back().map(|last| last.signed_by.iter().cloned().collect()).unwrap_or_default(),
            drift: refused(&tenant.folder),
            keys: self.directory.keys_of(Some(tenant.id)).into_iter().cloned().collect(),
            weeks: tenant.weeks.iter().cloned().collect(),
            doors: self.doors_of(tenant),
        }
    }

    /// Open tenants without a report of this week, as many as are reported on between two looks.
    fn due(&self, week: &str) -> Vec<TenantSource> {
        let is_due = |tenant: &&Tenant| {
            !tenant.destroying
                && tenant.weeks.back().is_none_or(|last| last.week.as_str() < week)
                && self.doors_of(tenant).is_some()
        };
        self.directory.tenants().filter(is_due).take(DUE_AT_ONCE).map(|tenant| self.source_of(tenant)).collect()
    }

    /// Has the map of drift drawn.
    pub(super) fn draw_drift(&self, reply: ReplySlot<DriftMap>) {
        // times of this form stand in the order of time
        let since = rfc3339(self.clock.now_unix_ms().saturating_sub(WEEK_MS));
        let source = |tenant: &Tenant| {
            let changes = tenant.commits.iter().filter(|commit| commit.committed_at >= since).count();
            DriftSource {
                name: tenant.name.clone(),
                policy: tenant.policy.clone(),
                refused: refused(&tenant.folder),
                policy_changes_7d: u64::try_from(changes).unwrap_or(u64::MAX),
                quality: self.doors_of(tenant).map(|doors| doors.quality.clone()),
            }
        };
        let read = ReadDrift { tenants: self.directory.tenants().map(source).collect(), reply };
        if let Err((read, undelivered)) = offer(&self.rooms.drift, read) {
            read.reply.answer(Err(undelivered.into()));
        }
    }

    /// The last weekly report of every tenant, by name.
    pub(super) fn last_weeks(&self) -> Vec<LastWeek> {
        let of = |tenant: &Tenant| LastWeek { tenant: tenant.name.clone(), last: tenant.weeks.back().cloned() };
        let mut tenants: Vec<_> = self.directory.tenants().map(of).collect();
        tenants.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        tenants
    }

    /// Writes down that a week's report was made.
    pub(super) fn week_reported(&mut self, reported: WeekReported, ctx: &mut Context<Self>) {
        let WeekReported { tenant, week, sha256, score, reply } = reported;
        let Some(tenant) = self.directory.tenant(tenant).filter(|tenant| !tenant.destroying) else {
            return reply.answer(Err(no_such_tenant()));
        };
        if tenant.weeks.back().is_some_and(|last| last.week >= week) {
            let detail = format!("reporting on {week}: that week, or a later one, has its report");
            return reply.answer(Err(Rejection::new(Code::Conflict, detail)));
        }
        let at_unix_ms = self.clock.now_unix_ms();
        let entry = Entry::ComplianceReported { id: tenant.id, week, sha256, score, at_unix_ms };
        self.record(vec![entry], ctx, |_act, _ctx, outcome| reply.answer(outcome));
    }

    /// Has the weekly reports of a tenant forgotten.
    pub(super) fn forget_weeks(&self, tenant: &Tenant) -> impl Future<Output = Outcome<()>> + 'static + use<> {
        let weeks = tenant.weeks.iter().map(|week| week.week.clone()).collect();
        let (reply, awaited) = ReplySlot::pair();
        let sent = offer(&self.rooms.forget_kept, ForgetKept { tenant: tenant.id, weeks, reply })
            .map_err(|(_forget, undelivered)| Rejection::from(undelivered));
        async move {
            sent?;
            awaited.outcome().await
        }
    }

    fn report(&self, tenant: &Tenant, week: Option<String>, reply: ReplySlot<Report>) {
        match week {
            None => {
                let make = MakeReport { source: Box::new(self.source_of(tenant)), reply };
                if let Err((make, undelivered)) = offer(&self.rooms.report, make) {
                    make.reply.answer(Err(undelivered.into()));
                }
            }
            Some(week) if tenant.weeks.iter().all(|kept| kept.week != week) => reply.answer(Err(not_kept())),
            Some(week) => {
                if let Err((read, undelivered)) = offer(&self.rooms.kept, ReadKept { tenant: tenant.id, week, reply }) {
                    read.reply.answer(Err(undelivered.into()));
                }
            }
        }
    }
}

impl Handler<Audited> for Registry {
    type Result = ();

    fn handle(&mut self, Audited { tenant, request }: Audited, _ctx: &mut Self::Context) {
        let tenant = self.directory.tenant(tenant).ok_or_else(no_such_tenant);
        match (request, tenant) {
            (AuditRequest::Report(week, slot), Ok(tenant)) => self.report(tenant, week, slot),
            (AuditRequest::Weeks(slot), Ok(tenant)) => slot.answer(Ok(tenant.weeks.iter().cloned().collect())),
            (AuditRequest::Report(_, slot), Err(rejection)) => slot.answer(Err(rejection)),
            (AuditRequest::Weeks(slot), Err(rejection)) => slot.answer(Err(rejection)),
        }
    }
}

impl Handler<ReadDue> for Registry {
    type Result = ();

    fn handle(&mut self, ReadDue { week, reply }: ReadDue, _ctx: &mut Self::Context) {
        reply.answer(Ok(self.due(&week)));
    }
}

impl Handler<WeekReported> for Registry {
    type Result = ();

    fn handle(&mut self, reported: WeekReported, ctx: &mut Self::Context) {
        self.enqueue(Change::Week(reported), ctx);
    }
}

impl AuditHandle {
    async fn audited<T>(&self, request: impl FnOnce(ReplySlot<T>) -> AuditRequest) -> Outcome<T> {
        call(&self.registry, |slot| Audited { tenant: self.tenant, request: request(slot) }).await
    }

    /// The compliance report of a week, or one on the tenant as it is now.
    ///
    /// # Errors
    /// `not_found` where that week has none.
    pub async fn compliance(&self, week: Option<String>) -> Outcome<Report> {
        self.audited(|slot| AuditRequest::Report(week, slot)).await
    }

    /// The weekly compliance reports, oldest first.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn weeks(&self) -> Outcome<Vec<WeekScore>> {
        self.audited(AuditRequest::Weeks).await
    }

    /// How the last seven days differ from the four weeks before.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn quality(&self) -> Outcome<QualityView> {
        call(&self.quality, |reply| ReadQuality { reply }).await
    }
}

impl FleetHandle {
    /// Where answers have changed, over all tenants.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn drift(&self) -> Outcome<DriftMap> {
        self.fleet(FleetRequest::Drift).await
    }

    /// The last weekly compliance report of every tenant, by name.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn last_weeks(&self) -> Outcome<Vec<LastWeek>> {
        self.fleet(FleetRequest::LastWeeks).await
    }
}
