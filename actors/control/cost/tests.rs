use super::messages::{CostReport, FleetCosts, Missing};
use super::rules::{Gathering, gaps};
use super::{focus, table};
use bailiwick_kernel::limits::COST_ROWS_MAX;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_tenant::spend::calendar::{DAY_MS, date_of_day, day_of_date, month_of_day};
use bailiwick_tenant::spend::forecast::{Outlook, Past, forecast};
use bailiwick_tenant::spend::rows::Spent;
use bailiwick_tenant::spend::view::{Dimension, SpendQuery, SpendRow, SpendView, UNNAMED, UNRECONCILED};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TODAY: &str = "2026-11-25";

fn spent(cost: u64) -> Spent {
    Spent { turns: 1, prompt_tokens: 3, completion_tokens: 2, cost_usd: NanoUsd(cost) }
}

fn query(group_by: &[Dimension]) -> SpendQuery {
    SpendQuery { days: 0..=u64::MAX, group_by: group_by.to_vec() }
}

/// One tenant's answer: a row of each model, all of it today; ten days before it cost as much each.
fn answer(models: &[(&str, u64)], limit: u64) -> SpendView {
    let today = day_of_date(TODAY).unwrap();
    let rows: Vec<_> = models
        .iter()
        .map(|(model, cost)| SpendRow { model: Some((*model).into()), spent: spent(*cost), ..SpendRow::default() })
        .collect();
    let cost = models.iter().map(|(_, cost)| cost).sum();
    let by_day: BTreeMap<_, _> = (today - 10..=today).map(|day| (day, NanoUsd(cost))).collect();
    let spent = NanoUsd(cost * 11);
    let past = Past { by_day: &by_day, first_day: Some(today - 10), spent };
    let forecast = forecast(&past, month_of_day(today), NanoUsd(limit), today * DAY_MS);
    SpendView { rows, by_day, kept_from: None, spent_month: spent, limit_month: NanoUsd(limit), forecast }
}

fn gathered(group_by: &[Dimension], answers: &[(&str, SpendView)], awaited: &[&str]) -> FleetCosts {
    let names = answers.iter().map(|(name, _)| *name).chain(awaited.iter().copied()).map(str::to_owned).collect();
    let mut gathering = Gathering::new(query(group_by), names);
    for (name, view) in answers {
        gathering.take(name, view.clone()).unwrap();
    }
    gathering.end(day_of_date(TODAY).unwrap() * DAY_MS)
}

#[test]
fn tenants_are_summed_up_by_what_is_asked_for() {
    let answers = [("beta", answer(&[("m", 7), ("n", 5)], 500)), ("acme", answer(&[("m", 10)], 400))];
    let rows = |by: &[Dimension]| {
        let costs = gathered(by, &answers, &[]).report;
        assert_eq!(costs.total.cost_usd, NanoUsd(22), "{by:?}");
        costs
            .rows
            .iter()
            .map(|row| (by.iter().map(|by| row.name(*by).unwrap()).collect::<Vec<_>>().join("/"), row.spent.cost_usd.0))
            .collect::<Vec<_>>()
    };
    let row = |name: &str, cost| (name.to_owned(), cost);
    assert_eq!(rows(&[Dimension::Model]), [row("m", 17), row("n", 5)]);
    assert_eq!(rows(&[Dimension::Model, Dimension::Tenant]), [row("m/acme", 10), row("m/beta", 7), row("n/beta", 5)]);
}

#[test]
fn the_fleets_month_is_foretold_from_all_tenants_together() {
    let costs = gathered(
        &[Dimension::Tenant],
        &[("acme", answer(&[("m", 10)], 400)), ("beta", answer(&[("m", 20)], 500))],
        &["gone"],
    );
    assert_eq!((costs.report.forecast.spent_usd, costs.report.forecast.limit_usd), (NanoUsd(330), NanoUsd(900)));
    let Outlook::Known { expected_usd, .. } = costs.report.forecast.outlook else { panic!("ten days are enough") };
    assert_eq!(expected_usd, NanoUsd(330 + 6 * 30));
    assert_eq!(costs.tenants.iter().map(|outlook| outlook.tenant.as_str()).collect::<Vec<_>>(), ["acme", "beta"]);
    let silent = Missing { tenant: "gone".into(), reason: "it did not answer in time".into() };
    assert_eq!(costs.missing, [silent]);
    assert_eq!(costs.report.by_day.len(), 11);
}

#[test]
fn what_a_report_lacks_is_said() {
    let today = day_of_date(TODAY).unwrap();
    let full = |days_ago: u64| SpendView { kept_from: Some(today - days_ago), ..answer(&[("m", 1)], 9) };
    let answers = [("acme", full(40)), ("beta", full(30)), ("cara", answer(&[], 9))];
    let mut costs = gathered(&[Dimension::Tenant], &answers, &["gone"]);
    assert_eq!(costs.report.kept_from.as_deref(), Some("2026-10-26"), "the youngest memory counts");
    assert_eq!(gaps(&costs), ["gone: it did not answer in time", "days before 2026-10-26 may have been forgotten"]);
    costs.missing.clear();
    costs.report.from = "2026-10-26".into();
    assert!(gaps(&costs).is_empty(), "the first day that is kept is kept whole");
}

#[test]
fn a_report_has_a_bounded_number_of_rows() {
    let rows: Vec<_> = (0..=COST_ROWS_MAX)
        .map(|number| SpendRow { model: Some(number.to_string()), spent: spent(1), ..SpendRow::default() })
        .collect();
    let mut gathering = Gathering::new(query(&[Dimension::Model]), BTreeSet::new());
    let refused = gathering.take("acme", SpendView { rows, ..answer(&[], 0) }).unwrap_err();
    assert_eq!(refused.code, Code::TooLarge);
}

fn report(group_by: &[Dimension], rows: Vec<SpendRow>) -> CostReport {
    CostReport { rows, group_by: group_by.to_vec(), ..gathered(group_by, &[], &[]).report }
}

#[test]
fn a_table_reads_back_and_runs_nothing() {
    let hostile = ["=cmd|' /C calc'!A0", "a,b\"c\nd", "@x", "plain"];
    let rows = hostile.map(|domain| SpendRow { domain: Some(domain.into()), spent: spent(1), ..SpendRow::default() });
    let text = table::csv(&report(&[Dimension::Domain], rows.to_vec())).unwrap();
    let mut read = csv::Reader::from_reader(text.as_slice());
    assert_eq!(
        read.headers().unwrap().iter().collect::<Vec<_>>(),
        ["domain", "turns", "prompt_tokens", "completion_tokens", "cost_usd"]
    );
    let domains: Vec<_> = read.records().map(|record| record.unwrap()[0].to_owned()).collect();
    assert_eq!(domains, ["'=cmd|' /C calc'!A0", "a,b\"c\nd", "'@x", "plain"]);
}

/// Columns the specification calls mandatory, with whether they may be null (FOCUS 1.2).
const MANDATORY: [(&str, bool); 21] = [
    ("BilledCost", false),
    ("BillingAccountId", false),
    ("BillingAccountName", true),
    ("BillingCurrency", false),
    ("BillingPeriodEnd", false),
    ("BillingPeriodStart", false),
    ("ChargeCategory", false),
    ("ChargeClass", true),
    ("ChargeDescription", true),
    ("ChargePeriodEnd", false),
    ("ChargePeriodStart", false),
    ("ContractedCost", false),
    ("EffectiveCost", false),
    ("InvoiceIssuerName", false),
    ("ListCost", false),
    ("PricingQuantity", true),
    ("PricingUnit", true),
    ("ProviderName", false),
    ("PublisherName", false),
    ("ServiceCategory", false),
    ("ServiceName", false),
];

fn rows() -> impl Strategy<Value = Vec<SpendRow>> {
    let name = || "[a-zA-Z,\"'\n=é🦀 ]{1,12}";
    let optional = || prop_oneof![Just(UNNAMED.to_owned()), name()];
    let row = (name(), 0_u64..60_000, optional(), optional(), name(), any::<bool>(), any::<u32>(), any::<u32>());
    let row = row.prop_map(|(tenant, day, domain, user, model, is_usage, cost, tokens)| {
        let of = |name: String| Some(if is_usage { name } else { UNRECONCILED.to_owned() });
        SpendRow {
            tenant: Some(tenant),
            day: Some(date_of_day(day)),
            domain: of(domain),
            usecase: of(UNNAMED.to_owned()),
            user: of(user),
            key: of("key".to_owned()),
            provider: of("p".to_owned()),
            model: of(model),
            spent: Spent { prompt_tokens: u64::from(tokens), ..spent(u64::from(cost)) },
        }
    });
    prop::collection::vec(row, 0..40)
}

proptest! {
    #[test]
    fn the_focus_export_keeps_the_specifications_rules_and_the_sums(rows in rows()) {
        let text = focus::csv(&rows).unwrap();
        let mut read = csv::Reader::from_reader(text.as_slice());
        let head = read.headers().unwrap().clone();
        prop_assert_eq!(head.iter().collect::<Vec<_>>(), focus::COLUMNS);
        for (column, _) in MANDATORY {
            prop_assert!(focus::COLUMNS.contains(&column), "{}", column);
        }
        let read: Vec<HashMap<String, String>> = read.deserialize().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), rows.len());
        for (record, row) in read.iter().zip(&rows) {
            for (column, may_be_null) in MANDATORY {
                prop_assert!(may_be_null || !record[column].is_empty(), "{} is null", column);
            }
            let is_usage = record["ChargeCategory"] == "Usage";
            prop_assert_eq!(is_usage, row.provider.as_deref() != Some(UNRECONCILED));
            prop_assert!(is_usage || record["ChargeCategory"] == "Adjustment");
            for column in ["PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit", "SkuId", "PricingCategory"] {
                prop_assert_eq!(record[column].is_empty(), !is_usage, "{}", column);
            }
            prop_assert_eq!(&record["BillingAccountId"], row.tenant.as_ref().unwrap());
            prop_assert_eq!(&record["ChargePeriodStart"], &format!("{}T00:00:00Z", row.day.as_ref().unwrap()));
            let in_order = ["BillingPeriodStart", "ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodEnd"];
            prop_assert!(in_order.windows(2).all(|pair| record[pair[0]] <= record[pair[1]]), "{:?}", record);
            let tags: HashMap<String, String> = serde_json::from_str(&record["Tags"]).unwrap();
            prop_assert_eq!(tags.get("bailiwick/domain"), row.domain.as_ref().filter(|domain| *domain != UNNAMED));
        }
        let sum: u64 = rows.iter().map(|row| row.spent.cost_usd.0).sum();
        for column in ["BilledCost", "EffectiveCost", "ListCost", "ContractedCost"] {
            let read: u64 = read.iter().map(|record| NanoUsd::parse_usd(&record[column]).unwrap().0).sum();
            prop_assert_eq!(read, sum, "{}", column);
        }
    }
}
