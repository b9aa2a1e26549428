//! Asks a tenant's golden questions, one after the other, at its own door: every rule, rate and ceiling holds for them, and
//! nobody's turn waits for more than one of them. What they came to is one record.
use super::actor::Supervisor;
use super::audit::unreadable;
use super::messages::{Admit, Wishes};
use super::opening::on_derived;
use crate::entry::Entry;
use crate::evaluation::messages::{Evaluate, EvaluationView, Evaluations, ReadEvaluations};
use crate::evaluation::rules::{Frame, Outcome as Asked, evaluate};
use crate::evaluation::{Progress, UnderWay};
use crate::question::{Answer, CacheControl, Matter, Passage, Question, Reply, Search};
use crate::retrieval::messages::JudgeDense;
use crate::turn::ReplyLine;
use actix::prelude::*;
use bailiwick_kernel::clock::{SharedClock, rfc3339};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::limits::TOP_K_MAX;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::language::Action;
use std::time::Duration;

/// Times a question is asked that is told to come again.
const TRIES: u32 = 4;
/// The longest time it is told to come again in that is waited for.
const PATIENCE_MS: u64 = 60_000;

/// Where golden questions are asked, and by whom.
struct Asking {
    door: Recipient<Admit>,
    by: Principal,
    clock: SharedClock,
}

impl Asking {
    /// What one matter came to; nothing where nobody is there any more who could answer.
    async fn ask(&self, matter: Matter) -> Option<Outcome<Reply>> {
        let mut tries = 1;
        loop {
            let (line, awaiting) = ReplyLine::whole();
            // an answer given before would say nothing of the policy in force now
            let wishes = Wishes { cache_control: CacheControl::NoStore, ..Wishes::default() };
            let principal = self.by.clone();
            offer(&self.door, Admit { matter: matter.clone(), principal, wishes, deadline_ms: None, line }).ok()?;
            match awaiting.reply().await {
                Err(Rejection { retry_after_ms: Some(after_ms), .. }) if tries < TRIES && after_ms <= PATIENCE_MS => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(after_ms)).await;
                }
                outcome => return Some(outcome),
            }
        }
    }

    async fn found(&self, golden: &Golden) -> Option<Vec<Passage>> {
        let (query, top_k) = (golden.question.clone(), Some(TOP_K_MAX));
        let search = Matter::Search(Search { query, top_k, ..Search::default() });
        match self.ask(search).await? {
            Ok(Reply::Hits(passages)) => Some(passages.to_vec()),
            _ => Some(Vec::new()),
        }
    }

    async fn answer(&self, golden: &Golden) -> Option<Result<Answer, String>> {
        let question = Matter::Ask(Question { text: golden.question.clone(), ..Question::default() });
        match self.ask(question).await? {
            Ok(Reply::Answer(answer)) => Some(Ok(*answer)),
            Ok(_) => Some(Err("another kind of reply came".to_owned())),
            Err(rejection) => Some(Err(rejection.code.as_str().to_owned())),
        }
    }

    /// All questions, in order; nothing where the tenant closed meanwhile.
    async fn all(&self, golden: Vec<Golden>, context: usize, under_way: &UnderWay) -> Option<Vec<Asked>> {
        let mut asked = Vec::with_capacity(golden.len());
        for golden in golden {
            let found = self.found(&golden).await?;
            let began_unix_ms = self.clock.now_unix_ms();
            let answer = self.answer(&golden).await?;
            let latency_ms = self.clock.now_unix_ms().saturating_sub(began_unix_ms);
            asked.push(Asked { golden, found, context, answer, latency_ms });
            under_way.step();
        }
        Some(asked)
    }
}

/// Has the search by meaning compared with the search by words before anything is asked: what is asked is served by the
/// better of the two.
async fn judge_dense(retrieval: &Recipient<JudgeDense>, golden: Vec<Golden>, tenant: TenantKey) {
    let (reply, judged) = ReplySlot::pair();
    let judged = match offer(retrieval, JudgeDense { golden, reply }) {
        Ok(()) => judged.outcome().await,
        Err((_, undelivered)) => Err(undelivered.into()),
    };
    if let Err(rejection) = judged {
        tracing::warn!(%tenant, %rejection, "the search by meaning could not be judged; it stays as it was");
    }
}

async fn keep(journal: Journal, kept: Entry) {
    if let Err(error) = journal.append(&[kept]).await {
        tracing::error!(tenant = %journal.tenant(), %error, "an evaluation could not be recorded");
    }
}

impl Handler<Evaluate> for Supervisor {
    type Result = ();

    fn handle(&mut self, Evaluate { golden, by, reply }: Evaluate, ctx: &mut Self::Context) {
        let (Some(opened), Some(rooms)) = (&self.opened, &self.rooms) else {
            return reply.answer(Err(Rejection::lost()));
        };
        if golden.is_empty() {
            let detail = "evaluating: eval/golden.jsonl holds no question; write some, a JSON object a line with question, \
                          answer, relevant and unanswerable";
            return reply.answer(Err(Rejection::new(Code::Conflict, detail)));
        }
        let questions = u64::try_from(golden.len()).unwrap_or(u64::MAX);
        let under_way = match self.evaluating.begin(questions) {
            Ok(under_way) => under_way,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        reply.answer(Ok(Progress { asked: 0, questions }));
        let (policy, journal) = (self.policy.settled(), opened.belongings.journal.clone());
        let clock = self.parts.clock.clone();
        let (began_unix_ms, key_id) = (clock.now_unix_ms(), by.key_id.clone());
        let retrieval = rooms.retrieval.clone().recipient();
        let asking = Asking { door: ctx.address().recipient(), by, clock };
        actix::spawn(async move {
            if policy.dense.is_some() {
                judge_dense(&retrieval, golden.clone(), journal.tenant()).await;
            }
            let Some(asked) = asking.all(golden, policy.top_k, &under_way).await else { return };
            let frame = Frame {
                policy_version: policy.version.clone(),
                policy_digest: policy.digest.clone(),
                by: key_id,
                began_unix_ms,
                ended_unix_ms: asking.clock.now_unix_ms(),
            };
            let evaluation = evaluate(&asked, frame, &policy.evaluation);
            keep(journal, Entry::EvaluationKept(Box::new(evaluation))).await;
            // whoever sees that none is under way any more finds it in the journal
            drop(under_way);
        });
    }
}

impl Handler<ReadEvaluations> for Supervisor {
    type Result = ();

    fn handle(&mut self, ReadEvaluations { principal, reply }: ReadEvaluations, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &principal, "evaluations");
        let under_way = self.evaluating.view();
        let opened = self.opened.as_ref().map(|opened| (opened.derived.clone(), opened.belongings.journal.clone()));
        actix::spawn(async move {
            let outcome: Outcome<Evaluations> = async {
                permitted.await?;
                let (derived, journal) = opened.ok_or_else(Rejection::lost)?;
                let read = on_derived(derived, move |derived| {
                    let fold = derived.catch_up()?;
                    let (positions, online) = (fold.evaluations.clone(), fold.online.view());
                    let mut evaluations = Vec::with_capacity(positions.len());
                    for position in positions.into_iter().rev() {
                        if let Some((_, Entry::EvaluationKept(evaluation))) = journal.entry::<Entry>(position)? {
                            let ended_at = rfc3339(evaluation.ended_unix_ms);
                            evaluations.push(EvaluationView { seq: position.0, ended_at, evaluation: *evaluation });
                        }
                    }
                    Ok((evaluations, online))
                });
                let (evaluations, online) = read.await.map_err(|reason| unreadable(&reason))?;
                Ok(Evaluations { under_way, evaluations, online })
            }
            .await;
            reply.answer(outcome);
        });
    }
}
