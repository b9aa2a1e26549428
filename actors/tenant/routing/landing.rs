//! What came of a call, as the exit is to settle it: the words, what they used, and what is to be told instead of them.
use super::allowance::Allowance;
use super::clients::Client;
use super::flight::Landing;
use super::markers;
use super::output;
use super::providers::{ProviderError, Said};
use super::relay::{End, Tally};
use super::tokens;
use crate::budget::hold::Candidate;
use crate::question::{Matter, ModelUsed};
use crate::turn::{Draft, DraftContent, Funded, Turn};
use bailiwick_kernel::outcome::{Code, Rejection};
use serde_json::json;

/// What an attempt comes to. Words that came are billed whatever happened to them afterwards.
pub(super) async fn land(
    turn: &Turn<Funded>,
    candidate: &Candidate,
    client: &Client,
    outcome: Option<Result<Said, ProviderError>>,
    tally: Tally,
) -> Landing {
    let hung_up = tally.end == End::HungUp;
    let (said, rejection) = match (outcome, tally.end) {
        (outcome, End::Forbidden) => {
            let detail = "answering: the words of the answer match a pattern that output_forbidden_patterns of governance.yaml withholds; ask differently";
            (outcome.and_then(Result::ok), Some(Rejection::new(Code::PolicyDenied, detail)))
        }
        (outcome, End::HungUp) => (outcome.and_then(Result::ok), None),
        // all of it may have come before it was relayed: then it says what it used, and its words are those that were within
        (outcome, End::Spent) => {
            let of_words = matches!(turn.case.matter, Matter::Ask(_));
            let within = |said: Said| if of_words { Said { content: partial(turn, &tally), ..said } } else { said };
            (outcome.and_then(Result::ok).map(|said| Said { cut_short: false, ..within(said) }), None)
        }
        (Some(Ok(said)), End::Whole) => (Some(said), None),
        (Some(Err(error)), End::Whole) => {
            let relayed = tally.shown || !tally.heard.is_empty() || matches!(error, ProviderError::Cut { .. });
            if !relayed {
                return Landing::Failed(error);
            }
            let detail =
                format!("calling a model: {error}, after part of the answer had come; what came is charged; try again");
            (None, Some(Rejection::retry_after(Code::UpstreamFailed, detail, 1_000)))
        }
        (None, End::Whole) => return Landing::Failed(ProviderError::Passing("the call was dropped".into())),
    };
    let said = said.unwrap_or_else(|| {
        let used = |field: &str| tally.last_chunk.as_ref()?.get("usage")?.get(field)?.as_u64();
        Said {
            content: partial(turn, &tally),
            prompt_tokens: used("prompt_tokens"),
            completion_tokens: used("completion_tokens"),
            relayed_chars: 0,
            cut_short: hung_up,
        }
    });
    let allowance = Allowance::of(candidate).filter(|_| has_words(&turn.case.matter));
    let used = match (said.completion_tokens, &allowance) {
        (Some(reported), _) => reported,
        (None, Some(allowance)) if tally.end == End::Spent => allowance.tokens_max(),
        (None, _) => reckon(turn, &said.content, &tally).await,
    };
    let (content, is_cut) = match &allowance {
        Some(allowance) if !turn.is_streaming() => allowance.within(said.content, used).await,
        _ => (said.content, tally.end == End::Spent),
    };
    // nobody but the provider can say that more was used than was held for
    let is_reckoned = said.completion_tokens.is_none();
    let most = allowance.filter(|_| is_reckoned).map_or(u64::MAX, |allowance| allowance.tokens_max());
    if is_cut {
        say_that_it_is_cut(turn, candidate, used);
    }
    let content = match (content, tally.assembly) {
        (DraftContent::Completion(last_chunk), Some(assembly)) => {
            DraftContent::Completion(assembly.completion(last_chunk))
        }
        (content, _) => content,
    };
    Landing::Billed(Box::new(Draft {
        prompt_tokens: said.prompt_tokens.unwrap_or(turn.stage.hold.prompt_tokens),
        completion_tokens: used.min(most),
        model: ModelUsed {
            provider: candidate.route.provider.clone(),
            name: candidate.route.model.clone(),
            region: client.entry.region.clone(),
            fallback: candidate.fallback,
        },
        cut_short: said.cut_short || hung_up,
        ended_by_length: is_cut,
        content: cleaned(content, turn.stage.passages.len()),
        rejection,
    }))
}

/// True where an answer is made of words, so that it can be cut.
fn has_words(matter: &Matter) -> bool {
    matches!(matter, Matter::Ask(_) | Matter::Chat(_))
}

fn say_that_it_is_cut(turn: &Turn<Funded>, candidate: &Candidate, used: u64) {
    let (tenant, query_id) = (turn.case.sideways.tenant(), &turn.case.query_id);
    let (provider, max_tokens) = (&candidate.route.provider, candidate.route.max_tokens);
    tracing::warn!(
        %tenant, %query_id, %provider, max_tokens, used,
        "a provider said more than it was asked for; the answer ends where the tokens held for it do"
    );
}

/// What came of an answer that did not come whole.
fn partial(turn: &Turn<Funded>, tally: &Tally) -> DraftContent {
    match turn.case.matter {
        Matter::Ask(_) => DraftContent::Grounded { text: tally.heard.clone(), spans: Vec::new() },
        _ => {
            let nothing = || json!({"object": "chat.completion.chunk", "usage": null});
            let mut body = tally.last_chunk.clone().unwrap_or_else(nothing);
            if let Some(fields) = body.as_object_mut() {
                fields.insert("choices".into(), json!([]));
            }
            DraftContent::Completion(body)
        }
    }
}

fn cleaned(content: DraftContent, passages: usize) -> DraftContent {
    match content {
        DraftContent::Grounded { text, spans } => {
            DraftContent::Grounded { text: markers::clean(&text, passages), spans }
        }
        content => content,
    }
}

/// Tokens of an answer nobody reported: those of the words that came.
async fn reckon(turn: &Turn<Funded>, content: &DraftContent, tally: &Tally) -> u64 {
    let mut text = tally.heard.clone();
    match content {
        _ if !text.is_empty() => {}
        DraftContent::Grounded { text: whole, .. } => text.push_str(whole),
        DraftContent::Completion(body) if matches!(turn.case.matter, Matter::Chat(_)) => {
            output::collect_words(body, "message", &mut text)
        }
        DraftContent::Completion(_) | DraftContent::Abstained { .. } => {}
    }
    tokens::count_where_it_fits(&text).await
}
