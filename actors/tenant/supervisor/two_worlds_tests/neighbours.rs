//! What the neighbours are and do: the one thing that differs between worlds. They use A's names on purpose: its document
//! ids, its words, its keys, its `Idempotency-Key`s.
use super::super::fixtures::{Tenant, chat, cipher, document, principal, question};
use super::super::messages::{Close, GiveFeedback, ReadLineage};
use super::super::meter::{NOT_ANSWERED, WITHOUT_END};
use super::super::parts::SupervisorParts;
use super::super::rooms::KINDS;
use super::model::FALLS_OVER;
use super::policies::{self, Strictness};
use super::trace::{DOCUMENTS, IDEMPOTENCY_KEY, QUESTIONS};
use super::world::{B, C, Common, Foretold, Street, World};
use crate::budget::messages::ApproveSpending;
use crate::query_ids::{Draw, fresh};
use crate::question::{Chat, Matter, Search};
use crate::retrieval::messages::{NewDocument, RemoveDocument};
use crate::turn::Awaiting;
use bailiwick_kernel::clock::Clock;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const NAME_OF_B: &str = "beta-inc";
const NAME_OF_C: &str = "acme-corp";
/// Calls of the neighbours that never end, so that A finds others in flight, and still a place at the provider.
const HANGING_MAX: usize = 8;
/// How long a deed may take on a faulty node.
const DEED_IN_A_FAULTY_NODE: Duration = Duration::from_secs(1);
/// Requests of one burst.
const BURST: usize = 12;

/// What the neighbours of one world are.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Life {
    pub(super) is_there: bool,
    /// Documents they have when A comes.
    pub(super) documents: usize,
    /// What they do while A takes one step.
    pub(super) deeds_per_step: usize,
    /// All kinds of deeds in turn, or drawn.
    pub(super) seed: Option<u64>,
    b: Strictness,
    c: Strictness,
}

const PLENTY: Strictness =
    Strictness { requests_per_minute: 1_000_000, daily: NanoUsd(1_000_000_000_000), top_k: 8, has_caches: false };

impl Life {
    /// Nobody else is on the node.
    pub(super) fn absent() -> Self {
        Self { is_there: false, ..Self::quiet() }
    }

    /// They are there and do nothing.
    pub(super) fn quiet() -> Self {
        Self { is_there: true, documents: 0, deeds_per_step: 0, seed: None, b: PLENTY, c: PLENTY }
    }

    /// Everything there is to do, in turn, from the first step on.
    pub(super) fn loud() -> Self {
        let b = Strictness { has_caches: true, top_k: 3, ..PLENTY };
        Self { documents: 6, deeds_per_step: 2, b, ..Self::quiet() }
    }

    /// Drawn by a seed.
    pub(super) fn drawn(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut strictness = || Strictness {
            requests_per_minute: [3, 60, 1_000_000][random.random_range(0..3)],
            daily: NanoUsd([1, 20_000, 1_000_000_000_000][random.random_range(0..3)]),
            top_k: random.random_range(1..12),
            has_caches: random.random(),
        };
        let (b, c) = (strictness(), strictness());
        Self {
            is_there: true,
            documents: random.random_range(0..10),
            deeds_per_step: random.random_range(1..3),
            seed: Some(seed),
            b,
            c,
        }
    }

    pub(super) fn policy_of_b(&self) -> Arc<PolicySnapshot> {
        policies::of_neighbour(NAME_OF_B, self.b, 0)
    }

    pub(super) fn policy_of_c(&self) -> Arc<PolicySnapshot> {
        policies::of_neighbour(NAME_OF_C, self.c, 0)
    }
}

/// One neighbour.
struct Neighbour {
    number: u128,
    name: &'static str,
    parts: SupervisorParts,
    tenant: RefCell<Option<Rc<Tenant>>>,
}

impl Neighbour {
    fn tenant(&self) -> Option<Rc<Tenant>> {
        self.tenant.borrow().clone()
    }
}

/// B and C.
pub(super) struct Neighbours {
    pub(super) life: Life,
    common: Common,
    b: Neighbour,
    c: Neighbour,
    random: RefCell<StdRng>,
    done: Cell<usize>,
    hanging: RefCell<Vec<Awaiting>>,
}

impl Neighbours {
    pub(super) fn new(life: Life, common: Common, b: SupervisorParts, c: SupervisorParts) -> Self {
        let neighbour = |number, name, parts: SupervisorParts| {
            let tenant = life.is_there.then(|| Rc::new(common.start(parts.clone())));
            Neighbour { number, name, parts, tenant: RefCell::new(tenant) }
        };
        let (b, c) = (neighbour(B, NAME_OF_B, b), neighbour(C, NAME_OF_C, c));
        let random = RefCell::new(StdRng::seed_from_u64(life.seed.unwrap_or(0)));
        Self { life, common, b, c, random, done: Cell::new(0), hanging: RefCell::default() }
    }

    pub(super) fn b(&self) -> Option<Rc<Tenant>> {
        self.b.tenant()
    }

    /// Puts other doors before B.
    pub(super) fn replace_b(&self, change: impl FnOnce(&mut Tenant)) {
        if let Some(tenant) = self.b.tenant.borrow_mut().as_mut() {
            change(Rc::get_mut(tenant).unwrap());
        }
    }

    /// The name of the first question B was asked, in a world where it was asked any.
    pub(super) fn first_query_of_b(at_unix_ms: u64) -> String {
        fresh(&Foretold::of(B) as &dyn Draw, at_unix_ms).to_string()
    }

    /// They bring the documents they have when A comes.
    pub(super) async fn move_in(&self, street: &Street) {
        for (number, neighbour) in [&self.b, &self.c].into_iter().enumerate() {
            let documents: Vec<_> = (0..self.life.documents).map(|at| theirs(at + number)).collect();
            if !documents.is_empty() {
                ingest(neighbour, street, documents).await;
            }
        }
    }

    /// What they do while A takes a step.
    pub(super) async fn bustle(&self, world: &World) {
        if !self.life.is_there {
            return;
        }
        for _ in 0..self.life.deeds_per_step {
            let done = self.done.replace(self.done.get() + 1);
            let (kind, is_b) = match self.life.seed {
                Some(_) => {
                    let mut random = self.random.borrow_mut();
                    (random.random_range(0..DEEDS), random.random())
                }
                None => (done % DEEDS, true),
            };
            let neighbour = if is_b { &self.b } else { &self.c };
            let deed = self.deed(kind, done, neighbour, world);
            if world.fault.is_some() {
                // on a faulty node a neighbour may wait for what is A's
                let _done_or_not = tokio::time::timeout(DEED_IN_A_FAULTY_NODE, deed).await;
            } else {
                deed.await;
            }
        }
    }

    async fn deed(&self, kind: usize, done: usize, neighbour: &Neighbour, world: &World) {
        let street = &world.street;
        let Some(tenant) = neighbour.tenant() else { return };
        let turn = async |matter: Matter, key: Option<&str>| {
            Street::count(&street.requests);
            let (line, awaiting) = crate::turn::ReplyLine::whole();
            let outcome = tenant.knock_as(principal(), key, matter, (line, awaiting)).reply().await;
            if outcome.is_err() {
                Street::count(&street.refusals);
            }
        };
        match kind {
            0 => turn(question(QUESTIONS[done % QUESTIONS.len()]), None).await,
            1 => turn(chat(&format!("the secret of deed {done}")), Some(IDEMPOTENCY_KEY)).await,
            2 => ingest(neighbour, street, vec![theirs(done)]).await,
            3 => turn(chat(NOT_ANSWERED), None).await,
            4 => turn(too_dear(), None).await,
            5 => {
                let searches: Vec<_> = (0..BURST).map(|_| tenant.knock(search())).collect();
                for awaiting in searches {
                    Street::count(&street.requests);
                    let _served_or_not = awaiting.reply().await;
                }
            }
            6 => self.hang(&tenant, street),
            7 => {
                Street::count(&street.panics);
                tenant
                    .address
                    .send(super::super::fixtures::Provoke(KINDS[done % KINDS.len()]))
                    .await
                    .unwrap_or_default();
            }
            8 => turn(chat(FALLS_OVER), None).await,
            9 => {
                let number = Street::count(&street.changes);
                let strictness = Strictness { top_k: 1 + done % 9, ..self.life.b };
                let policy = policies::of_neighbour(neighbour.name, strictness, number + 1);
                let _adopted_or_not = tenant.adopt(&policy).await;
            }
            10 => {
                let id = DOCUMENTS[done % DOCUMENTS.len()].0;
                let removal = |reply| RemoveDocument { id: id.into(), principal: principal(), reply };
                let _removed_or_not = tenant.told(removal).await;
                // who has written last gives the right to write to the next
                ingest(neighbour, street, vec![theirs(done)]).await;
            }
            11 => prying(&tenant, world).await,
            12 => {
                let until_unix_ms = world.clock.now_unix_ms() + 60_000;
                let approval = |reply| ApproveSpending { until_unix_ms, by: "key".into(), reply };
                let _approved_or_not = tenant.told(approval).await;
            }
            13 => {
                let copied = DOCUMENTS.iter().map(|(id, text)| document(id, text)).collect();
                ingest(neighbour, street, copied).await;
            }
            14 => turn(question(" "), None).await,
            15 => turn(search(), Some("../../a")).await,
            16 => self.leave_and_come_back(neighbour, world, done.is_multiple_of(2)).await,
            _ => ingest(neighbour, street, vec![document("../../../\u{0}'; --", "What is this?")]).await,
        }
    }

    fn hang(&self, tenant: &Tenant, street: &Street) {
        let mut hanging = self.hanging.borrow_mut();
        if hanging.len() < HANGING_MAX {
            Street::count(&street.in_flight);
            hanging.push(tenant.knock(chat(WITHOUT_END)));
        }
    }

    /// A suspended tenant is closed and opened again; a deleted one loses everything before somebody takes its place.
    async fn leave_and_come_back(&self, neighbour: &Neighbour, world: &World, is_deleted: bool) {
        let Some(tenant) = neighbour.tenant.borrow_mut().take() else { return };
        if !self.hanging.borrow().is_empty() {
            // closing would wait for calls that never end
            neighbour.tenant.replace(Some(tenant));
            return;
        }
        let _closed = tenant.told(|reply| Close { reply }).await;
        let key = cipher(neighbour.number);
        if is_deleted {
            world.vault.shred(key.tenant()).unwrap();
        }
        let belongings = world.vault.belongings(key).unwrap();
        let parts = SupervisorParts { belongings, ..neighbour.parts.clone() };
        neighbour.tenant.replace(Some(Rc::new(self.common.start(parts))));
    }
}

/// Kinds of deeds.
const DEEDS: usize = 18;

fn search() -> Matter {
    Matter::Search(Search { query: "codeword of the reading room".into(), ..Search::default() })
}

fn too_dear() -> Matter {
    let body = serde_json::json!({"model": "metered", "messages": [{"role": "user", "content": "much"}], "n": 100_000});
    Matter::Chat(Box::new(Chat { model: "metered".into(), body, max_tokens: Some(u32::MAX) }))
}

/// A document under one of A's ids, with A's words in another number.
pub(super) fn theirs(number: usize) -> NewDocument {
    let (id, text) = DOCUMENTS[number % DOCUMENTS.len()];
    document(
        id,
        &format!("{} {text} The codeword of the neighbour is number {number}.", "heron codeword ".repeat(number % 5)),
    )
}

async fn ingest(neighbour: &Neighbour, street: &Street, documents: Vec<NewDocument>) {
    let Some(tenant) = neighbour.tenant() else { return };
    street.document_ids.lock().unwrap().extend(documents.iter().filter_map(|document| document.id.clone()));
    let _taken_or_not = tenant.ingest(documents).await;
}

/// Asks for what is A's, by names that are A's.
async fn prying(tenant: &Tenant, world: &World) {
    let query_id = fresh(&Foretold::of(super::world::A), super::super::fixtures::NOW).to_string();
    let read = |reply| ReadLineage { query_id: query_id.clone(), principal: principal(), reply };
    let read = tenant.told(read).await;
    let given = |reply| GiveFeedback {
        query_id: query_id.clone(),
        up: false,
        comment: Some("mine".into()),
        correct_answer: None,
        rejected: Vec::new(),
        principal: principal(),
        reply,
    };
    let given = tenant.told(given).await;
    let is_sound = world.fault.is_none();
    assert!(!is_sound || (read.is_err() && given.is_err()), "A's answer is nobody else's, to read or to judge");
    world.street.idempotency_keys.lock().unwrap().insert(IDEMPOTENCY_KEY.into());
}
