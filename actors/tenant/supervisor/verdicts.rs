//! Answers of a sample judged by a model, in the background, by calls like any other: ruled on, held for, routed, settled and
//! recorded. No answer waits for it: what finds the queue full is dropped and counted.
use super::actor::Supervisor;
use super::exit::Clearance;
use super::messages::{AdmitAside, Wishes};
use crate::entry::Entry;
use crate::evaluation::judge::{AnswerJudged, JUDGE_KEY, JudgingView, is_sampled, request, verdict};
use crate::evaluation::records::AnswerMeasured;
use crate::question::{Answer, CacheControl, Matter, Reply};
use crate::turn::{Case, ReplyLine};
use actix::WeakAddr;
use actix::prelude::*;
use arc_swap::ArcSwapOption;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::mail::offer;
use bailiwick_policy::access::{Principal, Role};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Answers that wait for their verdict.
const WAITING_MAX: usize = 64;
/// Milliseconds until a verdict is no longer waited for.
const VERDICT_MS: u64 = 30_000;

/// An answer of the sample.
#[derive(Debug)]
pub(super) struct Sampled {
    measured: AnswerMeasured,
    citation_support: f64,
    question: String,
    answer: Answer,
    judge: String,
}

#[derive(Debug, Default)]
struct Tally {
    judged: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// The way to the judge.
#[derive(Clone, Debug)]
pub(super) struct Verdicts {
    queue: mpsc::Sender<Sampled>,
    tally: Arc<Tally>,
}

/// Answers on their way to the judge.
pub(super) struct Waiting {
    queue: mpsc::Receiver<Sampled>,
    tally: Arc<Tally>,
}

/// Nobody waits yet.
pub(super) fn queue() -> (Verdicts, Waiting) {
    let ((sender, receiver), tally) = (mpsc::channel(WAITING_MAX), Arc::new(Tally::default()));
    (Verdicts { queue: sender, tally: Arc::clone(&tally) }, Waiting { queue: receiver, tally })
}

impl Verdicts {
    /// Has an answer judged, where there is a place for it.
    pub(super) fn ask_for(&self, sampled: Sampled) {
        if self.queue.try_send(sampled).is_err() {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of the sample.
    pub(super) fn view(&self, model: String) -> JudgingView {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Tally { judged, failed, dropped } = &*self.tally;
        JudgingView { model, judged: of(judged), failed: of(failed), dropped: of(dropped) }
    }
}

/// What is to be judged of an answer: nothing where the policy names no judge, where it is not of the sample, and where
/// nothing is claimed or told.
pub(super) fn sampled(case: &Case, clearance: &Clearance) -> Option<Sampled> {
    let (Matter::Ask(question), Ok(Reply::Answer(answer))) = (&case.matter, &clearance.verdict) else { return None };
    let settings = &case.policy.evaluation;
    let judge = settings.judge.as_ref()?.model.clone();
    let measured = clearance.measured.clone().filter(|_| !answer.abstained)?;
    let citation_support = measured.grounding.citation_support?;
    is_sampled(&measured.query_id, settings.sample_rate).then(|| Sampled {
        measured,
        citation_support,
        question: question.text.clone(),
        answer: Answer::clone(answer),
        judge,
    })
}

fn asker() -> Principal {
    Principal { key_id: JUDGE_KEY.to_owned(), user_id: None, role: Some(Role::Operator), attributes: BTreeMap::new() }
}

/// Has one answer after the other judged, until the supervisor is gone.
pub(super) async fn judge_answers(
    waiting: Waiting,
    home: WeakAddr<Supervisor>,
    recording: Arc<ArcSwapOption<Journal>>,
    clock: SharedClock,
) {
    let Waiting { mut queue, tally } = waiting;
    while let Some(sampled) = queue.recv().await {
        let Some(door) = home.upgrade() else { break };
        let said = ask(&door.recipient(), &sampled).await;
        let Some(is_good) = said else {
            tally.failed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let Some(journal) = recording.load_full() else { continue };
        let judged = judged(sampled, is_good, clock.now_unix_ms());
        match journal.append(&[Entry::AnswerJudged(Box::new(judged))]).await {
            Ok(_appended) => drop(tally.judged.fetch_add(1, Ordering::Relaxed)),
            Err(error) => {
                tally.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(tenant = %journal.tenant(), %error, "a verdict could not be recorded");
            }
        }
    }
}

/// The verdict; nothing where none came.
async fn ask(door: &Recipient<AdmitAside>, sampled: &Sampled) -> Option<bool> {
    let matter = Matter::Chat(Box::new(request(&sampled.judge, &sampled.question, &sampled.answer)));
    let (line, awaiting) = ReplyLine::whole();
    // the same answer may be judged otherwise another time, and every verdict is one of its own
    let wishes = Wishes { cache_control: CacheControl::NoStore, ..Wishes::default() };
    let aside = AdmitAside { matter, principal: asker(), wishes, deadline_ms: VERDICT_MS, line };
    offer(door, aside).ok()?;
    match awaiting.reply().await {
        Ok(Reply::Completion(completion)) => verdict(&completion.body),
        // counted as failed
        Ok(_) | Err(_) => None,
    }
}

fn judged(sampled: Sampled, is_good: bool, at_unix_ms: u64) -> AnswerJudged {
    let Sampled { measured, citation_support, judge, .. } = sampled;
    let AnswerMeasured { query_id, policy_version, provider, model, cleared_unix_ms, .. } = measured;
    AnswerJudged {
        query_id,
        policy_version,
        provider,
        model,
        cleared_unix_ms,
        citation_support,
        is_good,
        judge,
        at_unix_ms,
    }
}
