//! Events to figures: which metric, which labels, how much. Labels are the tenant's key in short form and values of
//! enumerations; never a name, an id of a document or anything a caller wrote.
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

fn count(metric: &'static str, label: Option<(&'static str, &'static str)>, by: u64) -> Figure {
    Figure { metric, label, amount: Amount::Count(by) }
}

/// The figures of one event.
#[must_use]
pub fn figures(event: &Event) -> Vec<Figure> {
    match event {
        Event::Answered { kind, latency_ms, charged, abstained, fallback, tokens } => {
            let seconds = std::time::Duration::from_millis(*latency_ms).as_secs_f64();
            let label = Some(("kind", *kind));
            let mut figures = vec![
                count("bailiwick_answers_total", label, 1),
                Figure { metric: "bailiwick_answer_seconds", label, amount: Amount::Observe(seconds) },
                count("bailiwick_charged_nano_usd_total", None, charged.0),
                count("bailiwick_tokens_total", Some(("direction", "prompt")), tokens.0),
                count("bailiwick_tokens_total", Some(("direction", "completion")), tokens.1),
            ];
            figures.extend(abstained.then(|| count("bailiwick_abstentions_total", label, 1)));
            figures.extend(fallback.then(|| count("bailiwick_fallbacks_total", label, 1)));
            figures
        }
        Event::Repeated { kind } => vec![count("bailiwick_repeats_total", Some(("kind", kind)), 1)],
        Event::Refused { code } => vec![count("bailiwick_refusals_total", Some(("code", code.as_str())), 1)],
        Event::LevelChanged { breached } => {
            let to = if *breached { "breached" } else { "kept" };
            vec![count("bailiwick_service_level_changes_total", Some(("to", to)), 1)]
        }
        Event::Alarmed(alarmed) => {
            let metric =
                if alarmed.change.is_raised { "bailiwick_alarms_raised_total" } else { "bailiwick_alarms_ended_total" };
            vec![count(metric, Some(("alarm", alarmed.pair().name)), 1)]
        }
        Event::ReleasesStand(frozen) => frozen
            .filter(|frozen| frozen.overridden_until_unix_ms.is_none())
            .map(|_| count("bailiwick_release_freezes_total", None, 1))
            .into_iter()
            .collect(),
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
