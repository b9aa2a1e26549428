//! Objectives as OpenSLO v1 has them, and back: the same objectives, and the same bytes the second time.
//!
//! Three documents of the kind `SLO`: availability and error rate as ratios of good to all turns, latency as a threshold.
//! OpenSLO knows no cost: it stands in an annotation. What this house does not have (other windows, budgeting methods,
//! indicators of other sources) is refused, not dropped.
use crate::compile::name_problem;
use crate::parse::{FileError, options};
use crate::schema::{Objectives, SloFile};
use bailiwick_kernel::money::NanoUsd;
use serde::Deserialize;
use std::collections::BTreeMap;

const VERSION: &str = "openslo/v1";
const KIND: &str = "SLO";
const WINDOW: &str = "30d";
const METHOD: &str = "Occurrences";
const SOURCE: &str = "bailiwick";
const COST: &str = "bailiwick/cost_per_1k_qa_usd";
const AVAILABILITY: &str = "availability";
const LATENCY: &str = "latency-p95";
const ERRORS: &str = "error-rate";
/// The percentile of the latency objective.
const PERCENTILE: f64 = 0.95;
/// Shares are told apart to this part: one minus a decimal fraction is none in binary.
const SHARE_PARTS: f64 = 1e9;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "allowed, and means nothing here")]
    display_name: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    #[expect(dead_code, reason = "allowed, and means nothing here")]
    description: Option<String>,
    service: String,
    indicator: Indicator,
    time_window: Vec<TimeWindow>,
    budgeting_method: String,
    objectives: Vec<Objective>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Indicator {
    #[expect(dead_code, reason = "allowed, and means nothing here")]
    metadata: Metadata,
    spec: IndicatorSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IndicatorSpec {
    #[serde(default)]
    ratio_metric: Option<Ratio>,
    #[serde(default)]
    threshold_metric: Option<Metric>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ratio {
    #[expect(dead_code, reason = "either kind of series is counted by this house itself")]
    counter: bool,
    good: Metric,
    total: Metric,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metric {
    metric_source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(rename = "type")]
    source: String,
    spec: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TimeWindow {
    duration: String,
    is_rolling: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Objective {
    #[serde(default)]
    #[expect(dead_code, reason = "allowed, and means nothing here")]
    display_name: Option<String>,
    target: f64,
    #[serde(default)]
    op: Option<String>,
    #[serde(default)]
    value: Option<f64>,
}

fn rounded(share: f64) -> f64 {
    (share * SHARE_PARTS).round() / SHARE_PARTS
}

/// The objectives of a tenant as OpenSLO v1.
///
/// # Errors
/// A name that is none, and an objective of 100 %: OpenSLO's targets are below 1.
pub fn export(file: &SloFile) -> Result<String, String> {
    let SloFile { tenant_id, slo } = file;
    if let Some(problem) = name_problem(tenant_id) {
        return Err(format!("tenant_id: {problem}"));
    }
    let good_share = rounded(1.0 - slo.error_rate_max);
    for (name, share) in [("availability", slo.availability), ("error_rate_max", good_share)] {
        if !(0.0..1.0).contains(&share) {
            return Err(format!("{name}: OpenSLO has no target of {share}: write one from 0 to below 1"));
        }
    }
    let source = |pointer: &str| format!("{{ type: {SOURCE}, spec: {{ route: /v1/slo, field: {pointer} }} }}");
    let ratio = format!(
        "      ratioMetric:\n        counter: true\n        good: {{ metricSource: {} }}\n        total: {{ metricSource: {} }}\n",
        source("/error_budget/good"),
        source("/error_budget/total"),
    );
    let threshold = format!("      thresholdMetric: {{ metricSource: {} }}\n", source("/windows/24h/p95_ms"));
    let document = |name: &str, note: &str, indicator: &str, objective: &str| {
        format!(
            "apiVersion: {VERSION}\nkind: {KIND}\nmetadata:\n  name: {tenant_id}-{name}\n{note}spec:\n  service: {tenant_id}\n  \
             indicator:\n    metadata:\n      name: {tenant_id}-{name}\n    spec:\n{indicator}  timeWindow:\n    - duration: \
             {WINDOW}\n      isRolling: true\n  budgetingMethod: {METHOD}\n  objectives:\n    - {objective}\n"
        )
    };
    let cost = format!("  annotations:\n    {COST}: \"{}\"\n", slo.cost_per_1k_qa_usd);
    Ok([
        document(AVAILABILITY, &cost, &ratio, &format!("target: {}", slo.availability)),
        document(
            LATENCY,
            "",
            &threshold,
            &format!("{{ op: lte, value: {}, target: {PERCENTILE} }}", slo.p95_latency_ms),
        ),
        document(ERRORS, "", &ratio, &format!("target: {good_share}")),
    ]
    .join("---\n"))
}

/// Reads objectives from OpenSLO v1 documents as [`export`] writes them.
///
/// # Errors
/// The first thing that is no OpenSLO, or has no meaning here.
pub fn import(name: &str, text: &str) -> Result<SloFile, FileError> {
    let wrong = |problem: String| FileError::whole(name, problem);
    let documents: Vec<Document> = serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| wrong(format!("reading OpenSLO: {error}")))?;
    let mut found: BTreeMap<&str, &Document> = BTreeMap::new();
    let tenant = documents.first().map(|document| document.spec.service.clone()).unwrap_or_default();
    for document in &documents {
        let title = &document.metadata.name;
        let kind = check(document, &tenant).map_err(|problem| wrong(format!("{title}: {problem}")))?;
        if found.insert(kind, document).is_some() {
            return Err(wrong(format!("{title}: there is another one for {kind}; keep one")));
        }
    }
    let of = |kind: &str| {
        let missing = || wrong(format!("there is no SLO for {kind}: add {tenant}-{kind}"));
        found.get(kind).and_then(|document| document.spec.objectives.first()).ok_or_else(missing)
    };
    let cost = found.get(AVAILABILITY).and_then(|document| document.metadata.annotations.get(COST));
    let cost =
        cost.ok_or_else(|| wrong(format!("the annotation {COST} is missing: add it to {tenant}-{AVAILABILITY}")))?;
    let latency = of(LATENCY)?.value.unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number in range"
    )]
    let p95_latency_ms = latency as u64;
    let slo = Objectives {
        availability: of(AVAILABILITY)?.target,
        p95_latency_ms,
        error_rate_max: rounded(1.0 - of(ERRORS)?.target),
        cost_per_1k_qa_usd: NanoUsd::parse_usd(cost).map_err(|error| wrong(format!("{COST}: {error}")))?,
    };
    Ok(SloFile { tenant_id: tenant, slo })
}

/// Which of the three figures a document is for.
fn check(document: &Document, tenant: &str) -> Result<&'static str, String> {
    let Document { api_version, kind, metadata, spec } = document;
    if api_version != VERSION || kind != KIND {
        return Err(format!("{api_version} {kind} is not read: write {VERSION} {KIND}"));
    }
    if name_problem(&spec.service).is_some() || spec.service != tenant {
        return Err("spec.service names one tenant, the same in every document".to_owned());
    }
    let [window] = spec.time_window.as_slice() else { return Err("write one timeWindow".to_owned()) };
    if window.duration != WINDOW || !window.is_rolling {
        return Err(format!("budgets are for a rolling {WINDOW}"));
    }
    if spec.budgeting_method != METHOD {
        return Err(format!("budgets are reckoned by {METHOD}"));
    }
    let [objective] = spec.objectives.as_slice() else { return Err("write one objective".to_owned()) };
    if !(0.0..1.0).contains(&objective.target) {
        return Err("a target is from 0 to below 1".to_owned());
    }
    let Indicator { spec: IndicatorSpec { ratio_metric, threshold_metric }, .. } = &spec.indicator;
    let metrics: Vec<&Metric> =
        ratio_metric.iter().flat_map(|ratio| [&ratio.good, &ratio.total]).chain(threshold_metric).collect();
    if let Some(other) = metrics.iter().find(|metric| metric.metric_source.source != SOURCE) {
        let Source { source, spec } = &other.metric_source;
        return Err(format!("a metric of {source} ({} keys) is none of this house: export its own", spec.len()));
    }
    let known = [AVAILABILITY, LATENCY, ERRORS].into_iter().find(|kind| metadata.name == format!("{tenant}-{kind}"));
    let is_threshold = ratio_metric.is_none() && threshold_metric.is_some();
    let is_whole = |value: f64| value >= 0.0 && value.fract() == 0.0 && value < 1e15;
    match known {
        Some(LATENCY)
            if is_threshold
                && objective.op.as_deref() == Some("lte")
                && objective.target == PERCENTILE
                && objective.value.is_some_and(is_whole) =>
        {
            Ok(LATENCY)
        }
        Some(LATENCY) => Err(format!("latency is a thresholdMetric, lte whole milliseconds, target {PERCENTILE}")),
        Some(kind) if ratio_metric.is_some() && threshold_metric.is_none() && objective.op.is_none() => Ok(kind),
        Some(_) => Err("it is a ratioMetric, and its objective a target alone".to_owned()),
        None => Err(format!("it is called {tenant}-{AVAILABILITY}, {tenant}-{LATENCY} or {tenant}-{ERRORS}")),
    }
}

/// A `slo.yaml` with these objectives.
#[must_use]
pub fn slo_yaml(file: &SloFile) -> String {
    let Objectives { availability, p95_latency_ms, error_rate_max, cost_per_1k_qa_usd } = &file.slo;
    format!(
        "tenant_id: {}\nslo:\n  availability: {availability}\n  p95_latency_ms: {p95_latency_ms}\n  error_rate_max: \
         {error_rate_max}\n  cost_per_1k_qa_usd: \"{cost_per_1k_qa_usd}\"\n",
        file.tenant_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;
    use proptest::prelude::*;

    fn file(availability: f64, p95_latency_ms: u64, error_rate_max: f64, nano: u64) -> SloFile {
        let slo = Objectives { availability, p95_latency_ms, error_rate_max, cost_per_1k_qa_usd: NanoUsd(nano) };
        SloFile { tenant_id: "acme-corp".to_owned(), slo }
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let objectives = file(0.999, 3_100, 0.01, 100_000_000);
        let exported = export(&objectives).unwrap();
        println!("{exported}");
        let imported = import("slo.openslo.yaml", &exported).unwrap();
        assert_eq!(imported, objectives);
        assert_eq!(export(&imported).unwrap(), exported, "the same bytes");
        assert_eq!(parse::<SloFile>("slo.yaml", &slo_yaml(&imported)).unwrap(), objectives);
    }

    proptest! {
        #[test]
        fn every_objective_comes_back(
            good in 0_u64..1_000_000, latency in 0_u64..10_000_000, bad in 1_u64..=1_000_000, nano in 0_u64..u64::MAX / 2,
        ) {
            let objectives = file(good as f64 / 1e6, latency, bad as f64 / 1e6, nano);
            let exported = export(&objectives).unwrap();
            let imported = import("x", &exported).unwrap();
            prop_assert_eq!(&imported, &objectives);
            prop_assert_eq!(export(&imported).unwrap(), exported);
            prop_assert_eq!(parse::<SloFile>("slo.yaml", &slo_yaml(&imported)).unwrap(), objectives);
        }
    }

    #[test]
    fn what_has_no_meaning_here_is_refused_and_named() {
        let exported = export(&file(0.999, 3_100, 0.01, 1)).unwrap();
        for (from, to, expected) in [
            ("openslo/v1", "openslo/v2", "openslo/v2"),
            ("kind: SLO", "kind: SLI", "SLI"),
            ("30d", "28d", "rolling 30d"),
            ("isRolling: true", "isRolling: false", "rolling"),
            ("Occurrences", "Timeslices", "Occurrences"),
            ("type: bailiwick", "type: Prometheus", "Prometheus"),
            ("target: 0.999", "target: 1", "below 1"),
            ("op: lte", "op: gt", "lte"),
            ("value: 3100", "value: 3100.5", "whole"),
            ("target: 0.95", "target: 0.9", "0.95"),
            ("acme-corp-latency-p95", "acme-corp-latency-p50", "is called"),
            ("service: acme-corp", "service: beta-inc", "is called beta-inc"),
            ("  annotations:\n    bailiwick/cost_per_1k_qa_usd: \"0.000000001\"\n", "", "annotation"),
            ("budgetingMethod", "alertPolicies: []\n  budgetingMethod", "alertPolicies"),
        ] {
            assert!(exported.contains(from), "{from}");
            let problem = import("x", &exported.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(problem.contains(expected), "{to}: {problem}");
        }
        let (first, rest) = exported.split_once("---\n").unwrap();
        assert!(import("x", rest).unwrap_err().to_string().contains("annotation"));
        assert!(import("x", &format!("{first}---\n{exported}")).unwrap_err().to_string().contains("another one"));
        assert!(import("x", "").is_err());
        assert!(export(&file(1.0, 1, 0.1, 1)).is_err() && export(&file(0.9, 1, 0.0, 1)).is_err());
    }
}
