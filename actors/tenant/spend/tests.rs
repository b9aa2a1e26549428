//! Table and property tests of rows, their grouping and the forecast.
use super::calendar::{DAY_MS, date_of_day, day_of_date, month_of_day};
use super::forecast::{Forecast, Outlook, Past, forecast};
use super::rows::{Payer, RowKind, Spend, Spent};
use super::view::{Dimension, OTHER, SpendQuery, UNNAMED, UNRECONCILED, grouped};
use crate::budget::ledger::Ledger;
use crate::entry::{AnswerRecorded, ChargeAttributed, EmbeddingCharged, Entry};
use crate::question::{ModelUsed, Usage};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::codec;
use bailiwick_kernel::limits::{COST_DAY_BYTES_MAX, COST_DAYS_MAX, NAME_CHARS_MAX};
use bailiwick_kernel::money::NanoUsd;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A Monday.
const MONDAY: &str = "2026-11-23";

fn day(date: &str) -> u64 {
    day_of_date(date).unwrap()
}

#[test]
fn dates_and_months_are_those_of_the_calendar() {
    assert_eq!((day("1970-01-01"), day("2026-11-25")), (0, 20_782));
    assert_eq!(date_of_day(20_782), "2026-11-25");
    for (of, from, to) in [
        ("2024-02-29", "2024-02-01", "2024-03-01"),
        ("2026-02-01", "2026-02-01", "2026-03-01"),
        ("2026-12-31", "2026-12-01", "2027-01-01"),
    ] {
        assert_eq!(month_of_day(day(of)), day(from)..day(to), "{of}");
    }
    for text in ["2026-02-29", "2026-1-1", "1969-12-31", "+002026-01-01", "2026-01-01T00:00:00", "today", ""] {
        assert_eq!(day_of_date(text), None, "{text}");
    }
}

/// One answer: when, by whom, for which domain, at which cost.
#[derive(Clone, Debug)]
struct Call {
    at_unix_ms: u64,
    user: Option<String>,
    key: String,
    domain: Option<String>,
    model: String,
    cost: u64,
    tokens: u64,
}

impl Default for Call {
    fn default() -> Self {
        let (key, model) = ("k".into(), "m".into());
        Self { at_unix_ms: 0, user: None, key, domain: None, model, cost: 7, tokens: 3 }
    }
}

impl Call {
    /// Its records, as the exit writes them.
    fn entries(&self) -> Vec<Entry> {
        let usage = Usage { prompt_tokens: self.tokens, completion_tokens: 1, cost: NanoUsd(self.cost) };
        let model = ModelUsed { provider: "p".into(), name: self.model.clone(), ..ModelUsed::default() };
        let answer = AnswerRecorded {
            query_id: String::new(),
            kind: "ask".into(),
            question: String::new(),
            answer: String::new(),
            abstained: false,
            cited: Vec::new(),
            model,
            usage,
            overrun: NanoUsd::ZERO,
            policy_version: "1".into(),
            key_id: self.key.clone(),
            user_id: self.user.clone(),
            admitted_unix_ms: self.at_unix_ms,
            cleared_unix_ms: self.at_unix_ms,
            idempotency_key: None,
            cut_short: false,
        };
        let attribution = self.domain.as_ref().map(|domain| ChargeAttributed {
            query_id: String::new(),
            domain: Some(domain.clone()),
            usecase: None,
            key_id: self.key.clone(),
            user_id: self.user.clone(),
            provider: "p".into(),
            model: self.model.clone(),
            charged: usage.cost,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            admitted_unix_ms: self.at_unix_ms,
            cleared_unix_ms: self.at_unix_ms,
        });
        let mut entries = vec![Entry::AnswerRecorded(Box::new(answer))];
        entries.extend(attribution.map(|attribution| Entry::ChargeAttributed(Box::new(attribution))));
        entries
    }
}

fn folded(entries: &[Entry]) -> (Spend, Ledger) {
    let (mut spend, mut ledger) = (Spend::default(), Ledger::default());
    for entry in entries {
        spend.apply(entry);
        ledger.apply(entry);
    }
    (spend, ledger)
}

fn rows(spend: &Spend, group_by: &[Dimension]) -> Vec<(Vec<String>, u64, u64)> {
    let query = SpendQuery { days: 0..=u64::MAX, group_by: group_by.to_vec() };
    let names = |row: &super::view::SpendRow| {
        group_by.iter().map(|dimension| row.name(*dimension).unwrap().to_owned()).collect()
    };
    grouped(spend, &query).iter().map(|row| (names(row), row.spent.turns, row.spent.cost_usd.0)).collect()
}

#[test]
fn what_an_embedding_took_stands_under_the_model_that_embedded() {
    let mut entries = Vec::new();
    for domain in [None, Some("hr".to_owned())] {
        entries.extend(Call { domain: domain.clone(), ..Call::default() }.entries());
        entries.push(Entry::EmbeddingCharged(Box::new(EmbeddingCharged {
            query_id: String::new(),
            domain,
            usecase: None,
            key_id: "k".into(),
            user_id: None,
            answered_by: ModelUsed { provider: "p".into(), name: "m".into(), ..ModelUsed::default() },
            provider: "q".into(),
            model: "e".into(),
            charged: NanoUsd(2),
            prompt_tokens: 1,
            cleared_unix_ms: 0,
        })));
    }
    let (spend, ledger) = folded(&entries);
    let by_model = rows(&spend, &[Dimension::Provider, Dimension::Model]);
    assert_eq!(by_model, [(vec!["p".into(), "m".into()], 2, 10), (vec!["q".into(), "e".into()], 0, 4)]);
    assert_eq!(rows(&spend, &[Dimension::Domain]), [(vec![UNNAMED.into()], 1, 7), (vec!["hr".into()], 1, 7)]);
    assert_eq!(spend.days()[&0].total().cost_usd, ledger.books.charged(), "moved, not booked twice");
    assert_eq!(spend.days()[&0].total().prompt_tokens, 6);
}

#[test]
fn a_charge_stands_in_the_row_of_its_domain_and_in_no_other() {
    let calls = [
        Call { domain: Some("hr".into()), ..Call::default() },
        Call { domain: Some("hr".into()), user: Some("ann".into()), at_unix_ms: DAY_MS, ..Call::default() },
        Call { cost: 5, ..Call::default() },
    ];
    let mut entries: Vec<_> = calls.iter().flat_map(Call::entries).collect();
    entries.push(Entry::Unreconciled { amount: NanoUsd(11), at_unix_ms: 5 });
    let (spend, _) = folded(&entries);
    let row = |name: &str, turns, cost| (vec![name.to_owned()], turns, cost);
    assert_eq!(rows(&spend, &[Dimension::Domain]), [row(UNNAMED, 1, 5), row(UNRECONCILED, 0, 11), row("hr", 2, 14)]);
    assert_eq!(rows(&spend, &[Dimension::User]), [row(UNNAMED, 2, 12), row(UNRECONCILED, 0, 11), row("ann", 1, 7)]);
    assert_eq!(rows(&spend, &[Dimension::Day]), [row("1970-01-01", 2, 23), row("1970-01-02", 1, 7)]);
    assert_eq!(rows(&spend, &[]), [(vec![], 3, 30)], "without dimensions there is one row");
    let second = SpendQuery { days: 1..=1, group_by: vec![] };
    assert_eq!(grouped(&spend, &second)[0].spent.cost_usd, NanoUsd(7), "other days are left out");
    assert!(grouped(&spend, &SpendQuery { days: 2..=9, group_by: vec![] }).is_empty());
}

#[test]
fn a_full_day_counts_newcomers_in_a_row_that_says_so_and_still_fits_one_value() {
    let widest = |number: usize| format!("{number}{}", "🦀".repeat(NAME_CHARS_MAX - 4));
    let calls: Vec<_> = (0..200)
        .map(|number| Call { user: Some(widest(number)), domain: Some(widest(number)), ..Call::default() })
        .chain((0..2_000).map(|number| Call { user: Some(number.to_string()), ..Call::default() }))
        .collect();
    let entries: Vec<_> = calls.iter().flat_map(Call::entries).collect();
    let (spend, ledger) = folded(&entries);
    let day = &spend.days()[&0];
    assert!(codec::encode(&**day).unwrap().len() <= COST_DAY_BYTES_MAX);
    let total = Spent { turns: 2_200, prompt_tokens: 6_600, completion_tokens: 2_200, cost_usd: NanoUsd(15_400) };
    assert_eq!((day.total(), ledger.by_day[&0]), (total, NanoUsd(15_400)));
    let others = rows(&spend, &[Dimension::User]).into_iter().find(|(names, ..)| names[0] == OTHER).unwrap();
    assert!(others.1 > 1_000, "{others:?}");
    let known = Call { user: Some("0".into()), ..Call::default() };
    let (again, _) = folded(&[entries, known.entries()].concat());
    assert_eq!(again.days()[&0].rows().len(), day.rows().len(), "who has a row keeps it");
}

#[test]
fn the_oldest_days_are_forgotten_and_not_begun_anew() {
    let days = u64::try_from(COST_DAYS_MAX).unwrap() + 9;
    let calls = (0..days).map(|day| Call { at_unix_ms: day * DAY_MS, domain: Some("hr".into()), ..Call::default() });
    let late = Call { at_unix_ms: 3 * DAY_MS, domain: Some("hr".into()), ..Call::default() };
    let (spend, _) = folded(&calls.chain([late]).flat_map(|call| call.entries()).collect::<Vec<_>>());
    assert_eq!(spend.days().len(), COST_DAYS_MAX);
    assert_eq!(*spend.days().first_key_value().unwrap().0, 9);
    assert_eq!(rows(&spend, &[Dimension::Domain]), [(vec!["hr".to_owned()], 62, 434)]);
}

fn call() -> impl Strategy<Value = Call> {
    let name = || prop::option::of(prop_oneof!["[a-c]", "[a-z]{300}"]);
    (0..90 * DAY_MS, name(), "[kl]", name(), "[mn]", 0_u64..100, 0_u64..3).prop_map(
        |(at_unix_ms, user, key, domain, model, cost, tokens)| Call {
            at_unix_ms,
            user,
            key,
            domain,
            model,
            cost,
            tokens,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Σ rows of a day = the ledger's day = Σ receipts of the day, whatever is attributed, overflows or is unreconciled.
    #[test]
    fn rows_add_up_to_the_ledger_and_to_the_receipts(
        calls in prop::collection::vec(call(), 0..300),
        crashes in prop::collection::vec((0..90 * DAY_MS, prop_oneof![Just(0_u64), 1..1_000_u64]), 0..5),
        crowd in 0_usize..400,
    ) {
        let crowd = (0..crowd).map(|number| Call { user: Some(format!("{number:0300}")), at_unix_ms: 40 * DAY_MS, domain: Some("d".into()), ..Call::default() });
        let mut entries: Vec<_> = calls.iter().cloned().chain(crowd).flat_map(|call| call.entries()).collect();
        entries.extend(crashes.iter().map(|(at_unix_ms, amount)| Entry::Unreconciled { amount: NanoUsd(*amount), at_unix_ms: *at_unix_ms }));
        let (spend, ledger) = folded(&entries);
        let mut receipts: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for entry in &entries {
            let (at, cost, turns) = match entry {
                Entry::AnswerRecorded(answer) => (answer.cleared_unix_ms, answer.usage.cost.0, 1),
                Entry::Unreconciled { amount, at_unix_ms } if amount.0 > 0 => (*at_unix_ms, amount.0, 0),
                _ => continue,
            };
            let sum = receipts.entry(at / DAY_MS).or_default();
            *sum = (sum.0 + cost, sum.1 + turns);
        }
        for (day, rows) in spend.days() {
            let total = rows.total();
            prop_assert_eq!(total.cost_usd, ledger.by_day.get(day).copied().unwrap_or_default());
            prop_assert_eq!((total.cost_usd.0, total.turns), receipts[day]);
            prop_assert!(rows.rows().values().all(|spent| *spent != Spent::default()), "no row says nothing");
            prop_assert!(codec::encode(&**rows).unwrap().len() <= COST_DAY_BYTES_MAX);
        }
        let newest: Vec<_> = receipts.keys().rev().take(COST_DAYS_MAX).rev().copied().collect();
        if receipts.len() <= COST_DAYS_MAX {
            prop_assert_eq!(spend.days().keys().copied().collect::<Vec<_>>(), newest);
        }
        // every grouping has the same sum
        for dimension in Dimension::ALL {
            let sum: u64 = rows_sum(&spend, dimension);
            prop_assert_eq!(sum, spend.days().values().map(|day| day.total().cost_usd.0).sum::<u64>());
        }
    }
}

fn rows_sum(spend: &Spend, dimension: Dimension) -> u64 {
    let query = SpendQuery { days: 0..=u64::MAX, group_by: vec![dimension] };
    grouped(spend, &query).iter().map(|row| row.spent.cost_usd.0).sum()
}

#[test]
fn an_attribution_whose_record_is_in_the_others_row_is_taken_from_there() {
    let crowd = (0..2_000).map(|number| Call { user: Some(number.to_string()), ..Call::default() });
    let late = Call { user: Some("late".into()), domain: Some("hr".into()), ..Call::default() };
    let (spend, _) = folded(&crowd.chain([late]).flat_map(|call| call.entries()).collect::<Vec<_>>());
    let day = &spend.days()[&0];
    assert_eq!(day.total().turns, 2_001);
    assert!(!day.rows().keys().any(|account| matches!(account, RowKind::Of(Payer { domain: Some(_), .. }))));
}

// --- the forecast ----------------------------------------------------------------------------------------------------

const NOON_MS: u64 = DAY_MS / 2;

/// The month of the first day on, with the given cost on each complete day before the moment; half of it today.
fn foretold(now_date: &str, at_ms: u64, days: u64, cost: impl Fn(u64) -> u64, limit: u64) -> Forecast {
    let today = day(now_date);
    let by_day: BTreeMap<_, _> = (today - days..today).map(|day| (day, NanoUsd(cost(day)))).collect();
    let month = month_of_day(today);
    let spent = by_day.range(month.clone()).map(|(_, amount)| amount.0).sum();
    let past = Past { by_day: &by_day, first_day: by_day.keys().next().copied(), spent: NanoUsd(spent) };
    forecast(&past, month, NanoUsd(limit), today * DAY_MS + at_ms)
}

fn known(forecast: &Forecast) -> (u64, u64, u64, Option<&str>) {
    match &forecast.outlook {
        Outlook::Known { expected_usd, low_usd, high_usd, limit_reached_at, .. } => {
            (expected_usd.0, low_usd.0, high_usd.0, limit_reached_at.as_deref())
        }
        Outlook::Unknown { reason } => panic!("unknown: {reason}"),
    }
}

#[test]
fn thin_data_foretells_nothing() {
    for days in 0..3 {
        let thin = foretold("2026-11-25", NOON_MS, days, |_| 100, 1_000);
        assert!(matches!(thin.outlook, Outlook::Unknown { .. }), "{thin:?}");
        assert_eq!(thin.spent_usd, NanoUsd(days * 100), "what was spent is said all the same");
    }
    assert!(matches!(foretold("2026-11-25", NOON_MS, 3, |_| 100, 1_000).outlook, Outlook::Known { .. }));
}

#[test]
fn a_steady_pace_is_carried_on_to_the_end_of_the_month() {
    // November: 24 complete days at 100, half of the 25th and five days to come
    let steady = foretold("2026-11-25", NOON_MS, 24, |_| 100, 10_000);
    assert_eq!(known(&steady), (2_400 + 50 + 500, 2_950, 2_950, None));
    assert_eq!(steady.window_ends_at, "2026-12-01T00:00:00.000Z");
    // January has 31 days, February 28 and in leap years 29; the last moment of a month foretells what was spent
    assert_eq!(known(&foretold("2026-01-29", 0, 28, |_| 10, 10_000)).0, 280 + 30);
    assert_eq!(known(&foretold("2026-02-20", 0, 28, |_| 10, 10_000)).0, 190 + 90);
    assert_eq!(known(&foretold("2024-02-20", 0, 28, |_| 10, 10_000)).0, 190 + 100);
    assert_eq!(known(&foretold("2026-12-31", DAY_MS - 1, 28, |_| 10, 10_000)).0, 280);
}

#[test]
fn the_moment_the_ceiling_is_reached_is_said() {
    // 100 a day from the 25th at noon with 2,400 spent: 2,500 is reached after one more day
    let steady = foretold("2026-11-25", NOON_MS, 24, |_| 100, 2_500);
    assert_eq!(known(&steady).3, Some("2026-11-26T12:00:00.000Z"));
    let over = foretold("2026-11-25", NOON_MS, 24, |_| 100, 2_400);
    assert_eq!(known(&over).3, Some(rfc3339(day("2026-11-25") * DAY_MS + NOON_MS).as_str()), "reached already");
    assert_eq!(known(&foretold("2026-11-25", NOON_MS, 24, |_| 100, 2_951)).3, None, "not within this month");
    assert_eq!(known(&foretold("2026-11-25", NOON_MS, 24, |_| 0, 1)).3, None, "no pace, no moment");
}

#[test]
fn one_spike_widens_the_interval_and_does_not_bend_the_pace() {
    let spike = |days| {
        let at = day("2026-11-20");
        foretold("2026-11-25", 0, days, move |day| if day == at { 100_000 } else { 100 }, u64::MAX)
    };
    for days in [10, 24] {
        let spike = spike(days);
        let (expected, low, high, _) = known(&spike);
        assert_eq!(expected, spike.spent_usd.0 + 600, "six days to come at 100, after {days} days");
        assert!(high > expected + 1_000 && low == spike.spent_usd.0, "{spike:?}");
    }
}

#[test]
fn weekdays_have_a_pace_of_their_own_after_three_weeks() {
    // Wednesday the 25th: Wednesday, Thursday, Friday and Monday to come at 100, a weekend at nothing
    let by_weekday = foretold("2026-11-25", 0, 24, cost_of_weekdays, u64::MAX);
    assert_eq!(known(&by_weekday).0, by_weekday.spent_usd.0 + 400);
    assert!(matches!(by_weekday.outlook, Outlook::Known { by_weekday: true, days_looked_back: 24, .. }));
    let blended = foretold("2026-11-25", 0, 14, cost_of_weekdays, u64::MAX);
    assert!(matches!(blended.outlook, Outlook::Known { by_weekday: false, .. }));
}

/// Nothing on Saturdays and Sundays.
fn cost_of_weekdays(of: u64) -> u64 {
    if (of + 7_000 - day(MONDAY) % 7) % 7 >= 5 { 0 } else { 100 }
}

proptest! {
    #[test]
    fn a_forecast_is_never_below_what_was_spent_and_never_overflows(
        costs in prop::collection::vec(any::<u64>(), 0..40),
        at_ms in 0..DAY_MS,
        limit: u64,
        month_day in 1_u64..31,
    ) {
        let today = day("2026-11-01") + month_day - 1;
        let days = u64::try_from(costs.len()).unwrap();
        let by_day: BTreeMap<_, _> = (today - days..today).zip(costs).map(|(day, cost)| (day, NanoUsd(cost))).collect();
        let spent = by_day.range(month_of_day(today)).fold(NanoUsd::ZERO, |sum, (_, cost)| sum.saturating_add(*cost));
        let past = Past { by_day: &by_day, first_day: by_day.keys().next().copied(), spent };
        let foretold = forecast(&past, month_of_day(today), NanoUsd(limit), today * DAY_MS + at_ms);
        if let Outlook::Known { expected_usd, low_usd, high_usd, limit_reached_at, .. } = foretold.outlook {
            prop_assert!(spent <= low_usd && low_usd <= expected_usd && expected_usd <= high_usd);
            if limit_reached_at.is_none() {
                prop_assert!(expected_usd <= NanoUsd(limit));
            }
        } else {
            prop_assert!(days < 3);
        }
    }
}
