//! `Turn<Stage>` carries one question through the house once: `Admitted → Grounded → Funded → Answered → Cleared`.
//!
//! Only `Turn<Cleared>` can answer (invariant POL1), and only the exit makes one. A turn that is dropped on its way
//! (full mailbox, shutdown) answers *lost* from its own `Drop`, and the hold it carries returns from its own. Where a
//! panic dropped it nobody knows whether a provider was paid: its hold ends as unreconciled, and counts as spent.
use crate::approvals::Claim;
use crate::budget::accounts::{Spender, Sum};
use crate::budget::hold::Hold;
use crate::cache::lookup::Lookup;
use crate::cache::messages::CacheState;
use crate::cache::rules::Key;
use crate::conversations::RememberedAt;
use crate::journey::walk::{Call, Calling, Ending as Over, Requested};
use crate::journey::{Journey, Times, Who};
use crate::limits::scope::Scope;
use crate::limits::sheet::Figure;
pub use crate::line::{Awaiting, FrameSink, Given, HungUp, ReplyLine};
use crate::question::{CacheControl, Matter, ModelUsed, Passage, Reply};
use crate::rollout::Exposure;
use crate::rollout::rules::Ending;
use crate::routing::demands::Demands;
use crate::ruling::Ruled;
use crate::supervisor::places::Permit;
use crate::supervisor::repeats::keyed::Keyed;
use crate::supervisor::sideways::{Sideways, kind_of};
use actix::Message;
use bailiwick_kernel::ids::QueryId;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What stays the same from admission to reply.
#[derive(Debug)]
pub struct Case {
    /// Names the question from here to its lineage.
    pub query_id: QueryId,
    /// What is asked.
    pub matter: Matter,
    /// Who asks.
    pub principal: Principal,
    /// The policy in force at admission; of two, the one that serves its conversation.
    pub policy: Arc<PolicySnapshot>,
    /// What the policy's rules make of it.
    pub ruled: Ruled,
    /// When it came to the house.
    pub arrived_unix_ms: u64,
    /// When it was admitted.
    pub admitted_unix_ms: u64,
    /// When it must be answered.
    pub deadline_unix_ms: u64,
    /// `Idempotency-Key`, where the caller sent one, with the duty to those who wait under it.
    pub idempotency_key: Option<Keyed>,
    /// What the asker wants of the answer cache.
    pub cache_control: CacheControl,
    /// Under which key the answer is remembered, where it is to be.
    pub remember_as: Option<Key>,
    /// What its question is to be compared with once it is embedded, where the tenant wants that.
    pub lookup: Option<Lookup>,
    /// Somebody's word that lets it through, where a rule asks for one; free again where the turn comes to nothing.
    pub approval: Option<Claim>,
    /// Its place in flight at every level; returned with the turn.
    pub permit: Option<Permit>,
    /// Its duty to say how it ended, while a release is on its way to everybody.
    pub exposure: Option<Exposure>,
    /// Whether its passages were found by words and meaning, or why by their words alone; nothing where the tenant wants
    /// nothing else, or nothing was looked for.
    pub found_by_meaning: Option<Result<(), String>>,
    /// Whether its passages were looked at once more, or why not; nothing where the tenant wants no second look.
    pub ranked_again: Option<Result<(), String>>,
    /// Where its conversation keeps its answer; nothing where none does.
    pub remembered_at: Option<RememberedAt>,
    /// Where refusals are recorded and counted, one-way.
    pub sideways: Sideways,
}

impl Case {
    /// Whom the case counts for at each level.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope::of(&self.matter, &self.principal)
    }

    /// On whose accounts the case is booked.
    #[must_use]
    pub fn spender(&self) -> Spender {
        Spender::of(&self.scope())
    }

    /// Notes what those who wait under the same `Idempotency-Key` are told, where there is one; the first note stands.
    pub(crate) fn tell_waiting(&mut self, outcome: impl FnOnce() -> Outcome<Given>) {
        if let Some(keyed) = &mut self.idempotency_key {
            keyed.note(outcome);
        }
    }

    /// Says how it ended for the release that served it, where one is on its way.
    fn end_exposure(&mut self, ending: Ending) {
        if let Some(exposure) = &mut self.exposure {
            exposure.end(ending);
        }
    }

    /// True where an answer without a citation is withheld: by the settings, or by a rule that matched.
    #[must_use]
    pub fn must_cite(&self) -> bool {
        self.policy.governance.require_citations || self.ruled.obligations().must_cite()
    }

    /// What is demanded of a grounded answer, by the settings and by the rules that matched.
    #[must_use]
    pub fn demands(&self) -> Demands {
        let obligations = self.ruled.obligations();
        let sources = obligations.min_sources.unwrap_or(0).max(u32::from(self.must_cite()));
        let as_count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let characters_max = obligations.max_answer_characters.map(as_count);
        Demands { sources_min: as_count(sources), characters_max }
    }

    /// True where the answer may be told again, so that it is needed whole even if it is streamed.
    #[must_use]
    pub fn is_told_again(&self) -> bool {
        self.idempotency_key.is_some() || self.remember_as.is_some()
    }
}

/// Turns standing before each room: retrieval, cache, budget, routing, exit. What the live tree shows as mailbox depth.
#[derive(Debug, Default)]
pub struct Whereabouts([AtomicU64; 5]);

impl Whereabouts {
    /// Turns before the room, by its name on the door plate.
    #[must_use]
    pub fn before(&self, room: &str) -> u64 {
        let [retrieval, cache, budget, routing, exit] = &self.0;
        let counter = match room {
            "retrieval" => retrieval,
            "cache" => cache,
            "budget" => budget,
            "routing" => routing,
            _ => exit,
        };
        counter.load(Ordering::Relaxed)
    }
}

/// Where one turn stands, and how long it stood where it came from; leaving is its `Drop`.
#[derive(Debug)]
struct Place {
    counts: Arc<Whereabouts>,
    at: usize,
    journey: Journey,
}

impl Place {
    fn first(counts: Arc<Whereabouts>, journey: Journey) -> Self {
        let place = Self { counts, at: 0, journey };
        place.count(|counter| counter.fetch_add(1, Ordering::Relaxed));
        place
    }

    fn moved_to(mut self, at: usize) -> Self {
        self.count(|counter| counter.fetch_sub(1, Ordering::Relaxed));
        self.at = at;
        self.count(|counter| counter.fetch_add(1, Ordering::Relaxed));
        self.journey.moved_to(at);
        self
    }

    fn count(&self, change: impl Fn(&AtomicU64) -> u64) {
        if let Some(counter) = self.counts.0.get(self.at) {
            change(counter);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count(|counter| counter.fetch_sub(1, Ordering::Relaxed));
    }
}

/// Stage: let in by role, rate, concurrency and policy.
#[derive(Debug)]
pub struct Admitted(());

/// Stage: passages found (none for a passed-through call).
#[derive(Debug)]
pub struct Grounded {
    /// What the answer may rest on, best first.
    pub passages: Arc<[Passage]>,
}

/// Stage: the worst case is held.
#[derive(Debug)]
pub struct Funded {
    /// What the answer may rest on.
    pub passages: Arc<[Passage]>,
    /// The money held, with what each candidate may cost. Returns by its own `Drop`.
    pub hold: Hold,
}

/// Stage: a provider answered.
#[derive(Debug)]
pub struct Answered {
    /// What the answer may rest on.
    pub passages: Arc<[Passage]>,
    /// The money held.
    pub hold: Hold,
    /// What the provider said.
    pub draft: Draft,
}

/// Stage: cleared by the exit and durable.
#[derive(Debug)]
pub struct Cleared {
    reply: Reply,
}

/// What a provider said, before the exit has seen it.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    /// The words.
    pub content: DraftContent,
    /// Tokens of the prompt, as reported or counted.
    pub prompt_tokens: u64,
    /// Tokens of the answer, as reported or counted.
    pub completion_tokens: u64,
    /// Which model answered.
    pub model: ModelUsed,
    /// True where the asker hung up before the end: settle, record, answer nobody.
    pub cut_short: bool,
    /// True where its provider said more than was held for: the words end where the tokens did.
    pub ended_by_length: bool,
    /// What the asker gets instead of the words, where money was used and no answer came of it (a stream that broke
    /// off, words the output policy forbids): settle, record, then refuse with this.
    pub rejection: Option<Rejection>,
}

/// The words of a draft.
#[derive(Clone, PartialEq, Debug)]
pub enum DraftContent {
    /// A grounded answer with markers `[n]`, n counting the passages from 1. `spans` may name, per marker, the exact
    /// characters of the passage's text that are cited.
    Grounded {
        /// Text with markers.
        text: String,
        /// Marker number → characters of that passage's text; the whole passage where absent.
        spans: Vec<(usize, std::ops::Range<usize>)>,
    },
    /// Nothing supports an answer.
    Abstained {
        /// Why, as a sentence.
        reason: String,
    },
    /// OpenAI's body, passed through (for a stream: the assembled last chunk).
    Completion(serde_json::Value),
}

/// One question on its way through the house.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Turn<Stage: 'static> {
    /// What stays the same.
    pub case: Box<Case>,
    /// What this stage added.
    pub stage: Stage,
    line: ReplyLine,
    place: Place,
}

impl<Stage> Turn<Stage> {
    /// Ends the turn where it stands. A hold it carries returns by itself.
    pub fn refuse(mut self, rejection: Rejection) {
        self.case.sideways.refused(&self.case, &rejection);
        self.case.end_exposure(Ending::Refused(rejection.code));
        self.case.tell_waiting(|| Err(rejection.clone()));
        self.place.journey.end(Over::Refused(rejection.code));
        self.line.reject(rejection);
    }

    /// Where words go while they are still coming.
    #[must_use]
    pub fn sink(&self) -> FrameSink {
        self.line.sink()
    }

    /// True where nobody waits for the reply any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.line.is_abandoned()
    }

    /// Notes what the answer cache knew.
    pub(crate) fn note_cache(&self, state: CacheState) {
        self.line.note_cache(state);
        self.place.journey.note_cache(state.as_str());
    }

    /// The span that lines of the log about the turn stand in: where it is traced, with its trace. Elsewhere it costs a look,
    /// unless details are logged.
    pub(crate) fn log_span(&self) -> tracing::Span {
        let (tenant, query_id) = (self.case.sideways.tenant(), &self.case.query_id);
        match self.place.journey.trace_id() {
            Some(trace_id) => tracing::error_span!("turn", %tenant, %query_id, %trace_id),
            None => tracing::debug_span!("turn", %tenant, %query_id),
        }
    }

    /// Where its time went so far.
    #[must_use]
    pub fn times(&self) -> Times {
        self.place.journey.times(self.line.upstream_us())
    }

    /// Notes how full the tenant's budget is, in millionths of its fullest window.
    pub(crate) fn note_budget_used(&mut self, ppm: u64) {
        self.place.journey.budget_used_ppm = Some(ppm);
    }

    /// How full the tenant's budget was when money was held.
    pub(crate) fn budget_used_ppm(&self) -> Option<u64> {
        self.place.journey.budget_used_ppm
    }

    /// A call of a provider begins. Gives the place in the trace it hands on; nothing where the turn is not traced.
    pub(crate) fn calling(&self) -> Option<Arc<Calling>> {
        self.place.journey.calling()
    }

    /// A call of a provider is over.
    pub(crate) fn called(&self, call: Call) {
        self.place.journey.called(call);
    }

    /// Notes time spent waiting for a provider, in microseconds; several calls of one turn add up.
    pub fn note_upstream_us(&self, waited_us: u64) {
        self.line.note_upstream_us(waited_us);
    }

    /// Notes how many tokens the asker has left; the last note stands.
    pub fn note_tokens(&self, figure: Option<Figure>) {
        self.line.note_tokens(figure);
    }

    /// True where the reply comes in frames first.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.line.is_streaming()
    }
}

impl Turn<Admitted> {
    /// Starts a turn. Called by the supervisor's admission only.
    ///
    /// `at_the_gateway` is how long the house had it before its tenant was asked.
    pub(crate) fn admit(case: Case, line: ReplyLine, whereabouts: Arc<Whereabouts>, at_the_gateway: Duration) -> Self {
        let journey = Journey::begin(line.opened(), at_the_gateway);
        Self { case: Box::new(case), stage: Admitted(()), line, place: Place::first(whereabouts, journey) }
    }

    /// Has the turn note what its spans will say.
    pub(crate) fn trace(&mut self, request: Arc<Requested>) {
        let who = Who {
            tenant: self.case.sideways.tenant(),
            kind: kind_of(&self.case.matter),
            policy_version: self.case.policy.version.clone(),
        };
        self.place.journey.trace(request, self.line.opened(), who);
    }

    /// Adds the passages.
    #[must_use]
    pub fn ground(self, passages: Arc<[Passage]>) -> Turn<Grounded> {
        let Self { case, line, place, .. } = self;
        place.journey.note_passages(passages.len());
        Turn { case, stage: Grounded { passages }, line, place: place.moved_to(1) }
    }
}

impl Turn<Grounded> {
    /// Adds the hold.
    #[must_use]
    pub fn fund(self, hold: Hold) -> Turn<Funded> {
        let Self { case, stage: Grounded { passages }, line, place } = self;
        place.journey.note_held(hold.amount());
        Turn { case, stage: Funded { passages, hold }, line, place: place.moved_to(3) }
    }

    /// The cache does not know the answer: on to the budget.
    pub(crate) fn unanswered(self) -> Self {
        let Self { case, stage, line, place } = self;
        Self { case, stage, line, place: place.moved_to(2) }
    }

    /// The cache knows the answer: it costs nothing, and the exit clears it like any other.
    pub(crate) fn recall(self, draft: Draft) -> Turn<Answered> {
        let Self { case, stage: Grounded { passages }, line, place } = self;
        Turn { case, stage: Answered { passages, hold: Hold::of_nothing(), draft }, line, place: place.moved_to(4) }
    }

    /// A search goes from its passages to the exit.
    pub(crate) fn found(self) -> Self {
        let Self { case, stage, line, place } = self;
        Self { case, stage, line, place: place.moved_to(4) }
    }

    /// A search ends with its passages: it needs no money and no model.
    pub(crate) fn clear_hits(self) -> Turn<Cleared> {
        let Self { case, stage: Grounded { passages }, line, place } = self;
        let redactions = case.ruled.obligations().redact;
        let told = if redactions.is_empty() {
            passages
        } else {
            passages.iter().map(|passage| passage.redacted(redactions)).collect()
        };
        Turn { case, stage: Cleared { reply: Reply::Hits(told) }, line, place }
    }
}

impl Turn<Funded> {
    /// Adds what the provider said.
    #[must_use]
    pub fn answer(self, draft: Draft) -> Turn<Answered> {
        let Self { case, stage: Funded { passages, hold }, line, place } = self;
        Turn { case, stage: Answered { passages, hold, draft }, line, place: place.moved_to(4) }
    }
}

impl Turn<Answered> {
    /// Takes the draft out for the exit to clear; an empty abstention stays behind.
    pub(crate) fn take_draft(&mut self) -> Draft {
        let nothing = Draft {
            content: DraftContent::Abstained { reason: String::new() },
            prompt_tokens: 0,
            completion_tokens: 0,
            model: ModelUsed::default(),
            cut_short: false,
            ended_by_length: false,
            rejection: None,
        };
        std::mem::replace(&mut self.stage.draft, nothing)
    }

    /// Ends a turn whose charge could not be recorded: the asker's answer is *lost*, the money stays held.
    pub(crate) fn lose(self) {
        self.stage.hold.stay();
    }

    /// Settles the hold with what a durable record says was used, and clears the turn. Called by the exit only.
    pub(crate) fn settle_and_clear(self, used: Sum, reply: Reply) -> Turn<Cleared> {
        let Self { case, stage: Answered { hold, .. }, line, place } = self;
        hold.settle(used);
        place.journey.note_settled(used.money);
        Turn { case, stage: Cleared { reply }, line, place }
    }

    /// Settles the hold and ends the turn with a refusal: the provider was paid, the asker gets nothing.
    pub(crate) fn settle_and_refuse(self, used: Sum, rejection: Rejection) {
        let Self { mut case, stage: Answered { hold, .. }, line, mut place } = self;
        hold.settle(used);
        place.journey.note_settled(used.money);
        place.journey.end(Over::Refused(rejection.code));
        case.sideways.refused(&case, &rejection);
        case.end_exposure(Ending::Refused(rejection.code));
        case.tell_waiting(|| Err(rejection.clone()));
        line.reject(rejection);
    }
}

impl Turn<Cleared> {
    /// Answers. The one way an answer leaves the house.
    pub fn reply(self) {
        let Turn { mut case, stage: Cleared { reply }, line, mut place } = self;
        let abstained = matches!(&reply, Reply::Answer(answer) if answer.abstained);
        case.end_exposure(Ending::Replied { abstained });
        place.journey.end(if abstained { Over::Abstained } else { Over::Answered });
        case.tell_waiting(|| Ok(Given::of_record(reply.clone())));
        line.answer(reply);
    }
}
