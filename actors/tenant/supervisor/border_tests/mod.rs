//! No byte outside the allowed regions at any instant: random worlds of lists, providers and embeddings, of lists that change
//! while calls are under way, of failures, retries, hang-ups, panics and restarts, through whole tenants on a real vault. Every piece
//! sent and every document kept is judged at its instant by rules that share no code with the house's.
use super::actor::Supervisor;
use super::fixtures::*;
use super::messages::{AdoptPolicy, Close};
use super::rooms::KINDS;
use crate::catalog::{Price, ProviderEntry};
use crate::egress::clear_to_keep;
use crate::entry::Entry;
use crate::question::{Matter, Question};
use crate::routing::providers::Provider;
use crate::turn::ReplyLine;
use actix::Addr;
use bailiwick_kernel::clock::Clock;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::Route;
use bailiwick_policy::sovereignty::Region;
use futures_util::future::join_all;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;
use witness::{Event, Found, LAST_BEAT, Lists, Scene, Scenes, Witness, judge, tagged};

mod witness;

/// Where providers run; the last two are no regions: unset, and unknown.
const PROVIDERS: [&str; 8] =
    ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "cn-north-1", "local", "", "EU-West-1"];
const PATTERNS: [&str; 11] = [
    "eu-west-1",
    "eu-central-1",
    "us-east-1",
    "us-west-2",
    "cn-north-1",
    "local",
    "eu-*",
    "us-*",
    "cn-*",
    "us-e*",
    "lo*",
];
const NODES: [&str; 3] = ["local", "eu-west-1", "us-east-1"];
const WORLDS: u64 = 150;
const STEPS: u64 = 40;

async fn adopt(tenant: &Addr<Supervisor>, policy: Arc<PolicySnapshot>) -> Outcome<String> {
    let (reply, awaited) = ReplySlot::pair();
    tenant.send(AdoptPolicy { policy, reply }).await.map_err(|_closed| Rejection::lost())?;
    awaited.outcome().await
}

/// SplitMix64: the same world for the same number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }

    /// Lists that mostly allow the node.
    fn lists(&mut self, node: &str) -> Lists {
        let mut lists = Lists::default();
        for _ in 0..=self.roll(4) {
            lists.allowed.push(self.pick(&PATTERNS).to_owned());
        }
        for _ in 0..self.roll(3) {
            lists.forbidden.push(self.pick(&PATTERNS).to_owned());
        }
        if self.roll(5) > 0 {
            lists.allowed.push(node.to_owned());
            lists.forbidden.retain(|pattern| {
                Lists { allowed: vec![node.to_owned()], forbidden: vec![pattern.clone()] }.allow(node)
            });
        }
        lists
    }

    fn provider(&mut self) -> String {
        format!("p{}", self.roll(PROVIDERS.len() as u64 + 1))
    }
}

/// Every provider, and one in an allowed region that is reached without TLS: what it is sent is nowhere.
fn providers(scenes: &Scenes) -> Vec<(ProviderEntry, Arc<dyn Provider>)> {
    let entry = |number: usize, region: &str, base_url: &str| ProviderEntry {
        name: format!("p{number}"),
        kind: "witness".into(),
        base_url: Some(base_url.into()),
        api_key: None,
        local: None,
        region: region.into(),
        concurrency: 4_096,
        requests_per_minute: None,
        timeout_ms: 600_000,
        retries: u32::try_from(number % 2).unwrap(),
        prices: ["metered", EMBEDDER]
            .map(|model| {
                let price = Price { input_nano_usd_per_token: 1, output_nano_usd_per_token: 1 };
                (model.to_owned(), price.into())
            })
            .into(),
    };
    let witness = |region| -> Arc<dyn Provider> { Witness::new(region, scenes) };
    let encrypted = PROVIDERS.into_iter().enumerate();
    let encrypted =
        encrypted.map(|(number, region)| (entry(number, region, "https://provider.example"), witness(region)));
    let in_the_clear = (entry(PROVIDERS.len(), "eu-west-1", "http://10.0.0.1:80"), witness("in the clear"));
    encrypted.chain([in_the_clear]).collect()
}

/// A policy of these lists and of random models.
fn ruled(base: &PolicySnapshot, lists: &Lists, dice: &mut Dice, number: u64) -> Arc<PolicySnapshot> {
    let mut policy = base.clone();
    policy.digest = format!("{number}");
    policy.sovereignty.allowed_regions = lists.allowed.clone();
    policy.sovereignty.forbidden_regions = lists.forbidden.clone();
    let route = |provider| Route { provider, model: "metered".into(), temperature: 0.0, max_tokens: 8 };
    policy.router.routing.primary = route(dice.provider());
    policy.router.routing.fallback = Some(route(dice.provider()));
    let semantic = policy.router.cache.as_mut().unwrap().semantic.as_mut().unwrap();
    semantic.embedding.provider = dice.provider();
    Arc::new(policy)
}

/// What became of lists on their way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Became {
    InForce,
    Refused,
}

/// A policy on its way, and what becomes of it.
type Coming = (Arc<PolicySnapshot>, Rc<Cell<Option<Became>>>);

/// One world under way.
struct World<'a> {
    number: u64,
    dice: Dice,
    stage: &'a Stage,
    node: &'static str,
    base: &'a PolicySnapshot,
    scenes: &'a Scenes,
    scene: Scene,
    tenant: Tenant,
    /// The policy in force.
    policy: Arc<PolicySnapshot>,
    /// One that is on its way, and what became of it.
    coming: Option<Coming>,
    in_force: usize,
    policies: u64,
}

/// Lives through one world and judges it; `None` where the tenant may not be on this node at all.
async fn live(stage: &Stage, scenes: &Scenes, base: &PolicySnapshot, node: &'static str, number: u64) -> Option<Found> {
    let mut dice = Dice(number);
    let first = dice.lists(node);
    let policy = ruled(base, &first, &mut dice, 0);
    let kept = clear_to_keep(&policy.sovereignty, &Region::named(node).unwrap());
    assert_eq!(kept.is_ok(), first.allow(node), "world {number}: {first:?} on {node}");
    kept.ok()?;
    let tenant = stage.start(number.into(), &policy);
    let scene = Scene { clock: tenant.clock.clone(), beat: watch::Sender::new(0), events: Arc::default() };
    scenes.lock().unwrap().insert(number, scene.clone());
    let (coming, in_force, policies) = (None, 0, 1);
    let mut world =
        World { number, dice, stage, node, base, scenes, scene, tenant, policy, coming, in_force, policies };
    world.learn().await;
    for _ in 0..STEPS {
        world = world.step().await;
        tokio::task::yield_now().await;
    }
    let events = Arc::clone(&world.scene.events);
    world.close().await;
    let events = events.lock().unwrap();
    let found = judge(&first, &events);
    assert_eq!(found.bytes_outside, 0, "world {number} on {node} from {first:?}: {events:#?}");
    Some(found)
}

impl World<'_> {
    async fn learn(&self) {
        let document = document("reading-room", "The codeword of the reading room is amber.");
        self.tenant.ingest(vec![document]).await.unwrap();
        let kept = self.tenant.entries().into_iter().filter_map(|entry| match entry {
            Entry::DocumentAccepted(document) => Some((document.region, document.bytes)),
            _ => None,
        });
        for (region, bytes) in kept {
            assert_eq!(region, self.node);
            let bytes = usize::try_from(bytes).unwrap();
            self.scene.note(Event::Kept { at_unix_ms: self.scene.clock.now_unix_ms(), region, bytes });
        }
        eventually("the document is found", async || {
            self.tenant.figures().await.is_ok_and(|figures| figures.corpus.searchable == 1)
        })
        .await;
    }

    async fn step(mut self) -> Self {
        self.notice();
        match self.dice.roll(16) {
            0..6 => self.ask(),
            6..11 => self.beat(),
            11..14 => self.change(),
            14 => self.panic().await,
            _ if self.dice.roll(4) == 0 => return self.restart().await,
            _ => self.scene.clock.advance(self.dice.roll(20_000)),
        }
        self
    }

    /// A room panics: every turn in flight is lost, and all rooms are rebuilt.
    async fn panic(&mut self) {
        if self.tenant.provoke(self.dice.pick(&KINDS)).await {
            self.scene.note(Event::Panicked);
        }
    }

    /// Takes note of what became of lists that were on their way.
    fn notice(&mut self) {
        let Some((policy, outcome)) = &self.coming else { return };
        match outcome.get() {
            None => return,
            Some(Became::InForce) => {
                self.policy = Arc::clone(policy);
                self.in_force += 1;
            }
            Some(Became::Refused) => {}
        }
        self.coming = None;
    }

    /// A question or a completion, streamed or whole, waited for or hung up on.
    fn ask(&mut self) {
        let certain = self.coming.is_none().then_some(self.in_force);
        let words = ["What is the codeword of the reading room", "What is the codeword for the reading room"];
        let text = tagged(self.number, certain, self.dice.pick(&words));
        let matter =
            if self.dice.roll(4) == 0 { chat(&text) } else { Matter::Ask(Question { text, ..Question::default() }) };
        let line = if self.dice.roll(3) == 0 { ReplyLine::streaming() } else { ReplyLine::whole() };
        let mut awaiting = self.tenant.knock_as(principal(), None, matter, line);
        let patience = if self.dice.roll(4) == 0 { self.dice.roll(20) } else { u64::MAX };
        actix_rt::spawn(async move {
            if patience < u64::MAX {
                for _ in 0..patience {
                    tokio::task::yield_now().await;
                }
                return;
            }
            while awaiting.frames.recv().await.is_some() {}
            let _whatever = awaiting.reply().await;
        });
    }

    fn beat(&self) {
        self.scene.beat.send_modify(|beat| *beat += 1);
        self.scene.clock.advance(1);
    }

    /// Other lists and models, while calls are under way.
    fn change(&mut self) {
        if self.coming.is_some() {
            return;
        }
        let lists = self.dice.lists(self.node);
        let policy = ruled(self.base, &lists, &mut self.dice, self.policies);
        self.policies += 1;
        let outcome = Rc::new(Cell::new(None));
        self.coming = Some((Arc::clone(&policy), Rc::clone(&outcome)));
        let (scene, may_stay, tenant) = (self.scene.clone(), lists.allow(self.node), self.tenant.address.clone());
        scene.note(Event::Pushed(lists));
        actix_rt::spawn(async move {
            let adopted = adopt(&tenant, policy).await;
            let became = match &adopted {
                Ok(_version) => {
                    assert!(may_stay, "a policy that does not allow the node was adopted");
                    scene.note(Event::Acknowledged);
                    Became::InForce
                }
                // they are in force, but the incarnation that should have recorded it is gone
                Err(unrecorded) if unrecorded.code == Code::Internal && may_stay => {
                    scene.note(Event::Acknowledged);
                    Became::InForce
                }
                // there were no rooms
                Err(lost) if lost.code == Code::Lost => {
                    scene.note(Event::Refused);
                    Became::Refused
                }
                Err(refusal) => {
                    assert!(refusal.code == Code::SovereigntyViolation && !may_stay, "{refusal}");
                    scene.note(Event::Refused);
                    Became::Refused
                }
            };
            outcome.set(Some(became));
        });
    }

    /// Waits for what is on its way; lists need no beat to come into force.
    async fn settle(&mut self) {
        eventually("lists come into force, or do not", async || {
            self.notice();
            self.coming.is_none()
        })
        .await;
    }

    /// Ends the tenant in order.
    async fn close(mut self) -> Self {
        self.settle().await;
        self.scene.beat.send_replace(LAST_BEAT);
        self.tenant.told(|reply| Close { reply }).await.unwrap();
        self
    }

    /// Ends the tenant and starts it anew, with the policy in force.
    async fn restart(self) -> Self {
        let mut world = self.close().await;
        world.tenant = world.stage.start(world.number.into(), &world.policy);
        world.scene.clock = world.tenant.clock.clone();
        world.scene.beat = watch::Sender::new(0);
        world.scenes.lock().unwrap().insert(world.number, world.scene.clone());
        world
    }
}

#[actix_rt::test]
async fn no_byte_is_outside_the_allowed_regions_at_any_instant() {
    let base = policy("default", understanding);
    let (mut lived, mut refused, mut total) = (0_u64, 0_u64, Found::default());
    for (index, node) in NODES.into_iter().enumerate() {
        let scenes = Scenes::default();
        let stage = Stage::among(Region::named(node).unwrap(), providers(&scenes));
        let from = u64::try_from(index).unwrap() * WORLDS + 1;
        let worlds = (from..from + WORLDS).map(|number| live(&stage, &scenes, &base, node, number));
        for found in in_time("the worlds end", join_all(worlds)).await {
            let Some(found) = found else {
                refused += 1;
                continue;
            };
            lived += 1;
            total.pieces += found.pieces;
            total.bytes_sent += found.bytes_sent;
            total.bytes_kept += found.bytes_kept;
            total.bytes_outside += found.bytes_outside;
            total.changes += found.changes;
            total.recalled += found.recalled;
            total.panics += found.panics;
        }
    }
    println!("{lived} worlds lived, {refused} refused at the door: {total:?}");
    assert_eq!(total.bytes_outside, 0);
    // the worlds are worth watching: calls are made, lists change while they are, some tenants may not be here
    assert!(lived > 200 && refused > 10, "{lived} {refused}");
    assert!(total.pieces > 1_000 && total.changes > 500 && total.recalled > 20 && total.panics > 100, "{total:?}");
}
