//! What the supervisor folds from the journal: the ledger, the rows of spend, the counters, where answers stand.
use crate::approvals::rules::Approvals;
use crate::budget::accounts::Accounts;
use crate::budget::ledger::Ledger;
use crate::entry::Entry;
use crate::erasures::rules::request_of;
use crate::evaluation::online::Online;
use crate::feedback::rules::Distrust;
use crate::imports::rules::Imports;
use crate::quality;
use crate::rollout::rules::{QualityStanding, Standing};
use crate::slo::rules::ServiceRecord;
use crate::spend::rows::Spend;
use crate::supervisor::messages::Counts;
use bailiwick_kernel::ids::{Position, QueryId};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::drift::sample::Days;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Evaluations that are shown; all stay in the journal.
pub const EVALUATIONS_SHOWN: usize = 32;
/// Judgements that golden questions are taken from; all stay in the journal.
pub const JUDGEMENTS_SHOWN: usize = 256;

/// Derived state with the position it has reached. Saved now and then; the journal's tail makes it current.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fold {
    /// The next record to fold.
    pub next: Position,
    /// Money.
    pub ledger: Ledger,
    /// Counters.
    pub counts: Counts,
    /// Version of the policy that was last adopted, and its digest.
    pub policy: Option<(String, String)>,
    /// For whom the money went. Saved beside, a value for each day, because together they exceed one.
    #[serde(skip)]
    pub spend: Spend,
    /// What each account spent, by quarter of an hour. Saved beside, a value for each account.
    #[serde(skip)]
    pub accounts: Accounts,
    /// Replies kept for their `Idempotency-Key` so far.
    pub kept: u64,
    /// The last rollout that stands in the journal.
    pub rollout: Option<Standing>,
    /// What the answers of both releases came to, the last that stands in the journal.
    pub rollout_quality: Option<QualityStanding>,
    /// Requests that wait for somebody's approval, or for being carried out.
    pub approvals: Approvals,
    /// Where the last evaluations stand, oldest first.
    pub evaluations: VecDeque<Position>,
    /// Chain hash of the last record folded.
    pub chain: [u8; 32],
    /// What all answers were charged together.
    pub charged: NanoUsd,
    /// Lineage that was brought in.
    pub imports: Imports,
    /// Requests for erasure that are open.
    pub erasures_open: u64,
    /// Where the newest head of another journal stands that was taken in, by journal.
    pub witnessed: BTreeMap<String, Position>,
    /// How questions ended, by day.
    pub quality: Days,
    /// Documents that were erased on request.
    pub erased: u64,
    /// The error budget, and whether releases are frozen.
    pub service: ServiceRecord,
    /// What the answers given are worth.
    pub online: Online,
    /// Where the last judgements stand, oldest first.
    pub judgements: VecDeque<Position>,
    /// The due time whose golden questions were asked last.
    pub last_due_unix_ms: Option<u64>,
    /// Documents that have lost trust. Saved beside, a value for some of them.
    #[serde(skip)]
    pub distrust: Distrust,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            next: Position(0),
            ledger: Ledger::default(),
            counts: Counts::default(),
            policy: None,
            kept: 0,
            rollout: None,
            rollout_quality: None,
            approvals: Approvals::default(),
            evaluations: VecDeque::new(),
            chain: [0; 32],
            charged: NanoUsd::ZERO,
            imports: Imports::default(),
            erasures_open: 0,
            witnessed: BTreeMap::new(),
            quality: Days::default(),
            erased: 0,
            service: ServiceRecord::default(),
            online: Online::default(),
            judgements: VecDeque::new(),
            last_due_unix_ms: None,
            distrust: Distrust::default(),
            spend: Spend::default(),
            accounts: Accounts::default(),
        }
    }
}

impl Fold {
    /// Folds the record at the given position in.
    pub fn apply(&mut self, position: Position, entry: &Entry) {
        self.next = position.next();
        self.ledger.apply(entry);
        self.spend.apply(entry);
        self.accounts.apply(entry);
        self.approvals.apply(position, entry);
        quality::rules::note(&mut self.quality, entry);
        self.service.apply(entry);
        self.online.apply(entry);
        self.distrust.apply(entry);
        count(&mut self.counts, entry);
        if let Entry::AnswerRecorded(answer) = entry {
            self.charged = self.charged.saturating_add(answer.usage.cost);
        }
        if let Entry::PolicyAdopted { version, digest, .. } = entry {
            self.policy = Some((version.clone(), digest.clone()));
        }
        if let Entry::RolloutStands { standing, .. } = entry
            && self.rollout.as_ref().is_none_or(|before| standing.is_after(before))
        {
            self.rollout = Some((**standing).clone());
        }
        if let Entry::QualityWeighed(weighed) = entry
            && self.rollout_quality.as_ref().is_none_or(|before| weighed.is_after(before))
        {
            self.rollout_quality = Some((**weighed).clone());
        }
        if let Entry::EvaluationKept(_) = entry {
            self.evaluations.push_back(position);
            if self.evaluations.len() > EVALUATIONS_SHOWN {
                self.evaluations.pop_front();
            }
        }
        if let Entry::EvaluationBegun(begun) = entry {
            self.last_due_unix_ms = self.last_due_unix_ms.max(Some(begun.due_unix_ms));
        }
        if let Entry::FeedbackGiven(_) = entry {
            self.judgements.push_back(position);
            if self.judgements.len() > JUDGEMENTS_SHOWN {
                self.judgements.pop_front();
            }
        }
        if let Entry::LineageImported(import) = entry {
            self.imports.apply(position, import);
        }
        match entry {
            Entry::ErasureAsked(_) => self.erasures_open = self.erasures_open.saturating_add(1),
            Entry::ErasureEnded(_) => self.erasures_open = self.erasures_open.saturating_sub(1),
            Entry::DocumentRemoved { by, .. } if request_of(by).is_some() => {
                self.erased = self.erased.saturating_add(1);
            }
            _ => {}
        }
        if let Entry::HeadWitnessed(head) = entry {
            self.witnessed.insert(head.journal.clone(), position);
        }
        if let Entry::ReplyKept(_) = entry {
            self.kept = self.kept.saturating_add(1);
        }
    }
}

/// Counts one entry.
pub fn count(counts: &mut Counts, entry: &Entry) {
    match entry {
        Entry::AnswerRecorded(answer) => {
            let counter = if answer.abstained { &mut counts.abstained } else { &mut counts.answered };
            *counter = counter.saturating_add(1);
            counts.prompt_tokens = counts.prompt_tokens.saturating_add(answer.usage.prompt_tokens);
            counts.completion_tokens = counts.completion_tokens.saturating_add(answer.usage.completion_tokens);
        }
        Entry::Refused { .. } => counts.refused = counts.refused.saturating_add(1),
        _ => {}
    }
}

/// The question an entry belongs to, where it belongs to one.
#[must_use]
pub fn query_of(entry: &Entry) -> Option<QueryId> {
    match entry {
        Entry::AnswerRecorded(answer) => QueryId::parse(&answer.query_id),
        Entry::FeedbackGiven(feedback) => QueryId::parse(&feedback.query_id),
        Entry::AnswerCited(cited) => QueryId::parse(&cited.query_id),
        Entry::PassagesFound(found) => QueryId::parse(&found.query_id),
        Entry::PassagesRanked(ranked) => QueryId::parse(&ranked.query_id),
        Entry::ConversationTold(told) => QueryId::parse(&told.query_id),
        Entry::Refused { query_id, .. } | Entry::AnswerContinued { query_id, .. } => QueryId::parse(query_id),
        _ => None,
    }
}
