//! The background that follows a bucket: looks at it now and then, reads what is new, takes out what is gone. It ends with the
//! rooms it was started beside.
use super::objects::{Bucket, BucketError, Objects, TenantBuckets};
use super::rules::{KEY, Known, Plan, digest, document, plan, taken};
use super::standing::{BucketView, Standing};
use crate::egress::Egress;
use crate::retrieval::messages::{
    AdmitUpload, DocumentState, IngestDocuments, Ingested, ListTakenIn, NewDocument, RemoveDocument,
};
use actix::{Message, Recipient};
use bailiwick_kernel::clock::{SharedClock, rfc3339};
use bailiwick_kernel::erasures::{Of, TenantErasures};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::stores::BucketPlace;
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Objects of one portion read at the same time.
const READ_AT_ONCE: usize = 8;

/// The doors documents come and go by: those of everybody else.
#[derive(Clone, Debug)]
pub struct Doors {
    /// A place for an upload.
    pub admit: Recipient<AdmitUpload>,
    /// In.
    pub ingest: Recipient<IngestDocuments>,
    /// Out.
    pub remove: Recipient<RemoveDocument>,
    /// What is here already.
    pub taken: Recipient<ListTakenIn>,
}

/// What the background is given.
pub struct Following {
    /// The buckets the tenant may name.
    pub buckets: TenantBuckets,
    /// The policy in force, which names one or none. It ends with its sender.
    pub policy: watch::Receiver<Arc<PolicySnapshot>>,
    /// Where bytes may come from.
    pub egress: Arc<Egress>,
    /// How documents come and go.
    pub doors: Doors,
    /// What was erased here.
    pub erasures: TenantErasures,
    /// Where it says how it stands.
    pub standing: Arc<Standing>,
    /// Time.
    pub clock: SharedClock,
}

/// Follows the bucket of the policy in force until its sender is gone.
pub async fn run(following: Following) {
    let mut ending = following.policy.clone();
    let ended = async move { while ending.changed().await.is_ok() {} };
    let follower = Follower { following, refused: BTreeSet::new(), settled: None };
    tokio::select! {
        biased;
        () = ended => {}
        () = follower.rounds() => {}
    }
}

/// What one look came to.
struct Look {
    objects: u64,
    plan: Plan,
    /// Documents that something keeps though their object is gone.
    kept: u64,
    /// What was left undone.
    undone: Option<Rejection>,
}

struct Follower {
    following: Following,
    /// Objects that were refused for good, by key and tag.
    refused: BTreeSet<(String, String)>,
    /// The listing after which nothing was left to do.
    settled: Option<[u8; 32]>,
}

/// Who brings the documents.
fn follower() -> Principal {
    Principal { key_id: KEY.to_owned(), user_id: None, role: Some(Role::Operator), attributes: BTreeMap::new() }
}

fn upstream(place: &BucketPlace, error: &BucketError) -> Rejection {
    Rejection::new(Code::UpstreamFailed, format!("reading {}: {error}", place.written()))
}

impl Follower {
    async fn rounds(mut self) {
        loop {
            let place = self.following.policy.borrow_and_update().tenant.corpus_bucket();
            let Some(place) = place else {
                self.following.standing.set(None);
                if self.following.policy.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let bucket = self.following.buckets.get(&place.bucket).cloned();
            let round = self.round(&place, bucket.as_deref()).await;
            self.say(&place, round);
            let Some(bucket) = bucket else {
                // only another policy names another one
                if self.following.policy.changed().await.is_err() {
                    return;
                }
                continue;
            };
            tokio::select! {
                changed = self.following.policy.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // what was refused may be permitted now
                    (self.refused, self.settled) = (BTreeSet::new(), None);
                }
                () = tokio::time::sleep(bucket.every) => {}
            }
        }
    }

    /// Says how the bucket stands after a look.
    fn say(&self, place: &BucketPlace, round: Outcome<Option<Look>>) {
        let Following { standing, clock, erasures, .. } = &self.following;
        let (place, looked_at) = (place.written(), Some(rfc3339(clock.now_unix_ms())));
        let before = standing.view().filter(|view| view.place == place);
        let view = match round {
            Ok(None) => BucketView { place, looked_at, trouble: None, ..before.clone().unwrap_or_default() },
            Ok(Some(Look { objects, plan, kept, undone })) => BucketView {
                place,
                objects,
                here: plan.here,
                skipped: plan.skipped,
                kept,
                looked_at,
                trouble: undone.map(|rejection| rejection.detail),
            },
            Err(rejection) => {
                BucketView { place, trouble: Some(rejection.detail), ..before.clone().unwrap_or_default() }
            }
        };
        if view.trouble != before.and_then(|before| before.trouble) {
            let (tenant, trouble) = (erasures.tenant(), view.trouble.as_deref().unwrap_or("none any more"));
            tracing::warn!(%tenant, place = view.place, trouble, "following the tenant's bucket");
        }
        standing.set(Some(view));
    }

    /// One look, under a transfer from where the bucket is; nothing where it is as it was.
    async fn round(&mut self, place: &BucketPlace, bucket: Option<&Bucket>) -> Outcome<Option<Look>> {
        let bucket = bucket.ok_or_else(|| {
            let detail = format!(
                "reading {}: no bucket of this name is declared for the tenant; ask the operator to write it under [[buckets]] in \
                 config.toml",
                place.written()
            );
            Rejection::new(Code::SovereigntyViolation, detail)
        })?;
        let mut transfer = self.following.egress.fetch(bucket.region.as_str())?;
        let objects = bucket.reach(&transfer).ok_or_else(Rejection::lost)?;
        tokio::select! {
            biased;
            withdrawn = transfer.withdrawn() => Err(withdrawn),
            looked = self.look(place, bucket, objects.as_ref()) => looked,
        }
    }

    async fn look(&mut self, place: &BucketPlace, bucket: &Bucket, objects: &dyn Objects) -> Outcome<Option<Look>> {
        let listed = objects.list(&place.prefix).await.map_err(|error| upstream(place, &error))?;
        let seen = digest(place, &listed);
        if self.settled == Some(seen) {
            return Ok(None);
        }
        self.settled = None;
        let taken = self.taken(place).await?;
        let erased = self.erased().await?;
        let refused = std::mem::take(&mut self.refused);
        let known = Known { taken, refused };
        let mark = |id: &str| self.following.erasures.mark(Of::Document, id).to_string();
        let mut plan = plan(place, &listed, &known, |id| erased.get(&mark(id)).copied());
        self.refused = known.refused;
        let (mut undone, mut kept, mut is_full) = (None, 0_u64, false);
        for portion in std::mem::take(&mut plan.fetch) {
            let (mut documents, mut read) = (Vec::with_capacity(portion.len()), Vec::with_capacity(portion.len()));
            let reading = stream::iter(portion).map(|object| async move {
                let content = objects.fetch(&object).await;
                (object, content)
            });
            let contents: Vec<_> = reading.buffered(READ_AT_ONCE).collect().await;
            for (object, content) in contents {
                match content {
                    Ok(content) => {
                        documents.push(document(place, &bucket.address, &object, content));
                        read.push(object);
                    }
                    Err(error) => undone = Some(upstream(place, &error)),
                }
            }
            if documents.is_empty() {
                continue;
            }
            for (object, ingested) in read.into_iter().zip(self.take_in(documents).await?) {
                match refusal(ingested) {
                    None => plan.here = plan.here.saturating_add(1),
                    Some(rejection) if is_lasting(rejection.code) => {
                        plan.skipped = plan.skipped.saturating_add(1);
                        self.refused.insert((object.key, object.etag));
                    }
                    Some(rejection) => {
                        is_full |= finds_no_room(rejection.code);
                        undone = Some(rejection);
                    }
                }
            }
            // what found no room now is not read over and over: the next look begins with it
            if is_full {
                break;
            }
        }
        for id in std::mem::take(&mut plan.gone) {
            match self
                .ask(&self.following.doors.remove, |reply| RemoveDocument { id, principal: follower(), reply })
                .await
            {
                Ok(()) => {}
                Err(rejection) if rejection.code == Code::NotFound => {}
                Err(rejection) => {
                    kept = kept.saturating_add(u64::from(rejection.code == Code::RetentionViolation));
                    undone = Some(rejection);
                }
            }
        }
        self.settled = undone.is_none().then_some(seen);
        let objects = u64::try_from(listed.len()).unwrap_or(u64::MAX);
        Ok(Some(Look { objects, plan, kept, undone }))
    }

    async fn ask<M, T>(&self, door: &Recipient<M>, message: impl FnOnce(ReplySlot<T>) -> M) -> Outcome<T>
    where
        M: Message<Result = ()> + Send + 'static,
    {
        let (slot, awaited) = ReplySlot::pair();
        offer(door, message(slot)).map_err(|(_, undelivered)| Rejection::from(undelivered))?;
        awaited.outcome().await
    }

    async fn take_in(&self, documents: Vec<NewDocument>) -> Outcome<Vec<Ingested>> {
        let doors = &self.following.doors;
        let permit = self.ask(&doors.admit, |reply| AdmitUpload { reply }).await?;
        let ingest = |reply| IngestDocuments { permit, documents, principal: follower(), reply };
        self.ask(&doors.ingest, ingest).await
    }

    /// What the documents here say of their objects, by id.
    async fn taken(&self, place: &BucketPlace) -> Outcome<BTreeMap<String, String>> {
        let (mut known, mut after) = (BTreeMap::new(), None);
        loop {
            let portion = self.ask(&self.following.doors.taken, |reply| ListTakenIn { by: KEY, after, reply }).await?;
            known.extend(portion.documents.into_iter().filter_map(|document| taken(place, document)));
            after = portion.next;
            if after.is_none() {
                return Ok(known);
            }
        }
    }

    /// What was erased here, by mark.
    async fn erased(&self) -> Outcome<std::collections::HashMap<String, u64>> {
        let erasures = self.following.erasures.clone();
        let reading = tokio::task::spawn_blocking(move || erasures.erased_documents());
        let read = reading.await.map_err(|_panicked| Rejection::lost())?;
        read.map_err(|error| Rejection::new(Code::Internal, error.to_string()))
    }
}

/// Why a document was not taken; nothing where it was.
fn refusal(ingested: Ingested) -> Option<Rejection> {
    (ingested.state == DocumentState::Failed).then(|| {
        let detail = ingested.error.unwrap_or_default();
        Rejection::new(ingested.code.unwrap_or(Code::Internal), format!("{}: {detail}", ingested.title))
    })
}

/// True where the next document would be refused as well, whatever it is.
fn finds_no_room(code: Code) -> bool {
    !matches!(code, Code::RetentionViolation) && !is_lasting(code)
}

/// True for what is refused for the object's own sake: it is not read again as it is.
fn is_lasting(code: Code) -> bool {
    matches!(code, Code::InvalidRequest | Code::TooLarge | Code::PolicyDenied)
}
