//! The shell: reads folders on the blocking pool and hands what they give to the registry, batch by batch.
use super::folder::{FolderError, Folders};
use super::messages::{Changed, FirstReading, FolderSeen, FoldersSeen, Scope};
use super::rules;
use super::watch::{Burst, Watching, report, watch};
use actix::prelude::*;
use bailiwick_kernel::limits::FOLDERS_PER_BATCH_MAX;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use std::collections::BTreeSet;

/// The room.
pub struct GitOps {
    folders: Folders,
    known: BTreeSet<String>,
    registry: Recipient<FoldersSeen>,
    first: Option<ReplySlot<FirstReading>>,
    burst: Burst,
    watching: Option<Watching>,
}

impl GitOps {
    /// A room that has read nothing yet.
    #[must_use]
    pub fn new(
        folders: Folders,
        known: BTreeSet<String>,
        registry: Recipient<FoldersSeen>,
        first: ReplySlot<FirstReading>,
    ) -> Self {
        Self { folders, known, registry, first: Some(first), burst: Burst::default(), watching: None }
    }

    /// Readings wait for one another, so that an older text can never arrive after a newer one.
    fn read(&mut self, scope: Scope, ctx: &mut Context<Self>) {
        let reading = read(self.folders.clone(), scope, self.known.clone(), self.registry.clone());
        ctx.wait(reading.into_actor(self).map(|outcome, act, _ctx| act.have_read(outcome)));
    }

    fn have_read(&mut self, outcome: Outcome<(BTreeSet<String>, FirstReading)>) {
        let answer = outcome.map(|(seen, counts)| {
            self.known.extend(seen);
            counts
        });
        if let Err(rejection) = &answer {
            tracing::error!(tenant = "none", problem = %rejection, "the tenants folder could not be read; what serves goes on");
        }
        if let Some(first) = self.first.take() {
            first.answer(answer);
        }
    }
}

impl Actor for GitOps {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // watch first, read then: a change in between is read twice rather than never
        match watch(self.folders.root(), &self.burst) {
            Ok(watching) => self.watching = Some(watching),
            Err(error) => {
                tracing::error!(tenant = "none", %error, "the tenants folder cannot be watched: changes need a restart")
            }
        }
        ctx.spawn(report(self.burst.clone(), ctx.address().recipient()).into_actor(self));
        self.read(Scope::All, ctx);
    }
}

impl Handler<Changed> for GitOps {
    type Result = ();

    fn handle(&mut self, Changed(scope): Changed, ctx: &mut Self::Context) {
        self.read(scope, ctx);
    }
}

async fn read(
    folders: Folders,
    scope: Scope,
    known: BTreeSet<String>,
    registry: Recipient<FoldersSeen>,
) -> Outcome<(BTreeSet<String>, FirstReading)> {
    let lister = folders.clone();
    let names = blocking(move || {
        let present = if scope == Scope::All { lister.names()? } else { BTreeSet::new() };
        Ok(rules::to_read(scope, present, &known))
    })
    .await?;
    let mut counts = FirstReading::default();
    let mut waiting: Vec<_> = names.iter().cloned().collect();
    while !waiting.is_empty() {
        let rest = waiting.split_off(waiting.len().min(FOLDERS_PER_BATCH_MAX));
        let (reader, batch) = (folders.clone(), std::mem::replace(&mut waiting, rest));
        let seen: Vec<FolderSeen> =
            blocking(move || Ok(batch.into_iter().map(|name| reader.observe(name)).collect())).await?;
        let (reply, answered) = ReplySlot::pair();
        registry.send(FoldersSeen { folders: seen.clone(), reply }).await.map_err(|_closed| Rejection::lost())?;
        let outdated = answered.outcome().await?;
        counts = rules::count(counts, &seen, &outdated);
        waiting.extend(outdated);
    }
    Ok((names, counts))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, FolderError> + Send + 'static) -> Outcome<T> {
    let done = bailiwick_kernel::residue::spawn_blocking(work).await.map_err(|_panicked| Rejection::lost())?;
    done.map_err(|error| Rejection::new(Code::Internal, error.to_string()))
}
