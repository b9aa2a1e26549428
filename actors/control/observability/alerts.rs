//! Alert rules of Prometheus for the house's metrics, as YAML. The burn rates and their windows are the tenant's own: the same
//! table, so that both tell of the same thing. Pure.
use bailiwick_tenant::slo::alarms::{PAIRS, Pair, Severity};
use bailiwick_tenant::slo::budget::EXHAUSTING_FAILURES_MIN;
use std::fmt::Write;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Name.
    pub name: String,
    /// PromQL.
    pub expression: String,
    /// How long it has to hold.
    pub held_for: &'static str,
    /// `page` or `ticket`.
    pub severity: &'static str,
    /// What is wrong, in a line; `{{ $labels.… }}` is filled in.
    pub summary: String,
    /// What to do.
    pub advice: &'static str,
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Page => "page",
        Severity::Ticket => "ticket",
    }
}

/// A duration as PromQL writes it.
fn window(ms: u64) -> String {
    match ms {
        _ if ms.is_multiple_of(DAY_MS) => format!("{}d", ms / DAY_MS),
        _ if ms.is_multiple_of(HOUR_MS) => format!("{}h", ms / HOUR_MS),
        _ => format!("{}m", ms / MINUTE_MS),
    }
}

fn share(window: &str) -> String {
    format!(
        "(sum by (tenant) (rate(bailiwick_slo_bad_events_total[{window}])) / sum by (tenant) (rate(bailiwick_slo_events_total[{window}])))"
    )
}

/// A pair of windows as the tenant's own alarm has it: so many times the allowed share in both, or half of what lies above the
/// allowed share where that is less. Chance is told apart more simply than there: by a number of failures.
fn burning(pair: &Pair) -> String {
    let (long, short) = (window(pair.long_ms), window(pair.short_ms));
    let allowed = "max by (tenant) (bailiwick_slo_allowed_ratio)";
    let times = format!("{}.{}", pair.burn_tenths / 10, pair.burn_tenths % 10);
    let half = format!("(({allowed} + 1) / 2)");
    let threshold = format!("((({allowed} * {times}) <= {half}) or {half})");
    format!(
        "({long_share} >= {threshold}) and ({short_share} >= {threshold}) and (sum by (tenant) (increase(bailiwick_slo_bad_events_total[{long}])) >= {EXHAUSTING_FAILURES_MIN})",
        long_share = share(&long),
        short_share = share(&short),
    )
}

fn rule(
    name: &str,
    expression: &str,
    held_for: &'static str,
    severity: &'static str,
    summary: &str,
    advice: &'static str,
) -> Rule {
    Rule {
        name: name.to_owned(),
        expression: expression.to_owned(),
        held_for,
        severity,
        summary: summary.to_owned(),
        advice,
    }
}

/// The rules of service levels: for each pair of windows one, and one for the tenant's own alarm.
#[must_use]
pub fn service_levels() -> Vec<Rule> {
    let of_pair = |pair: &Pair| {
        let (long, short) = (window(pair.long_ms), window(pair.short_ms));
        let times = format!("{}.{}", pair.burn_tenths / 10, pair.burn_tenths % 10);
        let burns = Rule {
            name: format!("BailiwickErrorBudget{}", camel(pair.name)),
            expression: burning(pair),
            held_for: "0m",
            severity: severity(pair.severity),
            summary: format!(
                "tenant {{{{ $labels.tenant }}}} burns its error budget {times} times too fast ({long} and {short})"
            ),
            advice: "look at the tenant's refusals by code and at its provider; `bailiwick slo show` says what is left",
        };
        let raised = Rule {
            name: format!("BailiwickAlarm{}", camel(pair.name)),
            expression: format!("max by (tenant) (bailiwick_alarm_raised{{alarm=\"{}\"}}) == 1", pair.name),
            held_for: "0m",
            severity: severity(pair.severity),
            summary: format!("the alarm {} of tenant {{{{ $labels.tenant }}}} stands", pair.name),
            advice: "the node has weighed the evidence itself; `bailiwick slo show` says what is left",
        };
        [burns, raised]
    };
    PAIRS.iter().flat_map(of_pair).collect()
}

/// `burn_14x` → `Burn14x`.
fn camel(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('_').map(capital).collect()
}

/// The other rules.
#[must_use]
pub fn others() -> Vec<Rule> {
    vec![
        rule(
            "BailiwickDown",
            "absent(bailiwick_up == 1)",
            "2m",
            "page",
            "no node of Bailiwick answers the scrape with the operator's key",
            "see whether the process runs, and whether the scrape sends the key",
        ),
        rule(
            "BailiwickReleasesFrozen",
            "max by (tenant) (bailiwick_releases_frozen) == 1",
            "0m",
            "ticket",
            "releases of tenant {{ $labels.tenant }} are frozen: its error budget is used up",
            "wait, roll back, or have two people override the freeze (`bailiwick slo override`)",
        ),
        rule(
            "BailiwickTenantQuarantined",
            "increase(bailiwick_quarantines_total[15m]) > 0",
            "0m",
            "page",
            "tenant {{ $labels.tenant }} is quarantined: its rooms died too often",
            "read the log for its last fault, then resume it",
        ),
        rule(
            "BailiwickBudgetAlmostUsed",
            "max by (tenant) (bailiwick_budget_used_ratio) >= 0.9",
            "5m",
            "ticket",
            "tenant {{ $labels.tenant }} has spent nine tenths of a window of its budget",
            "see `bailiwick report costs`; raise the limit or wait for the window to end",
        ),
        rule(
            "BailiwickBudgetRefuses",
            "sum by (tenant) (increase(bailiwick_refusals_total{code=\"budget_exceeded\"}[10m])) > 0",
            "5m",
            "ticket",
            "calls of tenant {{ $labels.tenant }} are refused: its budget is used up",
            "see `bailiwick report costs`; raise the limit or wait for the window to end",
        ),
        rule(
            "BailiwickOverheadHigh",
            "histogram_quantile(0.99, sum by (le) (rate(bailiwick_answer_overhead_seconds_bucket[5m]))) > 0.1",
            "10m",
            "ticket",
            "one answer in a hundred spends more than 0.1 s in this program itself",
            "the panel of overhead by stage says where",
        ),
        rule(
            "BailiwickUnfair",
            "max by (pool) (bailiwick_fairness_gap_ratio) > 1",
            "0m",
            "page",
            "the pool {{ $labels.pool }} has served a tenant less than its share",
            "this must not happen: keep the log and report it",
        ),
        rule(
            "BailiwickAlertsUndelivered",
            "sum by (target, outcome) (increase(bailiwick_alerts_total{outcome!=\"sent\"}[15m])) > 0",
            "0m",
            "ticket",
            "alerts to {{ $labels.target }} were not delivered ({{ $labels.outcome }})",
            "check [[alerts]] of config.toml and the target",
        ),
        rule(
            "BailiwickTracesDropped",
            "sum by (reason) (rate(bailiwick_trace_spans_dropped_total{reason!=\"withheld\"}[10m])) > 0",
            "15m",
            "ticket",
            "spans are dropped ({{ $labels.reason }})",
            "check the collector of [otel], or keep fewer traces with sample_ratio",
        ),
    ]
}

/// A text in quotes, as YAML and JSON both read it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The file of rules.
#[must_use]
pub fn rules_file() -> String {
    let mut file = String::from(
        "# Written by `bailiwick observability alerts`; the windows are those of the node's own alarms.\ngroups:\n",
    );
    for (group, rules) in [("bailiwick-service-levels", service_levels()), ("bailiwick", others())] {
        let _written = write!(file, "  - name: {group}\n    rules:\n");
        for rule in rules {
            let _written = write!(
                file,
                "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n        annotations:\n          summary: {}\n          description: {}\n",
                rule.name,
                quoted(&rule.expression),
                rule.held_for,
                rule.severity,
                quoted(&rule.summary),
                quoted(rule.advice),
            );
        }
    }
    file
}
