//! Handles: one struct per right, minted only in this folder. No `Clone`, no serde, no public constructor. Holding
//! one is the permission, and it permits nothing else. A handle of an older generation fails closed, because the
//! address inside is dead.
use super::compliance::Audited;
use super::directory::CommitView;
use super::messages::{
    FleetRequest, GovernRequest, IssuedKey, KeyView, NewKey, NewTenant, PolicyStanding, TenantChanges, TenantFilters,
    TenantView,
};
use super::upload::Upload;
use crate::cost::messages::{CostReport, FleetCosts};
use crate::cost::rules::of_tenant;
use crate::observability::exposition::Exposition;
use actix::{Message, Recipient};
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::diff::Changes;
use bailiwick_policy::parse::FileTexts;
use bailiwick_tenant::approvals::messages::ReadApprovals;
use bailiwick_tenant::entry::{FeedbackGiven, Reconciled, SpendingApproved};
use bailiwick_tenant::erasures::messages::{AskErasure, ListErasures, ShowErasure};
use bailiwick_tenant::evaluation::messages::ReadEvaluations;
use bailiwick_tenant::feedback::messages::{Judgement, ReadFeedback};
use bailiwick_tenant::proofs::messages::{ReadCertificate, ReadHead, ReadReceipt, ReadWitness, ShowRecords};
use bailiwick_tenant::quality::messages::ReadQuality;
use bailiwick_tenant::question::Matter;
use bailiwick_tenant::retrieval::messages::{
    AdmitUpload, DocumentView, IngestDocuments, ListDocuments, RemoveDocument, ShowDocument,
};
use bailiwick_tenant::slo::messages::ReadService;
use bailiwick_tenant::spend::view::SpendQuery;
use bailiwick_tenant::supervisor::messages::{
    Admit, ExportLineage, Figures, GiveFeedback, Lineage, LineagePortion, ReadFigures, ReadFlags, ReadLineage,
    ReadPolicy, ReadRollout, ReadSpend, RoomView, Wishes,
};
use bailiwick_tenant::turn::ReplyLine;
use std::sync::Arc;

/// What every tenant handle carries beside its address.
#[derive(Debug)]
pub(super) struct Seal {
    pub(super) principal: Principal,
    pub(super) generation: Generation,
    /// After this wall-clock time a long-lived session must knock again.
    pub(super) lease_until_unix_ms: u64,
}

pub(super) async fn call<M, T>(to: &Recipient<M>, message: impl FnOnce(ReplySlot<T>) -> M) -> Outcome<T>
where
    M: Message<Result = ()> + Send + 'static,
{
    let (slot, awaited) = ReplySlot::pair();
    offer(to, message(slot)).map_err(|(_message, undelivered)| Rejection::from(undelivered))?;
    awaited.outcome().await
}

macro_rules! sealed {
    ($($handle:ident),*) => {$(
        impl $handle {
            /// Who is acting.
            #[must_use]
            pub fn principal(&self) -> &Principal {
                &self.seal.principal
            }
            /// The incarnation of the tenant this handle reaches.
            #[must_use]
            pub fn generation(&self) -> Generation {
                self.seal.generation
            }
            /// True where a long-lived session must knock again.
            #[must_use]
            pub fn lease_is_over(&self, now_unix_ms: u64) -> bool {
                now_unix_ms >= self.seal.lease_until_unix_ms
            }
        }
    )*};
}
sealed!(AskHandle, IngestHandle, FeedbackHandle, AuditHandle, ObserveHandle, GovernHandle);

/// Right `Ask` of one tenant.
#[derive(Debug)]
pub struct AskHandle {
    pub(super) seal: Seal,
    pub(super) admit: Recipient<Admit>,
}

impl AskHandle {
    /// Sends a question in. The reply comes on the line; where the mailbox is full or dead, so does the refusal.
    pub fn ask(&self, matter: Matter, wishes: Wishes, deadline_ms: Option<u64>, line: ReplyLine) {
        let message = Admit { matter, principal: self.seal.principal.clone(), wishes, deadline_ms, line };
        if let Err((message, undelivered)) = offer(&self.admit, message) {
            message.line.reject(undelivered.into());
        }
    }
}

/// Right `Ingest` of one tenant.
#[derive(Debug)]
pub struct IngestHandle {
    pub(super) seal: Seal,
    pub(super) admit_upload: Recipient<AdmitUpload>,
    pub(super) ingest: Recipient<IngestDocuments>,
    pub(super) remove: Recipient<RemoveDocument>,
    pub(super) ask_erasure: Recipient<AskErasure>,
}

impl IngestHandle {
    /// Takes a place for one upload; to be asked before its body is read.
    ///
    /// # Errors
    /// `overloaded` where the tenant has as many under way as it may; the tenant's refusal.
    pub async fn upload(&self) -> Outcome<Upload> {
        let permit = call(&self.admit_upload, |reply| AdmitUpload { reply }).await?;
        Ok(Upload { permit, principal: self.seal.principal.clone(), ingest: self.ingest.clone() })
    }

    /// Removes one document.
    ///
    /// # Errors
    /// `not_found`, `retention_violation`.
    pub async fn remove(&self, id: String) -> Outcome<()> {
        let principal = self.seal.principal.clone();
        call(&self.remove, |reply| RemoveDocument { id, principal, reply }).await
    }
}

/// Right `Feedback` of one tenant.
#[derive(Debug)]
pub struct FeedbackHandle {
    pub(super) seal: Seal,
    pub(super) feedback: Recipient<GiveFeedback>,
}

impl FeedbackHandle {
    /// Judges an answer; durable when answered.
    ///
    /// # Errors
    /// `not_found` where there is no such answer, `invalid_request` where it rejects what the answer does not cite.
    pub async fn give(&self, judgement: Judgement) -> Outcome<FeedbackGiven> {
        let principal = self.seal.principal.clone();
        let Judgement { query_id, up, comment, correct_answer, rejected } = judgement;
        call(&self.feedback, |reply| GiveFeedback { query_id, up, comment, correct_answer, rejected, principal, reply })
            .await
    }
}

/// Right `Audit` of one tenant.
#[derive(Debug)]
pub struct AuditHandle {
    pub(super) seal: Seal,
    pub(super) erasures: Recipient<ListErasures>,
    pub(super) erasure: Recipient<ShowErasure>,
    pub(super) certificate: Recipient<ReadCertificate>,
    pub(super) tenant: TenantKey,
    pub(super) registry: Recipient<Audited>,
    pub(super) quality: Recipient<ReadQuality>,
    pub(super) list: Recipient<ListDocuments>,
    pub(super) show: Recipient<ShowDocument>,
    pub(super) lineage: Recipient<ReadLineage>,
    pub(super) export: Recipient<ExportLineage>,
    pub(super) policy: Recipient<ReadPolicy>,
    pub(super) flags: Recipient<ReadFlags>,
    pub(super) rollout: Recipient<ReadRollout>,
    pub(super) approvals: Recipient<ReadApprovals>,
    pub(super) evaluations: Recipient<ReadEvaluations>,
    pub(super) judgements: Recipient<ReadFeedback>,
    pub(super) receipt: Recipient<ReadReceipt>,
    pub(super) head: Recipient<ReadHead>,
    pub(super) records: Recipient<ShowRecords>,
    pub(super) witness: Recipient<ReadWitness>,
}

impl AuditHandle {
    /// Documents in id order.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn documents(&self, after: Option<String>, limit: usize) -> Outcome<Vec<DocumentView>> {
        let principal = self.seal.principal.clone();
        call(&self.list, |reply| ListDocuments { after, limit, principal, reply }).await
    }

    /// One document with its text.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn document(&self, id: String) -> Outcome<(DocumentView, String)> {
        let principal = self.seal.principal.clone();
        call(&self.show, |reply| ShowDocument { id, principal, reply }).await
    }

    /// Every record of one answer.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn lineage(&self, query_id: String) -> Outcome<Lineage> {
        let principal = self.seal.principal.clone();
        call(&self.lineage, |reply| ReadLineage { query_id, principal, reply }).await
    }

    /// A portion of the lineage export.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn export(&self, from: u64, max: usize) -> Outcome<LineagePortion> {
        let principal = self.seal.principal.clone();
        call(&self.export, |reply| ExportLineage { from, max, principal, reply }).await
    }

    /// The policy in force: the release that came through last.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn policy(&self) -> Outcome<Arc<PolicySnapshot>> {
        Ok(call(&self.policy, |reply| ReadPolicy { reply }).await?.settled())
    }

    /// The tenant's own metrics, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self, exposition: &Exposition) -> String {
        exposition.render_of(self.tenant)
    }
}

/// Right `Observe` of one tenant.
#[derive(Debug)]
pub struct ObserveHandle {
    pub(super) seal: Seal,
    pub(super) figures: Recipient<ReadFigures>,
    pub(super) spend: Recipient<ReadSpend>,
    pub(super) service: Recipient<ReadService>,
    pub(super) policy: Recipient<ReadPolicy>,
    pub(super) flags: Recipient<ReadFlags>,
}

impl ObserveHandle {
    /// The tenant's own figures.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn figures(&self) -> Outcome<Figures> {
        call(&self.figures, |reply| ReadFigures { reply }).await
    }

    /// What the tenant spent, and where its month is heading.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn costs(&self, query: SpendQuery) -> Outcome<CostReport> {
        let view = call(&self.spend, |reply| ReadSpend { query: query.clone(), reply }).await?;
        Ok(of_tenant(query, view))
    }

    /// The policy in force, for objectives and ceilings.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn policy(&self) -> Outcome<Arc<PolicySnapshot>> {
        Ok(call(&self.policy, |reply| ReadPolicy { reply }).await?.settled())
    }
}

/// Right `Govern` of one tenant.
#[derive(Debug)]
pub struct GovernHandle {
    pub(super) seal: Seal,
    pub(super) tenant: TenantKey,
    pub(super) registry: Recipient<Governed>,
}

/// A govern request with the tenant it is for; only a [`GovernHandle`] makes one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Governed {
    pub(super) tenant: TenantKey,
    pub(super) by: Principal,
    pub(super) request: GovernRequest,
}

impl GovernHandle {
    /// Lets calls through that the budget's circuit breaker stopped, for so many milliseconds; durable when answered.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn approve_spending(&self, for_ms: u64) -> Outcome<SpendingApproved> {
        self.govern(|slot| GovernRequest::ApproveSpending(for_ms, slot)).await
    }

    /// Brings what the tenant's folder holds now into force; answered when it is.
    ///
    /// # Errors
    /// `policy_denied` with everything that keeps it from coming into force.
    pub async fn commit_folder(&self) -> Outcome<TenantView> {
        self.govern(GovernRequest::CommitFolder).await
    }

    /// Which requests the folder's newest files would decide otherwise than the policy in force.
    ///
    /// # Errors
    /// `policy_denied` where they do not compile.
    pub async fn compare_folder(&self) -> Outcome<Changes> {
        self.govern(GovernRequest::CompareFolder).await
    }

    /// The last policies that came into force, newest last.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn commits(&self) -> Outcome<Vec<CommitView>> {
        self.govern(GovernRequest::Commits).await
    }

    pub(super) async fn govern<T>(&self, request: impl FnOnce(ReplySlot<T>) -> GovernRequest) -> Outcome<T> {
        call(&self.registry, |slot| Governed {
            tenant: self.tenant,
            by: self.seal.principal.clone(),
            request: request(slot),
        })
        .await
    }

    /// Issues a key; its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// `forbidden` for a role above the caller's.
    pub async fn issue_key(&self, new: NewKey) -> Outcome<IssuedKey> {
        self.govern(|slot| GovernRequest::Issue(new, slot)).await
    }

    /// Lists keys.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn keys(&self) -> Outcome<Vec<KeyView>> {
        self.govern(GovernRequest::List).await
    }

    /// Revokes a key; in force when answered.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn revoke_key(&self, key_id: String) -> Outcome<KeyView> {
        self.govern(|slot| GovernRequest::Revoke(key_id, slot)).await
    }

    /// Revokes a key and issues its successor.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn rotate_key(&self, key_id: String) -> Outcome<IssuedKey> {
        self.govern(|slot| GovernRequest::Rotate(key_id, slot)).await
    }
}

/// Right `Fleet`: the platform operator's.
#[derive(Debug)]
pub struct FleetHandle {
    pub(super) by: Principal,
    pub(super) registry: Recipient<Fleet>,
}

/// A fleet request; only a [`FleetHandle`] makes one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Fleet {
    pub(super) by: Principal,
    pub(super) request: FleetRequest,
}

impl FleetHandle {
    /// Who is acting.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.by
    }

    pub(super) async fn fleet<T>(&self, request: impl FnOnce(ReplySlot<T>) -> FleetRequest) -> Outcome<T> {
        call(&self.registry, |slot| Fleet { by: self.by.clone(), request: request(slot) }).await
    }

    /// createTenant (specification 2.2).
    ///
    /// # Errors
    /// `conflict` where the name or id is taken, `invalid_request` where the record is not valid.
    pub async fn create(&self, new: NewTenant) -> Outcome<TenantView> {
        self.fleet(|slot| FleetRequest::Create(new, slot)).await
    }

    /// A tenant comes with files of its own: those another node has shown.
    ///
    /// # Errors
    /// `conflict` where its name or id is taken, `invalid_request` where its files do not stand.
    pub async fn take_in(&self, texts: FileTexts) -> Outcome<TenantView> {
        self.fleet(|slot| FleetRequest::TakeIn(texts, slot)).await
    }

    /// The files of a tenant's folder, as they stand there.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn files(&self, name: String) -> Outcome<FileTexts> {
        self.fleet(|slot| FleetRequest::Files(name, slot)).await
    }

    /// getTenant, by name or uuid.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get(&self, tenant: String) -> Outcome<TenantView> {
        self.fleet(|slot| FleetRequest::Get(tenant, slot)).await
    }

    /// updateTenant.
    ///
    /// # Errors
    /// `not_found`, `invalid_request`.
    pub async fn update(&self, tenant: String, changes: TenantChanges) -> Outcome<TenantView> {
        self.fleet(|slot| FleetRequest::Update(tenant, changes, slot)).await
    }

    /// listTenants.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn list(&self, filters: TenantFilters) -> Outcome<Vec<TenantView>> {
        self.fleet(|slot| FleetRequest::List(filters, slot)).await
    }

    /// Settles what crashes left open by the providers' statements; durable when answered.
    ///
    /// # Errors
    /// `not_found`; `conflict` where nothing is open.
    pub async fn reconcile(&self, tenant: String, charged: NanoUsd) -> Outcome<Reconciled> {
        self.fleet(|slot| FleetRequest::Reconcile(tenant, charged, slot)).await
    }

    /// suspendTenant: old handles fail closed when answered.
    ///
    /// # Errors
    /// `not_found`, `conflict`.
    pub async fn suspend(&self, tenant: String, reason: String) -> Outcome<TenantView> {
        self.fleet(|slot| FleetRequest::Suspend(tenant, reason, slot)).await
    }

    /// Ends a suspension, an archive or a quarantine.
    ///
    /// # Errors
    /// `not_found`, `conflict`.
    pub async fn resume(&self, tenant: String) -> Outcome<TenantView> {
        self.fleet(|slot| FleetRequest::Resume(tenant, slot)).await
    }

    /// Archives.
    ///
    /// # Errors
    /// `not_found`, `conflict`.
    pub async fn archive(&self, tenant: String) -> Outcome<TenantView> {
        self.fleet(|slot| FleetRequest::Archive(tenant, slot)).await
    }

    /// deleteTenant: soft, or with everything destroyed where `shred`.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete(&self, tenant: String, shred: bool) -> Outcome<TenantView> {
        self.fleet(|slot| FleetRequest::Delete(tenant, shred, slot)).await
    }

    /// What the fleet spent, and which tenants did not say.
    ///
    /// # Errors
    /// `too_large` where the rows are more than a report may have.
    pub async fn costs(&self, query: SpendQuery) -> Outcome<FleetCosts> {
        self.fleet(|slot| FleetRequest::Costs(query, slot)).await
    }

    /// What the policies of every tenant come to: conflicts and drift.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn policies(&self) -> Outcome<Vec<PolicyStanding>> {
        self.fleet(FleetRequest::Policies).await
    }

    /// The live tree.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn actors(&self) -> Outcome<Vec<RoomView>> {
        self.fleet(FleetRequest::Actors).await
    }
}
