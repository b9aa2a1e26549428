//! The exit: what may leave. Pure: a draft, its passages and the policy in, a clearance out.
//!
//! Nothing leaves that cites a passage this answer did not have, and nothing the output policy forbids.
use crate::budget::hold::Hold;
use crate::entry::{
    AnswerCited, AnswerRecorded, ChargeAttributed, EmbeddingCharged, Entry, LineageChunk, PassagesFound,
    PassagesRanked, RequestJudged, RequestLogged,
};
use crate::evaluation::answers::{Grounding, grounding};
use crate::evaluation::records::AnswerMeasured;
use crate::question::{Answer, Citation, Completion, Matter, ModelUsed, Passage, Reply, Usage};
use crate::routing::demands::{self, Demands, Sources};
use crate::routing::{markers, output};
use crate::ruling::action_of;
use crate::supervisor::sideways::kind_of;
use crate::turn::{Case, Draft, DraftContent};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::language::{Action, Facts};
use bailiwick_policy::redaction::Redactions;

/// Characters of what a logged request is about.
const SUBJECT_CHARS_MAX: usize = 1_024;
/// Bytes of an answer in one record; the question beside it has at most 40 kB.
const ANSWER_PART_BYTES_MAX: usize = 10 << 10;
/// Bytes of cited chunks in the answer's own record, and in a further one. One chunk alone has at most 5 kB.
const CITED_BYTES_MAX: usize = 3 << 10;
const CITED_PART_BYTES_MAX: usize = 40 << 10;
const NOTHING_WITHIN: &str = "no sentence of the answer is within the length the policy allows";
/// Characters of why passages were found by their words alone.
const REASON_CHARS_MAX: usize = 300;

/// What the exit decided. The record is written either way: the provider was paid.
#[derive(Clone, PartialEq, Debug)]
pub struct Clearance {
    /// What goes into the journal, charge included.
    pub record: AnswerRecorded,
    /// The domain and use case the charge belongs to, where the question named one and something was used.
    pub attribution: Option<ChargeAttributed>,
    /// What the asker gets, its receipt still empty; or why nothing.
    pub verdict: Result<Reply, Rejection>,
    /// What the answer is worth by its passages; nothing where it was given from none.
    pub measured: Option<AnswerMeasured>,
}

/// Money of one call, as the exit charges it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Charge {
    /// What is charged.
    pub amount: NanoUsd,
    /// What was held.
    pub held: NanoUsd,
}

struct Words {
    answer: String,
    abstained: bool,
    reason: Option<String>,
    citations: Vec<Citation>,
    chunks: Vec<LineageChunk>,
    /// What they are worth by the passages; nothing where they stand on none.
    worth: Option<Grounding>,
}

impl Words {
    /// None of an answer's own.
    fn none() -> Self {
        Self {
            answer: String::new(),
            abstained: false,
            reason: None,
            citations: Vec::new(),
            chunks: Vec::new(),
            worth: None,
        }
    }
}

/// Decides what leaves.
#[must_use]
pub fn clear(case: &Case, passages: &[Passage], draft: Draft, charge: Charge, now_unix_ms: u64) -> Clearance {
    let usage =
        Usage { prompt_tokens: draft.prompt_tokens, completion_tokens: draft.completion_tokens, cost: charge.amount };
    let Draft { content, model, cut_short, ended_by_length, rejection, .. } = draft;
    let (words, body) = match content {
        DraftContent::Grounded { text, spans } => {
            (ground(case.demands(), case.ruled.obligations().redact, passages, &text, &spans), None)
        }
        DraftContent::Abstained { reason } => (abstain(reason), None),
        DraftContent::Completion(body) => {
            (Words::none(), Some(output::redacted(body, "message", case.ruled.obligations().redact)))
        }
    };
    let worth = words.worth;
    let mut record = record(case, &words, &model, usage, charge, cut_short, now_unix_ms);
    let said = body.as_ref().map_or_else(|| words.answer.clone(), completion_text);
    let is_forbidden = case.policy.output_violation(&said).is_some();
    if is_forbidden || rejection.as_ref().is_some_and(|rejection| rejection.code == Code::PolicyDenied) {
        record.answer.clear(); // what may not leave by the answer may not leave by its lineage either
    }
    let verdict = if let Some(rejection) = rejection {
        Err(rejection)
    } else if is_forbidden {
        Err(withheld())
    } else {
        let mut reply = reply(case, words, body, model, usage);
        if let Reply::Answer(answer) = &mut reply {
            answer.ended_by_length = ended_by_length;
        }
        Ok(reply)
    };
    let attribution = attribution(case, &record);
    let measured = worth.map(|worth| measured(&record, worth));
    Clearance { record, attribution, verdict, measured }
}

/// The refusal of an answer the output policy forbids.
#[must_use]
pub fn withheld() -> Rejection {
    Rejection::new(Code::PolicyDenied, "the answer contains what this tenant's output policy forbids and was withheld")
}

fn redact_words(answer: &mut String, citations: &mut [Citation], redactions: Redactions) {
    *answer = redactions.redact(answer).into_owned();
    citations.iter_mut().for_each(|citation| citation.redact(redactions));
}

/// Takes these forms of personal data out of a reply.
pub fn redact(reply: &mut Reply, redactions: Redactions) {
    match reply {
        Reply::Answer(answer) => {
            redact_words(&mut answer.answer, &mut answer.citations, redactions);
        }
        Reply::Completion(completion) => {
            let body = std::mem::take(&mut completion.body);
            completion.body = output::redacted(body, "message", redactions);
        }
        Reply::Hits(hits) => *hits = hits.iter().map(|hit| hit.redacted(redactions)).collect(),
    }
}

/// The words of a reply, for the output policy.
#[must_use]
pub fn words_of(reply: &Reply) -> String {
    match reply {
        Reply::Answer(answer) => answer.answer.clone(),
        Reply::Completion(completion) => completion_text(&completion.body),
        Reply::Hits(_) => String::new(),
    }
}

/// The answer as a stream would tell it: without what may not be told, as far as it is within its length.
fn ground(
    demands: Demands,
    redactions: Redactions,
    passages: &[Passage],
    text: &str,
    spans: &[(usize, std::ops::Range<usize>)],
) -> Words {
    let whole = markers::clean(text, passages.len());
    let answer = demands::shortened(&redactions.redact(&whole), demands.characters_max);
    if answer.is_empty() && !whole.is_empty() {
        return abstain(NOTHING_WITHIN.to_owned());
    }
    if let Some(reason) = demands.refusal(Sources::of(passages).cited(&answer)) {
        return abstain(reason);
    }
    let mut citations = Vec::new();
    let mut chunks = Vec::new();
    for number in markers::cited(&answer, passages.len()) {
        let Some(passage) = number.checked_sub(1).and_then(|index| passages.get(index)) else { continue };
        let whole = 0..passage.text.chars().count();
        let named = spans.iter().filter(|(marker, _)| *marker == number).map(|(_, span)| span.clone());
        let cited: Vec<_> = named.filter(|span| span.start < span.end.min(whole.end)).collect();
        for span in if cited.is_empty() { vec![whole] } else { cited } {
            citations.push(citation(number, passage, span));
        }
        chunks.push(lineage_chunk(passage));
    }
    // before anything is taken out of the citations: it stands in the passages still
    let worth = Some(grounding(&answer, &citations, passages));
    citations.iter_mut().for_each(|citation: &mut Citation| citation.redact(redactions));
    Words { answer, abstained: false, reason: None, citations, chunks, worth }
}

/// A citation of the given characters of a passage, as far as the passage has them.
#[must_use]
pub fn citation(number: usize, passage: &Passage, span: std::ops::Range<usize>) -> Citation {
    let chars = passage.text.chars().count();
    let span = span.start.min(chars)..span.end.min(chars);
    Citation {
        marker: format!("[{number}]"),
        document_id: passage.document_id.clone(),
        chunk_id: passage.chunk_id.clone(),
        title: passage.title.clone(),
        source: passage.source.clone(),
        snippet: passage.text.chars().skip(span.start).take(span.len()).collect(),
        start: passage.start.saturating_add(span.start),
        end: passage.start.saturating_add(span.end),
        page: passage.page,
        trust_score: passage.trust_score,
    }
}

fn lineage_chunk(passage: &Passage) -> LineageChunk {
    LineageChunk {
        source_id: passage.document_id.clone(),
        chunk_id: passage.chunk_id.clone(),
        trust_score: passage.trust_score,
        domain: passage.domain.clone(),
        usecase: passage.usecase.clone(),
    }
}

fn abstain(reason: String) -> Words {
    let answer = "The documents do not support an answer to this question.".to_owned();
    Words { answer, abstained: true, reason: Some(reason), ..Words::none() }
}

fn record(
    case: &Case,
    words: &Words,
    model: &ModelUsed,
    usage: Usage,
    charge: Charge,
    cut_short: bool,
    now_unix_ms: u64,
) -> AnswerRecorded {
    let question = if let Matter::Ask(question) = &case.matter { question.text.clone() } else { String::new() };
    AnswerRecorded {
        query_id: case.query_id.to_string(),
        kind: kind_of(&case.matter).to_owned(),
        question,
        answer: words.answer.clone(),
        abstained: words.abstained,
        cited: words.chunks.clone(),
        model: model.clone(),
        usage,
        overrun: charge.amount.saturating_sub(charge.held),
        policy_version: case.policy.version.clone(),
        key_id: case.principal.key_id.clone(),
        user_id: case.principal.user_id.clone(),
        admitted_unix_ms: case.admitted_unix_ms,
        cleared_unix_ms: now_unix_ms,
        idempotency_key: case.idempotency_key.as_ref().map(|keyed| keyed.key.clone()),
        cut_short,
    }
}

fn attribution(case: &Case, record: &AnswerRecorded) -> Option<ChargeAttributed> {
    let Matter::Ask(question) = &case.matter else { return None };
    let is_named = question.domain.is_some() || question.usecase.is_some();
    let usage = record.usage;
    let is_used = usage != Usage::default();
    (is_named && is_used).then(|| ChargeAttributed {
        query_id: record.query_id.clone(),
        domain: question.domain.clone(),
        usecase: question.usecase.clone(),
        key_id: record.key_id.clone(),
        user_id: record.user_id.clone(),
        provider: record.model.provider.clone(),
        model: record.model.name.clone(),
        charged: usage.cost,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        admitted_unix_ms: record.admitted_unix_ms,
        cleared_unix_ms: record.cleared_unix_ms,
    })
}

fn measured(record: &AnswerRecorded, grounding: Grounding) -> AnswerMeasured {
    AnswerMeasured {
        query_id: record.query_id.clone(),
        policy_version: record.policy_version.clone(),
        provider: record.model.provider.clone(),
        model: record.model.name.clone(),
        cleared_unix_ms: record.cleared_unix_ms,
        grounding,
    }
}

/// What rules could ask of the request.
#[must_use]
pub fn request_judged(case: &Case) -> RequestJudged {
    RequestJudged {
        query_id: case.query_id.to_string(),
        action: action_of(&case.matter),
        facts: case.ruled.facts().recorded(),
    }
}

/// Who asked, as far as rules know.
pub struct Asker<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// What rules could ask.
    pub facts: &'a Facts,
    /// By which policy it was permitted.
    pub policy: &'a PolicySnapshot,
}

/// The record of a request that would leave none.
#[must_use]
pub fn logged(action: Action, subject: &str, who: &Asker<'_>, at_unix_ms: u64) -> Entry {
    Entry::RequestLogged(Box::new(RequestLogged {
        action,
        subject: subject.chars().take(SUBJECT_CHARS_MAX).collect(),
        key_id: who.principal.key_id.clone(),
        user_id: who.principal.user_id.clone(),
        facts: who.facts.recorded(),
        policy_version: who.policy.version.clone(),
        at_unix_ms,
    }))
}

/// What must be durable before the hits of a search are told; nothing where no rule asks for it.
#[must_use]
pub fn entries_of_search(case: &Case, now_unix_ms: u64) -> Vec<Entry> {
    let Matter::Search(search) = &case.matter else { return Vec::new() };
    let who = Asker { principal: &case.principal, facts: case.ruled.facts(), policy: &case.policy };
    let is_logged = case.ruled.obligations().log;
    let logged = is_logged.then(|| logged(action_of(&case.matter), &search.query, &who, now_unix_ms));
    logged.into_iter().chain(case.approval.as_ref().map(|claim| claim.entry(now_unix_ms))).collect()
}

/// Which part of an answer's charge the embedding its hold paid for took; nothing where none was called.
#[must_use]
pub fn embedding_charged(case: &Case, record: &AnswerRecorded, hold: &Hold) -> Option<EmbeddingCharged> {
    let (Matter::Ask(question), Some((embedding, used))) = (&case.matter, hold.embedded()) else { return None };
    Some(EmbeddingCharged {
        query_id: record.query_id.clone(),
        domain: question.domain.clone(),
        usecase: question.usecase.clone(),
        key_id: record.key_id.clone(),
        user_id: record.user_id.clone(),
        answered_by: record.model.clone(),
        provider: embedding.route.provider.clone(),
        model: embedding.route.model.clone(),
        charged: used.money,
        prompt_tokens: used.tokens,
        cleared_unix_ms: record.cleared_unix_ms,
    })
}

/// How the passages were found, where the tenant wants them found by their meaning too.
#[must_use]
pub fn passages_found(case: &Case) -> Option<PassagesFound> {
    let found = case.found_by_meaning.as_ref()?;
    Some(PassagesFound {
        query_id: case.query_id.to_string(),
        hybrid: found.is_ok(),
        reason: found.as_ref().err().map(|reason| cut(reason)),
    })
}

/// Whether the passages were looked at once more, where the tenant wants that.
#[must_use]
pub fn passages_ranked(case: &Case) -> Option<PassagesRanked> {
    let (looked, rerank) = case.ranked_again.as_ref().zip(case.policy.rerank.as_ref())?;
    Some(PassagesRanked {
        query_id: case.query_id.to_string(),
        model: rerank.model.clone(),
        reason: looked.as_ref().err().map(|reason| cut(reason)),
    })
}

fn reply(case: &Case, words: Words, body: Option<serde_json::Value>, model: ModelUsed, usage: Usage) -> Reply {
    let (query_id, policy_version) = (case.query_id.to_string(), case.policy.version.clone());
    if let Some(body) = body {
        return Reply::Completion(Box::new(Completion {
            query_id,
            body,
            model,
            usage,
            policy_version,
            receipt: String::new(),
        }));
    }
    #[expect(clippy::cast_precision_loss, reason = "an answer has at most some hundred citations")]
    let trust_score = if words.citations.is_empty() {
        0.0
    } else {
        words.citations.iter().map(|citation| citation.trust_score).sum::<f64>() / words.citations.len() as f64
    };
    Reply::Answer(Box::new(Answer {
        query_id,
        answer: words.answer,
        abstained: words.abstained,
        reason: words.reason,
        citations: words.citations,
        trust_score,
        model,
        usage,
        policy_version,
        receipt: String::new(),
        notes: case.ranked_again.iter().filter_map(|looked| looked.as_ref().err().map(|reason| cut(reason))).collect(),
        ended_by_length: false,
    }))
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}

/// The words of a passed-through completion, for the output policy.
fn completion_text(body: &serde_json::Value) -> String {
    let choices = body.get("choices").and_then(serde_json::Value::as_array);
    let texts = choices
        .into_iter()
        .flatten()
        .filter_map(|choice| choice.pointer("/message/content").and_then(serde_json::Value::as_str));
    texts.collect::<Vec<_>>().join("\n")
}

/// The entries of one record: a long answer and a long list of citations are continued in further entries of the same
/// append. The first carries the charge; what it belongs to stands right behind it.
#[must_use]
pub fn entries(mut record: AnswerRecorded, attribution: Option<ChargeAttributed>) -> Vec<Entry> {
    let parts = parts(std::mem::take(&mut record.answer), ANSWER_PART_BYTES_MAX);
    let mut cited = std::mem::take(&mut record.cited).into_iter().peekable();
    record.cited = portion(&mut cited, CITED_BYTES_MAX);
    let mut parts = parts.into_iter();
    record.answer = parts.next().unwrap_or_default();
    let attributed = attribution.into_iter().map(|attribution| Entry::ChargeAttributed(Box::new(attribution)));
    let continued = parts.map(|text| Entry::AnswerContinued { query_id: record.query_id.clone(), text });
    let mut entries: Vec<_> = attributed.chain(continued).collect();
    while cited.peek().is_some() {
        entries.push(Entry::AnswerCited(Box::new(AnswerCited {
            query_id: record.query_id.clone(),
            cited: portion(&mut cited, CITED_PART_BYTES_MAX),
            model: record.model.clone(),
            policy_version: record.policy_version.clone(),
            cleared_unix_ms: record.cleared_unix_ms,
        })));
    }
    entries.insert(0, Entry::AnswerRecorded(Box::new(record)));
    entries
}

/// Cuts a text, between characters, into parts of at most so many bytes; one part where it is short or empty.
#[must_use]
pub fn parts(text: String, bytes_max: usize) -> Vec<String> {
    let mut rest = text;
    let mut parts = Vec::new();
    while rest.len() > bytes_max {
        let tail = rest.split_off(rest.floor_char_boundary(bytes_max));
        parts.push(std::mem::replace(&mut rest, tail));
    }
    parts.push(rest);
    parts
}

/// Chunks up to a number of bytes, and always one where there is one.
fn portion(chunks: &mut std::iter::Peekable<std::vec::IntoIter<LineageChunk>>, bytes_max: usize) -> Vec<LineageChunk> {
    let bytes_of = |chunk: &LineageChunk| {
        [&chunk.source_id, &chunk.chunk_id, &chunk.domain, &chunk.usecase]
            .map(|text| text.len() + 8)
            .iter()
            .sum::<usize>()
    };
    let mut bytes = 0_usize;
    let mut taken = Vec::new();
    while let Some(chunk) = chunks.next_if(|chunk| taken.is_empty() || bytes + bytes_of(chunk) <= bytes_max) {
        bytes += bytes_of(&chunk);
        taken.push(chunk);
    }
    taken
}

/// Writes the receipt of the answer's own durable record into the reply: `bwr1.<position>.<chain hash>`.
pub fn stamp(reply: &mut Reply, position: u64, hash: &[u8; 32]) {
    let receipt = format!("bwr1.{position}.{}", hex::encode(hash));
    match reply {
        Reply::Answer(answer) => answer.receipt = receipt,
        Reply::Completion(completion) => completion.receipt = receipt,
        Reply::Hits(_) => {}
    }
}
