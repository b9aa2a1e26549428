//! Events to figures: which metric, which labels, how much. Labels are the tenant's key in short form and values of
//! enumerations; never a name, an id of a document or anything a caller wrote.
use super::catalogue;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_policy::rollout::Step;
use bailiwick_tenant::supervisor::messages::{Event, Happened, RoomView};
use std::collections::HashMap;

/// How a figure is counted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Amount {
    /// Adds to a counter.
    Count(u64),
    /// One observation of a histogram.
    Observe(f64),
    /// How a gauge stands.
    Stands(f64),
}

/// One figure.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// Name of the metric.
    pub metric: &'static str,
    /// A label beside the tenant, where there is one.
    pub label: Option<(&'static str, &'static str)>,
    /// How much.
    pub amount: Amount,
}

/// A share told in millionths.
fn share(metric: &'static str, ppm: u64) -> Figure {
    let ratio = u32::try_from(ppm).map_or(f64::INFINITY, f64::from) / 1_000_000.0;
    Figure { metric, label: None, amount: Amount::Stands(ratio) }
}

fn switch(metric: &'static str, label: Option<(&'static str, &'static str)>, is_on: bool) -> Figure {
    Figure { metric, label, amount: Amount::Stands(f64::from(u8::from(is_on))) }
}

/// The events that count for the service level.
fn events(is_good: bool) -> [Figure; 2] {
    [count("bailiwick_slo_events_total", None, 1), count("bailiwick_slo_bad_events_total", None, u64::from(!is_good))]
}

fn count(metric: &'static str, label: Option<(&'static str, &'static str)>, by: u64) -> Figure {
    Figure { metric, label, amount: Amount::Count(by) }
}

/// The figures of one event.
#[must_use]
pub fn figures(event: &Event) -> Vec<Figure> {
    match event {
        Event::Answered { kind, latency_ms, charged, abstained, fallback, tokens, times, is_good, budget_used_ppm } => {
            let seconds = std::time::Duration::from_millis(*latency_ms).as_secs_f64();
            let label = Some(("kind", *kind));
            let mut figures = vec![
                count("bailiwick_answers_total", label, 1),
                Figure { metric: catalogue::ANSWER, label, amount: Amount::Observe(seconds) },
                Figure {
                    metric: catalogue::OVERHEAD_WHOLE,
                    label: None,
                    amount: Amount::Observe(times.overhead().as_secs_f64()),
                },
                count("bailiwick_charged_nano_usd_total", None, charged.0),
                count("bailiwick_tokens_total", Some(("direction", "prompt")), tokens.0),
                count("bailiwick_tokens_total", Some(("direction", "completion")), tokens.1),
            ];
            let observed = |own: std::time::Duration| Amount::Observe(own.as_secs_f64());
            figures.extend(times.own().map(|(stage, own)| Figure {
                metric: catalogue::OVERHEAD,
                label: Some(("stage", stage)),
                amount: observed(own),
            }));
            // where nobody was given it, the refusal says whether it counts against the service level
            figures.extend(is_good.then(|| events(true)).into_iter().flatten());
            figures.extend(budget_used_ppm.map(|ppm| share("bailiwick_budget_used_ratio", ppm)));
            figures.extend(abstained.then(|| count("bailiwick_abstentions_total", label, 1)));
            figures.extend(fallback.then(|| count("bailiwick_fallbacks_total", label, 1)));
            figures
        }
        Event::Repeated { kind } => vec![count("bailiwick_repeats_total", Some(("kind", kind)), 1)],
        Event::Refused { code, is_failure } => {
            let refused = count("bailiwick_refusals_total", Some(("code", code.as_str())), 1);
            let bad = is_failure.then(|| events(false)).into_iter().flatten();
            std::iter::once(refused).chain(bad).collect()
        }
        Event::ObjectiveStands { allowed_ppm } => vec![share("bailiwick_slo_allowed_ratio", *allowed_ppm)],
        Event::LevelChanged { breached } => {
            let to = if *breached { "breached" } else { "kept" };
            vec![count("bailiwick_service_level_changes_total", Some(("to", to)), 1)]
        }
        Event::Alarmed(alarmed) => {
            let metric =
                if alarmed.change.is_raised { "bailiwick_alarms_raised_total" } else { "bailiwick_alarms_ended_total" };
            let label = Some(("alarm", alarmed.pair().name));
            vec![count(metric, label, 1), switch("bailiwick_alarm_raised", label, alarmed.change.is_raised)]
        }
        Event::ReleasesStand(frozen) => {
            let begun = frozen.filter(|frozen| frozen.overridden_until_unix_ms.is_none());
            let stands = switch("bailiwick_releases_frozen", None, frozen.is_some());
            std::iter::once(stands).chain(begun.map(|_| count("bailiwick_release_freezes_total", None, 1))).collect()
        }
        Event::Rebuilt { room, .. } => vec![count("bailiwick_restarts_total", Some(("room", room)), 1)],
        Event::RolloutEnded { end, .. } => {
            let how = if *end == Step::Complete { "complete" } else { "sent_back" };
            vec![count("bailiwick_rollouts_ended_total", Some(("how", how)), 1)]
        }
        Event::Quarantined => vec![count("bailiwick_quarantines_total", None, 1)],
    }
}

/// Restarts and last faults, for rooms of supervisors that no longer answer for themselves.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    by_tenant: HashMap<TenantKey, (u64, String)>,
}

impl Faults {
    /// Notes an event.
    pub fn note(&mut self, happened: &Happened) {
        match &happened.event {
            Event::Rebuilt { room, restarts } => {
                self.by_tenant.insert(happened.tenant, (*restarts, format!("the room {room} died and was rebuilt")));
            }
            Event::Quarantined => {
                let restarts = self.by_tenant.get(&happened.tenant).map_or(0, |(restarts, _)| *restarts);
                self.by_tenant.insert(happened.tenant, (restarts, "the restart budget is used up".to_owned()));
            }
            Event::Answered { .. }
            | Event::Repeated { .. }
            | Event::Refused { .. }
            | Event::LevelChanged { .. }
            | Event::ObjectiveStands { .. }
            | Event::Alarmed(_)
            | Event::ReleasesStand(_)
            | Event::RolloutEnded { .. } => {}
        }
    }

    /// How a supervisor is shown that did not answer in time.
    #[must_use]
    pub fn silent(&self, tenant: TenantKey, generation: u64) -> RoomView {
        let (restarts, last_fault) =
            self.by_tenant.get(&tenant).cloned().map_or((0, None), |(restarts, fault)| (restarts, Some(fault)));
        RoomView {
            address: format!("{tenant}/{generation}/supervisor"),
            kind: "supervisor".to_owned(),
            state: "silent".to_owned(),
            mailbox_depth: 0,
            restarts,
            last_fault,
        }
    }
}
