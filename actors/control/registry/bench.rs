//! A registry with its rooms over a real store, and tenants whose supervisor is a probe.
use super::actor::Registry;
use super::credentials::forge;
use super::directory::{Directory, control_key};
use super::door::Door;
use super::entry::Entry;
use super::fixtures::{NOW, key_record, signer};
use super::handles::FleetHandle;
use super::housing::{Housing, KeysSeen, VersionSeen};
use super::journal::{ensure_operator_key, opener};
use super::messages::{Claim, NewTenant, TenantView};
use crate::backup::Backups;
use crate::gitops::folder::Folders;
use crate::identity::issuer::Issuer;
use crate::kms::rules::{Newest, Rotation};
use crate::kms::{KeyService, RootSource};
use crate::plane::{Opened, join};
use crate::policy_service::history::History;
use actix::prelude::*;
use bailiwick_kernel::clock::{ManualClock, SharedClock};
use bailiwick_kernel::erasures::{FILE, Ledger};
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_kernel::shelf::Vault;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::rehearsal::Rehearsal;
use bailiwick_policy::schema::Plan;
use bailiwick_tenant::approvals::messages::{DecideApproval, ReadApprovals};
use bailiwick_tenant::budget::messages::{ApproveSpending, Reconcile};
use bailiwick_tenant::erasures::messages::{AskErasure, CountOverdue, ListErasures, ShowErasure};
use bailiwick_tenant::evaluation::messages::{Evaluate, ReadEvaluationDue, ReadEvaluations};
use bailiwick_tenant::feedback::messages::{ReadFeedback, RestoreTrust};
use bailiwick_tenant::imports::messages::ImportLineage;
use bailiwick_tenant::proofs::messages::{
    PublishHead, ReadCertificate, ReadHead, ReadReceipt, ReadTaken, ReadWitness, ShowRecords, VerifyJournal,
    WitnessHead,
};
use bailiwick_tenant::quality::messages::ReadQuality;
use bailiwick_tenant::retrieval::messages::{
    AdmitUpload, IngestDocuments, ListDocuments, RemoveDocument, ShowDocument, SteerWeight,
};
use bailiwick_tenant::slo::messages::{OverrideFreeze, ReadService};
use bailiwick_tenant::spend::calendar::{DAY_MS, month_of_day};
use bailiwick_tenant::spend::forecast::{Past, forecast};
use bailiwick_tenant::spend::rows::Spent;
use bailiwick_tenant::spend::view::{SpendRow, SpendView};
use bailiwick_tenant::supervisor::doors::Doors;
use bailiwick_tenant::supervisor::messages::{
    Admit, AdoptPolicy, AuditAnswers, Close, ExportLineage, GiveFeedback, Inspect, ReadFigures, ReadFlags, ReadLineage,
    ReadPolicy, ReadRollout, ReadSpend, Rehearse, RoomView, SteerRollout,
};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Stands for a tenant's supervisor.
pub(super) struct Probe {
    address: String,
    policy: Arc<PolicySnapshot>,
    silent: Arc<AtomicBool>,
    kept: Vec<AdoptPolicy>,
    /// Questions for the spend that stay without an answer.
    unread: Vec<ReadSpend>,
}

impl Actor for Probe {
    type Context = Context<Self>;
}

/// Messages whose answer is of no interest here: dropped, which answers *lost*.
macro_rules! drops {
    ($($message:ty),*) => {$(
        impl Handler<$message> for Probe {
            type Result = ();
            fn handle(&mut self, _message: $message, _ctx: &mut Self::Context) {}
        }
    )*};
}
drops!(
    Admit,
    AdmitUpload,
    IngestDocuments,
    RemoveDocument,
    AskErasure,
    CountOverdue,
    ListErasures,
    ShowErasure,
    ReadCertificate,
    ListDocuments,
    ShowDocument,
    GiveFeedback,
    ReadLineage,
    ExportLineage,
    ApproveSpending,
    Reconcile,
    ReadFigures,
    ReadFlags,
    ReadRollout,
    SteerRollout,
    ReadApprovals,
    DecideApproval,
    Evaluate,
    ReadEvaluationDue,
    ImportLineage,
    ReadEvaluations,
    ReadFeedback,
    RestoreTrust,
    SteerWeight,
    ReadReceipt,
    ReadHead,
    ShowRecords,
    OverrideFreeze,
    PublishHead,
    ReadQuality,
    ReadService,
    ReadTaken,
    ReadWitness,
    VerifyJournal,
    WitnessHead
);

impl Handler<AuditAnswers> for Probe {
    type Result = ();
    fn handle(&mut self, audit: AuditAnswers, _ctx: &mut Self::Context) {
        audit.reply.answer(Ok(None));
    }
}

impl Handler<Rehearse> for Probe {
    type Result = ();
    fn handle(&mut self, rehearse: Rehearse, _ctx: &mut Self::Context) {
        rehearse.reply.answer(Ok(Rehearsal::default()));
    }
}

impl Handler<ReadPolicy> for Probe {
    type Result = ();
    fn handle(&mut self, read: ReadPolicy, _ctx: &mut Self::Context) {
        read.reply.answer(Ok(Arc::clone(&self.policy)));
    }
}

impl Handler<AdoptPolicy> for Probe {
    type Result = ();
    fn handle(&mut self, adopt: AdoptPolicy, _ctx: &mut Self::Context) {
        if self.silent.load(Ordering::SeqCst) {
            self.kept.push(adopt);
            return;
        }
        self.policy = adopt.policy;
        adopt.reply.answer(Ok(self.policy.version.clone()));
    }
}

impl Handler<ReadSpend> for Probe {
    type Result = ();
    fn handle(&mut self, read: ReadSpend, _ctx: &mut Self::Context) {
        if self.silent.load(Ordering::SeqCst) {
            return self.unread.push(read);
        }
        let day = NOW / DAY_MS;
        let spent = Spent { turns: 1, prompt_tokens: 3, completion_tokens: 2, cost_usd: NanoUsd(7) };
        let by_day = BTreeMap::from([(day, spent.cost_usd)]);
        let past = Past { by_day: &by_day, first_day: Some(day), spent: spent.cost_usd };
        read.reply.answer(Ok(SpendView {
            rows: vec![SpendRow { model: Some("m".to_owned()), spent, ..SpendRow::default() }],
            spent_month: spent.cost_usd,
            limit_month: NanoUsd(100),
            forecast: forecast(&past, month_of_day(day), NanoUsd(100), NOW),
            by_day,
            kept_from: None,
        }));
    }
}

impl Handler<Inspect> for Probe {
    type Result = ();
    fn handle(&mut self, inspect: Inspect, _ctx: &mut Self::Context) {
        if !self.silent.load(Ordering::SeqCst) {
            let (kind, state) = ("supervisor".to_owned(), "serving".to_owned());
            inspect.reply.answer(Ok(vec![RoomView {
                address: self.address.clone(),
                kind,
                state,
                mailbox_depth: 0,
                restarts: 0,
                last_fault: None,
            }]));
        }
    }
}

impl Handler<Close> for Probe {
    type Result = ();
    fn handle(&mut self, close: Close, ctx: &mut Self::Context) {
        ctx.stop();
        close.reply.answer(Ok(()));
    }
}

/// Opens probes on the test's arbiter.
pub(super) struct Probes {
    arbiter: ArbiterHandle,
    /// Generations that were opened, with the tenant's name.
    pub(super) opened: Mutex<Vec<(String, u64)>>,
    /// Tenants that were destroyed.
    pub(super) destroyed: Mutex<Vec<TenantKey>>,
    /// Collections of the tenants outside cannot be reached.
    pub(super) is_cut_off: AtomicBool,
    /// Tenants whose keys were taken away.
    pub(super) withdrawn: Mutex<Vec<TenantKey>>,
    /// Versions every keyring has.
    pub(super) version: AtomicU32,
    /// The next opening fails with this.
    pub(super) fails: Mutex<Option<Rejection>>,
    /// Probes do not acknowledge policies and do not show themselves.
    pub(super) silent: Arc<AtomicBool>,
    vault: Vault,
}

impl Housing for Probes {
    fn open(
        &self,
        tenant: TenantKey,
        name: &str,
        generation: Generation,
        policy: Arc<PolicySnapshot>,
    ) -> Outcome<Doors> {
        if let Some(rejection) = self.fails.lock().unwrap().take() {
            return Err(rejection);
        }
        self.opened.lock().unwrap().push((name.to_owned(), generation.0));
        let (silent, (ready, furnished)) = (Arc::clone(&self.silent), std::sync::mpsc::sync_channel(1));
        let address = format!("{tenant}/{}/supervisor", generation.0);
        self.arbiter.spawn_fn(move || ready.send(probe_doors(address, policy, silent)).unwrap());
        furnished.recv().map_err(|_gone| Rejection::lost())
    }

    fn keys_of(&self, _tenant: TenantKey, _kms_key_id: Option<&str>) -> Outcome<KeysSeen> {
        let version =
            |number| VersionSeen { number, made_unix_ms: Some(NOW), region: "local".to_owned(), key_id: None };
        Ok(KeysSeen { versions: (1..=self.version.load(Ordering::SeqCst)).map(version).collect(), not_honoured: None })
    }

    fn rotate(&self, _tenant: TenantKey, _kms_key_id: Option<&str>, rotation: Rotation) -> Outcome<Option<Newest>> {
        if let Some(rejection) = self.fails.lock().unwrap().take() {
            return Err(rejection);
        }
        if rotation == Rotation::OfAnotherHolder {
            return Ok(None);
        }
        let number = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Some(Newest { number, made_unix_ms: Some(NOW), key_id: None }))
    }

    fn withdraw(&self, tenant: TenantKey) {
        self.withdrawn.lock().unwrap().push(tenant);
    }

    fn shred(&self, tenant: TenantKey) -> Outcome<()> {
        self.destroyed.lock().unwrap().push(tenant);
        self.vault.shred(tenant).map_err(|error| Rejection::new(Code::Internal, error.to_string()))
    }

    fn shred_outside(&self, _name: &str) -> Outcome<usize> {
        let is_cut_off = self.is_cut_off.load(Ordering::SeqCst);
        if is_cut_off { Err(Rejection::new(Code::UpstreamFailed, "the collection is not reached")) } else { Ok(1) }
    }
}

/// Starts a probe on the current arbiter.
pub(crate) fn probe_doors(address: String, policy: Arc<PolicySnapshot>, silent: Arc<AtomicBool>) -> Doors {
    doors(&Probe { address, policy, silent, kept: Vec::new(), unread: Vec::new() }.start())
}

fn doors(probe: &Addr<Probe>) -> Doors {
    Doors {
        admit: probe.clone().recipient(),
        admit_upload: probe.clone().recipient(),
        ingest: probe.clone().recipient(),
        remove: probe.clone().recipient(),
        ask_erasure: probe.clone().recipient(),
        erasures: probe.clone().recipient(),
        erasure: probe.clone().recipient(),
        certificate: probe.clone().recipient(),
        list: probe.clone().recipient(),
        show: probe.clone().recipient(),
        feedback: probe.clone().recipient(),
        lineage: probe.clone().recipient(),
        export: probe.clone().recipient(),
        figures: probe.clone().recipient(),
        spend: probe.clone().recipient(),
        service: probe.clone().recipient(),
        override_freeze: probe.clone().recipient(),
        policy: probe.clone().recipient(),
        flags: probe.clone().recipient(),
        approve: probe.clone().recipient(),
        import: probe.clone().recipient(),
        reconcile: probe.clone().recipient(),
        rollout: probe.clone().recipient(),
        steer: probe.clone().recipient(),
        approvals: probe.clone().recipient(),
        receipt: probe.clone().recipient(),
        head: probe.clone().recipient(),
        records: probe.clone().recipient(),
        witness: probe.clone().recipient(),
        publish: probe.clone().recipient(),
        take: probe.clone().recipient(),
        taken: probe.clone().recipient(),
        verify: probe.clone().recipient(),
        overdue: probe.clone().recipient(),
        quality: probe.clone().recipient(),
        decide: probe.clone().recipient(),
        evaluate: probe.clone().recipient(),
        evaluation_due: probe.clone().recipient(),
        evaluations: probe.clone().recipient(),
        judgements: probe.clone().recipient(),
        restore_trust: probe.clone().recipient(),
        steer_weight: probe.clone().recipient(),
        adopt: probe.clone().recipient(),
        audit: probe.clone().recipient(),
        rehearse: probe.clone().recipient(),
        inspect: probe.clone().recipient(),
        close: probe.clone().recipient(),
    }
}

/// A running registry.
pub(super) struct Bench {
    pub(super) root: Arc<tempfile::TempDir>,
    pub(super) folders: Folders,
    pub(super) probes: Arc<Probes>,
    pub(super) registry: Addr<Registry>,
    pub(super) door: Door,
    pub(super) operator: SecretString,
    pub(super) clock: Arc<ManualClock>,
    pub(super) journal: Journal,
    vault: Vault,
}

impl Bench {
    pub(super) async fn start() -> Self {
        Self::trusting(Vec::new()).await
    }

    /// A registry that takes tokens, too.
    pub(super) async fn trusting(issuers: Vec<Issuer>) -> Self {
        let root = Arc::new(tempfile::tempdir().unwrap());
        let vault = Vault::open(root.path()).unwrap();
        Self::over(root, vault, issuers).await
    }

    /// The same store again, as after a restart: the registry before loses its journal to this one.
    pub(super) async fn restart(&self) -> Self {
        Self::over(Arc::clone(&self.root), self.vault.clone(), Vec::new()).await
    }

    async fn over(root: Arc<tempfile::TempDir>, vault: Vault, issuers: Vec<Issuer>) -> Self {
        let key_file = root.path().join("operator.key");
        let folders = Folders::open(&root.path().join("folders"), Guardrails::none()).unwrap();
        let keys_folder = root.path().join("keys");
        let keys = KeyService::open(&keys_folder, &RootSource::File, &super::fixtures::here()).unwrap();
        let reopen = opener(vault.clone(), &keys).unwrap();
        let (journal, mut directory): (_, Directory) = reopen().unwrap();
        ensure_operator_key(&journal, &mut directory, &key_file, NOW).await.unwrap();
        let operator = SecretString::from(std::fs::read_to_string(&key_file).unwrap().trim().to_owned());
        let probes = Arc::new(Probes {
            arbiter: Arbiter::current(),
            opened: Mutex::default(),
            destroyed: Mutex::default(),
            is_cut_off: AtomicBool::default(),
            withdrawn: Mutex::default(),
            version: AtomicU32::new(1),
            fails: Mutex::default(),
            silent: Arc::default(),
            vault: vault.clone(),
        });
        let clock = ManualClock::at(NOW);
        let shared: SharedClock = clock.clone();
        let checkpoint = crate::identity::start(issuers, Arc::clone(&shared)).unwrap();
        let housing = Arc::clone(&probes) as Arc<dyn Housing>;
        let ledger = Ledger::open(&root.path().join(FILE), keys.ledger_keys().unwrap()).unwrap();
        let backups = Backups::open(
            root.path(),
            vault.clone(),
            keys.clone(),
            folders.clone(),
            Arc::new(ledger),
            Arc::clone(&shared),
        )
        .unwrap();
        let (texts, slo) = (journal.clone(), crate::slo::start(Vec::new()).unwrap());
        let (door, registry) = join(
            Opened {
                directory,
                journal,
                reopen,
                checkpoint,
                backups,
                heads: keys.head_signer(control_key()).unwrap(),
                keys,
                tls: Some(""),
                slo,
                exposition: crate::observability::exposition::Exposition::uninstalled(),
            },
            shared,
            folders.clone(),
            signer(),
            super::fixtures::here(),
            Box::new(move |_happened| housing),
        );
        Self { root, folders, probes, registry, door, operator, clock, journal: texts, vault }
    }

    pub(super) fn vault(&self) -> Vault {
        self.vault.clone()
    }

    /// The texts of releases.
    pub(super) fn history(&self) -> History {
        History::new(self.journal.clone(), self.folders.clone())
    }

    pub(super) fn as_operator(&self, tenant: Option<&str>) -> Claim {
        Claim { credential: Some(self.operator.clone()), tenant: tenant.map(str::to_owned) }
    }

    pub(super) async fn fleet(&self) -> FleetHandle {
        self.door.fleet(self.as_operator(None)).await.unwrap()
    }

    pub(super) async fn create(&self, name: &str) -> TenantView {
        self.fleet().await.create(new_tenant(name)).await.unwrap()
    }

    /// Issues a key of a tenant and gives the claim that shows it.
    pub(super) async fn key(&self, tenant: &str, role: bailiwick_policy::access::Role) -> (String, Claim) {
        let governing = self.door.govern(self.as_operator(Some(tenant))).await.unwrap();
        let issued =
            governing.issue_key(super::messages::NewKey { role, user_id: None, expires_in_ms: None }).await.unwrap();
        (issued.view.key_id, Claim { credential: Some(SecretString::from(issued.key)), tenant: None })
    }
}

pub(super) fn new_tenant(name: &str) -> NewTenant {
    let file = super::fixtures::record(name, uuid::Uuid::nil());
    NewTenant {
        id: None,
        name: name.to_owned(),
        plan: Plan::Pro,
        config: file.config,
        quotas: file.quotas,
        metadata: file.metadata,
        signers: Vec::new(),
    }
}

/// A credential in the form of a key that nobody issued.
pub(super) fn stranger() -> Claim {
    Claim { credential: Some(forge([3; super::credentials::RANDOM_BYTES]).whole), tenant: None }
}

/// An entry that is valid at any time.
pub(super) fn some_entry() -> Entry {
    Entry::KeyIssued(key_record(&super::fixtures::fresh(200), Some(uuid::Uuid::from_u128(1)), None))
}
