//! One node with three tenants on one vault, one provider, one clock and shared pools, as a real node has them; and the
//! places where a leak may put it together wrongly.
use super::super::actor::{Supervisor, launch};
use super::super::doors::Doors;
use super::super::fixtures::{Ear, NOW, Tenant, cipher, erasures_beside, eventually, in_time, principal};
use super::super::meter::EMBEDDER;
use super::super::opening::on_derived;
use super::super::parts::SupervisorParts;
use super::model::{Model, PIECE_CHARS};
use super::neighbours::{Life, Neighbours};
use super::policies;
use super::watcher::Edge;
use crate::catalog::{Catalog, Price, ProviderEntry};
use crate::egress::clear_to_keep;
use crate::query_ids::{Draw, Drawn};
use crate::retrieval::Pools;
use crate::retrieval::messages::{DocumentState, ListDocuments};
use crate::retrieval::parse::Sandbox;
use crate::routing::clients::Clients;
use actix::prelude::*;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::ids::Generation;
use bailiwick_kernel::shelf::{Belongings, Vault};
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::Region;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The numbers tenant keys are made of.
pub(super) const A: u128 = 1;
pub(super) const B: u128 = 2;
pub(super) const C: u128 = 3;

/// How often it is looked whether a faulty node has come to rest: it may never do so, and A goes on all the same.
const LOOKS_MAX: u32 = 200;
/// How long a faulty node is waited for to be tidy.
const WAITS_FOR_A_FAULT: Duration = Duration::from_secs(3);

/// What the neighbours have done so far, as a faulty node could know it. A sound one keeps no such book.
#[derive(Default)]
pub(super) struct Street {
    pub(super) requests: AtomicU64,
    pub(super) refusals: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) changes: AtomicU64,
    pub(super) panics: AtomicU64,
    pub(super) document_ids: Mutex<BTreeSet<String>>,
    pub(super) idempotency_keys: Mutex<BTreeSet<String>>,
}

impl Street {
    pub(super) fn count(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub(super) fn documents(&self) -> u64 {
        u64::try_from(self.document_ids.lock().unwrap().len()).unwrap()
    }

    pub(super) fn has_document(&self, id: &str) -> bool {
        self.document_ids.lock().unwrap().contains(id)
    }
}

/// Names of questions that can be foretold: each tenant's follow from its own number and how many it has had.
#[derive(Debug)]
pub(super) struct Foretold {
    seed: u64,
    drawn: AtomicU64,
}

impl Foretold {
    pub(super) fn of(tenant: u128) -> Self {
        Self { seed: u64::try_from(tenant).unwrap() << 32, drawn: AtomicU64::new(0) }
    }
}

impl Draw for Foretold {
    fn draw(&self) -> Drawn {
        StdRng::seed_from_u64(self.seed + self.drawn.fetch_add(1, Ordering::SeqCst)).random()
    }
}

/// Everything A and B are built from, before they are.
pub(super) struct Parts<'a> {
    pub(super) a: SupervisorParts,
    pub(super) b: SupervisorParts,
    pub(super) street: &'a Arc<Street>,
    pub(super) life: &'a Life,
    pub(super) vault: &'a Vault,
}

/// Where a node may be put together wrongly.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    /// In the provider.
    Model(fn(&mut Model, &Arc<Street>)),
    /// In what the tenants are built from.
    Parts(fn(&mut Parts<'_>)),
    /// Between rooms and supervisors that run.
    Rooms(fn(&World)),
    /// In a handler before the tenant, or behind it.
    Edge(Edge),
    /// Whenever the neighbours have done something.
    Mishap(fn(&World)),
}

/// A node.
pub(super) struct World {
    _folder: tempfile::TempDir,
    pub(super) vault: Vault,
    pub(super) clock: Arc<ManualClock>,
    /// A's one right to write its index, which it gives back as soon as it has written and tidied up. Each tenant has its
    /// own: how soon an index is tidy can be seen in its number of segments and, until then, what was removed counts in
    /// scores; where rights are shared, a neighbour that waits for one makes it sooner.
    pub(super) writers: Arc<Semaphore>,
    pub(super) street: Arc<Street>,
    pub(super) a: Tenant,
    pub(super) neighbours: Neighbours,
    pub(super) has_caches: bool,
    pub(super) fault: Option<Fault>,
}

/// What all tenants of a node are built from.
#[derive(Clone)]
pub(super) struct Common {
    clients: Arc<Clients>,
    catalog: Arc<Catalog>,
    clock: Arc<ManualClock>,
    pools: Pools,
    ear: Addr<Ear>,
}

fn entry() -> ProviderEntry {
    ProviderEntry {
        name: "meter".into(),
        kind: "meter".into(),
        base_url: None,
        api_key: None,
        local: None,
        region: "eu-west-1".into(),
        concurrency: 64,
        requests_per_minute: None,
        timeout_ms: 600_000,
        retries: 0,
        prices: [("metered", 3, 5), (EMBEDDER, 2, 0)]
            .map(|(model, input, output)| {
                let price = Price { input_nano_usd_per_token: input, output_nano_usd_per_token: output };
                (model.to_owned(), price.into())
            })
            .into(),
    }
}

impl Common {
    /// What one tenant is built from.
    pub(super) fn parts(&self, number: u128, belongings: Belongings, policy: Arc<PolicySnapshot>) -> SupervisorParts {
        SupervisorParts {
            name: policy.tenant.name.clone(),
            generation: Generation(1),
            signer: HeadSigner::new(belongings.cipher.tenant(), &zeroize::Zeroizing::new([9; 32])),
            erasures: erasures_beside(&belongings),
            belongings,
            kept: clear_to_keep(&policy.sovereignty, &Region::default()).unwrap(),
            policy,
            clients: Arc::clone(&self.clients),
            buckets: Default::default(),
            vector_stores: Default::default(),
            shared_cache: None,
            catalog: Arc::clone(&self.catalog),
            clock: self.clock.clone(),
            draw: Arc::new(Foretold::of(number)),
            sandbox: Sandbox::new("/nonexistent".into(), vec![]),
            pools: self.pools.with_writers(Arc::new(Semaphore::new(1))),
            happened: self.ear.clone().recipient(),
            ask_deadline_ms: 3_600_000,
        }
    }

    /// Starts a tenant.
    pub(super) fn start(&self, parts: SupervisorParts) -> Tenant {
        let belongings = parts.belongings.clone();
        let address = launch(parts);
        Tenant { doors: Doors::of(&address), address, clock: self.clock.clone(), belongings }
    }
}

impl World {
    pub(super) fn build(life: &Life, has_caches: bool, fault: Option<Fault>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let street = Arc::new(Street::default());
        let mut model = Model { twist: None, piece_chars: Arc::new(|| PIECE_CHARS) };
        if let Some(Fault::Model(twist)) = fault {
            twist(&mut model, &street);
        }
        let writers = Arc::new(Semaphore::new(1));
        let clock = ManualClock::at(NOW);
        let common = Common {
            clients: Arc::new(
                Clients::open(&Catalog::default(), &Region::default()).unwrap().with(entry(), Arc::new(model)),
            ),
            catalog: Arc::new(Catalog { providers: [("meter".to_owned(), Arc::new(entry()))].into() }),
            clock: Arc::clone(&clock),
            pools: Pools::default(),
            ear: Ear::default().start(),
        };
        let belongings = |number| vault.belongings(cipher(number)).unwrap();
        let mut parts = Parts {
            a: SupervisorParts {
                pools: common.pools.with_writers(Arc::clone(&writers)),
                ..common.parts(A, belongings(A), policies::of_tenant_a(has_caches))
            },
            b: common.parts(B, belongings(B), life.policy_of_b()),
            street: &street,
            life,
            vault: &vault,
        };
        if let Some(Fault::Parts(put_wrong)) = fault {
            put_wrong(&mut parts);
        }
        let Parts { a, b, .. } = parts;
        let c = common.parts(C, belongings(C), life.policy_of_c());
        let neighbours = Neighbours::new(life.clone(), common.clone(), b, c);
        let a = common.start(a);
        let world = Self { _folder: folder, vault, clock, writers, street, a, neighbours, has_caches, fault };
        if let Some(Fault::Rooms(put_wrong)) = fault {
            put_wrong(&world);
        }
        world
    }

    /// Waits until what A has been told is done is done: nothing held or recorded any more, the index tidy. Nothing of
    /// it can be seen by A but by when it happens.
    pub(super) async fn comes_to_rest(&self) {
        self.waits_until("A is at rest", async || {
            let Ok(Some((derived, refused))) = self.a.address.send(Standing).await else { return true };
            let folded = on_derived(derived, |derived| {
                let fold = derived.catch_up()?;
                Ok((fold.ledger.open_holds.len(), fold.counts.refused))
            });
            let Ok((open, recorded)) = folded.await else { return true };
            let is_recorded = open == 0 && recorded >= refused;
            is_recorded && self.a.figures().await.map_or(true, |figures| figures.budget.held.0 == 0)
        })
        .await;
    }

    /// Waits until A's documents can be found and its index is tidy: nobody has the right to write one any more.
    pub(super) async fn is_tidy(&self) {
        self.waits_until("A's documents are indexed", async || {
            // what no index has been opened for is called indexed
            if self.a.figures().await.is_ok_and(|figures| figures.corpus.passive) {
                return false;
            }
            let list = |reply| ListDocuments { after: None, limit: 1_000, principal: principal(), reply };
            let listed = self.a.told(list).await;
            listed.map_or(true, |documents| documents.iter().all(|document| document.state != DocumentState::Accepted))
        })
        .await;
        let nobody_writes = self.writers.acquire();
        if self.fault.is_some() {
            drop(tokio::time::timeout(WAITS_FOR_A_FAULT, nobody_writes).await);
        } else {
            drop(in_time("the index is tidy", nobody_writes).await.unwrap());
        }
    }

    /// Waits for what must come in a sound node; a faulty one is not waited for so long.
    async fn waits_until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let mut looks = 0;
        eventually(what, async || {
            looks += 1;
            (self.fault.is_some() && looks > LOOKS_MAX) || holds().await
        })
        .await;
    }
}

type StandsAt = Option<(Arc<tokio::sync::Mutex<super::super::lineage::Derived>>, u64)>;

/// Asks for what a tenant folds its journal into, and how many refusals must stand in it.
#[derive(Message)]
#[rtype(result = "StandsAt")]
struct Standing;

impl Handler<Standing> for Supervisor {
    type Result = MessageResult<Standing>;

    fn handle(&mut self, _: Standing, _: &mut Self::Context) -> Self::Result {
        let tally = self.sideways.tally();
        let due = tally.refused.load(Ordering::SeqCst) - tally.unrecorded.load(Ordering::SeqCst);
        MessageResult(self.opened.as_ref().map(|opened| (Arc::clone(&opened.derived), due)))
    }
}

/// Changes a supervisor from outside, as no message of the house can.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Rewire(pub(super) Box<dyn FnOnce(&mut Supervisor) + Send>);

impl Handler<Rewire> for Supervisor {
    type Result = ();

    fn handle(&mut self, Rewire(change): Rewire, _: &mut Self::Context) {
        change(self);
    }
}
