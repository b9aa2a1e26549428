//! Numbers that cannot all be meant: found before production finds them, said as warnings, refused by nobody.
use crate::budget;
use crate::findings::{Findings, Source};
use crate::quotas::EVERY_MEMBER;
use crate::schema::*;
use bailiwick_kernel::money::NanoUsd;

/// Days of the longest month.
const MONTH_DAYS: u64 = 31;
/// Below this price of an output token no hosted model is sold: 0.05 USD for a million tokens.
const CHEAPEST_TOKEN_NANO_USD: u64 = 50;
const ANSWERS: u64 = 1_000;
const MILLION: u64 = 1_000_000;
/// The embedded provider's name in `router.yaml`: it costs nothing.
const EMBEDDED: &str = "extractive";

/// Contradictions within `router.yaml`.
pub(crate) fn router(source: &Source<RouterFile>, findings: &mut Findings) {
    let file = &source.value;
    let rules = &file.budget;
    let month = rules.daily_limit_usd.saturating_times(MONTH_DAYS);
    if rules.daily_limit_usd > rules.monthly_limit_usd {
        findings.warn(
            source,
            "budget.daily_limit_usd",
            "the limit of a day is above that of a month and never reached: lower it",
        );
    } else if month > rules.monthly_limit_usd {
        let problem = format!(
            "{MONTH_DAYS} days at {} come to {month} USD, above the {} of a month: the tenant may stop before its last day, raise the month or lower the day",
            rules.daily_limit_usd, rules.monthly_limit_usd
        );
        findings.warn(source, "budget.daily_limit_usd", problem);
    }
    budget::contradictions(source, findings);
    cost(source, "routing.primary", &file.routing.primary, findings);
    if let Some(fallback) = &file.routing.fallback {
        cost(source, "routing.fallback", fallback, findings);
    }
    let downgrades =
        rules.circuit_breaker.as_ref().is_some_and(|breaker| breaker.action == BreakerAction::DowngradeToFallback);
    if downgrades && file.routing.fallback.is_none() {
        findings.warn(
            source,
            "budget.circuit_breaker.action",
            "there is no fallback to downgrade to, so this blocks: add routing.fallback or choose extractive_only",
        );
    }
}

fn cost(source: &Source<RouterFile>, path: &str, route: &Route, findings: &mut Findings) {
    let target = source.value.sla.cost_per_1k_qa_usd;
    let full_answers = CHEAPEST_TOKEN_NANO_USD.saturating_mul(route.max_tokens.into()).saturating_mul(ANSWERS);
    if route.provider == EMBEDDED || route.max_tokens == 0 || full_answers <= target.0 {
        return;
    }
    let million_tokens = NanoUsd((target.0 / ANSWERS).saturating_mul(MILLION) / u64::from(route.max_tokens));
    let problem = format!(
        "answers of {} tokens meet {target} USD a thousand only at {million_tokens} USD for a million tokens, and no hosted model is that cheap: \
         lower max_tokens or raise sla.cost_per_1k_qa_usd",
        route.max_tokens
    );
    findings.warn(source, &format!("{path}.max_tokens"), problem);
}

/// Contradictions within the quotas of the registry record: a figure that is never reached because a wider one refuses
/// first.
pub(crate) fn quotas(source: &Source<TenantFile>, findings: &mut Findings) {
    let quotas = &source.value.quotas;
    minute(source, "quotas", Some(quotas.max_requests_per_hour), quotas.max_requests_per_minute, findings);
    for (index, limit) in quotas.limits.iter().enumerate() {
        let path = format!("quotas.limits[{index}]");
        minute(source, &path, limit.max_requests_per_hour, limit.max_requests_per_minute, findings);
        let of_tenant = figures(
            [Some(quotas.max_requests_per_hour), quotas.max_requests_per_minute, Some(quotas.max_concurrent_requests)],
            quotas.max_tokens_per_minute,
            Some(quotas.max_storage_gb),
        );
        unreachable(source, &path, limit, &of_tenant, "the tenant's own", findings);
        let every = quotas.limits.iter().find(|other| other.level == limit.level && other.name == EVERY_MEMBER);
        if let Some(every) = every.filter(|_| limit.name != EVERY_MEMBER) {
            unreachable(source, &path, limit, &figures_of(every), "the one of every member", findings);
        }
    }
}

/// A minute that allows more than its hour never comes to its end.
fn minute(
    source: &Source<TenantFile>,
    path: &str,
    per_hour: Option<u32>,
    per_minute: Option<u32>,
    findings: &mut Findings,
) {
    if let (Some(per_hour), Some(per_minute)) = (per_hour, per_minute)
        && per_minute > per_hour
    {
        let problem = format!(
            "{per_minute} a minute are above the {per_hour} of an hour and never reached: lower the minute or raise the hour"
        );
        findings.warn(source, &format!("{path}.max_requests_per_minute"), problem);
    }
}

/// The figures of a limit by their keys, as they compare.
type Figures = [(&'static str, Option<f64>); 5];

fn figures(counts: [Option<u32>; 3], tokens_per_minute: Option<u64>, storage_gb: Option<f64>) -> Figures {
    let [per_hour, per_minute, concurrent] = counts.map(|count| count.map(f64::from));
    #[expect(clippy::cast_precision_loss, reason = "figures this large compare the same but for one in 2⁵³")]
    let tokens = tokens_per_minute.map(|tokens| tokens as f64);
    [
        ("max_requests_per_hour", per_hour),
        ("max_requests_per_minute", per_minute),
        ("max_tokens_per_minute", tokens),
        ("max_concurrent_requests", concurrent),
        ("max_storage_gb", storage_gb),
    ]
}

fn figures_of(limit: &LevelLimit) -> Figures {
    figures(
        [limit.max_requests_per_hour, limit.max_requests_per_minute, limit.max_concurrent_requests],
        limit.max_tokens_per_minute,
        limit.max_storage_gb,
    )
}

fn unreachable(
    source: &Source<TenantFile>,
    path: &str,
    limit: &LevelLimit,
    wider: &Figures,
    whose: &str,
    findings: &mut Findings,
) {
    for ((key, narrow), (_, wide)) in figures_of(limit).into_iter().zip(wider) {
        if let (Some(narrow), Some(wide)) = (narrow, *wide)
            && narrow > wide
        {
            let problem = format!(
                "{narrow} of the {} {:?} is above {whose} {wide}, which refuses first: lower it",
                limit.level, limit.name
            );
            findings.warn(source, &format!("{path}.{key}"), problem);
        }
    }
}

/// Contradictions between the registry record and the other files.
pub(crate) fn across(
    tenant: &Source<TenantFile>,
    router: &Source<RouterFile>,
    sovereignty: &Source<SovereigntyFile>,
    findings: &mut Findings,
) {
    let (quota, monthly) = (tenant.value.quotas.max_cost_per_month, router.value.budget.monthly_limit_usd);
    if monthly > quota {
        findings.warn(
            router,
            "budget.monthly_limit_usd",
            format!(
                "{monthly} USD is above the quota of {quota} in {}, which refuses first: make them agree",
                tenant.file
            ),
        );
    }
    let rules = &sovereignty.value.data_sovereignty;
    let (kept, least) = (tenant.value.config.retention_days, rules.retention.data_days);
    if kept < least {
        findings.warn(
            tenant,
            "config.retention_days",
            format!(
                "data ends after {kept} days and must be kept {least} by {}: it will be kept {least}",
                sovereignty.file
            ),
        );
    }
}

/// Documents that are held and have an end as well are told before the first of them reaches it.
pub(crate) fn holds(
    governance: &Source<GovernancePolicy>,
    sovereignty: &Source<SovereigntyFile>,
    findings: &mut Findings,
) {
    let Some(most) = sovereignty.value.data_sovereignty.retention.data_days_max else { return };
    for (index, hold) in governance.value.settings.legal_holds.iter().enumerate() {
        if hold.released.is_none() {
            let problem = format!(
                "what {:?} selects stays beyond the {most} days of data_days_max in {} until it is released, and goes then",
                hold.id, sovereignty.file
            );
            findings.warn(governance, &format!("settings.legal_holds[{index}].id"), problem);
        }
    }
}

/// The router may not aim lower than the objective it serves.
pub(crate) fn objectives(router: &Source<RouterFile>, slo: &Source<SloFile>, findings: &mut Findings) {
    let (aim, objective) = (&router.value.sla, &slo.value.slo);
    if aim.p95_latency_ms > objective.p95_latency_ms {
        let problem = format!(
            "{} ms misses the objective of {} ms in {}: lower it",
            aim.p95_latency_ms, objective.p95_latency_ms, slo.file
        );
        findings.warn(router, "sla.p95_latency_ms", problem);
    }
    if aim.error_rate_max > objective.error_rate_max {
        let problem = format!(
            "{} misses the objective of {} in {}: lower it",
            aim.error_rate_max, objective.error_rate_max, slo.file
        );
        findings.warn(router, "sla.error_rate_max", problem);
    }
}
