//! A Grafana dashboard of the house's metrics: panels as a table, and the JSON Grafana imports. Pure.
use serde_json::{Value, json};

/// The dashboard's stable name: importing it again replaces it.
const UID: &str = "bailiwick";
/// Columns of Grafana's grid.
const WIDTH: usize = 24;
const PANEL_WIDTH: usize = 8;
const PANEL_HEIGHT: usize = 7;

/// One panel.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Panel {
    /// Title.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Grafana's unit.
    pub unit: &'static str,
    /// PromQL and legend of each line.
    pub lines: &'static [(&'static str, &'static str)],
}

/// Everything that is drawn. `$tenant` is the variable of the dashboard.
pub const PANELS: &[Panel] = &[
    Panel {
        title: "Traffic",
        about: "Turns cleared a second, by tenant and kind.",
        unit: "reqps",
        lines: &[(
            r#"sum by (tenant, kind) (rate(bailiwick_answers_total{tenant=~"$tenant"}[$__rate_interval]))"#,
            "{{tenant}} {{kind}}",
        )],
    },
    Panel {
        title: "Latency",
        about: "From the arrival of a request to its cleared answer.",
        unit: "s",
        lines: &[
            (
                r#"histogram_quantile(0.95, sum by (tenant, le) (rate(bailiwick_answer_seconds_bucket{tenant=~"$tenant"}[$__rate_interval])))"#,
                "{{tenant}} p95",
            ),
            (
                r#"histogram_quantile(0.99, sum by (tenant, le) (rate(bailiwick_answer_seconds_bucket{tenant=~"$tenant"}[$__rate_interval])))"#,
                "{{tenant}} p99",
            ),
        ],
    },
    Panel {
        title: "Refusals and failures",
        about: "Turns refused or failed a second, by code.",
        unit: "reqps",
        lines: &[(
            r#"sum by (tenant, code) (rate(bailiwick_refusals_total{tenant=~"$tenant"}[$__rate_interval])) > 0"#,
            "{{tenant}} {{code}}",
        )],
    },
    Panel {
        title: "Error budget burn",
        about: "Times the share of failures the objective allows. 1 uses the budget of 30 days up in 30 days.",
        unit: "none",
        lines: &[
            (
                r#"sum by (tenant) (rate(bailiwick_slo_bad_events_total{tenant=~"$tenant"}[1h])) / sum by (tenant) (rate(bailiwick_slo_events_total{tenant=~"$tenant"}[1h])) / max by (tenant) (bailiwick_slo_allowed_ratio{tenant=~"$tenant"})"#,
                "{{tenant}} 1h",
            ),
            (
                r#"sum by (tenant) (rate(bailiwick_slo_bad_events_total{tenant=~"$tenant"}[6h])) / sum by (tenant) (rate(bailiwick_slo_events_total{tenant=~"$tenant"}[6h])) / max by (tenant) (bailiwick_slo_allowed_ratio{tenant=~"$tenant"})"#,
                "{{tenant}} 6h",
            ),
        ],
    },
    Panel {
        title: "Alarms and frozen releases",
        about: "The tenant's own alarms, which weigh evidence, and whether its releases are frozen.",
        unit: "bool_on_off",
        lines: &[
            (r#"max by (tenant, alarm) (bailiwick_alarm_raised{tenant=~"$tenant"})"#, "{{tenant}} {{alarm}}"),
            (r#"max by (tenant) (bailiwick_releases_frozen{tenant=~"$tenant"})"#, "{{tenant}} releases frozen"),
        ],
    },
    Panel {
        title: "Availability of 30 days",
        about: "Share of turns that count and ended well.",
        unit: "percentunit",
        lines: &[(
            r#"1 - sum by (tenant) (increase(bailiwick_slo_bad_events_total{tenant=~"$tenant"}[30d])) / sum by (tenant) (increase(bailiwick_slo_events_total{tenant=~"$tenant"}[30d]))"#,
            "{{tenant}}",
        )],
    },
    Panel {
        title: "Budget used",
        about: "Share of the fullest window of a tenant's budget that is spent.",
        unit: "percentunit",
        lines: &[(r#"max by (tenant) (bailiwick_budget_used_ratio{tenant=~"$tenant"})"#, "{{tenant}}")],
    },
    Panel {
        title: "Cost an hour",
        about: "Charged, in US dollars.",
        unit: "currencyUSD",
        lines: &[(
            r#"sum by (tenant) (increase(bailiwick_charged_nano_usd_total{tenant=~"$tenant"}[1h])) / 1e9"#,
            "{{tenant}}",
        )],
    },
    Panel {
        title: "Tokens",
        about: "Tokens a second, by direction.",
        unit: "none",
        lines: &[(
            r#"sum by (tenant, direction) (rate(bailiwick_tokens_total{tenant=~"$tenant"}[$__rate_interval]))"#,
            "{{tenant}} {{direction}}",
        )],
    },
    Panel {
        title: "Overhead",
        about: "Time of an answer spent in this program itself, without providers.",
        unit: "s",
        lines: &[
            (
                r#"histogram_quantile(0.95, sum by (le) (rate(bailiwick_answer_overhead_seconds_bucket{tenant=~"$tenant"}[$__rate_interval])))"#,
                "p95",
            ),
            (
                r#"histogram_quantile(0.99, sum by (le) (rate(bailiwick_answer_overhead_seconds_bucket{tenant=~"$tenant"}[$__rate_interval])))"#,
                "p99",
            ),
        ],
    },
    Panel {
        title: "Overhead by stage",
        about: "Mean of each stage of the walk.",
        unit: "s",
        lines: &[(
            r#"sum by (stage) (rate(bailiwick_overhead_seconds_sum{tenant=~"$tenant"}[$__rate_interval])) / sum by (stage) (rate(bailiwick_overhead_seconds_count{tenant=~"$tenant"}[$__rate_interval]))"#,
            "{{stage}}",
        )],
    },
    Panel {
        title: "Fairness gap",
        about: "Widest gap of weighted service beside its bound; 1 would be the bound itself.",
        unit: "percentunit",
        lines: &[("max by (pool) (bailiwick_fairness_gap_ratio)", "{{pool}}")],
    },
    Panel {
        title: "Abstentions and fallbacks",
        about: "Share of answers that say nothing supports one, and that the fallback gave.",
        unit: "percentunit",
        lines: &[
            (
                r#"sum by (tenant) (rate(bailiwick_abstentions_total{tenant=~"$tenant"}[$__rate_interval])) / sum by (tenant) (rate(bailiwick_answers_total{tenant=~"$tenant"}[$__rate_interval]))"#,
                "{{tenant}} abstained",
            ),
            (
                r#"sum by (tenant) (rate(bailiwick_fallbacks_total{tenant=~"$tenant"}[$__rate_interval])) / sum by (tenant) (rate(bailiwick_answers_total{tenant=~"$tenant"}[$__rate_interval]))"#,
                "{{tenant}} fell back",
            ),
        ],
    },
    Panel {
        title: "Refused at the door",
        about: "Requests refused before a tenant was asked, and bearer tokens.",
        unit: "reqps",
        lines: &[
            ("sum by (code) (rate(bailiwick_knocks_refused_total[$__rate_interval]))", "{{code}}"),
            ("sum by (reason) (rate(bailiwick_tokens_refused_total[$__rate_interval]))", "token {{reason}}"),
        ],
    },
    Panel {
        title: "Traces",
        about: "Spans a collector took, and spans that were dropped.",
        unit: "cps",
        lines: &[
            ("rate(bailiwick_trace_spans_exported_total[$__rate_interval])", "sent"),
            ("sum by (reason) (rate(bailiwick_trace_spans_dropped_total[$__rate_interval]))", "{{reason}}"),
        ],
    },
];

/// The dashboard as Grafana imports it; the data source is asked for then.
#[must_use]
pub fn dashboard() -> Value {
    let source = json!({"type": "prometheus", "uid": "${DS_PROMETHEUS}"});
    let panels: Vec<Value> = PANELS.iter().enumerate().map(|(at, panel)| drawn(at, panel, &source)).collect();
    json!({
        "__inputs": [{
            "name": "DS_PROMETHEUS", "label": "Prometheus", "description": "", "type": "datasource",
            "pluginId": "prometheus", "pluginName": "Prometheus",
        }],
        "__requires": [
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            {"type": "panel", "id": "timeseries", "name": "Time series", "version": ""},
        ],
        "uid": UID,
        "title": "Bailiwick",
        "tags": ["bailiwick"],
        "timezone": "utc",
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{
            "name": "tenant", "label": "Tenant", "type": "query", "datasource": source,
            "query": {"query": "label_values(bailiwick_slo_events_total, tenant)", "refId": "tenant"},
            "definition": "label_values(bailiwick_slo_events_total, tenant)",
            "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }]},
        "annotations": {"list": []},
        "panels": panels,
    })
}

fn drawn(at: usize, panel: &Panel, source: &Value) -> Value {
    let a_row = WIDTH / PANEL_WIDTH;
    let place = json!({
        "x": (at % a_row) * PANEL_WIDTH, "y": (at / a_row) * PANEL_HEIGHT, "w": PANEL_WIDTH, "h": PANEL_HEIGHT,
    });
    let line = |(number, (expression, legend)): (usize, &(&str, &str))| {
        let name = char::from(b'A'.saturating_add(u8::try_from(number).unwrap_or_default()));
        json!({"refId": name, "expr": expression, "legendFormat": legend, "datasource": source, "range": true})
    };
    json!({
        "id": at + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": {"fillOpacity": 5, "showPoints": "never"}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": panel.lines.iter().enumerate().map(line).collect::<Vec<_>>(),
    })
}
