//! Asks a tenant's golden questions, one after the other, at its own door: every rule, rate and ceiling holds for them, and
//! nobody's turn waits for more than one of them. What they came to is one record.
use super::actor::Supervisor;
use super::audit::unreadable;
use super::judging::candidates;
use super::messages::{Admit, Wishes};
use super::opening::{Opened, on_derived};
use crate::entry::Entry;
use crate::evaluation::messages::{Evaluate, EvaluationView, Evaluations, ReadEvaluationDue, ReadEvaluations};
use crate::evaluation::rules::{Frame, Outcome as Asked, evaluate};
use crate::evaluation::schedule::{EvaluationBegun, ScheduleView, due, next_due};
use crate::evaluation::{Progress, UnderWay};
use crate::feedback::messages::Candidate;
use crate::question::{Answer, CacheControl, Matter, Passage, Question, Reply, Search};
use crate::retrieval::messages::JudgeDense;
use crate::turn::ReplyLine;
use actix::prelude::*;
use bailiwick_kernel::clock::{SharedClock, rfc3339};
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

/// Has the search by meaning compared with the search by words, and its weight learnt anew from golden questions and from
/// answers somebody accepted, before anything is asked: what is asked is served by the better of the two.
async fn judge_dense(retrieval: &Recipient<JudgeDense>, opened: &Opened, name: String, golden: Vec<Golden>, by: &str) {
    let accepted = on_derived(opened.derived.clone(), move |derived| candidates(derived, &name)).await;
    let known = |Candidate { question, answer, relevant }: Candidate| {
        (!relevant.is_empty()).then_some(Golden { question, answer: Some(answer), relevant, unanswerable: false })
    };
    let accepted = accepted.unwrap_or_default().into_iter().filter_map(known).collect();
    let (reply, judged) = ReplySlot::pair();
    let judged = match offer(retrieval, JudgeDense { golden, accepted, by: by.to_owned(), reply }) {
        Ok(()) => judged.outcome().await,
        Err((_, undelivered)) => Err(undelivered.into()),
    };
    if let Err(rejection) = judged {
        let tenant = opened.belongings.journal.tenant();
        tracing::warn!(%tenant, %rejection, "the search by meaning could not be judged; what was not stays as it was");
    }
}

/// Writes down that the questions of a due time are asked now. Under the right to be the evaluation under way: nobody else
/// looks meanwhile.
async fn claim(opened: &Opened, due_unix_ms: u64, at_unix_ms: u64) -> Outcome<()> {
    let last = on_derived(opened.derived.clone(), |derived| Ok(derived.catch_up()?.last_due_unix_ms)).await;
    if last.map_err(|reason| unreadable(&reason))? >= Some(due_unix_ms) {
        let detail = "evaluating: the golden questions of this due time were asked already";
        return Err(Rejection::new(Code::Conflict, detail));
    }
    let begun = Entry::EvaluationBegun(EvaluationBegun { due_unix_ms, at_unix_ms });
    let appended = opened.belongings.journal.append(&[begun]).await;
    appended.map(|_| ()).map_err(|error| unreadable(&error.to_string()))
}

async fn keep(journal: Journal, kept: Entry) {
    if let Err(error) = journal.append(&[kept]).await {
        tracing::error!(tenant = %journal.tenant(), %error, "an evaluation could not be recorded");
    }
}

impl Handler<Evaluate> for Supervisor {
    type Result = ();

    fn handle(&mut self, Evaluate { golden, by, due_unix_ms, reply }: Evaluate, ctx: &mut Self::Context) {
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
        let (policy, journal) = (self.policy.settled(), opened.belongings.journal.clone());
        let clock = self.parts.clock.clone();
        let (began_unix_ms, key_id) = (clock.now_unix_ms(), by.key_id.clone());
        let retrieval = rooms.retrieval.clone().recipient();
        let (opened, name) = (opened.clone(), self.parts.name.clone());
        let asking = Asking { door: ctx.address().recipient(), by, clock };
        actix::spawn(async move {
            if let Some(due_unix_ms) = due_unix_ms
                && let Err(rejection) = claim(&opened, due_unix_ms, began_unix_ms).await
            {
                return reply.answer(Err(rejection));
            }
            reply.answer(Ok(Progress { asked: 0, questions }));
            if policy.dense.is_some() {
                judge_dense(&retrieval, &opened, name, golden.clone(), &key_id).await;
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

impl Handler<ReadEvaluationDue> for Supervisor {
    type Result = ();

    fn handle(&mut self, ReadEvaluationDue { reply }: ReadEvaluationDue, _: &mut Self::Context) {
        let Some(opened) = &self.opened else { return reply.answer(Err(Rejection::lost())) };
        let Some(every_hours) = self.policy.settled().evaluation.every_hours else { return reply.answer(Ok(None)) };
        let (derived, tenant) = (opened.derived.clone(), self.parts.name.clone());
        let now_unix_ms = self.parts.clock.now_unix_ms();
        actix::spawn(async move {
            let last = on_derived(derived, |derived| Ok(derived.catch_up()?.last_due_unix_ms)).await;
            let due = last.map(|last| due(&tenant, every_hours, last, now_unix_ms));
            reply.answer(due.map_err(|reason| unreadable(&reason)));
        });
    }
}

impl Handler<ReadEvaluations> for Supervisor {
    type Result = ();

    fn handle(&mut self, ReadEvaluations { principal, reply }: ReadEvaluations, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &principal, "evaluations");
        let under_way = self.evaluating.view();
        let (every_hours, tenant) = (self.policy.settled().evaluation.every_hours, self.parts.name.clone());
        let now_unix_ms = self.parts.clock.now_unix_ms();
        let judge = self.policy.settled().evaluation.judge.clone();
        let judging = judge.map(|judge| self.verdicts.view(judge.model));
        let opened = self.opened.as_ref().map(|opened| (opened.derived.clone(), opened.belongings.journal.clone()));
        actix::spawn(async move {
            let outcome: Outcome<Evaluations> = async {
                permitted.await?;
                let (derived, journal) = opened.ok_or_else(Rejection::lost)?;
                let read = on_derived(derived, move |derived| {
                    let fold = derived.catch_up()?;
                    let (positions, online, last_due) =
                        (fold.evaluations.clone(), fold.online.view(), fold.last_due_unix_ms);
                    let mut evaluations = Vec::with_capacity(positions.len());
                    for position in positions.into_iter().rev() {
                        if let Some((_, Entry::EvaluationKept(evaluation))) = journal.entry::<Entry>(position)? {
                            let ended_at = rfc3339(evaluation.ended_unix_ms);
                            evaluations.push(EvaluationView { seq: position.0, ended_at, evaluation: *evaluation });
                        }
                    }
                    Ok((evaluations, online, last_due))
                });
                let (evaluations, online, last_due) = read.await.map_err(|reason| unreadable(&reason))?;
                let schedule = every_hours.map(|every_hours| ScheduleView {
                    every_hours,
                    last_due_at: last_due.map(rfc3339),
                    next_due_at: rfc3339(next_due(&tenant, every_hours, last_due, now_unix_ms)),
                });
                Ok(Evaluations { under_way, schedule, evaluations, judging, online })
            }
            .await;
            reply.answer(outcome);
        });
    }
}
