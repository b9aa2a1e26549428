//! From what is over to spans: names, parents, times and attributes. Pure. The names are OpenTelemetry's semantic conventions
//! for HTTP and for generative AI where there is one, and begin with `bailiwick.` where there is none. Every value is a number,
//! a name of the house's own, of its configuration, or what a provider calls its model and the end of an answer.
use super::{Content, Item, Served};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::outcome::Code;
use bailiwick_kernel::trace::{SpanId as KernelSpan, TraceContext};
use bailiwick_tenant::journey::walk::{Call, Ending, Operation, Walk};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

/// A moment of both clocks: the one that never goes back, and the one that spans are told in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    /// By the first.
    pub(super) instant: Instant,
    /// By the second.
    pub(super) system: SystemTime,
}

impl Anchor {
    fn at(self, instant: Instant) -> SystemTime {
        let later = instant.saturating_duration_since(self.instant);
        let earlier = self.instant.saturating_duration_since(instant);
        let moved =
            if later > Duration::ZERO { self.system.checked_add(later) } else { self.system.checked_sub(earlier) };
        moved.unwrap_or(self.system)
    }
}

/// Makes spans of what is over.
pub(super) struct Maker {
    pub(super) anchor: Anchor,
    pub(super) scope: InstrumentationScope,
}

/// Who a span is, and under whom it stands.
struct Place {
    id: KernelSpan,
    parent: Option<KernelSpan>,
    is_parent_remote: bool,
    kind: SpanKind,
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn texts(values: &[String]) -> Value {
    Value::Array(Array::String(values.iter().cloned().map(StringValue::from).collect()))
}

impl Maker {
    /// The spans of one item; the first one is its own.
    pub(super) fn spans(&self, item: Item) -> Vec<SpanData> {
        let Item { told, content } = item;
        match content {
            Content::Request { parent, tenant, served } => {
                vec![self.of_request(&told.context, parent, tenant, &served)]
            }
            Content::Turn(walk) => self.of_turn(&told.context, &walk),
        }
    }

    fn span(
        &self,
        context: &TraceContext,
        place: Place,
        name: impl Into<Cow<'static, str>>,
        (began, until): (Instant, Instant),
        attributes: Vec<KeyValue>,
        failed: Option<&'static str>,
    ) -> SpanData {
        let state = context.state.as_deref().and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
        let (trace, id) = (TraceId::from_bytes(context.trace.to_bytes()), SpanId::from_bytes(place.id.to_bytes()));
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, state),
            parent_span_id: place.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.to_bytes())),
            parent_span_is_remote: place.is_parent_remote,
            span_kind: place.kind,
            name: name.into(),
            start_time: self.anchor.at(began),
            end_time: self.anchor.at(until.max(began)),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: failed.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        }
    }

    fn of_request(
        &self,
        context: &TraceContext,
        parent: Option<KernelSpan>,
        tenant: TenantKey,
        served: &Served,
    ) -> SpanData {
        let Served { method, route, status, began, until } = *served;
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("tenant.id", tenant.to_string()),
        ];
        attributes.extend(status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
        let failed = status.filter(|status| *status >= 500);
        attributes.extend(failed.map(|status| KeyValue::new("error.type", status.to_string())));
        let place = Place { id: context.span, parent, is_parent_remote: parent.is_some(), kind: SpanKind::Server };
        let name = format!("{method} {route}");
        self.span(context, place, name, (began, until), attributes, failed.map(|_| "the request failed"))
    }

    fn of_turn(&self, context: &TraceContext, walk: &Walk) -> Vec<SpanData> {
        let tenant = || KeyValue::new("tenant.id", walk.tenant.to_string());
        let below = |parent: KernelSpan, kind: SpanKind| Place {
            id: KernelSpan::fresh(),
            parent: Some(parent),
            is_parent_remote: false,
            kind,
        };
        let failed = failure(walk.ending);
        let mut attributes = vec![
            tenant(),
            KeyValue::new("bailiwick.kind", walk.kind),
            KeyValue::new("bailiwick.policy.version", walk.policy_version.clone()),
            KeyValue::new("bailiwick.decision", decision(walk.ending)),
        ];
        attributes.extend(walk.held.map(|held| KeyValue::new("bailiwick.hold.nano_usd", number(held.0))));
        attributes.extend(walk.settled.map(|settled| KeyValue::new("bailiwick.settled.nano_usd", number(settled.0))));
        attributes.extend(failed.map(|code| KeyValue::new("error.type", code)));
        let place = Place { id: walk.span, ..below(context.span, SpanKind::Internal) };
        let mut spans = vec![self.span(context, place, walk.kind, (walk.began, walk.until), attributes, failed)];
        let mut routing = walk.span;
        let last = walk.stages.len().saturating_sub(1);
        for (index, (stage, from, until)) in walk.stages.iter().enumerate() {
            let place = below(walk.span, SpanKind::Internal);
            if *stage == "routing" {
                routing = place.id;
            }
            let mut attributes = vec![tenant()];
            attributes.extend(of_stage(stage, walk));
            // where a turn failed is where it stood last
            let failed = failed.filter(|_| index == last);
            attributes.extend(failed.map(|code| KeyValue::new("error.type", code)));
            spans.push(self.span(context, place, name_of(stage), (*from, *until), attributes, failed));
        }
        for call in &walk.calls {
            let place = Place { id: call.span, ..below(routing, SpanKind::Client) };
            let mut attributes = vec![tenant()];
            attributes.extend(of_call(call));
            let name = format!("{} {}", operation(call.operation), call.model);
            spans.push(self.span(context, place, name, (call.began, call.until), attributes, call.error));
        }
        spans
    }
}

/// What a stage is called in a trace.
fn name_of(stage: &'static str) -> &'static str {
    if stage == "budget" { "budget hold" } else { stage }
}

fn of_stage(stage: &str, walk: &Walk) -> Option<KeyValue> {
    match stage {
        "admission" => Some(KeyValue::new("bailiwick.policy.version", walk.policy_version.clone())),
        "retrieval" => {
            let passages = walk.passages.and_then(|passages| i64::try_from(passages).ok())?;
            Some(KeyValue::new("bailiwick.retrieval.passages", passages))
        }
        "cache" => Some(KeyValue::new("bailiwick.cache", walk.cache?)),
        "budget" => Some(KeyValue::new("bailiwick.hold.nano_usd", number(walk.held?.0))),
        "exit" => Some(KeyValue::new("bailiwick.settled.nano_usd", number(walk.settled?.0))),
        _ => None,
    }
}

fn of_call(call: &Call) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("gen_ai.operation.name", operation(call.operation)),
        KeyValue::new("gen_ai.provider.name", call.kind.clone()),
        KeyValue::new("gen_ai.request.model", call.model.clone()),
        KeyValue::new("bailiwick.provider", call.provider.clone()),
        KeyValue::new("bailiwick.provider.region", call.region.clone()),
        KeyValue::new("bailiwick.fallback", call.is_fallback),
    ];
    attributes.extend(call.said.model.clone().map(|model| KeyValue::new("gen_ai.response.model", model)));
    if !call.said.finish_reasons.is_empty() {
        attributes.push(KeyValue::new("gen_ai.response.finish_reasons", texts(&call.said.finish_reasons)));
    }
    if let Some((input, output)) = call.tokens {
        attributes.push(KeyValue::new("gen_ai.usage.input_tokens", number(input)));
        if call.operation == Operation::Chat {
            attributes.push(KeyValue::new("gen_ai.usage.output_tokens", number(output)));
        }
    }
    attributes.extend(call.error.map(|error| KeyValue::new("error.type", error)));
    attributes
}

fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Chat => "chat",
        Operation::Embeddings => "embeddings",
    }
}

fn decision(ending: Ending) -> &'static str {
    match ending {
        Ending::Answered => "answered",
        Ending::Abstained => "abstained",
        Ending::Refused(code) => code.as_str(),
    }
}

fn failure(ending: Ending) -> Option<&'static str> {
    let Ending::Refused(code): Ending = ending else { return None };
    Some(Code::as_str(code))
}
