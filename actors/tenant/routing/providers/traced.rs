//! What a traced call hands to its provider, and what it hears of the provider itself: which model answered, and why it ended.
use crate::journey::walk::Calling;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Writes the call's place in the trace into the headers of its request (W3C Trace Context).
pub(super) fn mark(headers: &mut HeaderMap, calling: Option<&Calling>) {
    let Some(calling) = calling else { return };
    if let Ok(value) = HeaderValue::from_str(&calling.context.traceparent()) {
        headers.insert(TRACEPARENT, value);
    }
    let state = calling.context.state.as_deref().and_then(|state| HeaderValue::from_str(state).ok());
    if let Some(value) = state {
        headers.insert(TRACESTATE, value);
    }
}

/// Hears a whole answer, or a chunk of one, of OpenAI's protocol.
pub(super) fn hear_openai(calling: Option<&Calling>, answer: &Value) {
    let Some(calling) = calling else { return };
    calling.note_model(answer.get("model").and_then(Value::as_str).unwrap_or_default());
    for choice in answer.get("choices").and_then(Value::as_array).into_iter().flatten() {
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            calling.note_finished(reason);
        }
    }
}

/// Hears a whole message, or an event of one, of Anthropic's protocol.
pub(super) fn hear_anthropic(calling: Option<&Calling>, answer: &Value) {
    let Some(calling) = calling else { return };
    let message = answer.get("message").unwrap_or(answer);
    calling.note_model(message.get("model").and_then(Value::as_str).unwrap_or_default());
    let reason = answer.pointer("/delta/stop_reason").or_else(|| answer.get("stop_reason"));
    if let Some(reason) = reason.and_then(Value::as_str) {
        calling.note_finished(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_kernel::trace::TraceContext;
    use serde_json::json;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn calling() -> std::sync::Arc<Calling> {
        Calling::begin(&TraceContext::read(CALLER, Some("rojo=1")).unwrap())
    }

    #[test]
    fn a_traced_call_hands_its_own_place_on() {
        let (mut headers, calling) = (HeaderMap::new(), calling());
        mark(&mut headers, None);
        assert!(headers.is_empty(), "nothing is handed on where nothing is traced");
        mark(&mut headers, Some(&calling));
        let handed = headers["traceparent"].to_str().unwrap();
        assert!(handed.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && handed.ends_with("-01"), "{handed}");
        assert_ne!(handed, CALLER, "the provider stands under the call, not under the caller");
        assert_eq!(headers["tracestate"], "rojo=1");
    }

    #[test]
    fn what_providers_say_of_themselves_is_heard_and_bounded() {
        let openai = calling();
        hear_openai(Some(&openai), &json!({"model": "gpt-4o-2024", "choices": [{"finish_reason": null}]}));
        let reasons = vec![json!({"finish_reason": "stop"}); 40];
        hear_openai(Some(&openai), &json!({"model": "x".repeat(900), "choices": reasons}));
        assert_eq!(openai.said().model.as_deref(), Some("gpt-4o-2024"));
        assert_eq!(openai.said().finish_reasons.len(), 16);
        let anthropic = calling();
        hear_anthropic(Some(&anthropic), &json!({"type": "message_start", "message": {"model": "claude-x"}}));
        hear_anthropic(Some(&anthropic), &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}));
        assert_eq!(anthropic.said().model.as_deref(), Some("claude-x"));
        assert_eq!(anthropic.said().finish_reasons, ["end_turn"]);
    }
}
