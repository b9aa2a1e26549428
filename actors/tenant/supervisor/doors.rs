//! The addresses of one incarnation of a tenant, one per message. Given to the registry and to nobody else.
use super::actor::Supervisor;
use crate::approvals::messages::{DecideApproval, ReadApprovals};
use crate::budget::messages::{ApproveSpending, Reconcile};
use crate::erasures::messages::{AskErasure, CountOverdue, ListErasures, ShowErasure};
use crate::evaluation::messages::{Evaluate, ReadEvaluationDue, ReadEvaluations};
use crate::feedback::messages::{ReadFeedback, RestoreTrust};
use crate::imports::messages::ImportLineage;
use crate::proofs::messages::{
    PublishHead, ReadCertificate, ReadHead, ReadReceipt, ReadTaken, ReadWitness, ShowRecords, VerifyJournal,
    WitnessHead,
};
use crate::quality::messages::ReadQuality;
use crate::retrieval::messages::{
    AdmitUpload, IngestDocuments, ListDocuments, RemoveDocument, ShowDocument, SteerWeight,
};
use crate::slo::messages::{OverrideFreeze, ReadService};
use crate::supervisor::messages::{
    Admit, AdoptPolicy, AuditAnswers, Close, ExportLineage, GiveFeedback, Inspect, ReadFigures, ReadFlags, ReadLineage,
    ReadPolicy, ReadRollout, ReadSpend, Rehearse, SteerRollout,
};
use actix::{Addr, Recipient};

/// Where each message of a tenant goes. A respawned tenant has new ones; these stay dead.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Right `Ask`.
    pub admit: Recipient<Admit>,
    /// Right `Ingest`.
    pub admit_upload: Recipient<AdmitUpload>,
    /// Right `Ingest`.
    pub ingest: Recipient<IngestDocuments>,
    /// Right `Ingest`.
    pub remove: Recipient<RemoveDocument>,
    /// Right `Ingest`.
    pub ask_erasure: Recipient<AskErasure>,
    /// Right `Audit`.
    pub erasures: Recipient<ListErasures>,
    /// Right `Audit`.
    pub erasure: Recipient<ShowErasure>,
    /// Right `Audit`.
    pub certificate: Recipient<ReadCertificate>,
    /// Right `Audit`.
    pub list: Recipient<ListDocuments>,
    /// Right `Audit`.
    pub show: Recipient<ShowDocument>,
    /// Right `Feedback`.
    pub feedback: Recipient<GiveFeedback>,
    /// Right `Audit`.
    pub lineage: Recipient<ReadLineage>,
    /// Right `Audit`.
    pub export: Recipient<ExportLineage>,
    /// Right `Audit`.
    pub receipt: Recipient<ReadReceipt>,
    /// Right `Audit`.
    pub head: Recipient<ReadHead>,
    /// Right `Audit`.
    pub records: Recipient<ShowRecords>,
    /// Right `Audit`.
    pub witness: Recipient<ReadWitness>,
    /// The publisher's.
    pub publish: Recipient<PublishHead>,
    /// The publisher's.
    pub take: Recipient<WitnessHead>,
    /// The publisher's.
    pub taken: Recipient<ReadTaken>,
    /// The compliance room's.
    pub verify: Recipient<VerifyJournal>,
    /// The compliance room's.
    pub overdue: Recipient<CountOverdue>,
    /// Right `Audit`, and the drift room's.
    pub quality: Recipient<ReadQuality>,
    /// Right `Observe`.
    pub figures: Recipient<ReadFigures>,
    /// Right `Observe`, and the cost room's.
    pub spend: Recipient<ReadSpend>,
    /// Right `Observe`, and the SLO room's.
    pub service: Recipient<ReadService>,
    /// Right `Govern`.
    pub override_freeze: Recipient<OverrideFreeze>,
    /// Rights `Audit` and `Observe`.
    pub policy: Recipient<ReadPolicy>,
    /// Rights `Audit` and `Observe`.
    pub flags: Recipient<ReadFlags>,
    /// Right `Govern`.
    pub approve: Recipient<ApproveSpending>,
    /// Right `Audit`.
    pub rollout: Recipient<ReadRollout>,
    /// Right `Govern`.
    pub steer: Recipient<SteerRollout>,
    /// Right `Audit`.
    pub approvals: Recipient<ReadApprovals>,
    /// Right `Govern`.
    pub decide: Recipient<DecideApproval>,
    /// Right `Govern`.
    pub import: Recipient<ImportLineage>,
    /// Right `Fleet`.
    pub reconcile: Recipient<Reconcile>,
    /// The policy service's.
    pub adopt: Recipient<AdoptPolicy>,
    /// The watchdog's.
    pub audit: Recipient<AuditAnswers>,
    /// Right `Govern`.
    pub evaluate: Recipient<Evaluate>,
    /// The schedule's.
    pub evaluation_due: Recipient<ReadEvaluationDue>,
    /// Right `Audit`.
    pub evaluations: Recipient<ReadEvaluations>,
    /// Right `Audit`.
    pub judgements: Recipient<ReadFeedback>,
    /// Right `Govern`.
    pub restore_trust: Recipient<RestoreTrust>,
    /// Right `Govern`.
    pub steer_weight: Recipient<SteerWeight>,
    /// The policy service's.
    pub rehearse: Recipient<Rehearse>,
    /// Observability's.
    pub inspect: Recipient<Inspect>,
    /// The registry's.
    pub close: Recipient<Close>,
}

impl Doors {
    pub(super) fn of(address: &Addr<Supervisor>) -> Self {
        Self {
            admit: address.clone().recipient(),
            admit_upload: address.clone().recipient(),
            ingest: address.clone().recipient(),
            remove: address.clone().recipient(),
            ask_erasure: address.clone().recipient(),
            erasures: address.clone().recipient(),
            erasure: address.clone().recipient(),
            certificate: address.clone().recipient(),
            list: address.clone().recipient(),
            show: address.clone().recipient(),
            feedback: address.clone().recipient(),
            lineage: address.clone().recipient(),
            export: address.clone().recipient(),
            receipt: address.clone().recipient(),
            head: address.clone().recipient(),
            records: address.clone().recipient(),
            witness: address.clone().recipient(),
            publish: address.clone().recipient(),
            take: address.clone().recipient(),
            taken: address.clone().recipient(),
            verify: address.clone().recipient(),
            overdue: address.clone().recipient(),
            quality: address.clone().recipient(),
            figures: address.clone().recipient(),
            spend: address.clone().recipient(),
            service: address.clone().recipient(),
            override_freeze: address.clone().recipient(),
            policy: address.clone().recipient(),
            flags: address.clone().recipient(),
            approve: address.clone().recipient(),
            rollout: address.clone().recipient(),
            steer: address.clone().recipient(),
            approvals: address.clone().recipient(),
            decide: address.clone().recipient(),
            import: address.clone().recipient(),
            reconcile: address.clone().recipient(),
            adopt: address.clone().recipient(),
            audit: address.clone().recipient(),
            evaluate: address.clone().recipient(),
            evaluation_due: address.clone().recipient(),
            evaluations: address.clone().recipient(),
            judgements: address.clone().recipient(),
            restore_trust: address.clone().recipient(),
            steer_weight: address.clone().recipient(),
            rehearse: address.clone().recipient(),
            inspect: address.clone().recipient(),
            close: address.clone().recipient(),
        }
    }
}
