//! Table and property tests of the supervisor's pure decisions: restart budget, exit, fold.
use super::exit::{self, Charge, Clearance};
use super::fixtures::{NOW, edit, policy, principal, question};
use super::fold::Fold;
use super::rules::{FactsKept, Phase, Restarts, Verdict};
use super::sideways::Sideways;
use crate::budget::accounts::Spender;
use crate::budget::ledger::Open;
use crate::entry::{AnswerRecorded, ChargeAttributed, Entry, HoldClosed, HoldTaken, LineageChunk};
use crate::question::{Matter, ModelUsed, Passage, Question, Reply, Usage};
use crate::ruling::Ruled;
use crate::turn::{Case, Draft, DraftContent};
use bailiwick_kernel::codec;
use bailiwick_kernel::ids::{Position, QueryId};
use bailiwick_kernel::limits::{
    NAME_CHARS_MAX, QUESTION_CHARS_MAX, RECORD_BYTES_MAX, RESTART_WINDOW_MS, RESTARTS_MAX, TOP_K_MAX,
};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::sync::Arc;

const CHARGE: Charge = Charge { amount: NanoUsd(70), held: NanoUsd(100) };

#[test]
fn phases_answer_what_a_caller_can_act_on() {
    let table = [
        (Phase::Serving, None),
        (Phase::Opening, Some((Code::Overloaded, true))),
        (Phase::Rebuilding, Some((Code::Lost, true))),
        (Phase::Closing, Some((Code::Lost, true))),
        (Phase::Quarantined("why".into()), Some((Code::TenantSuspended, false))),
    ];
    for (phase, expected) in table {
        let answer = phase.admits().err().map(|rejection| (rejection.code, rejection.retry_after_ms.is_some()));
        assert_eq!(answer, expected, "{}", phase.as_str());
    }
}

#[test]
fn the_restart_budget_is_used_up_within_its_window_only() {
    let mut restarts = Restarts::default();
    for _ in 0..RESTARTS_MAX {
        assert_eq!(restarts.died(NOW), Verdict::Rebuild);
    }
    assert_eq!(restarts.died(NOW + RESTART_WINDOW_MS), Verdict::Quarantine, "the first is still in the window");
    assert_eq!(restarts.died(NOW + RESTART_WINDOW_MS + 1), Verdict::Rebuild, "the first deaths have left it");
    assert_eq!(restarts.total(), u64::from(RESTARTS_MAX) + 2);
}

proptest! {
    #[test]
    fn deaths_are_counted_as_a_naive_count_would(steps in prop::collection::vec(0_u64..2_000, 1..200)) {
        let (mut restarts, mut now, mut deaths) = (Restarts::default(), NOW, Vec::new());
        for step in steps {
            now += step;
            deaths.push(now);
            let recent = deaths.iter().filter(|death| now - **death <= RESTART_WINDOW_MS).count();
            let expected = if recent > usize::try_from(RESTARTS_MAX).unwrap() { Verdict::Quarantine } else { Verdict::Rebuild };
            prop_assert_eq!(restarts.died(now), expected);
        }
    }
}

fn case(matter: Matter, policy: Arc<PolicySnapshot>) -> Case {
    let ruled = Ruled::on(&policy, &matter, &principal(), NOW).unwrap();
    Case {
        query_id: QueryId::fresh(NOW, [7; 10]),
        matter,
        principal: principal(),
        policy,
        ruled,
        arrived_unix_ms: NOW,
        admitted_unix_ms: NOW,
        deadline_unix_ms: NOW + 1_000,
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
    }
}

fn passage(number: usize, text: &str) -> Passage {
    Passage {
        document_id: format!("doc{number}"),
        chunk_id: format!("doc{number}#3"),
        title: format!("Title {number}"),
        source: "upload.local/doc.txt".into(),
        text: text.into(),
        start: 1_000 * number,
        end: 1_000 * number + text.chars().count(),
        page: None,
        score: 1.0,
        trust_score: 0.5,
        domain: "general".into(),
        usecase: "general".into(),
        version: 0,
        document_sha256: String::new(),
    }
}

fn draft(content: DraftContent) -> Draft {
    let model = ModelUsed { provider: "p".into(), name: "m".into(), region: "eu-west-1".into(), fallback: false };
    Draft {
        content,
        prompt_tokens: 11,
        completion_tokens: 7,
        model,
        cut_short: false,
        ended_by_length: false,
        rejection: None,
    }
}

fn grounded(text: &str, spans: &[(usize, std::ops::Range<usize>)]) -> Draft {
    draft(DraftContent::Grounded { text: text.into(), spans: spans.to_vec() })
}

/// Runs a test that needs a runtime to stand on, though it sends nothing.
fn on_stage<T>(test: impl FnOnce() -> T) -> T {
    actix_rt::System::new().block_on(async { test() })
}

fn cleared(policy: &Arc<PolicySnapshot>, passages: &[Passage], draft: Draft) -> Clearance {
    exit::clear(&case(question("why?"), Arc::clone(policy)), passages, draft, CHARGE, NOW + 5)
}

fn answer_of(clearance: &Clearance) -> &crate::question::Answer {
    match &clearance.verdict {
        Ok(Reply::Answer(answer)) => answer,
        other => panic!("not answered: {other:?}"),
    }
}

#[test]
fn citations_that_name_no_passage_are_removed() {
    on_stage(|| {
        let passages = [passage(1, "Salt dissolves."), passage(2, "Oil does not.")];
        let clearance = cleared(
            &policy("default", |_| {}),
            &passages,
            grounded("Salt does [1]. Lead floats [7]. Oil [2, 9] not [0].", &[]),
        );
        let answer = answer_of(&clearance);
        assert_eq!(answer.answer, "Salt does [1]. Lead floats. Oil [2] not.");
        assert_eq!(
            answer.citations.iter().map(|citation| citation.marker.as_str()).collect::<Vec<_>>(),
            ["[1]", "[2]"]
        );
        assert_eq!(
            clearance.record.cited.iter().map(|chunk| chunk.chunk_id.as_str()).collect::<Vec<_>>(),
            ["doc1#3", "doc2#3"]
        );
        assert!((answer.trust_score - 0.5).abs() < 1e-9);
    });
}

#[test]
fn offsets_count_characters_of_the_document() {
    on_stage(|| {
        let passages = [passage(1, "Größe zählt: ja.")];
        let clearance = cleared(&policy("default", |_| {}), &passages, grounded("Sie zählt [1].", &[(1, 6..11)]));
        let [citation] = answer_of(&clearance).citations.as_slice() else { panic!("one citation") };
        assert_eq!((citation.snippet.as_str(), citation.start, citation.end), ("zählt", 1_006, 1_011));
    });
}

#[test]
fn spans_beyond_their_passage_are_cut_or_ignored() {
    on_stage(|| {
        let passages = [passage(1, "0123456789")];
        for (span, expected) in [
            (8..99, ("89", 1_008, 1_010)),
            (50..60, ("0123456789", 1_000, 1_010)),
            (4..4, ("0123456789", 1_000, 1_010)),
        ] {
            let clearance = cleared(&policy("default", |_| {}), &passages, grounded("Digits [1].", &[(1, span)]));
            let [citation] = answer_of(&clearance).citations.as_slice() else { panic!("one citation") };
            assert_eq!((citation.snippet.as_str(), citation.start, citation.end), expected);
        }
    });
}

#[test]
fn every_citation_that_leaves_resolves() {
    on_stage(|| {
        let policy = policy("default", |_| {});
        let words = prop::collection::vec(
            prop_oneof![
                Just("word ".to_owned()),
                Just("é🦀 ".to_owned()),
                (0_usize..9).prop_map(|n| format!("[{n}] ")),
                (0_usize..9, 0_usize..9).prop_map(|(a, b)| format!("[{a}, {b}] "))
            ],
            0..30,
        );
        let spans = prop::collection::vec((0_usize..9, 0_usize..40, 0_usize..40), 0..6);
        let passages = prop::collection::vec("[a-zé🦀 ]{0,30}", 0..5);
        TestRunner::default()
            .run(&(words, spans, passages), |(words, spans, texts)| {
                let passages: Vec<_> = texts.iter().enumerate().map(|(at, text)| passage(at + 1, text)).collect();
                let spans: Vec<_> = spans.into_iter().map(|(marker, from, to)| (marker, from.min(to)..to)).collect();
                let clearance = cleared(&policy, &passages, grounded(&words.concat(), &spans));
                let answer = answer_of(&clearance);
                prop_assert_eq!(answer.abstained, answer.citations.is_empty(), "this tenant's answers must cite");
                for citation in &answer.citations {
                    prop_assert!(answer.answer.contains(&citation.marker));
                    let number: usize = citation.marker.trim_matches(['[', ']']).parse().unwrap();
                    let passage = &passages[number - 1];
                    prop_assert_eq!(&citation.chunk_id, &passage.chunk_id);
                    prop_assert!(passage.start <= citation.start && citation.end <= passage.end);
                    let within: String = passage
                        .text
                        .chars()
                        .skip(citation.start - passage.start)
                        .take(citation.end - citation.start)
                        .collect();
                    prop_assert_eq!(&citation.snippet, &within);
                    prop_assert!(clearance.record.cited.iter().any(|chunk| chunk.chunk_id == citation.chunk_id));
                }
                prop_assert_eq!(clearance.record.usage.cost, CHARGE.amount);
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn an_answer_without_citations_is_an_abstention_where_policy_wants_them() {
    on_stage(|| {
        let passages = [passage(1, "Salt dissolves.")];
        let strict = cleared(&policy("default", |_| {}), &passages, grounded("Because I say so.", &[]));
        let answer = answer_of(&strict);
        assert!(answer.abstained && answer.reason.is_some() && !answer.answer.contains("say so"));
        assert!(strict.record.abstained);
        assert_eq!(strict.record.usage.cost, CHARGE.amount, "the provider was paid");
        let lax = policy("default", |texts| {
            edit(texts, "policies/governance.yaml", "require_citations: true", "require_citations: false")
        });
        assert_eq!(
            answer_of(&cleared(&lax, &passages, grounded("Because I say so.", &[]))).answer,
            "Because I say so."
        );
    });
}

#[test]
fn what_the_output_policy_forbids_is_withheld_and_charged_and_not_kept() {
    on_stage(|| {
        let passages = [passage(1, "Salt dissolves.")];
        let policy = policy("default", |_| {});
        let secret = "It is -----BEGIN RSA PRIVATE KEY----- [1]";
        let completion = serde_json::json!({"choices": [{"message": {"content": secret}}]});
        for content in [grounded(secret, &[]), draft(DraftContent::Completion(completion))] {
            let clearance = cleared(&policy, &passages, content);
            assert_eq!(clearance.verdict.as_ref().unwrap_err().code, Code::PolicyDenied);
            assert_eq!((clearance.record.usage.cost, clearance.record.overrun), (NanoUsd(70), NanoUsd::ZERO));
            assert_eq!(clearance.record.answer, "", "lineage must not give what the answer withheld");
        }
    });
}

#[test]
fn a_rejected_draft_is_recorded_and_charged_and_then_refused() {
    on_stage(|| {
        let passages = [passage(1, "Salt dissolves.")];
        let policy = policy("default", |_| {});
        for (code, kept) in [(Code::UpstreamFailed, "Salt [1]"), (Code::PolicyDenied, "")] {
            let rejected = Draft { rejection: Some(Rejection::new(code, "no")), ..grounded("Salt [1]", &[]) };
            let clearance = cleared(&policy, &passages, rejected);
            assert_eq!(clearance.verdict.unwrap_err().code, code);
            assert_eq!((clearance.record.usage.cost, clearance.record.answer.as_str()), (CHARGE.amount, kept));
        }
    });
}

#[test]
fn a_charge_above_the_hold_is_an_overrun() {
    on_stage(|| {
        let policy = policy("default", |_| {});
        let over = Charge { amount: NanoUsd(130), held: NanoUsd(100) };
        let clearance = exit::clear(
            &case(question("why?"), policy),
            &[],
            draft(DraftContent::Abstained { reason: "nothing".into() }),
            over,
            NOW,
        );
        assert_eq!((clearance.record.usage.cost, clearance.record.overrun), (NanoUsd(130), NanoUsd(30)));
    });
}

fn recorded(answer: String, cited: Vec<LineageChunk>) -> AnswerRecorded {
    AnswerRecorded {
        query_id: QueryId::fresh(NOW, [1; 10]).to_string(),
        kind: "ask".into(),
        question: "q".into(),
        answer,
        abstained: false,
        cited,
        model: ModelUsed { provider: "p".repeat(64), name: "m".repeat(64), region: "r".repeat(32), fallback: false },
        usage: Usage { prompt_tokens: 1, completion_tokens: 1, cost: NanoUsd(9) },
        overrun: NanoUsd::ZERO,
        policy_version: "1.0.0".into(),
        key_id: "key".into(),
        user_id: None,
        admitted_unix_ms: NOW,
        cleared_unix_ms: NOW,
        idempotency_key: None,
        cut_short: false,
    }
}

/// Puts the entries of one answer together again, as lineage does.
fn reassembled(entries: &[Entry]) -> (String, Vec<LineageChunk>) {
    let (mut answer, mut cited) = (String::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::AnswerRecorded(record) => {
                answer.push_str(&record.answer);
                cited.extend(record.cited.clone());
            }
            Entry::AnswerContinued { text, .. } => answer.push_str(text),
            Entry::AnswerCited(further) => cited.extend(further.cited.clone()),
            other => panic!("no part of an answer: {other:?}"),
        }
    }
    (answer, cited)
}

fn chunk(id: &str) -> LineageChunk {
    LineageChunk {
        source_id: id.into(),
        chunk_id: format!("{id}#1"),
        trust_score: 1.0,
        domain: id.into(),
        usecase: id.into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn long_answers_are_split_into_records_that_fit(words in prop::collection::vec("[a-zé🦀]{1,3000}", 0..20), ids in prop::collection::vec("[a-z]{1,200}", 0..100)) {
        let (answer, cited): (String, Vec<_>) = (words.concat(), ids.iter().map(|id| chunk(id)).collect());
        let entries = exit::entries(recorded(answer.clone(), cited.clone()), None);
        for entry in &entries {
            prop_assert!(codec::encode(entry).unwrap().len() <= RECORD_BYTES_MAX);
        }
        prop_assert!(matches!(entries[0], Entry::AnswerRecorded(_)), "the first carries the charge");
        prop_assert_eq!(entries.iter().filter(|entry| matches!(entry, Entry::AnswerRecorded(_))).count(), 1);
        prop_assert_eq!(reassembled(&entries), (answer, cited));
    }
}

#[test]
fn the_largest_turn_the_doors_let_in_fits_its_records() {
    let widest = |chars: usize| "🦀".repeat(chars);
    let record = AnswerRecorded {
        question: widest(QUESTION_CHARS_MAX),
        idempotency_key: Some(widest(NAME_CHARS_MAX)),
        ..recorded(widest(100_000), (0..TOP_K_MAX).map(|_| chunk(&widest(NAME_CHARS_MAX))).collect())
    };
    let attribution = ChargeAttributed {
        domain: Some(widest(NAME_CHARS_MAX)),
        usecase: Some(widest(NAME_CHARS_MAX)),
        ..attributed(&record)
    };
    for entry in exit::entries(record, Some(attribution)) {
        assert!(codec::encode(&entry).unwrap().len() <= RECORD_BYTES_MAX);
    }
}

/// What belongs to a record whose question named the domain `hr`.
fn attributed(record: &AnswerRecorded) -> ChargeAttributed {
    ChargeAttributed {
        query_id: record.query_id.clone(),
        domain: Some("hr".into()),
        usecase: None,
        key_id: record.key_id.clone(),
        user_id: record.user_id.clone(),
        provider: record.model.provider.clone(),
        model: record.model.name.clone(),
        charged: record.usage.cost,
        prompt_tokens: record.usage.prompt_tokens,
        completion_tokens: record.usage.completion_tokens,
        admitted_unix_ms: record.admitted_unix_ms,
        cleared_unix_ms: record.cleared_unix_ms,
    }
}

#[test]
fn a_charge_is_attributed_right_behind_its_record_and_only_where_something_was_named_and_used() {
    on_stage(|| {
        let named = |domain: Option<&str>| {
            Matter::Ask(Question { text: "why?".into(), domain: domain.map(str::to_owned), ..Question::default() })
        };
        let cleared = |matter, tokens, amount| {
            let charge = Charge { amount, held: amount };
            let draft = Draft { prompt_tokens: tokens, completion_tokens: 0, ..grounded("Salt [1].", &[]) };
            let passages = [passage(1, "Salt dissolves.")];
            exit::clear(&case(matter, policy("default", |_| {})), &passages, draft, charge, NOW + 5)
        };
        let clearance = cleared(named(Some("hr")), 11, NanoUsd(70));
        assert_eq!(clearance.attribution, Some(attributed(&clearance.record)));
        let entries =
            exit::entries(AnswerRecorded { answer: "word ".repeat(9_000), ..clearance.record }, clearance.attribution);
        assert!(
            matches!(entries[..2], [Entry::AnswerRecorded(_), Entry::ChargeAttributed(_)]),
            "right behind the charge"
        );
        assert!(cleared(named(Some("hr")), 11, NanoUsd::ZERO).attribution.is_some(), "free tokens are counted too");
        assert_eq!(cleared(named(None), 11, NanoUsd(70)).attribution, None, "nothing was named");
        assert_eq!(cleared(named(Some("hr")), 0, NanoUsd::ZERO).attribution, None, "nothing was used");
    });
}

fn entry() -> impl Strategy<Value = Entry> {
    let amount = (0_u64..1_000).prop_map(NanoUsd);
    let at = NOW..NOW + 90 * 86_400_000;
    prop_oneof![
        3 => (amount.clone(), at.clone(), any::<bool>()).prop_map(|(cost, cleared_unix_ms, abstained)| {
            let usage = Usage { prompt_tokens: 3, completion_tokens: 2, cost };
            Entry::AnswerRecorded(Box::new(AnswerRecorded { usage, cleared_unix_ms, abstained, ..recorded("a".into(), vec![]) }))
        }),
        1 => at.clone().prop_map(|at_unix_ms| Entry::Refused { query_id: String::new(), code: "c".into(), detail: "d".into(), at_unix_ms, by: "k".into() }),
        1 => (amount.clone(), at.clone()).prop_map(|(block, at_unix_ms)| Entry::EscrowTaken { block, at_unix_ms }),
        1 => at.clone().prop_map(|at_unix_ms| Entry::EscrowReturned { at_unix_ms }),
        1 => (amount.clone(), at.clone()).prop_map(|(amount, at_unix_ms)| Entry::Unreconciled { amount, at_unix_ms }),
        1 => (amount.clone(), at.clone(), 0..4).prop_map(|(amount, admitted_unix_ms, call)| {
            let (query_id, spender) = (format!("q-{call}"), Spender::default());
            Entry::HoldTaken(Box::new(HoldTaken { query_id, amount, spender, admitted_unix_ms }))
        }),
        1 => (amount, at.clone(), 0..4).prop_map(|(unreconciled, at_unix_ms, call)| {
            let (query_id, spender) = (format!("q-{call}"), Spender::default());
            Entry::HoldClosed(Box::new(HoldClosed { query_id, unreconciled, spender, admitted_unix_ms: at_unix_ms, at_unix_ms }))
        }),
        1 => (0_u8..4, at).prop_map(|(version, at_unix_ms)| Entry::PolicyAdopted { version: version.to_string(), digest: "d".into(), at_unix_ms }),
    ]
}

fn folded(mut fold: Fold, entries: &[Entry], from: usize) -> Fold {
    for (at, entry) in entries.iter().enumerate().skip(from) {
        fold.apply(Position(u64::try_from(at).unwrap()), entry);
    }
    fold
}

proptest! {
    #[test]
    fn folding_from_any_checkpoint_is_folding_from_the_start(entries in prop::collection::vec(entry(), 0..120), at: prop::sample::Index) {
        let whole = folded(Fold::default(), &entries, 0);
        let cut = at.index(entries.len() + 1);
        let before = folded(Fold::default(), &entries[..cut], 0);
        let saved: Fold = codec::decode(&codec::encode(&before).unwrap()).unwrap();
        let mut checkpoint = Fold { spend: before.spend, accounts: before.accounts, ..saved }; // saved beside it, as is
        let open: Vec<Open> = codec::decode(&codec::encode(&before.ledger.open()).unwrap()).unwrap(); // what has not ended
        checkpoint.ledger.restore(open);
        prop_assert_eq!(folded(checkpoint, &entries, cut), whole.clone());
        let spent: u64 = whole.ledger.by_month.values().map(|amount| amount.0).sum();
        let mut held = BTreeMap::new();
        let booked: u64 = entries.iter().map(|entry| match entry {
            Entry::AnswerRecorded(answer) => answer.usage.cost.0,
            Entry::Unreconciled { amount, .. } => amount.0,
            Entry::HoldTaken(hold) => {
                held.insert(hold.query_id.clone(), hold.amount.0);
                0
            }
            // no more than was held
            Entry::HoldClosed(hold) => held.remove(&hold.query_id).map_or(hold.unreconciled.0, |most| most.min(hold.unreconciled.0)),
            _ => 0,
        }).sum();
        prop_assert_eq!(spent, booked, "every charge is booked once");
    }
}

#[test]
fn facts_of_every_quiet_answer_are_kept_and_of_a_busy_second_the_first_ones() {
    let mut kept = FactsKept::default();
    assert!((0..100).all(|number| kept.keeps(NOW + number * 100)), "ten a second");
    let busy = (0..500).filter(|number| kept.keeps(NOW + 60_000 + number)).count();
    assert_eq!(busy, 32, "half a second");
    assert!(kept.keeps(NOW + 61_000));
}
