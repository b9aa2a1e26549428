//! What is derived is saved as one unit, read back whole, and replayed where it cannot be read.
use super::derived_keys::{FOLD, SPEND, key_of_day};
use super::fixtures::{NOW, cipher};
use super::lineage::Derived;
use crate::entry::{AnswerRecorded, Entry};
use crate::question::{ModelUsed, Usage};
use bailiwick_kernel::ids::QueryId;
use bailiwick_kernel::limits::COST_DAYS_MAX;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::shelf::{Belongings, Vault};

const DAY_MS: u64 = 86_400_000;

fn charged(number: u64) -> Entry {
    let at_unix_ms = NOW + number * DAY_MS / 2;
    Entry::AnswerRecorded(Box::new(AnswerRecorded {
        query_id: QueryId::fresh(at_unix_ms, [1; 10]).to_string(),
        kind: "chat".into(),
        question: String::new(),
        answer: String::new(),
        abstained: false,
        cited: Vec::new(),
        model: ModelUsed::default(),
        usage: Usage { prompt_tokens: 1, completion_tokens: 1, cost: NanoUsd(number) },
        overrun: NanoUsd::ZERO,
        policy_version: "1".into(),
        key_id: format!("key{}", number % 3),
        user_id: None,
        admitted_unix_ms: at_unix_ms,
        cleared_unix_ms: at_unix_ms,
        idempotency_key: None,
        cut_short: false,
    }))
}

/// The fold as it is opened: from what was saved, or from the journal where nothing can be read.
fn opened(belongings: &Belongings) -> super::fold::Fold {
    Derived::open(belongings).unwrap().catch_up().unwrap().clone()
}

#[actix_rt::test]
async fn spend_is_read_back_as_it_was_folded_and_replayed_where_it_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    let shelf = own.shelf("derived").unwrap();
    let days = 2 * u64::try_from(COST_DAYS_MAX).unwrap();
    for number in 0..days + 20 {
        own.journal.append(&[charged(number)]).await.unwrap();
        if number % 7 == 0 {
            opened(&own); // saved at any moment, a day half done included
        }
    }
    let whole = opened(&own);
    assert_eq!(whole.spend.days().len(), COST_DAYS_MAX);
    assert_eq!(opened(&own), whole, "read back from the shelf");
    assert_eq!(shelf.scan::<crate::spend::rows::SpendDay>(&SPEND, None, 1_000).unwrap().len(), COST_DAYS_MAX);
    for (day, rows) in whole.spend.days() {
        assert_eq!(rows.total().cost_usd, whole.ledger.by_day.get(day).copied().unwrap_or_default());
    }
    // a value of another form, as another build may have left it
    shelf.put(&FOLD, &"no fold").unwrap();
    let stray = whole.spend.days().first_key_value().unwrap().1;
    shelf.put(&key_of_day(0), &**stray).unwrap();
    assert_eq!(opened(&own), whole, "replayed from the journal");
    assert_eq!(opened(&own), whole, "and saved again, without the stray day");
}
