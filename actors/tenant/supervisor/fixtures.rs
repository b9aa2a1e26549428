//! What the tests of the supervisor share: a stage of whole tenants on a real vault, policies of the sample tenants, a
//! metered provider, and a way to make rooms panic.
use super::actor::{Supervisor, launch};
use super::doors::Doors;
use super::messages::*;
pub(crate) use super::meter::*;
use super::parts::SupervisorParts;
use super::repeats::keyed::CallEnded;
use super::rooms::{PROVOKED, PanicRoom, Rooms};
use crate::bucket::Buckets;
use crate::cache::SharedService;
use crate::catalog::{Catalog, Price, ProviderEntry};
use crate::egress::clear_to_keep;
use crate::entry::Entry;
use crate::query_ids::SystemDraw;
use crate::question::{Answer, Chat, Matter, Question, Reply, Search};
use crate::retrieval::Pools;
use crate::retrieval::messages::*;
use crate::retrieval::parse::Sandbox;
use crate::routing::clients::Clients;
use crate::routing::providers::Provider;
use crate::turn::{Awaiting, ReplyLine};
use actix::prelude::*;
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::erasures::{Ledger, LedgerKeys, TenantErasures};
use bailiwick_kernel::ids::{Generation, Position, TenantKey};
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::mail::{ReplySlot, offer, post_certain};
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_kernel::shelf::{Belongings, Vault};
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::{FILES, PolicySnapshot, compile};
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::sovereignty::Region;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// 9 October 2025, in the middle of a day and of a month.
pub(crate) const NOW: u64 = 1_760_000_000_000;
/// What one metered answer costs: 100 prompt tokens at 3 and 10 answer tokens at 5 nano-dollars.
pub(crate) const UNIT_NANO_USD: u64 = 350;

/// The files of a sample tenant.
pub(crate) fn texts(name: &str) -> FileTexts {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants").join(name);
    let text = |file: &&str| Some(((*file).to_owned(), std::fs::read_to_string(folder.join(file)).ok()?));
    FILES.iter().filter_map(text).collect()
}

/// The compiled policy of a sample tenant, its files changed first.
pub(crate) fn policy(name: &str, change: impl FnOnce(&mut FileTexts)) -> Arc<PolicySnapshot> {
    let mut texts = texts(name);
    change(&mut texts);
    Arc::new(compile(name, &texts, &Guardrails::none()).unwrap())
}

/// Replaces words of one file, which must stand there.
pub(crate) fn edit(texts: &mut FileTexts, file: &str, from: &str, to: &str) {
    let text = texts.get_mut(file).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    *text = text.replace(from, to);
}

/// The metered provider answers first; the embedded one stands behind it.
pub(crate) fn metered(texts: &mut FileTexts) {
    edit(texts, "router.yaml", "provider: extractive\n    model: sentences", "provider: meter\n    model: metered");
}

/// The tenant remembers answers for a minute.
pub(crate) fn caching(texts: &mut FileTexts) {
    metered(texts);
    texts.get_mut("router.yaml").unwrap().push_str("\ncache:\n  exact:\n    ttl_s: 60\n    max_bytes: 1048576\n");
}

/// The tenant remembers for a minute what questions mean; those of which eighty-seven words of a hundred agree mean the
/// same.
pub(crate) fn understanding(texts: &mut FileTexts) {
    metered(texts);
    texts.get_mut("router.yaml").unwrap().push_str(
        "\ncache:\n  semantic:\n    ttl_s: 60\n    max_bytes: 1048576\n    min_similarity: 0.87\n    embedding:\n      \
         provider: meter\n      model: embedder\n",
    );
}

#[derive(Clone, Default)]
pub(super) struct Ear(Arc<watch::Sender<Vec<Event>>>);

impl Actor for Ear {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
    }
}

impl Handler<Happened> for Ear {
    type Result = ();
    fn handle(&mut self, happened: Happened, _: &mut Self::Context) {
        self.0.send_modify(|heard| heard.push(happened.event));
    }
}

/// One data folder with everything tenants share.
pub(crate) struct Stage {
    _folder: tempfile::TempDir,
    vault: Vault,
    pub(crate) meter: Arc<Meter>,
    clients: Arc<Clients>,
    catalog: Arc<Catalog>,
    pools: Pools,
    heard: Ear,
    ear: Addr<Ear>,
    /// Where the stage stands.
    node: Region,
    /// The buckets tenants may name.
    pub(crate) buckets: Buckets,
    /// The cache outside, where there is one.
    pub(crate) shared_cache: Option<Arc<SharedService>>,
}

/// One tenant as the registry holds it.
pub(crate) struct Tenant {
    pub(crate) address: Addr<Supervisor>,
    pub(crate) doors: Doors,
    pub(crate) clock: Arc<ManualClock>,
    pub(super) belongings: Belongings,
}

#[expect(clippy::disallowed_methods, reason = "test")]
pub(crate) fn cipher(number: u128) -> Cipher {
    Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(number))).unwrap()
}

/// The erasure ledger of one tenant, beside what it owns.
pub(crate) fn erasures_beside(belongings: &Belongings) -> TenantErasures {
    let tenant = belongings.cipher.tenant();
    let data = belongings.folder.parent().unwrap().parent().unwrap();
    let key = |byte| zeroize::Zeroizing::new([byte; 32]);
    let path = data.join(format!("erasures-{}.jsonl", tenant.to_hex()));
    TenantErasures::new(Arc::new(Ledger::open(&path, LedgerKeys::new(&key(1), &key(2))).unwrap()), tenant)
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::at(Region::default())
    }

    /// A stage whose node is in this region; the metered provider stays where it is.
    pub(crate) fn at(node: Region) -> Self {
        Self::among(node, Vec::new())
    }

    /// As [`Stage::at`], with further providers.
    pub(crate) fn among(node: Region, further: Vec<(ProviderEntry, Arc<dyn Provider>)>) -> Self {
        hush_provoked_panics();
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let entry = ProviderEntry {
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
            prices: [("metered", 3, 5), (EMBEDDER, WORD_NANO_USD, 0)]
                .map(|(model, input, output)| {
                    let price = Price { input_nano_usd_per_token: input, output_nano_usd_per_token: output };
                    (model.to_owned(), price.into())
                })
                .into(),
        };
        let meter = Meter::new();
        let provider: Arc<dyn Provider> = meter.clone();
        let mut clients = Clients::open(&Catalog::default(), &node).unwrap().with(entry.clone(), provider);
        let mut catalog = Catalog { providers: [("meter".to_owned(), Arc::new(entry))].into() };
        for (entry, provider) in further {
            clients = clients.with(entry.clone(), provider);
            catalog.providers.insert(entry.name.clone(), Arc::new(entry));
        }
        let heard = Ear::default();
        let ear = heard.clone().start();
        Self {
            _folder: folder,
            vault,
            meter,
            clients: Arc::new(clients),
            catalog: Arc::new(catalog),
            pools: Pools::default(),
            heard,
            ear,
            node,
            buckets: Buckets::default(),
            shared_cache: None,
        }
    }

    /// Starts a tenant, anew where it ran before.
    pub(crate) fn start(&self, number: u128, policy: &Arc<PolicySnapshot>) -> Tenant {
        let clock = ManualClock::at(NOW);
        let kept = clear_to_keep(&policy.sovereignty, &self.node).unwrap();
        let belongings = self.vault.belongings(cipher(number)).unwrap();
        let address = launch(SupervisorParts {
            name: policy.tenant.name.clone(),
            generation: Generation(1),
            belongings: belongings.clone(),
            signer: HeadSigner::new(cipher(number).tenant(), &zeroize::Zeroizing::new([9; 32])),
            erasures: erasures_beside(&belongings),
            policy: Arc::clone(policy),
            kept,
            clients: Arc::clone(&self.clients),
            shared_cache: self.shared_cache.clone(),
            buckets: self.buckets.of(&policy.tenant.name),
            vector_stores: Default::default(),
            catalog: Arc::clone(&self.catalog),
            clock: clock.clone(),
            draw: Arc::new(SystemDraw),
            sandbox: Sandbox::new("/nonexistent".into(), vec![]),
            pools: self.pools.clone(),
            happened: self.ear.clone().recipient(),
            ask_deadline_ms: 3_600_000,
        });
        Tenant { doors: Doors::of(&address), address, clock, belongings }
    }

    pub(crate) fn heard(&self, event: impl Fn(&Event) -> bool) -> usize {
        self.heard.0.borrow().iter().filter(|heard| event(heard)).count()
    }

    /// Waits until so many of these events were heard.
    pub(crate) async fn has_heard(&self, what: &str, times: usize, event: impl Fn(&Event) -> bool) {
        let mut heard = self.heard.0.subscribe();
        let waiting = heard.wait_for(|heard| heard.iter().filter(|heard| event(heard)).count() >= times);
        drop(in_time(what, waiting).await.unwrap());
    }
}

/// Belongings of a tenant on a vault of its own.
pub(crate) fn belongings_of(number: u128) -> (tempfile::TempDir, Belongings) {
    let folder = tempfile::tempdir().unwrap();
    let belongings = Vault::open(folder.path()).unwrap().belongings(cipher(number)).unwrap();
    (folder, belongings)
}

/// An address nobody listens at, for what is tried without rooms.
pub(crate) fn nobody() -> Recipient<CallEnded> {
    struct Nobody;
    impl Actor for Nobody {
        type Context = Context<Self>;
    }
    impl Handler<CallEnded> for Nobody {
        type Result = ();
        fn handle(&mut self, _: CallEnded, _: &mut Self::Context) {}
    }
    Nobody.start().recipient()
}

pub(crate) fn principal() -> Principal {
    Principal { key_id: "key".into(), user_id: None, role: None, attributes: Default::default() }
}

pub(crate) fn question(text: &str) -> Matter {
    Matter::Ask(Question { text: text.into(), ..Question::default() })
}

/// A completion of the metered model.
pub(crate) fn chat(words: &str) -> Matter {
    let body = serde_json::json!({"model": "metered", "messages": [{"role": "user", "content": words}]});
    Matter::Chat(Box::new(Chat { model: "metered".into(), body, max_tokens: Some(50) }))
}

pub(crate) fn document(id: &str, text: &str) -> NewDocument {
    NewDocument {
        id: Some(id.into()),
        title: Some(format!("Title of {id}")),
        content: Content::Text(text.into()),
        source: None,
        domain: None,
        usecase: None,
        region: None,
        signature: None,
        metadata: None,
    }
}

impl Tenant {
    /// Knocks; the message stands in the mailbox when this returns.
    pub(crate) fn knock(&self, matter: Matter) -> Awaiting {
        self.knock_as(principal(), None, matter, ReplyLine::whole())
    }

    /// As [`Tenant::knock`], under an `Idempotency-Key`.
    pub(crate) fn knock_again(&self, key: &str, matter: Matter) -> Awaiting {
        self.knock_as(principal(), Some(key), matter, ReplyLine::whole())
    }

    pub(crate) fn knock_as(
        &self,
        principal: Principal,
        key: Option<&str>,
        matter: Matter,
        (line, awaiting): (ReplyLine, Awaiting),
    ) -> Awaiting {
        let wishes = Wishes { idempotency_key: key.map(str::to_owned), ..Wishes::default() };
        self.knock_with(principal, wishes, matter, (line, awaiting))
    }

    pub(crate) fn knock_with(
        &self,
        principal: Principal,
        wishes: Wishes,
        matter: Matter,
        (line, awaiting): (ReplyLine, Awaiting),
    ) -> Awaiting {
        self.admit(Admit { matter, principal, wishes, deadline_ms: None, line }, awaiting)
    }

    /// Knocks with a matter that must be answered in time.
    pub(crate) fn knock_within(&self, deadline_ms: u64, matter: Matter) -> Awaiting {
        let (line, awaiting) = ReplyLine::whole();
        let (principal, wishes) = (principal(), Wishes::default());
        self.admit(Admit { matter, principal, wishes, deadline_ms: Some(deadline_ms), line }, awaiting)
    }

    fn admit(&self, admit: Admit, awaiting: Awaiting) -> Awaiting {
        if let Err((admit, undelivered)) = offer(&self.doors.admit, admit) {
            admit.line.reject(undelivered.into());
        }
        awaiting
    }

    pub(crate) async fn ask(&self, text: &str) -> Outcome<Answer> {
        match self.knock(question(text)).reply().await? {
            Reply::Answer(answer) => Ok(*answer),
            other => panic!("not an answer: {other:?}"),
        }
    }

    pub(crate) async fn told<M, T>(&self, message: impl FnOnce(ReplySlot<T>) -> M) -> Outcome<T>
    where
        M: Message<Result = ()> + Send + 'static,
        Supervisor: Handler<M>,
    {
        let (slot, awaited) = ReplySlot::pair();
        self.address.send(message(slot)).await.map_err(|_closed| Rejection::lost())?;
        awaited.outcome().await
    }

    pub(crate) async fn ingest(&self, documents: Vec<NewDocument>) -> Outcome<Vec<Ingested>> {
        let permit = self.told(|reply| AdmitUpload { reply }).await?;
        self.told(|reply| IngestDocuments { permit, documents, principal: principal(), reply }).await
    }

    /// Takes documents in and waits until the last one can be found.
    pub(crate) async fn with_documents(self, documents: Vec<NewDocument>) -> Self {
        let count = u64::try_from(documents.len()).unwrap();
        self.ingest(documents).await.unwrap();
        eventually("the documents are found", async || {
            let search = Search { query: "codeword".into(), ..Search::default() };
            let Ok(Reply::Hits(_)) = self.knock(Matter::Search(search)).reply().await else { return false };
            self.figures().await.is_ok_and(|figures| figures.corpus.searchable == count)
        })
        .await;
        self
    }

    pub(crate) async fn figures(&self) -> Outcome<Figures> {
        self.told(|reply| ReadFigures { reply }).await
    }

    pub(crate) async fn view(&self) -> RoomView {
        self.told(|reply| Inspect { reply }).await.unwrap().swap_remove(0)
    }

    pub(crate) async fn adopt(&self, policy: &Arc<PolicySnapshot>) -> Outcome<String> {
        self.told(|reply| AdoptPolicy { policy: Arc::clone(policy), reply }).await
    }

    pub(crate) async fn close(self) {
        self.told(|reply| Close { reply }).await.unwrap();
    }

    /// Makes a room panic; false where no room stands at the moment.
    pub(crate) async fn provoke(&self, room: &'static str) -> bool {
        self.address.send(Provoke(room)).await.unwrap()
    }

    /// One shelf of the tenant's.
    pub(crate) fn shelf(&self, name: &'static str) -> bailiwick_kernel::shelf::Shelf {
        self.belongings.shelf(name).unwrap()
    }

    /// The tenant's journal, as its owner has it.
    pub(crate) fn journal(&self) -> &bailiwick_kernel::journal::Journal {
        &self.belongings.journal
    }

    /// Takes the journal from under the tenant: what it appends from now on is stale, until its rooms are rebuilt.
    pub(crate) fn usurp(&self) {
        self.belongings.reacquire().unwrap();
    }

    /// Every entry of the journal so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.belongings.journal.replay(Position(0), |_, _, entry: Entry| entries.push(entry)).unwrap();
        entries
    }
}

/// Keeps panics that a test provokes out of the log: a thousand backtraces take longer than a thousand rebuilds.
pub(super) fn hush_provoked_panics() {
    static HUSHED: std::sync::Once = std::sync::Once::new();
    HUSHED.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() != Some(PROVOKED) {
                loud(panic);
            }
        }));
    });
}

/// Makes a room of the present incarnation panic.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub(crate) struct Provoke(pub(super) &'static str);

impl Handler<Provoke> for Supervisor {
    type Result = bool;

    fn handle(&mut self, Provoke(room): Provoke, _: &mut Self::Context) -> bool {
        let Some(Rooms { retrieval, cache, budget, routing, bucket: _ }) = &self.rooms else { return false };
        match room {
            "retrieval" => post_certain(retrieval, PanicRoom),
            "cache" => post_certain(cache, PanicRoom),
            "budget" => post_certain(budget, PanicRoom),
            _ => post_certain(routing, PanicRoom),
        }
        true
    }
}

/// Waits until something holds that other threads bring about.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    in_time(what, waiting).await;
}

/// Waits for what must come, and gives up with its name long after it should have.
pub(crate) async fn in_time<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.unwrap_or_else(|_elapsed| panic!("waited in vain until {what}"))
}
