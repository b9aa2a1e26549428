//! The composition root: the only place that starts control actors and joins them with tenants and the edge.
use crate::config::Config;
use crate::gateway::{Edge, Settings};
use actix::{Arbiter, Recipient};
use anyhow::{Context, anyhow};
use bailiwick_control::house::{Furnish, House, Residence};
use bailiwick_control::kms::{KeyService, Setting};
use bailiwick_control::model_catalog::ModelCatalog;
use bailiwick_control::observability::exposition::{self, Exposition};
use bailiwick_control::observability::traces;
use bailiwick_control::plane::{self, Closing, Parts};
use bailiwick_control::registry::housing::Housing;
use bailiwick_kernel::clock::{SharedClock, SystemClock};
use bailiwick_kernel::erasures::{self, Ledger};
use bailiwick_kernel::fair::FairPool;
use bailiwick_kernel::residue;
use bailiwick_kernel::shelf::Vault;
use bailiwick_tenant::bucket::Buckets;
use bailiwick_tenant::cache::SharedService;
use bailiwick_tenant::query_ids::SystemDraw;
use bailiwick_tenant::retrieval::Pools;
use bailiwick_tenant::retrieval::parse::Sandbox;
use bailiwick_tenant::routing::clients::Clients;
use bailiwick_tenant::routing::tokens;
use bailiwick_tenant::supervisor::messages::Happened;
use bailiwick_tenant::supervisor::{self, SupervisorParts};
use bailiwick_tenant::vector_store::VectorStores;
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The hidden command that parses one hostile document.
const PARSE_CHILD: &str = "parse-child";

/// What the gateway speaks where it has a certificate: TLS 1.3 and nothing older.
const LISTENER_TLS: &str = "TLS-1.3";

/// A running house: what the edge needs, and the way to its end.
pub struct Running {
    /// Application data of the gateway.
    pub edge: Edge,
    /// Set when shutdown begins.
    pub draining: Arc<AtomicBool>,
    /// Ends the tenants in order.
    pub closing: Closing,
    /// Sends the traces that still wait; nothing where none are sent.
    pub traces: Option<traces::Ending>,
    /// Synced last of all.
    pub vault: Vault,
    /// The data plane's threads.
    pub arbiters: Vec<Arbiter>,
}

/// Starts everything but the sockets, on the current arbiter. Every sound tenant is open when this resolves.
///
/// # Errors
/// Whatever keeps the house from standing, as a sentence that says what to do.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("creating the data folder {}", config.data.display()))?;
    let exposition = Arc::new(Exposition::new(install_metrics()?, config.observability.tenants_max));
    let clock: SharedClock = Arc::new(SystemClock);
    let (tracer, traces) = config.traces()?.map(|setting| traces::start(setting, &clock)).transpose()?.unzip();
    let keys = KeyService::start(Setting {
        data: &config.data,
        root: &config.root_key()?,
        region: &config.region,
        outside: config.key_holders(&clock)?,
        clock: Arc::clone(&clock),
    })?;
    let vault = Vault::open(&config.data)?;
    let ledger = Arc::new(Ledger::open(&config.data.join(erasures::FILE), keys.ledger_keys()?)?);
    let arbiters: Vec<Arbiter> = (0..config.arbiters()).map(|_| Arbiter::new()).collect();
    actix::spawn(residue::attend());
    for arbiter in &arbiters {
        arbiter.spawn(residue::attend());
    }
    let handles = arbiters.iter().map(Arbiter::handle).collect();
    let shared = Shared::open(config, Arc::clone(&clock))?;
    let (pools, clients) = (shared.pools.clone(), Arc::clone(&shared.clients));
    let (shared_cache, vector_stores) = (shared.shared_cache.clone(), shared.vector_stores.clone());
    let (house_vault, house_keys, house_ledger) = (vault.clone(), keys.clone(), Arc::clone(&ledger));
    let node = config.region.clone();
    let housing = move |happened: Recipient<Happened>| -> Arc<dyn Housing> {
        let stores = shared.vector_stores.clone();
        Arc::new(House::new(house_vault, house_keys, handles, node, house_ledger, stores, shared.furnish(happened)))
    };
    let parts = Parts {
        tenants: config.tenants.clone(),
        guardrails: config.guardrails()?,
        node: config.region.clone(),
        // the listener speaks plain HTTP
        tls: Some(config.tls.as_ref().map_or("", |_| LISTENER_TLS)),
        issuers: config.issuers().map_err(|problem| anyhow!("trusting the issuers of config.toml: {problem}"))?,
        alerts: config.alert_targets()?,
        operator_key: operator_key_file(&config.data),
        vault: vault.clone(),
        keys,
        data: config.data.clone(),
        ledger,
        published: config.published().map_err(|problem| anyhow!("publishing signed heads: {problem}"))?,
        clock: Arc::clone(&clock),
        exposition: Arc::clone(&exposition),
        housing: Box::new(housing),
    };
    let control = plane::start(parts).await?;
    if let Ok(first) = control.first_reading.outcome().await {
        tracing::debug!(?first, "the tenants' folders have been read");
    }
    let draining = Arc::new(AtomicBool::new(false));
    let shown = Arc::clone(&exposition);
    let figures = move || {
        publish_fairness(pools.fair().chain(clients.fair()));
        publish_shared_cache(shared_cache.as_deref());
        publish_vector_stores(&vector_stores);
        shown.render()
    };
    let edge = Edge::new(control.door, clock, config.settings(), Arc::clone(&draining), Arc::new(figures), exposition);
    Ok(Running { edge: edge.tracing(tracer), draining, closing: control.closing, traces, vault, arbiters })
}

/// What all tenants share: things without a tenant's data in them.
struct Shared {
    clients: Arc<Clients>,
    shared_cache: Option<Arc<SharedService>>,
    buckets: Buckets,
    vector_stores: VectorStores,
    catalog: ModelCatalog,
    clock: SharedClock,
    sandbox: Sandbox,
    pools: Pools,
    settings: Settings,
}

impl Shared {
    fn open(config: &Config, clock: SharedClock) -> anyhow::Result<Self> {
        let catalog = ModelCatalog::new(config.catalog()?, config.region.clone())
            .map_err(|problems| anyhow!(problems.join("; ")))?;
        let clients = Arc::new(Clients::open(&catalog.snapshot(), &config.region)?);
        let program = std::env::current_exe()
            .context("finding this program's own file, which parses documents in child processes")?;
        let sandbox = Sandbox::new(program, vec![PARSE_CHILD.to_owned()]);
        if catalog.snapshot().providers.values().any(|provider| !provider.prices.is_empty()) {
            // token tables load in a quarter of a second; no first question should pay for that
            std::thread::Builder::new()
                .name("token-tables".to_owned())
                .spawn(tokens::warm)
                .context("starting a thread")?;
        }
        let (pools, settings) = (Pools::default(), config.settings());
        let (shared_cache, buckets) = (config.shared_answers()?, config.corpus_buckets()?);
        let vector_stores = config.stores_of_vectors()?;
        Ok(Self { clients, shared_cache, buckets, vector_stores, catalog, clock, sandbox, pools, settings })
    }

    fn furnish(self, happened: Recipient<Happened>) -> Furnish {
        Arc::new(move |residence: Residence| {
            let Residence { name, generation, belongings, signer, erasures, policy, kept } = residence;
            supervisor::start(SupervisorParts {
                shared_cache: self.shared_cache.clone(),
                buckets: self.buckets.of(&name),
                vector_stores: self.vector_stores.of(&name),
                name,
                generation,
                belongings,
                signer,
                erasures,
                policy,
                kept,
                clients: Arc::clone(&self.clients),
                catalog: self.catalog.snapshot(),
                clock: Arc::clone(&self.clock),
                draw: Arc::new(SystemDraw),
                sandbox: self.sandbox.clone(),
                pools: self.pools.clone(),
                happened: happened.clone(),
                ask_deadline_ms: self.settings.ask_deadline_ms,
            })
        })
    }
}

/// The widest gap of every kind of work, of all its tiers, beside its bound: at most 1 (invariant FAIR1).
fn publish_fairness<'a>(pools: impl Iterator<Item = &'a FairPool>) {
    let mut widest: BTreeMap<&str, u64> = BTreeMap::new();
    for pool in pools {
        let ppm = widest.entry(pool.kind()).or_default();
        *ppm = pool.widest_gap_ppm().max(*ppm);
    }
    for (kind, ppm) in widest {
        let ratio = u32::try_from(ppm).map_or(f64::INFINITY, f64::from) / 1_000_000.0;
        metrics::gauge!("bailiwick_fairness_gap_ratio", "pool" => kind.to_owned()).set(ratio);
    }
}

/// What became of looks into the shared cache, and of answers on their way there.
fn publish_shared_cache(service: Option<&SharedService>) {
    for (outcome, count) in service.map(|service| service.tally.counts()).into_iter().flatten() {
        metrics::counter!("bailiwick_shared_cache_total", "outcome" => outcome).absolute(count);
    }
}

/// What became of searches in vector stores, and of points on their way there and out of them.
fn publish_vector_stores(stores: &VectorStores) {
    for (outcome, count) in stores.tally().counts() {
        metrics::counter!("bailiwick_vector_store_total", "outcome" => outcome).absolute(count);
    }
}

fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    let recorder = exposition::node_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|_taken| anyhow!("installing the metrics recorder: this process has one already"))?;
    Ok(handle)
}

/// Where the first operator key is written.
#[must_use]
pub fn operator_key_file(data: &Path) -> std::path::PathBuf {
    data.join("operator.key")
}
