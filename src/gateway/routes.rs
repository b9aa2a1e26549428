//! The route table as data: method, path, right. Mounted, documented and tested from this one list.
use super::admin::{ActorList, SuspendBody, TenantList};
use super::approvals::{ApprovalList, DecideBody, FleetApprovals};
use super::ask::AskBody;
use super::backups::BackupBody;
use super::costs::UsageView;
use super::documents::{DocumentList, DocumentText, IngestAnswer};
use super::erasures::{ErasureBody, ErasureList};
use super::feedback::FeedbackBody;
use super::figures::{QuotaView, SloView};
use super::heeded::TOLD_AGAIN;
use super::imports::{ImportBody, ImportedBody};
use super::keys::KeyList;
use super::money::{ApproveBody, ApprovedView, ReconcileBody, ReconciledView};
use super::moving::TenantFiles;
use super::ofrep::{EvaluationBody, FlagAnswer, FlagAnswers, FlagsView, NOT_CHANGED};
use super::openai_shape::{ModelList, ModelView};
use super::policies::{CommitLog, ConflictMap, ReleaseFiles, ReleaseList, RolloutAnswer};
use super::probes::Health;
use super::reports::{FleetWeeks, WeekList};
use super::route::{Route, route};
use super::search::{SearchAnswer, SearchBody};
use super::service::OverrideBody;
use super::upload::DocumentsBody;
use super::{
    admin, approvals, ask, audit, backups, costs, documents, encryption, erasures, evaluations, feedback, figures,
    imports, keys, lineage, money, moving, ofrep, openai, openapi, policies, probes, receipts, reports, search,
    service, session,
};
use bailiwick_control::audit::trail::AuditPage;
use bailiwick_control::backup::views::{PointView, PruneView};
use bailiwick_control::compliance::report::Report;
use bailiwick_control::cost::messages::{CostReport, FleetCosts};
use bailiwick_control::drift::messages::DriftMap;
use bailiwick_control::registry::encryption::EncryptionView;
use bailiwick_control::registry::messages::{IssuedKey, KeyView, NewKey, NewTenant, TenantChanges, TenantView};
use bailiwick_control::slo::messages::FleetServices;
use bailiwick_policy::access::Right::{Ask, Audit, Feedback, Fleet, Govern, Ingest, Observe};
use bailiwick_policy::dense::Learnt;
use bailiwick_policy::rehearsal::Rehearsal;
use bailiwick_tenant::approvals::messages::ApprovalView;
use bailiwick_tenant::entry::FeedbackGiven;
use bailiwick_tenant::erasures::messages::ErasureView;
use bailiwick_tenant::evaluation::Progress;
use bailiwick_tenant::evaluation::messages::Evaluations;
use bailiwick_tenant::feedback::messages::FeedbackView;
use bailiwick_tenant::imports::messages::ImportView;
use bailiwick_tenant::proofs::certificates::ErasureCertificate;
use bailiwick_tenant::proofs::forms::{Receipt, SignedHead};
use bailiwick_tenant::quality::messages::QualityView;
use bailiwick_tenant::question::Answer;
use bailiwick_tenant::slo::rules::ReleasesView;
use bailiwick_tenant::supervisor::messages::Lineage;
use serde_json::{Map, Value};

/// A free JSON object.
type Object = Map<String, Value>;

/// Every route of the gateway.
pub const ROUTES: &[Route] = &[
    route("POST", "/v1/ask", Some(Ask), "Answer a question from the tenant's documents", |r| r.to(ask::ask))
        .takes::<AskBody>()
        .heeds(TOLD_AGAIN)
        .gives::<Answer>(200),
    route("GET", "/v1/session", Some(Ask), "Ask over a WebSocket", |r| r.to(session::open)).answers(101),
    route("POST", "/v1/search", Some(Ask), "Search the tenant's documents", |r| r.to(search::search))
        .takes::<SearchBody>()
        .gives::<SearchAnswer<'static>>(200),
    route("POST", "/v1/documents", Some(Ingest), "Take documents in; durable when answered", |r| r.to(documents::add))
        .takes::<DocumentsBody>()
        .gives::<IngestAnswer>(201),
    route("GET", "/v1/documents", Some(Audit), "List documents in id order", |r| r.to(documents::list))
        .gives::<DocumentList>(200),
    route("GET", "/v1/documents/{id}", Some(Audit), "Show a document with its text", |r| r.to(documents::show))
        .gives::<DocumentText>(200),
    route("DELETE", "/v1/documents/{id}", Some(Ingest), "Remove a document", |r| r.to(documents::remove)).answers(204),
    route("POST", "/v1/erasures", Some(Ingest), "Ask for an erasure; done as soon as nothing keeps it", |r| {
        r.to(erasures::ask)
    })
    .takes::<ErasureBody>()
    .gives::<ErasureView>(202),
    route("GET", "/v1/erasures", Some(Audit), "List requests for erasure", |r| r.to(erasures::list))
        .gives::<ErasureList>(200),
    route("GET", "/v1/erasures/{id}", Some(Audit), "A request for erasure, with what keeps its documents", |r| {
        r.to(erasures::show)
    })
    .gives::<ErasureView>(200),
    route(
        "GET",
        "/v1/erasures/{id}/certificate",
        Some(Audit),
        "The signed certificate of an erasure that is done",
        |r| r.to(erasures::certificate),
    )
    .gives::<ErasureCertificate>(200),
    route("POST", "/v1/feedback", Some(Feedback), "Judge an answer", |r| r.to(feedback::give))
        .takes::<FeedbackBody>()
        .gives::<FeedbackGiven>(201),
    route("GET", "/v1/lineage", Some(Audit), "Every record of one answer", |r| r.to(lineage::of_answer))
        .gives::<Lineage>(200),
    route(
        "GET",
        "/v1/lineage/export",
        Some(Audit),
        "All lineage, one JSON line per cited chunk; format=openlineage or prov for theirs",
        |r| r.to(lineage::export),
    ),
    route("GET", "/v1/receipts", Some(Audit), "What proves an answer to somebody who does not trust this node", |r| {
        r.to(receipts::of_answer)
    })
    .gives::<Receipt>(200),
    route("GET", "/v1/receipts/checkpoint", Some(Audit), "The head of the journal's Merkle tree, signed", |r| {
        r.to(receipts::checkpoint)
    })
    .gives::<SignedHead>(200),
    route(
        "GET",
        "/v1/receipts/witnessed",
        Some(Audit),
        "The proof that this tenant holds a head of another journal",
        |r| r.to(receipts::witnessed),
    )
    .gives::<Receipt>(200),
    route("GET", "/v1/receipts/export", Some(Audit), "The whole journal with its signed head, to be verified", |r| {
        r.to(receipts::export)
    }),
    route("GET", "/v1/usage", Some(Observe), "The tenant's own figures, costs and forecast", |r| r.to(costs::usage))
        .gives::<UsageView>(200),
    route("GET", "/v1/slo", Some(Observe), "Objectives and what was measured", |r| r.to(figures::slo))
        .gives::<SloView>(200),
    route("GET", "/v1/policy", Some(Audit), "The policy in force", |r| r.to(figures::policy)).gives::<Object>(200),
    route(
        "POST",
        "/v1/chat/completions",
        Some(Ask),
        "OpenAI chat completions; model bailiwick answers from documents",
        |r| r.to(openai::chat),
    )
    .takes::<Object>()
    .heeds(TOLD_AGAIN)
    .gives::<Object>(200),
    route("POST", "/v1/embeddings", Some(Ask), "OpenAI embeddings", |r| r.to(openai::embeddings))
        .takes::<Object>()
        .heeds(TOLD_AGAIN)
        .gives::<Object>(200),
    route("GET", "/v1/models", Some(Observe), "Models this tenant may name", |r| r.to(openai::models))
        .gives::<ModelList>(200),
    route("GET", "/v1/models/{model}", Some(Observe), "One model", |r| r.to(openai::model)).gives::<ModelView>(200),
    route("POST", "/ofrep/v1/evaluate/flags", Some(Observe), "OpenFeature: every flag for a context", |r| {
        r.to(ofrep::all)
    })
    .takes::<EvaluationBody>()
    .heeds(NOT_CHANGED)
    .gives::<FlagAnswers<'static>>(200),
    route("POST", "/ofrep/v1/evaluate/flags/{key}", Some(Observe), "OpenFeature: one flag for a context", |r| {
        r.to(ofrep::one)
    })
    .takes::<EvaluationBody>()
    .gives::<FlagAnswer<'static>>(200),
    route("GET", "/admin/v1/tenants", Some(Fleet), "List tenants, filtered", |r| r.to(admin::list))
        .gives::<TenantList>(200),
    route("POST", "/admin/v1/tenants", Some(Fleet), "Create a tenant", |r| r.to(admin::create))
        .takes::<NewTenant>()
        .gives::<TenantView>(201),
    route("POST", "/admin/v1/imports", Some(Fleet), "Make a tenant of files of its own", |r| r.to(moving::take_in))
        .takes::<TenantFiles>()
        .gives::<TenantView>(201),
    route("GET", "/admin/v1/tenants/{id}", Some(Fleet), "Show a tenant", |r| r.to(admin::show))
        .gives::<TenantView>(200),
    route("PATCH", "/admin/v1/tenants/{id}", Some(Fleet), "Change a tenant; absent fields stay", |r| {
        r.to(admin::update)
    })
    .takes::<TenantChanges>()
    .gives::<TenantView>(200),
    route("PUT", "/admin/v1/tenants/{id}", Some(Fleet), "As PATCH", |r| r.to(admin::update))
        .takes::<TenantChanges>()
        .gives::<TenantView>(200),
    route("DELETE", "/admin/v1/tenants/{id}", Some(Fleet), "Delete softly, or destroy with shred=true", |r| {
        r.to(admin::delete)
    })
    .gives::<TenantView>(200),
    route("GET", "/admin/v1/tenants/{id}/files", Some(Fleet), "The files of a tenant's folder", |r| r.to(moving::show))
        .gives::<TenantFiles>(200),
    route("POST", "/admin/v1/tenants/{id}/suspend", Some(Fleet), "Suspend; old handles fail when answered", |r| {
        r.to(admin::suspend)
    })
    .takes::<SuspendBody>()
    .gives::<TenantView>(200),
    route("POST", "/admin/v1/tenants/{id}/resume", Some(Fleet), "End a suspension, archive or quarantine", |r| {
        r.to(admin::resume)
    })
    .gives::<TenantView>(200),
    route("POST", "/admin/v1/tenants/{id}/archive", Some(Fleet), "Archive", |r| r.to(admin::archive))
        .gives::<TenantView>(200),
    route("GET", "/admin/v1/tenants/{id}/keys", Some(Govern), "List keys", |r| r.to(keys::list)).gives::<KeyList>(200),
    route("POST", "/admin/v1/tenants/{id}/keys", Some(Govern), "Issue a key; its secret is in this answer only", |r| {
        r.to(keys::issue)
    })
    .takes::<NewKey>()
    .gives::<IssuedKey>(201),
    route("DELETE", "/admin/v1/tenants/{id}/keys/{key_id}", Some(Govern), "Revoke a key", |r| r.to(keys::revoke))
        .gives::<KeyView>(200),
    route(
        "POST",
        "/admin/v1/tenants/{id}/keys/{key_id}/rotate",
        Some(Govern),
        "Revoke a key and issue its successor",
        |r| r.to(keys::rotate),
    )
    .gives::<IssuedKey>(201),
    route(
        "GET",
        "/admin/v1/tenants/{id}/encryption",
        Some(Govern),
        "Versions of the key its data are sealed under",
        |r| r.to(encryption::show),
    )
    .gives::<EncryptionView>(200),
    route(
        "POST",
        "/admin/v1/tenants/{id}/encryption/rotate",
        Some(Govern),
        "Seal under a new version of that key",
        |r| r.to(encryption::rotate),
    )
    .gives::<EncryptionView>(200),
    route("GET", "/admin/v1/tenants/{id}/documents", Some(Audit), "List a tenant's documents", |r| {
        r.to(documents::of_tenant)
    })
    .gives::<DocumentList>(200),
    route("GET", "/admin/v1/tenants/{id}/lineage", Some(Audit), "Lineage of query_id, or all as JSON lines", |r| {
        r.to(lineage::of_tenant)
    }),
    route(
        "POST",
        "/admin/v1/tenants/{id}/lineage/import",
        Some(Govern),
        "Take lines of lineage in that another system wrote; each once",
        |r| r.to(imports::take),
    )
    .takes::<ImportBody>()
    .gives::<ImportView>(200),
    route(
        "POST",
        "/admin/v1/tenants/{id}/lineage/import/withdraw",
        Some(Govern),
        "Take an import of lineage back, unless it was confirmed",
        |r| r.to(imports::withdraw),
    )
    .takes::<ImportedBody>()
    .gives::<ImportView>(200),
    route(
        "POST",
        "/admin/v1/tenants/{id}/lineage/import/keep",
        Some(Govern),
        "Confirm an import of lineage: it stays",
        |r| r.to(imports::keep),
    )
    .takes::<ImportedBody>()
    .gives::<ImportView>(200),
    route("GET", "/admin/v1/tenants/{id}/policies", Some(Audit), "The policy in force", |r| {
        r.to(figures::tenant_policies)
    })
    .gives::<Object>(200),
    route("GET", "/admin/v1/tenants/{id}/router", Some(Audit), "Router rules in force", |r| {
        r.to(figures::tenant_router)
    })
    .gives::<Object>(200),
    route("GET", "/admin/v1/tenants/{id}/sovereignty", Some(Audit), "Sovereignty rules in force", |r| {
        r.to(figures::tenant_sovereignty)
    })
    .gives::<Object>(200),
    route(
        "GET",
        "/admin/v1/tenants/{id}/flags",
        Some(Audit),
        "Flags as written, and what has switched them off",
        |r| r.to(ofrep::of_tenant),
    )
    .gives::<FlagsView<'static>>(200),
    route("GET", "/admin/v1/tenants/{id}/users", Some(Audit), "Users and roles", |r| r.to(figures::tenant_users))
        .gives::<Object>(200),
    route("GET", "/admin/v1/tenants/{id}/budget", Some(Observe), "Money spent, held and allowed", |r| {
        r.to(figures::tenant_budget)
    })
    .gives::<Object>(200),
    route(
        "POST",
        "/admin/v1/tenants/{id}/budget/reconcile",
        Some(Fleet),
        "Settle by statements what a crash left open",
        |r| r.to(money::reconcile),
    )
    .takes::<ReconcileBody>()
    .gives::<ReconciledView>(200),
    route(
        "POST",
        "/admin/v1/tenants/{id}/budget/approve",
        Some(Govern),
        "Approve spending beyond the circuit breaker",
        |r| r.to(money::approve),
    )
    .takes::<ApproveBody>()
    .gives::<ApprovedView>(200),
    route("GET", "/admin/v1/tenants/{id}/quota", Some(Observe), "Quotas and their use", |r| {
        r.to(figures::tenant_quota)
    })
    .gives::<QuotaView>(200),
    route("GET", "/admin/v1/tenants/{id}/slo", Some(Observe), "Objectives and what was measured", |r| {
        r.to(figures::tenant_slo)
    })
    .gives::<SloView>(200),
    route("GET", "/admin/v1/tenants/{id}/feedback", Some(Audit), "What followed from judgements of answers", |r| {
        r.to(feedback::list)
    })
    .gives::<FeedbackView>(200),
    route("DELETE", "/admin/v1/tenants/{id}/feedback/{document}", Some(Govern), "Trust a document again", |r| {
        r.to(feedback::restore)
    })
    .gives::<FeedbackView>(200),
    route(
        "GET",
        "/admin/v1/tenants/{id}/metrics",
        Some(Audit),
        "Prometheus' text format: the tenant's own figures",
        |r| r.to(admin::tenant_metrics),
    ),
    route("GET", "/admin/v1/tenants/{id}/evals", Some(Audit), "How golden questions went", |r| r.to(evaluations::list))
        .gives::<Evaluations>(200),
    route("POST", "/admin/v1/tenants/{id}/evals", Some(Govern), "Ask the golden questions", |r| r.to(evaluations::run))
        .gives::<Progress>(202),
    route("DELETE", "/admin/v1/tenants/{id}/weight", Some(Govern), "Take the learnt weight of meaning back", |r| {
        r.to(evaluations::take_weight_back)
    })
    .gives::<Learnt>(200),
    route("POST", "/admin/v1/tenants/{id}/weight", Some(Govern), "Let the weight of meaning be learnt again", |r| {
        r.to(evaluations::allow_weight)
    })
    .gives::<Learnt>(200),
    route(
        "POST",
        "/admin/v1/tenants/{id}/slo/override",
        Some(Govern),
        "Release in spite of a freeze, when a second person says the same",
        |r| r.to(service::override_freeze),
    )
    .takes::<OverrideBody>()
    .gives::<ReleasesView>(200),
    route("GET", "/admin/v1/slo", Some(Fleet), "Error budgets, alarms and freezes of the fleet", |r| {
        r.to(service::fleet)
    })
    .gives::<FleetServices>(200),
    route("GET", "/admin/v1/tenants/{id}/costs", Some(Observe), "What a tenant spent, and its forecast", |r| {
        r.to(costs::tenant)
    })
    .gives::<CostReport>(200),
    route("GET", "/admin/v1/costs", Some(Fleet), "What the fleet spent, and its forecast", |r| r.to(costs::fleet))
        .gives::<FleetCosts>(200),
    route("GET", "/admin/v1/costs/export", Some(Fleet), "Costs as CSV in the columns of FOCUS 1.2", |r| {
        r.to(costs::export)
    }),
    route("GET", "/admin/v1/tenants/{id}/reports", Some(Audit), "Weekly compliance reports of a tenant", |r| {
        r.to(reports::weeks)
    })
    .gives::<WeekList>(200),
    route(
        "GET",
        "/admin/v1/tenants/{id}/reports/compliance",
        Some(Audit),
        "Compliance of a tenant now, or as reported in a week; format=pdf for a file",
        |r| r.to(reports::compliance),
    )
    .gives::<Report>(200),
    route("GET", "/admin/v1/tenants/{id}/drift", Some(Audit), "How a tenant's last seven days differ", |r| {
        r.to(reports::quality)
    })
    .gives::<QualityView>(200),
    route("GET", "/admin/v1/reports", Some(Fleet), "The last weekly compliance score of every tenant", |r| {
        r.to(reports::fleet)
    })
    .gives::<FleetWeeks>(200),
    route("GET", "/admin/v1/reports/tenant-drift-map.json", Some(Fleet), "Where answers have changed", |r| {
        r.to(reports::drift)
    })
    .gives::<DriftMap>(200),
    route("GET", "/admin/v1/drift", Some(Fleet), "Where answers have changed, over all tenants", |r| {
        r.to(reports::drift)
    })
    .gives::<DriftMap>(200),
    route("GET", "/admin/v1/conflicts", Some(Fleet), "Conflicts of the rules, over all tenants", |r| {
        r.to(policies::map)
    })
    .gives::<ConflictMap>(200),
    route("GET", "/admin/v1/policies/{id}/conflicts", Some(Audit), "Conflicts of one tenant's rules", |r| {
        r.to(policies::of_tenant)
    })
    .gives::<Object>(200),
    route("GET", "/admin/v1/policies/{id}/diff", Some(Govern), "What the folder's newest rules would change", |r| {
        r.to(policies::diff)
    })
    .gives::<Object>(200),
    route("POST", "/admin/v1/policies/{id}/commit", Some(Govern), "Bring the folder's newest files into force", |r| {
        r.to(policies::commit)
    })
    .gives::<TenantView>(200),
    route("GET", "/admin/v1/policies/{id}/log", Some(Govern), "Policies that came into force, and by whom", |r| {
        r.to(policies::log)
    })
    .gives::<CommitLog>(200),
    route("GET", "/admin/v1/policies/{id}/rollout", Some(Audit), "How far the newest release is on its way", |r| {
        r.to(policies::rollout)
    })
    .gives::<RolloutAnswer>(200),
    route("POST", "/admin/v1/policies/{id}/promote", Some(Govern), "Give everybody the release on its way now", |r| {
        r.to(policies::promote)
    })
    .gives::<RolloutAnswer>(200),
    route("POST", "/admin/v1/policies/{id}/rollback", Some(Govern), "Send the release on its way back", |r| {
        r.to(policies::rollback)
    })
    .gives::<RolloutAnswer>(200),
    route(
        "GET",
        "/admin/v1/policies/{id}/rehearsal",
        Some(Govern),
        "What the folder's newest files would have made of what was asked before",
        |r| r.to(policies::rehearsal),
    )
    .gives::<Rehearsal>(200),
    route("GET", "/admin/v1/policies/{id}/releases", Some(Govern), "Releases whose files are kept", |r| {
        r.to(policies::releases)
    })
    .gives::<ReleaseList>(200),
    route("GET", "/admin/v1/policies/{id}/releases/{version}", Some(Govern), "The files of a release", |r| {
        r.to(policies::release)
    })
    .gives::<ReleaseFiles>(200),
    route("GET", "/admin/v1/approvals", Some(Fleet), "Requests that need somebody's approval, of all tenants", |r| {
        r.to(approvals::of_fleet)
    })
    .gives::<FleetApprovals>(200),
    route("GET", "/admin/v1/approvals/{id}", Some(Audit), "Requests that need somebody's approval", |r| {
        r.to(approvals::list)
    })
    .gives::<ApprovalList>(200),
    route(
        "POST",
        "/admin/v1/approvals/{id}/{approval}",
        Some(Govern),
        "Approve or refuse a request somebody else has made",
        |r| r.to(approvals::decide),
    )
    .takes::<DecideBody>()
    .gives::<ApprovalView>(200),
    route("POST", "/admin/v1/backups", Some(Fleet), "Add a point to a backup of the node, while it serves", |r| {
        r.to(backups::make)
    })
    .takes::<BackupBody>()
    .gives::<PointView>(201),
    route("POST", "/admin/v1/backups/prune", Some(Fleet), "Let copies go that nothing keeps", |r| r.to(backups::prune))
        .takes::<BackupBody>()
        .gives::<PruneView>(200),
    route("GET", "/admin/v1/certificates/{id}", Some(Fleet), "The certificate that a tenant was destroyed", |r| {
        r.to(backups::certificate)
    })
    .gives::<ErasureCertificate>(200),
    route("GET", "/admin/v1/audit", Some(Fleet), "Who did what in the control plane", |r| r.to(audit::list))
        .gives::<AuditPage>(200),
    route("GET", "/admin/v1/audit/export", Some(Fleet), "The control plane's journal with its signed head", |r| {
        r.to(audit::export)
    }),
    route("GET", "/admin/v1/actors", Some(Fleet), "The live tree of rooms", |r| r.to(admin::actors))
        .gives::<ActorList>(200),
    route("GET", "/healthz", None, "The process answers", |r| r.to(probes::alive)).gives::<Health>(200),
    route("GET", "/readyz", None, "New work may be sent here", |r| r.to(probes::ready)).gives::<Health>(200),
    route("GET", "/metrics", None, "Prometheus' text format: figures for the operator's key", |r| r.to(admin::metrics)),
    route("GET", "/openapi.json", None, "This description", |r| r.to(openapi::document)).gives::<Object>(200),
    route("GET", "/docs", None, "This description, to read and try", |r| r.to(openapi::docs)).answers(308),
];
