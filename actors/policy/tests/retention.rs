//! Random rules of retention with what is decided by them, written to a file for a second evaluator:
//! `tests/outside/retention_oracle.py` reads it and decides everything again, step by step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]
use bailiwick_policy::retention::{
    DataType, Decision, End, Ground, GroundKind, Hold, Maximum, Minimum, Record, Request, Rules, Selects, Side,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// How many sets are written where `BAILIWICK_RETENTION_SETS` does not say; `tests/outside/run` asks for a hundred times as
/// many.
const SETS: u32 = 1_000;
/// Everything begins and ends at a multiple of this, so that a second evaluator can go from one to the next.
const STEP_MS: u64 = 21_600_000;
/// Instants are drawn below this.
const STEPS: u64 = 48;
/// Ids, domains and subjects are few, so that rules meet records.
const IDS: [&str; 6] = ["a", "ab", "abc", "b", "*", "ba*"];
const PATTERNS: [&str; 8] = ["a", "ab", "abc", "a*", "ab*", "b*", "*", "c*"];
const DOMAINS: [&str; 3] = ["law", "la", "care"];
const SUBJECTS: [&str; 3] = ["u1", "u10", "u2"];
const TYPES: [&str; 10] = ["logs", "logs", "data", "data", "data", "data", "data", "backups", "prompts", "Data"];

struct Dice(TestRunner);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(seed.to_le_bytes()).for_each(|(byte, of_seed)| *byte = of_seed);
        Self(TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)))
    }

    fn below(&mut self, end: u64) -> u64 {
        (0..end).new_tree(&mut self.0).unwrap().current()
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick(&mut self, from: &[&str]) -> String {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap();
        (*from.get(at).unwrap()).to_owned()
    }

    fn some(&mut self, from: &[&str]) -> Vec<String> {
        let many = self.below(5) / 2;
        (0..many).map(|_| self.pick(from)).collect()
    }

    fn instant(&mut self) -> u64 {
        self.below(STEPS) * STEP_MS
    }

    fn days(&mut self) -> u32 {
        u32::try_from(self.below(9)).unwrap()
    }

    fn data_type(&mut self) -> DataType {
        DataType::named(&self.pick(&["logs", "data", "data", "data", "backups"])).unwrap()
    }

    fn selects(&mut self) -> Selects {
        Selects { documents: self.some(&PATTERNS), domains: self.some(&DOMAINS), subjects: self.some(&SUBJECTS) }
    }
}

fn ground(kind: GroundKind, letter: &str, number: u64) -> Ground {
    Ground { kind, name: format!("{letter}{number}"), basis: format!("basis {number}") }
}

fn rules(dice: &mut Dice) -> Rules {
    let types = if dice.once_in(8) { 0..dice.below(3) } else { 0..3 };
    let each = [DataType::Logs, DataType::Data, DataType::Backups];
    let mut minimums: Vec<_> = types.zip(each).collect();
    minimums.extend((0..dice.below(3)).map(|number| (number + 3, dice.data_type())));
    Rules {
        minimums: minimums
            .into_iter()
            .map(|(number, data_type)| Minimum {
                data_type,
                days: dice.days(),
                ground: ground(GroundKind::Minimum, "m", number),
            })
            .collect(),
        maximums: (0..dice.below(3))
            .map(|number| Maximum {
                data_type: dice.data_type(),
                days: dice.days() + 1,
                ground: ground(GroundKind::Maximum, "x", number),
            })
            .collect(),
        holds: (0..dice.below(4))
            .map(|number| Hold {
                selects: dice.selects(),
                since_unix_ms: dice.instant(),
                released_unix_ms: (!dice.once_in(3)).then(|| dice.instant()),
                ground: ground(GroundKind::Hold, "h", number),
            })
            .collect(),
        requests: (0..dice.below(3))
            .map(|number| Request {
                selects: dice.selects(),
                made_unix_ms: dice.instant(),
                within_days: dice.days(),
                ground: ground(GroundKind::Request, "r", number),
            })
            .collect(),
    }
}

fn selects(selects: &Selects) -> Value {
    json!({ "documents": selects.documents, "domains": selects.domains, "subjects": selects.subjects })
}

fn written(rules: &Rules) -> Value {
    json!({
        "minimums": rules.minimums.iter().map(|rule| json!({
            "name": rule.ground.name, "type": rule.data_type, "days": rule.days,
        })).collect::<Vec<_>>(),
        "maximums": rules.maximums.iter().map(|rule| json!({
            "name": rule.ground.name, "type": rule.data_type, "days": rule.days,
        })).collect::<Vec<_>>(),
        "holds": rules.holds.iter().map(|rule| json!({
            "name": rule.ground.name, "selects": selects(&rule.selects), "since": rule.since_unix_ms,
            "released": rule.released_unix_ms,
        })).collect::<Vec<_>>(),
        "requests": rules.requests.iter().map(|rule| json!({
            "name": rule.ground.name, "selects": selects(&rule.selects), "made": rule.made_unix_ms,
            "within_days": rule.within_days,
        })).collect::<Vec<_>>(),
    })
}

fn names(because: &[&Ground]) -> Vec<String> {
    because.iter().map(|ground| ground.name.clone()).collect()
}

fn kept(keep: &Side<'_, End>) -> Value {
    let until = match keep.at {
        End::At(end_unix_ms) => json!(end_unix_ms),
        End::Open => Value::Null,
    };
    json!([until, names(&keep.because)])
}

fn gone(erase: &Side<'_, u64>) -> Value {
    json!([erase.at, names(&erase.because)])
}

fn told(decision: &Decision<'_>) -> (&'static str, Value) {
    match decision {
        Decision::Keep(keep) => ("keep", json!({ "keep": kept(keep) })),
        Decision::MayErase { by: None } => ("may", json!({})),
        Decision::MayErase { by: Some(by) } => ("may_until", json!({ "erase": gone(by) })),
        Decision::MustErase(erase) => ("must", json!({ "erase": gone(erase) })),
        Decision::Conflict { keep, erase } => ("conflict", json!({ "keep": kept(keep), "erase": gone(erase) })),
    }
}

/// One set: rules, a few records, and what is decided about each at some instant.
fn set(seed: u64, seen: &mut BTreeMap<&'static str, u64>) -> Value {
    let mut dice = Dice::new(seed);
    let rules = rules(&mut dice);
    let cases: Vec<Value> = (0..3)
        .map(|_| {
            let (id, data_type, domain) = (dice.pick(&IDS), dice.pick(&TYPES), dice.pick(&DOMAINS));
            let (subjects, stored_unix_ms, now_unix_ms) = (dice.some(&SUBJECTS), dice.instant(), dice.instant());
            let record =
                Record { id: &id, data_type: &data_type, domain: &domain, subjects: &subjects, stored_unix_ms };
            let (decided, next, due) = match rules.verdict(&record, now_unix_ms) {
                Err(_unknown) => (("refused", json!({})), None, None),
                Ok(verdict) => {
                    let due = rules.due_unix_ms(&record, now_unix_ms).unwrap();
                    (told(verdict.decision()), verdict.next_unix_ms(), due)
                }
            };
            let (kind, sides) = decided;
            *seen.entry(kind).or_default() += 1;
            let held = rules.hold_on(&record, now_unix_ms).map(|hold| hold.ground.name.as_str());
            json!({
                "id": id, "type": data_type, "domain": domain, "subjects": subjects, "stored": stored_unix_ms,
                "now": now_unix_ms, "decision": kind, "sides": sides, "next": next, "due": due, "held": held,
            })
        })
        .collect();
    json!({ "seed": seed, "rules": written(&rules), "cases": cases })
}

#[test]
fn retention_rules_are_written_with_what_they_decide() {
    let sets = std::env::var("BAILIWICK_RETENTION_SETS").map_or(SETS, |sets| sets.parse().unwrap());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(folder).unwrap();
    // the file has its name only once it is whole
    let mut file = tempfile::NamedTempFile::new_in(folder).unwrap();
    let mut seen = BTreeMap::new();
    for first in (0..u64::from(sets)).step_by(1_000) {
        let mut lines = String::new();
        for seed in first..u64::from(sets).min(first + 1_000) {
            writeln!(lines, "{}", set(seed, &mut seen)).unwrap();
        }
        file.write_all(lines.as_bytes()).unwrap();
    }
    let path = folder.join("retention.jsonl");
    file.persist(&path).unwrap();
    println!("{sets} sets are in {}: {seen:?}", path.display());
    let every = sets < SETS || seen.len() == 6 && seen.values().all(|count| *count > 50);
    assert!(every, "every decision occurs: {seen:?}");
}
