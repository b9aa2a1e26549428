//! The mint: turns an admission and a tenant's doors into the one handle that was wanted.
use super::compliance::Audited;
use super::handles::{
    AskHandle, AuditHandle, FeedbackHandle, Fleet, FleetHandle, GovernHandle, Governed, IngestHandle, ObserveHandle,
    Seal,
};
use super::messages::Wanted;
use super::rules::Admission;
use actix::Recipient;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::access::Right;
use bailiwick_tenant::supervisor::doors::Doors;

/// The right a knock is for.
pub(super) fn right_of(wanted: &Wanted) -> Right {
    match wanted {
        Wanted::Ask(_) => Right::Ask,
        Wanted::Ingest(_) => Right::Ingest,
        Wanted::Feedback(_) => Right::Feedback,
        Wanted::Audit(_) => Right::Audit,
        Wanted::Observe(_) => Right::Observe,
        Wanted::Govern(_) => Right::Govern,
        Wanted::Fleet(_) => Right::Fleet,
    }
}

/// Answers a knock with a refusal.
pub(super) fn refuse(wanted: Wanted, rejection: Rejection) {
    match wanted {
        Wanted::Ask(slot) => slot.answer(Err(rejection)),
        Wanted::Ingest(slot) => slot.answer(Err(rejection)),
        Wanted::Feedback(slot) => slot.answer(Err(rejection)),
        Wanted::Audit(slot) => slot.answer(Err(rejection)),
        Wanted::Observe(slot) => slot.answer(Err(rejection)),
        Wanted::Govern(slot) => slot.answer(Err(rejection)),
        Wanted::Fleet(slot) => slot.answer(Err(rejection)),
    }
}

/// The incarnation a handle reaches, and where what concerns its tenant is asked beside it.
#[derive(Clone, Debug)]
pub(super) struct Within {
    pub(super) tenant: TenantKey,
    pub(super) generation: Generation,
    pub(super) registry: Recipient<Audited>,
}

fn seal(admission: Admission, generation: Generation) -> Seal {
    Seal { principal: admission.principal, generation, lease_until_unix_ms: admission.lease_until_unix_ms }
}

/// Answers a knock at an open tenant's door. What needs no rooms is refused here, because it is granted elsewhere.
pub(super) fn grant(wanted: Wanted, admission: Admission, within: &Within, doors: &Doors) {
    let seal = seal(admission, within.generation);
    match wanted {
        Wanted::Ask(slot) => slot.answer(Ok(AskHandle { seal, admit: doors.admit.clone() })),
        Wanted::Ingest(slot) => slot.answer(Ok(IngestHandle {
            seal,
            admit_upload: doors.admit_upload.clone(),
            ingest: doors.ingest.clone(),
            remove: doors.remove.clone(),
            ask_erasure: doors.ask_erasure.clone(),
        })),
        Wanted::Feedback(slot) => slot.answer(Ok(FeedbackHandle { seal, feedback: doors.feedback.clone() })),
        Wanted::Audit(slot) => slot.answer(Ok(AuditHandle {
            seal,
            erasures: doors.erasures.clone(),
            erasure: doors.erasure.clone(),
            certificate: doors.certificate.clone(),
            tenant: within.tenant,
            registry: within.registry.clone(),
            quality: doors.quality.clone(),
            list: doors.list.clone(),
            show: doors.show.clone(),
            lineage: doors.lineage.clone(),
            export: doors.export.clone(),
            policy: doors.policy.clone(),
            flags: doors.flags.clone(),
            rollout: doors.rollout.clone(),
            approvals: doors.approvals.clone(),
            evaluations: doors.evaluations.clone(),
            judgements: doors.judgements.clone(),
            receipt: doors.receipt.clone(),
            head: doors.head.clone(),
            records: doors.records.clone(),
            witness: doors.witness.clone(),
        })),
        Wanted::Observe(slot) => slot.answer(Ok(ObserveHandle {
            seal,
            figures: doors.figures.clone(),
            spend: doors.spend.clone(),
            service: doors.service.clone(),
            policy: doors.policy.clone(),
            flags: doors.flags.clone(),
        })),
        other @ (Wanted::Govern(_) | Wanted::Fleet(_)) => {
            refuse(other, Rejection::new(Code::Internal, "this right opens no room"))
        }
    }
}

/// Answers a knock for the right to govern one tenant; its rooms need not be open.
pub(super) fn grant_governing(
    wanted: Wanted,
    admission: Admission,
    tenant: TenantKey,
    generation: Generation,
    registry: Recipient<Governed>,
) {
    match wanted {
        Wanted::Govern(slot) => slot.answer(Ok(GovernHandle { seal: seal(admission, generation), tenant, registry })),
        other => refuse(other, Rejection::new(Code::Internal, "this right governs nothing")),
    }
}

/// Answers a knock for the fleet.
pub(super) fn grant_fleet(wanted: Wanted, admission: Admission, registry: Recipient<Fleet>) {
    match wanted {
        Wanted::Fleet(slot) => slot.answer(Ok(FleetHandle { by: admission.principal, registry })),
        other => refuse(other, Rejection::new(Code::Internal, "this right is not the fleet's")),
    }
}
