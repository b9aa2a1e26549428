//! A retrieval room on a real vault, for tests: files on disk, journal, index; nothing but the neighbours is replaced.
use super::actor::{RetrievalParts, RetrievalRoom};
use super::embedder::Embedder;
use super::indexer::Work;
use super::ingest::Desk;
use super::messages::*;
use super::parse::Sandbox;
use super::pools::{Lanes, Pools};
use super::tests::{security, text};
use crate::egress::Egress;
use crate::egress::fixtures::borders;
use crate::entry::Entry;
use crate::question::{Matter, Passage, Search};
use crate::ruling::Ruled;
use crate::supervisor::sideways::Sideways;
use crate::turn::{Case, Grounded, ReplyLine, Turn};
use crate::vector_store::TenantVectorStores;
use actix::prelude::*;
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::erasures::{FILE, Ledger, LedgerKeys, TenantErasures};
use bailiwick_kernel::ids::{Position, QueryId, TenantKey};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::obituary::{Died, Obituary};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_kernel::shelf::{Belongings, Vault};
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::{FILES, PolicySnapshot, compile};
use bailiwick_policy::guard::Guard;
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::schema::SecurityRules;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

pub(super) const DAY_MS: u64 = 86_400_000;

/// The policy of `tenants/default`, with the guard of the rules' tests.
pub(super) fn policy() -> PolicySnapshot {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants/default");
    let texts = FILES
        .iter()
        .filter_map(|file| Some(((*file).to_owned(), std::fs::read_to_string(folder.join(file)).ok()?)))
        .collect();
    let mut policy = compile("default", &texts, &Guardrails::none()).unwrap();
    policy.guard = Arc::new(Guard::compile(&security()).unwrap());
    policy.sovereignty.retention.data_days = 0;
    policy
}

pub(super) fn guarded(rules: &SecurityRules) -> Arc<PolicySnapshot> {
    Arc::new(PolicySnapshot { guard: Arc::new(Guard::compile(rules).unwrap()), ..policy() })
}

struct Neighbour(mpsc::UnboundedSender<Turn<Grounded>>);

impl Actor for Neighbour {
    type Context = Context<Self>;
}

impl Handler<Turn<Grounded>> for Neighbour {
    type Result = ();
    fn handle(&mut self, turn: Turn<Grounded>, _ctx: &mut Context<Self>) {
        self.0.send(turn).unwrap();
    }
}

impl Handler<Died> for Neighbour {
    type Result = ();
    fn handle(&mut self, _died: Died, _ctx: &mut Context<Self>) {}
}

/// A data folder and the tenant's belongings in it.
pub(super) struct House {
    pub(super) folder: tempfile::TempDir,
    pub(super) vault: Option<Vault>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) embedder: Embedder,
    /// Where vectors may be searched outside.
    pub(super) vector_stores: TenantVectorStores,
}

pub(super) struct Tenant {
    pub(super) room: Addr<RetrievalRoom>,
    pub(super) desk: Desk,
    pub(super) belongings: Belongings,
    pub(super) found: mpsc::UnboundedReceiver<Turn<Grounded>>,
    pub(super) policy: Arc<PolicySnapshot>,
    pub(super) egress: Arc<Egress>,
}

#[expect(clippy::disallowed_methods, reason = "test")]
fn cipher() -> Cipher {
    Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(1))).unwrap()
}

impl House {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = Some(Vault::open(folder.path()).unwrap());
        Self {
            folder,
            vault,
            clock: ManualClock::at(100 * DAY_MS),
            embedder: Embedder::default(),
            vector_stores: Default::default(),
        }
    }

    /// Everything closed and opened again, as after a restart of the process.
    pub(super) fn restart(&mut self) {
        self.vault = None;
        self.vault = Some(Vault::open(self.folder.path()).unwrap());
    }

    pub(super) fn belongings(&self) -> Belongings {
        self.vault.as_ref().unwrap().belongings(cipher()).unwrap()
    }

    /// The erasure ledger of the folder.
    pub(super) fn ledger(&self) -> Arc<Ledger> {
        let key = |byte| zeroize::Zeroizing::new([byte; 32]);
        let ledger = Ledger::open(&self.folder.path().join(FILE), LedgerKeys::new(&key(1), &key(2)));
        Arc::new(ledger.unwrap())
    }

    pub(super) fn erasures(&self) -> TenantErasures {
        TenantErasures::new(self.ledger(), cipher().tenant())
    }

    /// The tenant's lanes, on a node of its own.
    pub(super) fn lanes(&self) -> Lanes {
        Pools::default().lanes(cipher().tenant())
    }

    pub(super) fn tenant(&self, policy: Arc<PolicySnapshot>) -> Tenant {
        self.incarnation(self.belongings(), policy)
    }

    pub(super) fn incarnation(&self, belongings: Belongings, policy: Arc<PolicySnapshot>) -> Tenant {
        let (caught, found) = mpsc::unbounded_channel();
        let neighbour = Neighbour(caught).start();
        let egress = borders(&policy);
        let room = RetrievalRoom::furnish(RetrievalParts {
            belongings: belongings.clone(),
            policy: Arc::clone(&policy),
            egress: Arc::clone(&egress),
            clock: self.clock.clone(),
            sandbox: Sandbox::new("/nonexistent".into(), vec![]),
            lanes: self.lanes(),
            erasures: self.erasures(),
            owes_erasure: true,
            distrust: Arc::default(),
            vector_stores: self.vector_stores.clone(),
            next: neighbour.clone().recipient(),
            search_exit: neighbour.clone().recipient(),
            embedding: self.embedder.clone().start().recipient(),
            obituary: Obituary::new("retrieval", 1, neighbour.recipient()),
        });
        let desk = room.desk.clone();
        Tenant { room: Actor::start(room), desk, belongings, found, policy, egress }
    }
}

pub(super) fn principal() -> Principal {
    Principal { key_id: "key".into(), user_id: None, role: None, attributes: Default::default() }
}

pub(super) fn named(id: &str, body: &str) -> NewDocument {
    NewDocument { id: Some(id.into()), ..text(body) }
}

pub(super) fn ids(passages: &[Passage]) -> Vec<&str> {
    passages.iter().map(|passage| passage.document_id.as_str()).collect()
}

impl Tenant {
    pub(super) async fn ask<M, T>(&self, message: impl FnOnce(ReplySlot<T>) -> M) -> Outcome<T>
    where
        M: Message<Result = ()> + Send + 'static,
        RetrievalRoom: Handler<M>,
    {
        let (slot, awaited) = ReplySlot::pair();
        self.room.send(message(slot)).await.unwrap();
        awaited.outcome().await
    }

    pub(super) async fn ingest(&self, documents: Vec<NewDocument>) -> Outcome<Vec<Ingested>> {
        let permit = self.ask(|reply| AdmitUpload { reply }).await?;
        self.ask(|reply| IngestDocuments { permit, documents, principal: principal(), reply }).await
    }

    /// Everything answered so far can be found.
    pub(super) async fn settle(&self) {
        // Held by whoever has not told the index yet.
        let _told = self.desk.corpus.gate.lock().await;
        self.desk.ask_index(Work::Settle).await.unwrap();
    }

    pub(super) async fn search_under(&mut self, policy: &Arc<PolicySnapshot>, search: Search) -> Outcome<Vec<Passage>> {
        Ok(self.turn_under(policy, search).await?.stage.passages.to_vec())
    }

    pub(super) async fn turn_under(&mut self, policy: &Arc<PolicySnapshot>, search: Search) -> Outcome<Turn<Grounded>> {
        let (line, awaiting) = ReplyLine::whole();
        let matter = Matter::Search(search);
        let ruled = Ruled::on(policy, &matter, &principal(), 1).unwrap();
        let case = Case {
            query_id: QueryId::fresh(1, [0; 10]),
            matter,
            principal: principal(),
            policy: Arc::clone(policy),
            ruled,
            arrived_unix_ms: 0,
            admitted_unix_ms: 0,
            deadline_unix_ms: u64::MAX,
            idempotency_key: None,
            cache_control: Default::default(),
            remember_as: None,
            lookup: None,
            approval: None,
            permit: None,
            exposure: None,
            found_by_meaning: None,
            ranked_again: None,
            remembered_at: None,
            sideways: Sideways::unheard(),
        };
        self.room.send(Turn::admit(case, line, Arc::default(), std::time::Duration::ZERO)).await.unwrap();
        tokio::select! {
            turn = self.found.recv() => Ok(turn.unwrap()),
            refused = awaiting.reply() => Err(refused.unwrap_err()),
        }
    }

    pub(super) async fn search(&mut self, query: &str) -> Vec<Passage> {
        let policy = Arc::clone(&self.policy);
        self.search_under(&policy, Search { query: query.into(), ..Search::default() }).await.unwrap()
    }

    pub(super) async fn document(&self, id: &str) -> Outcome<(DocumentView, String)> {
        self.ask(|reply| ShowDocument { id: id.into(), principal: principal(), reply }).await
    }

    pub(super) async fn remove(&self, id: &str) -> Outcome<()> {
        self.ask(|reply| RemoveDocument { id: id.into(), principal: principal(), reply }).await
    }

    pub(super) async fn figures(&self) -> CorpusFigures {
        self.ask(|reply| MeasureCorpus { reply }).await.unwrap()
    }

    pub(super) async fn passivate(&self) {
        let _told = self.desk.corpus.gate.lock().await;
        self.desk.ask_index(Work::Sleep).await.unwrap();
    }

    pub(super) fn journal_length(&self) -> u64 {
        self.belongings.journal.replay(Position(0), |_, _, _: Entry| {}).unwrap().0
    }

    /// As `kill -9` leaves it: nothing is committed after this. Returns when every task of the room is gone.
    pub(super) async fn kill(self) {
        let corpus = Arc::downgrade(&self.desk.corpus);
        drop(self);
        while corpus.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
