//! A's day: every kind of request a tenant can make, in an order that follows from a seed, and at its end A's journal.
//! One thing after another: what A does at once would be in an order of its own making.
use super::super::fixtures::{NOW, chat, document};
use super::super::messages::{ExportLineage, GiveFeedback, ReadLineage};
use super::super::messages::{Inspect, ReadFigures, ReadFlags, ReadPolicy, ReadSpend, Wishes};
use super::super::meter::NOT_ANSWERED;
use super::neighbours::Neighbours;
use super::policies::{self, FORBIDDEN, HIDDEN, SCARCE};
use super::watcher::{Stopped, Watcher, told};
use super::world::World;
use crate::budget::ledger::day_of;
use crate::entry::Entry;
use crate::question::{CacheControl, Chat, Matter, Question, Search};
use crate::retrieval::messages::{ListDocuments, NewDocument, RemoveDocument, ShowDocument};
use crate::slo::messages::ReadService;
use crate::spend::view::{Dimension, SpendQuery};
use crate::turn::ReplyLine;
use bailiwick_kernel::clock::Clock;
use bailiwick_kernel::fabric::Fabric;
use bailiwick_kernel::ids::Position;
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::flags::{Context, evaluate_all};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;

/// A's documents.
pub(super) const DOCUMENTS: [(&str, &str); 7] = [
    ("reading-room", "The codeword of the reading room is amber. Readers leave their coats at the door."),
    ("cellar", "The codeword of the cellar is cobalt. Herons stand in shallow water and wait."),
    ("garden", "The heron in the garden eats fish. The codeword of the garden is jade."),
    ("attic", "Nobody has been in the attic for years; its codeword is ochre and its key is lost."),
    ("kitchen", "The codeword of the kitchen is vermilion, and nobody may say so."),
    ("leave", "Every employee has thirty days of paid leave in a year."),
    ("harbour", "Ships wait in the harbour for the tide. The codeword of the harbour is teal."),
];
/// What A asks.
pub(super) const QUESTIONS: [&str; 7] = [
    "What is the codeword of the reading room?",
    "What is the codeword of the cellar?",
    "What does the heron in the garden eat?",
    "How many days of paid leave does an employee have?",
    "What is the codeword of the kitchen?",
    "Where do ships wait for the tide?",
    "What is the airspeed of an unladen swallow?",
];
/// The `Idempotency-Key` all tenants use.
pub(super) const IDEMPOTENCY_KEY: &str = "again";

const ROUNDS: u64 = 2;
const MINUTE_MS: u64 = 60_000;

fn who(key_id: &str) -> Principal {
    Principal {
        key_id: key_id.into(),
        user_id: Some("dana".into()),
        role: Some(Role::Owner),
        attributes: Default::default(),
    }
}

fn ask(text: &str) -> Matter {
    Matter::Ask(Question { text: text.into(), ..Question::default() })
}

fn search(query: &str, domain: Option<&str>) -> Matter {
    Matter::Search(Search { query: query.into(), domain: domain.map(str::to_owned), ..Search::default() })
}

/// A's walk through one world.
struct Walk<'a> {
    world: &'a World,
    watcher: &'a Watcher,
    queries: Vec<String>,
}

/// Takes A through its day.
pub(super) async fn walk(world: &World, watcher: &Watcher, seed: u64) -> Result<(), Stopped> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut walk = Walk { world, watcher, queries: Vec::new() };
    world.neighbours.move_in(&world.street).await;
    let mut documents = DOCUMENTS;
    documents.shuffle(&mut random);
    walk.take_in(documents.iter().map(|(id, text)| document(id, text)).collect()).await?;
    for round in 0..ROUNDS {
        let mut chapters: Vec<usize> = (0..CHAPTERS).collect();
        chapters.shuffle(&mut random);
        for chapter in chapters {
            walk.chapter(chapter, round, &mut random).await?;
        }
        walk.world.clock.advance(random.random_range(1..20) * MINUTE_MS);
        if round == 0 {
            walk.adopt().await?;
        }
    }
    walk.look_at_the_record().await
}

const CHAPTERS: usize = 9;

impl Walk<'_> {
    async fn chapter(&mut self, chapter: usize, round: u64, random: &mut StdRng) -> Result<(), Stopped> {
        match chapter {
            0 => self.questions(round, random).await,
            1 => self.searches(random).await,
            2 => self.completions(round).await,
            3 => self.the_same_again(round).await,
            4 => self.refusals(round).await,
            5 => self.documents(round).await,
            6 => self.lineage_and_feedback(round).await,
            7 => self.figures().await,
            _ => self.flags().await,
        }
    }

    /// One request of A's beside whatever the neighbours do meanwhile, written down when both are over.
    async fn turn(&mut self, name: &str, who: Principal, wishes: Wishes, matter: Matter) -> Result<(), Stopped> {
        self.turn_on(name, who, wishes, matter, ReplyLine::whole()).await
    }

    async fn turn_on(
        &mut self,
        name: &str,
        who: Principal,
        wishes: Wishes,
        matter: Matter,
        line: (ReplyLine, crate::turn::Awaiting),
    ) -> Result<(), Stopped> {
        let is_search = matches!(matter, Matter::Search(_));
        let awaiting = self.world.a.knock_with(who, wishes, matter, line);
        let query_id = self.beside(self.watcher.reply(name, awaiting)).await?;
        self.queries.extend(query_id);
        // a search holds no money, and one that a rate refuses is not recorded
        if !is_search {
            self.world.comes_to_rest().await;
        }
        Ok(())
    }

    async fn beside<T>(&self, step: impl Future<Output = T>) -> T {
        let (done, ()) = futures_util::join!(step, self.world.neighbours.bustle(self.world));
        if let Some(super::world::Fault::Mishap(mishap)) = self.world.fault {
            mishap(self.world);
        }
        done
    }

    async fn plain(&mut self, name: &str, matter: Matter) -> Result<(), Stopped> {
        self.turn(name, who("key"), Wishes::default(), matter).await
    }

    async fn take_in(&mut self, documents: Vec<NewDocument>) -> Result<(), Stopped> {
        let taken = self.beside(self.world.a.ingest(documents)).await;
        match taken {
            Ok(taken) => {
                for one in taken {
                    self.watcher.see(format!("ingest {}", one.id), json!(one)).await?;
                }
            }
            refused => self.watcher.outcome("ingest", &refused).await?,
        }
        self.world.comes_to_rest().await;
        self.world.is_tidy().await;
        Ok(())
    }

    async fn questions(&mut self, round: u64, random: &mut StdRng) -> Result<(), Stopped> {
        let mut questions = QUESTIONS;
        questions.shuffle(random);
        for text in questions {
            self.plain(&format!("ask: {text}"), ask(text)).await?;
        }
        let wishes = Wishes { cache_control: CacheControl::NoCache, ..Wishes::default() };
        self.turn("ask anew", who("key"), wishes, ask(QUESTIONS[0])).await?;
        let again = "What is the codeword of the reading room, please?";
        self.plain("ask: the same meaning", ask(again)).await?;
        let narrow = Question {
            text: QUESTIONS[1].into(),
            domain: Some("general".into()),
            top_k: Some(1),
            ..Question::default()
        };
        self.plain("ask in a domain", Matter::Ask(narrow)).await?;
        for (number, text) in [QUESTIONS[2], QUESTIONS[5]].into_iter().enumerate() {
            let text = format!("{text} ({round})");
            let anew = Wishes { cache_control: CacheControl::NoCache, ..Wishes::default() };
            self.turn_on(&format!("stream {number}"), who("key"), anew, ask(&text), ReplyLine::streaming()).await?;
        }
        Ok(())
    }

    async fn searches(&mut self, random: &mut StdRng) -> Result<(), Stopped> {
        let queries = ["codeword", "heron", "codeword heron fish", "paid leave employee", "the neighbour", FORBIDDEN];
        for query in queries {
            self.plain(&format!("search: {query}"), search(query, None)).await?;
        }
        let query = queries[random.random_range(0..queries.len())];
        self.plain("search in a domain", search(query, Some("general"))).await?;
        self.plain("search in a hidden domain", search(query, Some(HIDDEN))).await
    }

    async fn completions(&mut self, round: u64) -> Result<(), Stopped> {
        for words in ["hello", "tell me more"] {
            self.plain(&format!("chat: {words}"), chat(&format!("{words} {round}"))).await?;
        }
        let body = json!({"model": "metered", "input": format!("words {round}")});
        self.plain("embed", Matter::Embed(Box::new(body))).await
    }

    async fn the_same_again(&mut self, round: u64) -> Result<(), Stopped> {
        let key = |name: &str| Wishes { idempotency_key: Some(name.to_owned()), ..Wishes::default() };
        let mine = format!("{IDEMPOTENCY_KEY}-{round}");
        for (number, name) in [IDEMPOTENCY_KEY, &mine, &mine].into_iter().enumerate() {
            self.turn(&format!("keyed {number}"), who("key"), key(name), ask(QUESTIONS[0])).await?;
        }
        self.turn("keyed, with another body", who("key"), key(&mine), ask(QUESTIONS[1])).await?;
        self.turn("keyed, by another key", who("other"), key(&mine), ask(QUESTIONS[1])).await
    }

    async fn refusals(&mut self, round: u64) -> Result<(), Stopped> {
        self.plain("an empty question", ask(" ")).await?;
        for number in 0..3 {
            self.turn(&format!("scarce {number}"), who(SCARCE), Wishes::default(), search("heron", None)).await?;
        }
        let body = json!({"model": "metered", "messages": [{"role": "user", "content": "much"}]});
        let dear = Chat { model: "metered".into(), body, max_tokens: Some(4_000_000) };
        self.plain("beyond the budget", Matter::Chat(Box::new(dear))).await?;
        let body = json!({"model": "unheard-of", "input": "x"});
        self.plain("a model nobody allowed", Matter::Embed(Box::new(body))).await?;
        self.plain("a question the provider fails", ask(&format!("{NOT_ANSWERED}: {} {round}", QUESTIONS[0]))).await?;
        self.plain("a chat the provider fails", chat(&format!("{NOT_ANSWERED} {round}"))).await
    }

    async fn documents(&mut self, round: u64) -> Result<(), Stopped> {
        let a = &self.world.a;
        for limit in [2, 100] {
            let list = |reply| ListDocuments { after: None, limit, principal: who("key"), reply };
            let listed = self.beside(a.told(list)).await;
            self.watcher.outcome(format!("list {limit}"), &listed).await?;
        }
        let known = DOCUMENTS.iter().map(|(id, _)| *id);
        for id in known.chain(["no-such-document", "../../../\u{0}'; --"]) {
            let show = |reply| ShowDocument { id: id.into(), principal: who("key"), reply };
            let shown = self.beside(a.told(show)).await;
            self.watcher.outcome(format!("show {id}"), &shown).await?;
        }
        for id in ["no-such-document", "leave"] {
            let removal = |reply| RemoveDocument { id: id.into(), principal: who("key"), reply };
            let removed = self.beside(a.told(removal)).await;
            self.watcher.outcome(format!("remove {id}"), &removed).await?;
        }
        let hidden = NewDocument { domain: Some(HIDDEN.into()), ..document("hidden", "The hidden codeword is puce.") };
        let elsewhere = NewDocument { region: Some("cn-north-1".into()), ..document("abroad", "Far away.") };
        let untrusted =
            NewDocument { source: Some("https://nobody.invalid/x".into()), ..document("rumour", "They say.") };
        let changed = document("attic", &format!("The attic was opened; its codeword is {round}."));
        let (id, text) = DOCUMENTS[5];
        self.take_in(vec![document(id, text), hidden, elsewhere, untrusted, changed]).await?;
        self.take_in(vec![document(DOCUMENTS[1].0, DOCUMENTS[1].1)]).await
    }

    async fn lineage_and_feedback(&mut self, round: u64) -> Result<(), Stopped> {
        let a = &self.world.a;
        let unknown = uuid::Uuid::nil().to_string();
        let of_b = Neighbours::first_query_of_b(NOW);
        let own = self.queries.iter().rev().take(4).cloned();
        let asked: Vec<String> = own.chain([unknown, of_b, "no id".into()]).collect();
        for (number, query_id) in asked.into_iter().enumerate() {
            let read = |reply| ReadLineage { query_id: query_id.clone(), principal: who("key"), reply };
            let lineage = self.beside(a.told(read)).await;
            self.watcher.outcome(format!("lineage {number}"), &lineage).await?;
            let give = |reply| GiveFeedback {
                query_id,
                up: number % 2 == 0,
                comment: Some(format!("round {round}")),
                correct_answer: None,
                rejected: Vec::new(),
                principal: who("key"),
                reply,
            };
            let given = self.beside(a.told(give)).await;
            self.watcher.outcome(format!("feedback {number}"), &given).await?;
        }
        Ok(())
    }

    async fn figures(&mut self) -> Result<(), Stopped> {
        let a = &self.world.a;
        let figures = self.beside(a.told(|reply| ReadFigures { reply })).await;
        self.watcher.outcome("figures", &figures).await?;
        let service = self.beside(a.told(|reply| ReadService { reply })).await;
        self.watcher.outcome("service level", &service).await?;
        let today = day_of(self.world.clock.now_unix_ms());
        for group_by in [vec![Dimension::Day, Dimension::Provider], vec![Dimension::Key, Dimension::Domain]] {
            let query = SpendQuery { days: today - 1..=today, group_by };
            let spend = self.beside(a.told(|reply| ReadSpend { query, reply })).await;
            let spend = spend.map(|spend| {
                let forecast = format!("{:?}", spend.forecast);
                json!([spend.rows, spend.by_day, spend.kept_from, spend.spent_month, spend.limit_month, forecast])
            });
            self.watcher.outcome("spend", &spend).await?;
        }
        let policy = self.beside(a.told(|reply| ReadPolicy { reply })).await;
        self.watcher
            .outcome("policy", &policy.map(|policy| json!([policy.version, policy.digest, policy.top_k])))
            .await?;
        let rooms = self.beside(a.told(|reply| Inspect { reply })).await;
        self.watcher.outcome("rooms", &rooms).await
    }

    async fn flags(&mut self) -> Result<(), Stopped> {
        for user in ["dana", "omar", "petra", "quentin", "rosa", "sven"] {
            let read = self.beside(self.world.a.told(|reply| ReadFlags { reply })).await;
            let said = read.map(|in_force| {
                let context = Context::of_key(user);
                let all = evaluate_all(&in_force.policy.features, in_force.level.state, &context);
                let all: Vec<Value> =
                    all.map(|flag| json!([flag.key, flag.value, flag.variant, flag.off_by])).collect();
                json!([all, in_force.level])
            });
            self.watcher.outcome(format!("flags of {user}"), &said).await?;
        }
        Ok(())
    }

    /// A's next policy, under a guard the index is judged by anew; and a document, so that its index is tidy again.
    async fn adopt(&mut self) -> Result<(), Stopped> {
        let policy = policies::next_of_tenant_a(self.world.has_caches);
        let adopted = self.beside(self.world.a.adopt(&policy)).await;
        self.watcher.outcome("adopt", &adopted).await?;
        self.take_in(vec![document("annex", "The annex was built under another policy; its codeword is plum.")]).await
    }

    /// Lineage as exported, and the journal itself: what stands in it, where, under which epoch, in how many bytes.
    async fn look_at_the_record(&mut self) -> Result<(), Stopped> {
        let mut from = 0;
        loop {
            let export = |reply| ExportLineage { from, max: 64, principal: who("key"), reply };
            let portion = self.beside(self.world.a.told(export)).await;
            let Ok(portion) = portion else { return self.watcher.see("export", told(&portion.map(|_| ()))).await };
            for line in portion.records.iter().flat_map(|record| &record.lines) {
                self.watcher.see("export", json!(line)).await?;
            }
            self.watcher.see("export: next", json!(portion.next)).await?;
            let Some(next) = portion.next else { break };
            from = next;
        }
        let journal = &self.world.a.belongings.journal;
        let (mut entries, mut at) = (Vec::new(), Position(0));
        let _damaged = journal.replay(at, |position, _, entry: Entry| entries.push((position, entry)));
        let fabric: Arc<dyn Fabric> = self.world.vault.fabric();
        for (position, entry) in entries {
            let sealed = fabric.read(journal.tenant(), position, 1).ok().and_then(|records| records.into_iter().next());
            let sealed = sealed.map(|record| (record.position.0, record.epoch.0, record.payload.len()));
            self.watcher.see(format!("record {}", position.0), json!([format!("{entry:?}"), sealed])).await?;
            at = position;
        }
        self.watcher.see("end of the journal", json!(at.0)).await
    }
}
