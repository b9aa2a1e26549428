//! The attempts, field by field. Each gives what it saw where that is not what an id nobody has would have brought.
use super::super::fixtures::*;
use super::super::messages::{ExportLineage, GiveFeedback, LineagePortion, ReadLineage, Wishes};
use super::foreign::{Dice, Pair};
use super::scene::{CANARY, NAMES, NEIGHBOUR, OWN_WORDS, Scene, hits, member, records};
use super::writing;
use crate::approvals::messages::DecideApproval;
use crate::approvals::rules::Decision;
use crate::imports::messages::{ImportLineage, ImportStep};
use crate::proofs::messages::{ReadReceipt, ReadWitness, ShowRecords};
use crate::question::{Matter, Question, Reply, Search};
use crate::retrieval::messages::{ListDocuments, RemoveDocument, ShowDocument};
use crate::turn::ReplyLine;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::flags::{Context, ErrorCode, evaluate, evaluate_all};
use futures_util::{StreamExt, stream};
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Mutex;

/// Attempts under way at a time; below what mailboxes and places hold.
const IN_FLIGHT: usize = 64;
/// Documents of a page, records of a portion.
const PAGE: usize = 3;

/// Tries one row so often.
pub(super) async fn attempt(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let ids = &scene.ids;
    let before = records(&scene.own);
    let found = match row {
        "ShowDocument.id" => show(scene, row, times).await,
        "RemoveDocument.id" => remove(scene, row, times).await,
        "ListDocuments.after" => list(scene, row, times).await,
        "ReadReceipt.query_id" => receipt(scene, row, times).await,
        "ReadWitness.journal" => witness(scene, row, times).await,
        "ShowRecords.from" => shown(scene, row, times).await,
        "ReadLineage.query_id" => lineage(scene, row, times).await,
        "GiveFeedback.query_id" => feedback(scene, row, times).await,
        "DecideApproval.id" => decide(scene, row, times).await,
        "ImportLineage.file_sha256" => import(scene, row, times).await,
        "ExportLineage.from" => export(scene, row, times).await,
        "Search.query" => {
            search(scene, row, times, [&ids.documents, &ids.titles, &ids.sources], |id| Search {
                query: format!("{CANARY} {id}"),
                ..Search::default()
            })
            .await
        }
        "Search.domain" => {
            search(scene, row, times, [&ids.domains, &ids.usecases, &ids.documents], |domain| Search {
                query: format!("{CANARY} {OWN_WORDS}"),
                domain: Some(domain),
                ..Search::default()
            })
            .await
        }
        "Search.usecase" => {
            search(scene, row, times, [&ids.usecases, &ids.domains, &ids.documents], |usecase| Search {
                query: format!("{CANARY} {OWN_WORDS}"),
                usecase: Some(usecase),
                ..Search::default()
            })
            .await
        }
        "Wishes.conversation" => conversation(scene, row, times).await,
        "Question.text" | "Question.domain" | "Question.usecase" => return ask(scene, row, times).await,
        "Wishes.idempotency_key" => return repeat(scene, row, times).await,
        "Context.targetingKey" => targeting(scene, row, times),
        "flag key" => flag(scene, row, times),
        row if row.starts_with("NewDocument.") => return writing::attempt(scene, row, times).await,
        row => panic!("{row} is in the table and nowhere tried"),
    };
    assert_eq!(records(&scene.own), before, "{row} has left records");
    found
}

/// A foreign id, most often of the kind that belongs here, written in some way.
fn drawn(scene: &Scene, (row, number): (&str, usize), fitting: &[Pair]) -> String {
    let mut dice = Dice::of(row, number);
    let kinds = scene.ids.kinds();
    let pool = if dice.below(5) > 0 { fitting } else { *dice.one_of(&kinds) };
    let pair = dice.one_of(pool).clone();
    pair.spelled(&mut dice, &NAMES).theirs
}

/// Runs attempts, many at once.
async fn many<F>(times: usize, one: impl Fn(usize) -> F) -> Vec<String>
where
    F: Future<Output = Option<String>>,
{
    stream::iter(0..times).map(one).buffer_unordered(IN_FLIGHT).filter_map(std::future::ready).collect().await
}

/// A hit, unless the answer is what is expected and says nothing of the neighbour.
fn unless<T: PartialEq + Debug>((row, number): (&str, usize), id: &str, expected: &T, told: &T) -> Option<String> {
    (told != expected).then(|| format!("{row} {number} {id:?}: {told:?}"))
}

/// What an id is told that nobody has.
async fn unknown<T: Debug>(asked: impl Future<Output = Outcome<T>>) -> Rejection {
    let rejection = asked.await.unwrap_err();
    assert_eq!(rejection.code, Code::NotFound);
    rejection
}

async fn show(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let ask = |id: String| scene.own.told(|reply| ShowDocument { id, principal: principal(), reply });
    let nobodys = Err(unknown(ask("nobody has this".into())).await);
    many(times, |number| {
        let (id, nobodys) = (drawn(scene, (row, number), &scene.ids.documents), &nobodys);
        async move { unless((row, number), &id, nobodys, &ask(id.clone()).await) }
    })
    .await
}

async fn remove(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let ask = |id: String| scene.own.told(|reply| RemoveDocument { id, principal: principal(), reply });
    let nobodys = Err(unknown(ask("nobody has this".into())).await);
    many(times, |number| {
        let (id, nobodys) = (drawn(scene, (row, number), &scene.ids.documents), &nobodys);
        async move { unless((row, number), &id, nobodys, &ask(id.clone()).await) }
    })
    .await
}

async fn decide(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let decision = Decision::Approve { for_ms: 1_000 };
    let by = || member("dana", "ownkey0000");
    let ask = |id: String| scene.own.told(|reply| DecideApproval { id, decision, by: by(), reply });
    let nobodys = Err(unknown(ask(scene.ids.approvals[0].nobodys.clone())).await);
    many(times, |number| {
        let (id, nobodys) = (drawn(scene, (row, number), &scene.ids.approvals), &nobodys);
        async move { unless((row, number), &id, nobodys, &ask(id.clone()).await) }
    })
    .await
}

async fn lineage(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let ask = |query_id: String| scene.own.told(|reply| ReadLineage { query_id, principal: principal(), reply });
    let nobodys = Err(unknown(ask(scene.ids.queries[0].nobodys.clone())).await);
    many(times, |number| {
        let (id, nobodys) = (drawn(scene, (row, number), &scene.ids.queries), &nobodys);
        async move { unless((row, number), &id, nobodys, &ask(id.clone()).await) }
    })
    .await
}

async fn import(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let ask = |file_sha256: String, keep: bool| {
        let step = if keep { ImportStep::Keep { file_sha256 } } else { ImportStep::Withdraw { file_sha256 } };
        scene.own.told(|reply| ImportLineage { step, by: "ownkey0000".into(), reply })
    };
    let nobodys = Err(unknown(ask(scene.ids.imports[0].nobodys.clone(), false)).await);
    many(times, |number| {
        let (id, nobodys) = (drawn(scene, (row, number), &scene.ids.imports), &nobodys);
        async move { unless((row, number), &id, nobodys, &ask(id.clone(), number.is_multiple_of(2)).await) }
    })
    .await
}

async fn receipt(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let ask = |query_id: String| scene.own.told(|reply| ReadReceipt { query_id, principal: principal(), reply });
    let nobodys = Err(unknown(ask(scene.ids.queries[0].nobodys.clone())).await);
    many(times, |number| {
        let (id, nobodys) = (drawn(scene, (row, number), &scene.ids.queries), &nobodys);
        async move { unless((row, number), &id, nobodys, &ask(id.clone()).await) }
    })
    .await
}

async fn witness(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let ask = |journal: String| scene.own.told(|reply| ReadWitness { journal, principal: principal(), reply });
    let journals = [Pair::of(cipher(NEIGHBOUR).tenant().to_hex())];
    let nobodys = Err(unknown(ask(journals[0].nobodys.clone())).await);
    many(times, |number| {
        let (id, nobodys) = (drawn(scene, (row, number), &journals), &nobodys);
        async move { unless((row, number), &id, nobodys, &ask(id.clone()).await) }
    })
    .await
}

/// Positions of the neighbour's records, which mean the own ones here.
async fn shown(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let show = |from| scene.own.told(move |reply| ShowRecords { from, max: PAGE, principal: principal(), reply });
    let end = u64::try_from(scene.own.entries().len()).unwrap();
    many(times, |number| async move {
        let from = Dice::of(row, number).below(2 * usize::try_from(end).unwrap()) as u64;
        let told = show(from).await;
        let expected: Vec<u64> = (from..end).take(PAGE).collect();
        let positions = told.as_ref().map(|records| records.iter().map(|record| record.position).collect::<Vec<_>>());
        (positions != Ok(expected)).then(|| format!("{row} {number} {from}: {told:?}"))
    })
    .await
}

async fn feedback(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let ask = |query_id: String| {
        scene.own.told(|reply| GiveFeedback {
            query_id,
            up: false,
            comment: Some("wrong".into()),
            correct_answer: None,
            rejected: Vec::new(),
            principal: principal(),
            reply,
        })
    };
    let nobodys = Err(unknown(ask(scene.ids.queries[0].nobodys.clone())).await);
    many(times, |number| {
        let (id, nobodys) = (drawn(scene, (row, number), &scene.ids.queries), &nobodys);
        async move { unless((row, number), &id, nobodys, &ask(id.clone()).await) }
    })
    .await
}

/// Behind whatever text the own documents go on, in their order: where, says a keyed digest of it.
async fn list(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let own = &scene.own_documents;
    let pages: Vec<_> = (0..=own.len()).map(|at| own.iter().skip(at).take(PAGE).cloned().collect::<Vec<_>>()).collect();
    let pages = &pages;
    many(times, |number| async move {
        let after = drawn(scene, (row, number), &scene.ids.documents);
        let list = |reply| ListDocuments { after: Some(after.clone()), limit: PAGE, principal: principal(), reply };
        let told = scene.own.told(list).await;
        let is_own = told.as_ref().is_ok_and(|listed| pages.contains(listed));
        (!is_own).then(|| format!("{row} {number} {after:?}: {told:?}"))
    })
    .await
}

async fn export(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let (their_end, own_end) = (u64::try_from(scene.theirs.entries().len()).unwrap(), scene.own_end);
    let page = u64::try_from(PAGE).unwrap();
    many(times, |number| async move {
        let mut dice = Dice::of(row, number);
        // positions of the neighbour's records, around both ends, and anything
        let from = match dice.below(4) {
            0 | 1 => dice.roll() % (their_end + 3),
            2 => own_end.saturating_sub(2) + dice.roll() % 6,
            _ => dice.roll() >> dice.below(64),
        };
        let export = |reply| ExportLineage { from, max: PAGE, principal: principal(), reply };
        let told = scene.own.told(export).await;
        let told = told.map(|LineagePortion { records, next }| {
            (records.into_iter().flat_map(|record| record.lines).collect::<Vec<_>>(), next)
        });
        let expected = |end: u64| {
            let to = from.saturating_add(page).min(end);
            let lines = scene.own_lines.iter().filter(|line| (from..to).contains(&line.seq)).cloned().collect();
            Ok((lines, (from < end).then_some(to)))
        };
        // one record more where the escrow has gone back
        let is_own = [own_end, own_end + 1].map(expected).contains(&told);
        (!is_own).then(|| format!("{row} {number} {from}: {told:?}"))
    })
    .await
}

async fn search(
    scene: &Scene,
    row: &'static str,
    times: usize,
    pools: [&[Pair]; 3],
    wanted: impl Fn(String) -> Search + Copy,
) -> Vec<String> {
    many(times, |number| async move {
        let pool = *Dice::of(row, number + times).one_of(&pools);
        let id = drawn(scene, (row, number), pool);
        let found = hits(&scene.own, wanted(id.clone()), Wishes::default()).await;
        (!found.is_empty()).then(|| format!("{row} {number} {id:?}: {found:?}"))
    })
    .await
}

async fn conversation(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    many(times, |number| async move {
        let id = drawn(scene, (row, number), &scene.ids.conversations);
        let wishes = Wishes { conversation: Some(id.clone()), ..Wishes::default() };
        let search = Search { query: OWN_WORDS.into(), ..Search::default() };
        unless((row, number), &id, &scene.own_hits, &hits(&scene.own, search, wishes).await)
    })
    .await
}

async fn ask(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let wanted = |id: String| match row {
        "Question.text" => Question { text: format!("What does {CANARY} {id} say?"), ..Question::default() },
        "Question.domain" => {
            Question { text: format!("{CANARY} {OWN_WORDS}"), domain: Some(id), ..Question::default() }
        }
        _ => Question { text: format!("{CANARY} {OWN_WORDS}"), usecase: Some(id), ..Question::default() },
    };
    let told = async |question: Question| match scene.own.knock(Matter::Ask(question)).reply().await.unwrap() {
        Reply::Answer(answer) => (answer.abstained, answer.answer, answer.citations, answer.reason),
        other => panic!("an answer: {other:?}"),
    };
    let nobodys = told(wanted("nobody-has-this".into())).await;
    assert!(nobodys.0 && nobodys.2.is_empty(), "{nobodys:?}");
    let (told, nobodys) = (&told, &nobodys);
    many(times, |number| async move {
        let pool = if row == "Question.text" { &scene.ids.documents } else { &scene.ids.domains };
        let id = drawn(scene, (row, number), pool);
        unless((row, number), &id, nobodys, &told(wanted(id.clone())).await)
    })
    .await
}

/// A call of the asker's own under the neighbour's `Idempotency-Key`, half of them even with its API key's id: it is run,
/// and answered with the asker's own words.
async fn repeat(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let (taken, taken_names) = (Mutex::new(HashSet::new()), &scene.ids.keys);
    let calls = scene.stage.meter.calls();
    scene.stage.meter.release(times);
    let taken = &taken;
    let found = many(times, |number| async move {
        let key = drawn(scene, (row, number), &scene.ids.idempotency_keys);
        let theirs = Dice::of(row, number + times).one_of(taken_names).theirs.clone();
        let is_first = number.is_multiple_of(2) && taken.lock().unwrap().insert((theirs.clone(), key.clone()));
        let key_id = if is_first { theirs } else { format!("own-{number}") };
        let asker = Principal { key_id, ..principal() };
        let words = format!("own words {number}");
        let mut asked = scene.own.knock_as(asker, Some(&key), chat(&words), ReplyLine::whole());
        let told = asked.reply_mut().await;
        let own = matches!(&told, Ok(Reply::Completion(completion))
            if completion.body["choices"][0]["message"]["content"] == words.as_str());
        (!own || asked.is_repeat()).then(|| format!("{row} {number} {key:?}: {told:?}"))
    })
    .await;
    let called = scene.stage.meter.calls() - calls;
    assert!(!found.is_empty() || called == u64::try_from(times).unwrap(), "{called} of {times} were called");
    found
}

fn targeting(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let (flags, mut found, mut on) = (&scene.own_flags, Vec::new(), 0);
    for number in 0..times {
        let id = drawn(scene, (row, number), &scene.ids.users);
        let context = Context::of_key(&id);
        let policy = flags.policy_for(Some(&id));
        let told: Vec<_> = evaluate_all(&policy.features, flags.level.state, &context).collect();
        let alone: Vec<_> = evaluate_all(&scene.policy.features, flags.level.state, &context).collect();
        on += usize::from(told.iter().any(|said| said.key == "ours_share" && *said.value == true));
        let says_theirs = told.iter().any(|said| scene.ids.flags.iter().any(|flag| flag.theirs == said.key));
        if says_theirs {
            found.push(format!("{row} {number} {id:?}: {told:?}"));
        }
        found.extend(unless((row, number), &id, &alone, &told));
    }
    assert!(times < 1_000 || (on > 0 && on < times), "a flag that depends on the key: on for {on} of {times}");
    found
}

fn flag(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let flags = &scene.own_flags;
    let tried = (0..times).map(|number| {
        let key = drawn(scene, (row, number), &scene.ids.flags);
        let told = evaluate(&flags.policy.features, flags.level.state, &key, &Context::of_key("farah"));
        unless((row, number), &key, &Err(ErrorCode::FlagNotFound), &told)
    });
    tried.flatten().collect()
}
