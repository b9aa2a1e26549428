//! The control plane as boot starts it: its rooms, joined in the one order that leaves nobody without an address.
use crate::backup::{BackupError, Backups};
use crate::compliance::actor::Tools;
use crate::compliance::archive::Archive;
use crate::compliance::gather::NodeStanding;
use crate::gitops::folder::{FolderError, Folders};
use crate::gitops::messages::FirstReading;
use crate::gitops::signer::PlatformSigner;
use crate::identity::checkpoint::Checkpoint;
use crate::identity::issuer::Issuer;
use crate::kms::KeyService;
use crate::observability::exposition::Exposition;
use crate::policy_service::history::History;
use crate::publishing::messages::Target;
use crate::registry::actor::{Belongings, Registry, Rooms};
use crate::registry::directory::{Directory, control_key};
use crate::registry::door::Door;
use crate::registry::housing::Housing;
use crate::registry::journal::{OpeningError, Reopen, ensure_operator_key, opener};
use crate::registry::messages::CloseAll;
use crate::slo::actor::Slo;
use crate::slo::targets::Target as AlertTarget;
use crate::{
    compliance, cost, drift, gitops, identity, key_watch, observability, policy_service, policy_watchdog, publishing,
    registry, schedule, slo,
};
use actix::{Addr, Recipient};
use bailiwick_kernel::cipher::CipherError;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::erasures::Ledger;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::mail::{Awaited, ReplySlot};
use bailiwick_kernel::shelf::Vault;
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::supervisor::messages::Happened;
use std::path::PathBuf;
use std::sync::Arc;

/// Makes the housing, given where tenants report what happens.
pub type MakeHousing = Box<dyn FnOnce(Recipient<Happened>) -> Arc<dyn Housing>>;

/// What the control plane is started with.
pub struct Parts {
    /// The tenants folder; created where it is missing.
    pub tenants: PathBuf,
    /// Rules above every tenant's.
    pub guardrails: Guardrails,
    /// Where this node is, and everything it keeps.
    pub node: Region,
    /// Oldest version of TLS its listener speaks, such as `TLS-1.3`; empty for plain HTTP, nothing where that is not known.
    pub tls: Option<&'static str>,
    /// Whose bearer tokens are taken beside the house's own keys.
    pub issuers: Vec<Issuer>,
    /// Who is told when a tenant's service level is being lost.
    pub alerts: Vec<AlertTarget>,
    /// Where the first operator key is written.
    pub operator_key: PathBuf,
    /// The store.
    pub vault: Vault,
    /// The master key.
    pub keys: KeyService,
    /// The data folder.
    pub data: PathBuf,
    /// What was erased here.
    pub ledger: Arc<Ledger>,
    /// Where signed heads are published.
    pub published: Vec<Target>,
    /// Time.
    pub clock: SharedClock,
    /// Where figures are counted.
    pub exposition: Arc<Exposition>,
    /// Makes what opens tenants.
    pub housing: MakeHousing,
}

/// The control plane, running.
#[derive(Debug)]
pub struct ControlPlane {
    /// The registry's door, for the edge.
    pub door: Door,
    /// Comes when every folder under `tenants/` has been read once, and every sound tenant is being opened.
    pub first_reading: Awaited<FirstReading>,
    /// The way to the end.
    pub closing: Closing,
}

/// Ends the tenants in order.
#[derive(Clone, Debug)]
pub struct Closing {
    registry: Recipient<CloseAll>,
}

impl Closing {
    /// Takes no knock any more, closes every tenant, and comes back when all have ended or are no longer waited for.
    pub async fn close_all(self) {
        let (reply, awaited) = ReplySlot::pair();
        if self.registry.send(CloseAll { reply }).await.is_ok() {
            let _ended = awaited.outcome().await;
        }
    }
}

/// Why the control plane could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The control journal or the operator's key.
    #[error(transparent)]
    Opening(#[from] OpeningError),
    /// The key policies are signed with.
    #[error("deriving the key policies are signed with: {0}")]
    Signer(#[from] CipherError),
    /// The tenants folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The list of backups.
    #[error(transparent)]
    Backups(#[from] BackupError),
    /// The issuers' key sets.
    #[error("{0}; check the issuers of config.toml")]
    Identity(String),
    /// The room that publishes heads.
    #[error("{0}; check the checkpoints of config.toml")]
    Publishing(String),
    /// What sends alerts.
    #[error("{0}; check the machine's certificates")]
    Alerts(String),
    /// The reading of the journal itself failed.
    #[error("opening the control journal: its reading was interrupted; start again")]
    Interrupted,
}

/// Starts the control plane on the current arbiter.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(parts: Parts) -> Result<ControlPlane, StartError> {
    let Parts {
        tenants,
        guardrails,
        node,
        tls,
        issuers,
        alerts,
        operator_key,
        vault,
        keys,
        data,
        ledger,
        published,
        clock,
        exposition,
        housing,
    } = parts;
    let signer = PlatformSigner::from_seed(&keys.policy_signing_seed()?);
    let reopen = opener(vault.clone(), &keys)?;
    let first = Arc::clone(&reopen);
    let opening = bailiwick_kernel::residue::spawn_blocking(move || {
        Ok::<_, StartError>((first().map_err(OpeningError::from)?, Folders::open(&tenants, guardrails)?))
    });
    let ((journal, mut directory), folders) = opening.await.map_err(|_panicked| StartError::Interrupted)??;
    ensure_operator_key(&journal, &mut directory, &operator_key, clock.now_unix_ms()).await?;
    let known = directory.tenants().map(|tenant| tenant.name.clone()).collect();
    let checkpoint = identity::start(issuers, Arc::clone(&clock)).map_err(StartError::Identity)?;
    let cipher = keys.cipher_for(control_key(), || vault.traces(control_key())).map_err(OpeningError::from)?;
    let backups = Backups::open(&data, vault.clone(), keys.clone(), folders.clone(), ledger, Arc::clone(&clock))?;
    let slo = slo::start(alerts).map_err(StartError::Alerts)?;
    let heads = keys.head_signer(control_key())?;
    let opened =
        Opened { directory, journal, reopen, checkpoint, backups, keys: keys.clone(), heads, tls, slo, exposition };
    let (door, registry) = join(opened, Arc::clone(&clock), folders.clone(), signer, node.clone(), housing);
    let watched = key_watch::messages::Registry {
        rules: registry.clone().recipient(),
        due: registry.clone().recipient(),
        standing: registry.clone().recipient(),
    };
    let _watching = key_watch::start(keys, Arc::clone(&clock), watched);
    let _scheduling = schedule::start(folders.clone(), registry.clone().recipient());
    let publishing =
        publishing::Parts { targets: published, node, vault, cipher, clock, registry: registry.clone().recipient() };
    publishing::start(publishing).map_err(StartError::Publishing)?;
    let first_reading = gitops::start(folders, known, registry.clone().recipient());
    Ok(ControlPlane { door, first_reading, closing: Closing { registry: registry.recipient() } })
}

/// The control journal, opened, and where tokens are verified.
pub(crate) struct Opened {
    /// What it says.
    pub(crate) directory: Directory,
    /// Itself.
    pub(crate) journal: Journal,
    /// How both are had again.
    pub(crate) reopen: Reopen,
    /// Verifies tokens before the door.
    pub(crate) checkpoint: Checkpoint,
    /// Backups, and the erasure ledger.
    pub(crate) backups: Backups,
    /// Says how keys are kept.
    pub(crate) keys: KeyService,
    /// Signs heads of the control journal.
    pub(crate) heads: HeadSigner,
    /// What the listener speaks.
    pub(crate) tls: Option<&'static str>,
    /// Tells who is to know of service levels.
    pub(crate) slo: Addr<Slo>,
    /// Where figures are counted.
    pub(crate) exposition: Arc<Exposition>,
}

/// Starts every room but the one that reads folders, and joins them.
pub(crate) fn join(
    opened: Opened,
    clock: SharedClock,
    folders: Folders,
    signer: PlatformSigner,
    node: Region,
    housing: MakeHousing,
) -> (Door, Addr<Registry>) {
    let vestibule = registry::vestibule();
    let registry = vestibule.address();
    let cost = cost::start(Arc::clone(&clock));
    let observability = observability::start(
        registry.clone().recipient(),
        registry.clone().recipient(),
        registry.clone().recipient(),
        Arc::clone(&opened.exposition),
    );
    let watchdog =
        policy_watchdog::start(Arc::clone(&clock), registry.clone().recipient(), registry.clone().recipient());
    let compliance = compliance::start(Tools {
        clock: Arc::clone(&clock),
        archive: Archive::new(opened.journal.clone()),
        keys: opened.keys.clone(),
        backups: opened.backups.clone(),
        node: NodeStanding { region: node.clone(), tls: opened.tls },
        patrol: watchdog.clone().recipient(),
        due: registry.clone().recipient(),
        reported: registry.clone().recipient(),
    });
    let drift = drift::start(Arc::clone(&clock));
    let history = History::new(opened.journal.clone(), folders.clone());
    let policy_service =
        policy_service::start(watchdog.clone().recipient(), watchdog.recipient(), history, Arc::clone(&clock));
    let rooms = Rooms {
        policy_service: policy_service.clone().recipient(),
        examine: policy_service.clone().recipient(),
        release: policy_service.clone().recipient(),
        forget: policy_service.recipient(),
        observability: observability.clone().recipient(),
        cost: cost.recipient(),
        drift: drift.recipient(),
        report: compliance.clone().recipient(),
        kept: compliance.clone().recipient(),
        forget_kept: compliance.recipient(),
        services: opened.slo.clone().recipient(),
        notify: opened.slo.clone().recipient(),
    };
    let housing = housing(observability.recipient());
    let Opened { directory, journal, reopen, checkpoint, backups, heads, .. } = opened;
    let parts = Belongings { directory, journal, reopen, clock, housing, folders, signer, node, backups, heads, rooms };
    let door = vestibule.start(parts, checkpoint);
    (door, registry)
}
