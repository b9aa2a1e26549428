//! A tenant, its neighbour on the same vault, and everything of the neighbour that has a name.
use super::super::fixtures::*;
use super::super::messages::{
    Close, ExportLineage, FlagsInForce, GiveFeedback, Lineage, LineageLine, ReadFlags, ReadLineage, Wishes,
};
use super::foreign::{Names, Pair};
use crate::approvals::messages::ReadApprovals;
use crate::entry::Entry;
use crate::imports::messages::{ImportLineage, ImportStep, Portion};
use crate::question::{Matter, Passage, Reply, Search};
use crate::retrieval::messages::{DocumentView, ListDocuments, NewDocument, RemoveDocument, ShowDocument};
use crate::turn::ReplyLine;
use bailiwick_kernel::ids::Position;
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::parse::FileTexts;
use std::sync::Arc;

/// The numbers tenant keys are made of.
pub(super) const OWN: u128 = 1;
pub(super) const NEIGHBOUR: u128 = 2;
/// Who takes documents in under a neighbour's ids.
const WRITER: u128 = 3;
/// Stands in every text of the neighbour and nowhere else.
pub(super) const CANARY: &str = "zanzibar";
/// Words of every document of the asker's own.
pub(super) const OWN_WORDS: &str = "heron";
pub(super) const NAMES: Names<'static> =
    Names { theirs: "beta-inc", their_uuid: "c81e7b52-3d94-4f0e-a7c6-5be2914f6d03", own: "default" };

const THEIR_DOCUMENTS: usize = 24;
/// No word of the asker's own documents stands in an id of the neighbour's.
const PONDS: [&str; 8] = ["alder", "birch", "cedar", "dogwood", "elm", "fir", "gorse", "hazel"];
const THEIR_ANSWERS: usize = 12;
const THEIR_REMOVALS: usize = 8;
const OWN_ANSWERS: usize = 6;

/// Whatever of the neighbour has a name, with a name of the same form that nobody has.
#[derive(Default)]
pub(super) struct Ids {
    pub(super) documents: Vec<Pair>,
    pub(super) chunks: Vec<Pair>,
    pub(super) titles: Vec<Pair>,
    pub(super) sources: Vec<Pair>,
    pub(super) domains: Vec<Pair>,
    pub(super) usecases: Vec<Pair>,
    pub(super) queries: Vec<Pair>,
    pub(super) receipts: Vec<Pair>,
    pub(super) idempotency_keys: Vec<Pair>,
    pub(super) conversations: Vec<Pair>,
    pub(super) users: Vec<Pair>,
    pub(super) keys: Vec<Pair>,
    pub(super) flags: Vec<Pair>,
    pub(super) approvals: Vec<Pair>,
    pub(super) imports: Vec<Pair>,
}

impl Ids {
    /// Every one, of whichever kind: an id of one kind in a field of another is tried, too.
    pub(super) fn kinds(&self) -> [&[Pair]; 15] {
        [
            &self.documents,
            &self.chunks,
            &self.titles,
            &self.sources,
            &self.domains,
            &self.usecases,
            &self.queries,
            &self.receipts,
            &self.idempotency_keys,
            &self.conversations,
            &self.users,
            &self.keys,
            &self.flags,
            &self.approvals,
            &self.imports,
        ]
    }
}

/// Everything of a tenant that somebody else could have changed.
#[derive(PartialEq, Debug)]
pub(super) struct State {
    entries: Vec<Entry>,
    documents: Vec<DocumentView>,
    texts: Vec<String>,
    lineages: Vec<Lineage>,
}

impl State {
    pub(super) async fn of(tenant: &Tenant) -> Self {
        let documents = listed(tenant).await;
        let mut texts = Vec::new();
        for DocumentView { id, .. } in &documents {
            let show = |reply| ShowDocument { id: id.clone(), principal: principal(), reply };
            texts.push(tenant.told(show).await.unwrap().1);
        }
        let entries = records(tenant);
        let mut lineages = Vec::new();
        for entry in &entries {
            if let Entry::AnswerRecorded(record) = entry {
                lineages.push(lineage(tenant, &record.query_id).await);
            }
        }
        Self { entries, documents, texts, lineages }
    }

    pub(super) fn is_unchanged(&self, now: &Self) {
        assert_eq!(self.entries.len(), now.entries.len(), "records of the neighbour's journal");
        assert!(self == now, "the neighbour has changed: {self:?}\n{now:?}");
        assert!(self.documents.len() == THEIR_DOCUMENTS && self.lineages.len() >= THEIR_ANSWERS);
    }
}

/// What stands in a tenant's journal, but for the escrow: it goes back when a tenant has been quiet for long enough.
pub(super) fn records(tenant: &Tenant) -> Vec<Entry> {
    let is_escrow = |entry: &Entry| matches!(entry, Entry::EscrowTaken { .. } | Entry::EscrowReturned { .. });
    tenant.entries().into_iter().filter(|entry| !is_escrow(entry)).collect()
}

async fn lineage(tenant: &Tenant, query_id: &str) -> Lineage {
    let read = |reply| ReadLineage { query_id: query_id.to_owned(), principal: principal(), reply };
    tenant.told(read).await.unwrap()
}

pub(super) async fn listed(tenant: &Tenant) -> Vec<DocumentView> {
    tenant.told(|reply| ListDocuments { after: None, limit: 1_000, principal: principal(), reply }).await.unwrap()
}

/// All documents, page by page, in the order pages have.
async fn in_order(tenant: &Tenant) -> Vec<DocumentView> {
    let (mut all, mut after): (Vec<DocumentView>, Option<String>) = (Vec::new(), None);
    loop {
        let list = |reply| ListDocuments { after: after.clone(), limit: 1, principal: principal(), reply };
        let Some(next) = tenant.told(list).await.unwrap().pop() else { return all };
        after = Some(next.id.clone());
        all.push(next);
    }
}

pub(super) async fn hits(tenant: &Tenant, search: Search, wishes: Wishes) -> Arc<[Passage]> {
    let awaiting = tenant.knock_with(principal(), wishes, Matter::Search(search), ReplyLine::whole());
    match awaiting.reply().await.unwrap() {
        Reply::Hits(hits) => hits,
        other => panic!("no hits: {other:?}"),
    }
}

/// The asker, its neighbour, and what the asker has of its own.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) own: Tenant,
    pub(super) theirs: Tenant,
    pub(super) writer: Tenant,
    /// The writer on a node without neighbours.
    pub(super) lone_writer: Tenant,
    _lone: Stage,
    pub(super) policy: Arc<PolicySnapshot>,
    pub(super) ids: Ids,
    pub(super) own_documents: Vec<DocumentView>,
    pub(super) own_lines: Vec<LineageLine>,
    pub(super) own_end: u64,
    pub(super) own_hits: Arc<[Passage]>,
    pub(super) own_flags: FlagsInForce,
}

/// Flags that depend on who asks: a share, and users the neighbour names.
fn flagged(texts: &mut FileTexts, name: &str) {
    metered(texts);
    let more =
        format!("  {name}_share:\n    enabled: true\n    description: {CANARY} for some\n    rollout_percent: 50\n");
    texts
        .get_mut("features.yaml")
        .unwrap()
        .push_str(&more.replace(CANARY, if name == "ours" { "this" } else { CANARY }));
}

fn their_document(number: usize) -> NewDocument {
    let text = format!("The {CANARY} codeword of ledger {number} is quagga{number}; auditors of {CANARY} keep it.");
    NewDocument {
        title: Some(format!("{CANARY} ledger {number}")),
        domain: Some(format!("payments-{}", number % 3)),
        usecase: Some(format!("closing-{}", number % 2)),
        ..document(&format!("invoice-{number:02}"), &text)
    }
}

fn own_document(number: usize) -> NewDocument {
    let pond = PONDS[number];
    let text = format!("The {OWN_WORDS} of {pond} pond stands in shallow water.");
    NewDocument { title: Some(format!("Pond {pond}")), ..document(&format!("ours-{number}"), &text) }
}

pub(super) fn member(user: &str, key_id: &str) -> Principal {
    Principal {
        key_id: key_id.to_owned(),
        user_id: Some(user.to_owned()),
        role: Some(Role::Admin),
        attributes: Default::default(),
    }
}

/// Removals of the neighbour wait for somebody's approval.
fn careful(texts: &mut FileTexts) {
    let rule =
        "rules:\n  - id: two-people-remove\n    effect: require\n    actions: [remove]\n    obligation: approve\n";
    edit(texts, "policies/governance.yaml", "rules:\n", rule);
}

/// The neighbour works: it asks, judges, and names what it names.
async fn at_work(stage: &Stage, theirs: &Tenant) -> Ids {
    let mut ids = Ids::default();
    stage.meter.release(1_000_000);
    for number in 0..THEIR_ANSWERS {
        let user = ["farah", "goran", "hana"][number % 3];
        let (key, conversation) = (format!("closing-2025-{number}"), format!("thread-{number}"));
        let wishes = Wishes {
            idempotency_key: Some(key.clone()),
            conversation: Some(conversation.clone()),
            ..Wishes::default()
        };
        let matter = if number % 4 == 3 {
            chat(&format!("{CANARY} words {number}"))
        } else {
            question(&format!("What is the {CANARY} codeword of ledger {number}?"))
        };
        let key_id = format!("theirkey{number:04}");
        let asked = theirs.knock_with(member(user, &key_id), wishes, matter, ReplyLine::whole());
        let (query_id, receipt) = match asked.reply().await.unwrap() {
            Reply::Answer(answer) => (answer.query_id, answer.receipt),
            Reply::Completion(completion) => (completion.query_id, completion.receipt),
            Reply::Hits(_) => panic!("an answer"),
        };
        let judged = |reply| GiveFeedback {
            query_id: query_id.clone(),
            up: true,
            comment: Some(format!("{CANARY} is right")),
            correct_answer: None,
            rejected: Vec::new(),
            principal: member(user, &key_id),
            reply,
        };
        theirs.told(judged).await.unwrap();
        ids.queries.push(Pair::of_uuid(query_id));
        ids.receipts.push(Pair::of(receipt));
        ids.idempotency_keys.push(Pair::of(key));
        ids.conversations.push(Pair::of(conversation));
        ids.keys.push(Pair::of(key_id));
    }
    for view in listed(theirs).await {
        ids.chunks.push(Pair::of(format!("{}#0", view.id)));
        ids.titles.push(Pair::of(view.title));
        ids.sources.push(Pair::of(view.source));
        ids.domains.push(Pair::of(view.domain));
        ids.usecases.push(Pair::of(view.usecase));
        ids.documents.push(Pair::of(view.id));
    }
    for number in 0..THEIR_REMOVALS {
        let id = format!("invoice-{number:02}");
        let removal = |reply| RemoveDocument { id, principal: member("farah", "theirkey0000"), reply };
        theirs.told(removal).await.unwrap_err();
    }
    let read = |reply| ReadApprovals { principal: member("goran", "theirkey0001"), reply };
    let waiting = theirs.told(read).await.unwrap();
    assert_eq!(waiting.len(), THEIR_REMOVALS);
    ids.approvals.extend(waiting.into_iter().map(|request| Pair::of(request.id)));
    let file_sha256 = "5f16".repeat(16);
    let line = format!(r#"{{"query_id":"{CANARY}-1","trust_score":0.5,"timestamp":"2025-10-08T12:00:00Z"}}"#);
    let portion = Portion { file_sha256: file_sha256.clone(), file: CANARY.into(), after: 0, lines: vec![line] };
    let take = |reply| ImportLineage { step: ImportStep::Take(portion), by: "theirkey0001".into(), reply };
    theirs.told(take).await.unwrap();
    ids.imports.push(Pair::of(file_sha256));
    ids.queries.push(Pair::of(format!("{CANARY}-1")));
    ids.users.extend(["farah", "goran", "hana"].map(Pair::of));
    ids.flags.extend(["drift_alerts", "theirs_share"].map(Pair::of));
    ids
}

impl Scene {
    /// With the asker on the belongings of this number: its own, or, put together wrongly, its neighbour's, who has gone
    /// then, because a journal has one owner at a time.
    pub(super) async fn new(number: u128) -> Self {
        let stage = Stage::new();
        let theirs = policy("beta-inc", |texts| {
            flagged(texts, "theirs");
            careful(texts);
        });
        let theirs =
            stage.start(NEIGHBOUR, &theirs).with_documents((0..THEIR_DOCUMENTS).map(their_document).collect()).await;
        let ids = at_work(&stage, &theirs).await;
        let own_policy = policy("default", |texts| flagged(texts, "ours"));
        if number == NEIGHBOUR {
            theirs.told(|reply| Close { reply }).await.unwrap();
        }
        let own = stage.start(number, &own_policy);
        own.figures().await.unwrap();
        own.ingest((0..PONDS.len()).map(own_document).collect()).await.unwrap();
        let search = || Search { query: OWN_WORDS.into(), ..Search::default() };
        eventually("the own documents are found", async || {
            hits(&own, search(), Wishes::default()).await.len() == PONDS.len()
        })
        .await;
        let mut own_queries = Vec::new();
        for pond in PONDS.iter().take(OWN_ANSWERS) {
            let answer = own.ask(&format!("Where does the {OWN_WORDS} of {pond} pond stand?")).await.unwrap();
            own_queries.push(answer.query_id);
        }
        let own_end = own.journal().replay(Position(0), |_, _, _: Entry| {}).unwrap().0;
        let export = |reply| ExportLineage { from: 0, max: 2_000, principal: principal(), reply };
        let portion = own.told(export).await.unwrap();
        let own_lines = portion
            .records
            .into_iter()
            .flat_map(|record| record.lines)
            .filter(|line| own_queries.contains(&line.query_id))
            .collect();
        let own_documents = in_order(&own).await.into_iter().filter(|view| view.id.starts_with("ours-")).collect();
        let own_hits = hits(&own, search(), Wishes::default()).await;
        let own_flags = own.told(|reply| ReadFlags { reply }).await.unwrap();
        let lone = Stage::new();
        let writing = policy("default", metered);
        let (writer, lone_writer) = (stage.start(WRITER, &writing), lone.start(WRITER, &writing));
        Self {
            stage,
            own,
            theirs,
            writer,
            lone_writer,
            _lone: lone,
            policy: own_policy,
            ids,
            own_documents,
            own_lines,
            own_end,
            own_hits,
            own_flags,
        }
    }
}
