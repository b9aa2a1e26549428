//! The background that follows a bucket: looks at it now and then, reads what is new, takes out what is gone. It ends with the
//! rooms it was started beside.
use super::objects::{Bucket, BucketError, Listing, Object, Objects, TenantBuckets};
use super::rules::{KEY, Known, Plan, Wish, digest, document, document_id, left_out, plan, taken};
use super::standing::{BucketView, Standing};
use crate::egress::Egress;
use crate::retrieval::UploadPermit;
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
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::watch;

/// Objects of one portion read at the same time.
const READ_AT_ONCE: usize = 8;

/// After something has kept a document this long it is asked again whether it still does, unless other rules came before.
const ASKED_AGAIN_MS: u64 = 600_000;

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
    let follower = Follower { following, refused: BTreeSet::new(), kept: BTreeMap::new(), settled: None };
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
    /// What was left undone, or left out.
    trouble: Option<String>,
}

/// A document that something keeps as it is.
struct Kept {
    wish: Wish,
    /// Why, as it was told.
    detail: String,
    again_unix_ms: u64,
}

/// A listing after which nothing was left to do.
struct Settled {
    seen: [u8; 32],
    /// Something keeps a document: it is asked again then.
    until_unix_ms: Option<u64>,
    trouble: Option<String>,
}

struct Follower {
    following: Following,
    /// Objects that were refused for good, by key and tag.
    refused: BTreeSet<(String, String)>,
    /// What something keeps, by the document's id.
    kept: BTreeMap<String, Kept>,
    settled: Option<Settled>,
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
                    // what was refused may be permitted now, what was kept released
                    (self.refused, self.kept, self.settled) = (BTreeSet::new(), BTreeMap::new(), None);
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
            Ok(None) => {
                let trouble = self.settled.as_ref().and_then(|settled| settled.trouble.clone());
                BucketView { place, looked_at, trouble, ..before.clone().unwrap_or_default() }
            }
            Ok(Some(Look { objects, plan, kept, trouble })) => {
                BucketView { place, objects, here: plan.here, skipped: plan.skipped, kept, looked_at, trouble }
            }
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
        let of = place.clone();
        let (seen, listed) = off_the_reactor(move || (digest(&of, &listed), listed)).await?;
        let now_unix_ms = self.following.clock.now_unix_ms();
        let is_due = |settled: &Settled| settled.until_unix_ms.is_some_and(|until| now_unix_ms >= until);
        if self.settled.as_ref().is_some_and(|settled| settled.seen == seen && !is_due(settled)) {
            return Ok(None);
        }
        self.settled = None;
        let (listed, mut plan) = self.plan(place, listed, now_unix_ms).await?;
        self.kept.retain(|id, _| plan.kept.contains(id));
        let mut undone = self.read(place, bucket, objects, &mut plan).await?;
        for id in std::mem::take(&mut plan.gone) {
            undone = self.remove(id).await.err().or(undone);
        }
        let kept = self.kept.values();
        let held = kept.clone().next().map(|kept| kept.detail.clone());
        let trouble = undone.as_ref().map(|rejection| rejection.detail.clone()).or(held);
        let trouble = trouble.or_else(|| left_out(place, &listed));
        let until_unix_ms = kept.clone().map(|kept| kept.again_unix_ms).min();
        self.settled = undone.is_none().then(|| Settled { seen, until_unix_ms, trouble: trouble.clone() });
        let count = listed.objects.len().saturating_add(listed.unreadable.len());
        let kept = kept.filter(|kept| kept.wish == Wish::Remove).count();
        let as_count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Some(Look { objects: as_count(count), plan, kept: as_count(kept), trouble }))
    }

    /// What is to be done after a look.
    async fn plan(&mut self, place: &BucketPlace, listed: Listing, now_unix_ms: u64) -> Outcome<(Listing, Plan)> {
        let taken = self.taken(place).await?;
        let erased = self.erased().await?;
        let kept = self.kept.iter().filter(|(_, kept)| now_unix_ms < kept.again_unix_ms);
        let kept = kept.map(|(id, kept)| (id.clone(), kept.wish.clone())).collect();
        let known = Known { taken, refused: std::mem::take(&mut self.refused), kept };
        let (place, erasures) = (place.clone(), self.following.erasures.clone());
        let planning = off_the_reactor(move || {
            let mark = |id: &str| erasures.mark(Of::Document, id).to_string();
            let plan = plan(&place, &listed, &known, |id| erased.get(&mark(id)).copied());
            (listed, plan, known)
        });
        let (listed, plan, known) = planning.await?;
        self.refused = known.refused;
        Ok((listed, plan))
    }

    /// Reads what is new, portion by portion, each in the place of an upload; says what was left undone.
    async fn read(
        &mut self,
        place: &BucketPlace,
        bucket: &Bucket,
        objects: &dyn Objects,
        plan: &mut Plan,
    ) -> Outcome<Option<Rejection>> {
        let (mut undone, mut is_full) = (None, false);
        for portion in std::mem::take(&mut plan.fetch) {
            // before anything is in memory that nobody has room for
            let permit = self.ask(&self.following.doors.admit, |reply| AdmitUpload { reply }).await?;
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
            for (object, ingested) in read.into_iter().zip(self.take_in(permit, documents).await?) {
                match refusal(ingested) {
                    None => plan.here = plan.here.saturating_add(1),
                    Some(rejection) => {
                        is_full |= finds_no_room(rejection.code);
                        undone = self.refused(place, plan, object, rejection).or(undone);
                    }
                }
            }
            // what found no room now is not read over and over: the next look begins with it
            if is_full {
                break;
            }
        }
        Ok(undone)
    }

    /// Remembers an object that was not taken; gives back what may go another way at the next look.
    fn refused(
        &mut self,
        place: &BucketPlace,
        plan: &mut Plan,
        object: Object,
        rejection: Rejection,
    ) -> Option<Rejection> {
        if is_lasting(rejection.code) {
            plan.skipped = plan.skipped.saturating_add(1);
            self.refused.insert((object.key, object.etag));
            return None;
        }
        if rejection.code == Code::RetentionViolation {
            plan.skipped = plan.skipped.saturating_add(1);
            self.keep(document_id(&place.bucket, &object.key), Wish::Replace(object.etag), rejection);
            return None;
        }
        Some(rejection)
    }

    fn keep(&mut self, id: String, wish: Wish, rejection: Rejection) {
        let again_unix_ms = self.following.clock.now_unix_ms().saturating_add(ASKED_AGAIN_MS);
        self.kept.insert(id, Kept { wish, detail: rejection.detail, again_unix_ms });
    }

    /// Takes a document out whose object is gone. What something keeps is remembered.
    async fn remove(&mut self, id: String) -> Outcome<()> {
        let remove = |reply| RemoveDocument { id: id.clone(), principal: follower(), reply };
        match self.ask(&self.following.doors.remove, remove).await {
            Ok(()) => Ok(()),
            Err(rejection) if rejection.code == Code::NotFound => Ok(()),
            Err(rejection) if is_temporary(&rejection) => Err(rejection),
            Err(rejection) => {
                self.keep(id, Wish::Remove, rejection);
                Ok(())
            }
        }
    }

    async fn ask<M, T>(&self, door: &Recipient<M>, message: impl FnOnce(ReplySlot<T>) -> M) -> Outcome<T>
    where
        M: Message<Result = ()> + Send + 'static,
    {
        let (slot, awaited) = ReplySlot::pair();
        offer(door, message(slot)).map_err(|(_, undelivered)| Rejection::from(undelivered))?;
        awaited.outcome().await
    }

    async fn take_in(&self, permit: UploadPermit, documents: Vec<NewDocument>) -> Outcome<Vec<Ingested>> {
        let ingest = |reply| IngestDocuments { permit, documents, principal: follower(), reply };
        self.ask(&self.following.doors.ingest, ingest).await
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
    async fn erased(&self) -> Outcome<HashMap<String, u64>> {
        let erasures = self.following.erasures.clone();
        let read = off_the_reactor(move || erasures.erased_documents()).await?;
        read.map_err(|error| Rejection::new(Code::Internal, error.to_string()))
    }
}

/// What a hundred thousand objects take is nothing for a thread that serves others.
async fn off_the_reactor<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    bailiwick_kernel::residue::spawn_blocking(work).await.map_err(|_panicked| Rejection::lost())
}

/// True where the same wish may come through by itself a moment later.
fn is_temporary(rejection: &Rejection) -> bool {
    rejection.retry_after_ms.is_some() || matches!(rejection.code, Code::Lost | Code::Overloaded | Code::Internal)
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
