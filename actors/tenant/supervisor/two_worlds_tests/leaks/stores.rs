//! Faults of what stands on the disk: journals, blobs and indexes that several tenants have a part in.
use super::super::super::fixtures::cipher;
use super::super::neighbours::theirs;
use super::super::policies::HIDDEN;
use super::super::world::{B, Fault, Parts};
use super::{Leak, leak};
use crate::retrieval::messages::Content;
use crate::retrieval::{Chunk, FirstOfDocument, SearchIndex, Stamp};
use bailiwick_kernel::fabric::{
    AppendError, Appended, Blob, BoxFuture, Fabric, FabricError, Holding, SealedRecord, Secret, SecretState, Tenure,
};
use bailiwick_kernel::ids::{Epoch, Position, TenantKey};
use bailiwick_kernel::journal::Journal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub(in super::super) const LEAKS: &[Leak] = &[
    leak(
        "shared_term_statistics",
        "a neighbour's documents stand in A's index and are filtered from what is found",
        Fault::Parts(shared_statistics),
    ),
    leak(
        "positions_of_the_fleet",
        "positions are numbered over all journals",
        Fault::Parts(|parts| tap(parts, Tap::FleetPositions)),
    ),
    leak(
        "append_refused_by_load",
        "an append is refused when others have appended meanwhile",
        Fault::Parts(|parts| tap(parts, Tap::RefusesAfterOthers)),
    ),
    leak(
        "append_lost_with_another",
        "an append is lost when a neighbour's is in the same group",
        Fault::Parts(|parts| tap(parts, Tap::LosesWithOthers)),
    ),
    leak(
        "blobs_without_tenant",
        "a document's body is looked for among everybody's",
        Fault::Parts(|parts| tap(parts, Tap::BlobsByName)),
    ),
    leak(
        "receipts_of_another_chain",
        "all journals hang in one chain of hashes",
        Fault::Parts(|parts| tap(parts, Tap::OneChain)),
    ),
    leak(
        "export_ends_with_another",
        "a portion of a journal ends where a neighbour's ends",
        Fault::Parts(|parts| tap(parts, Tap::ShortReads)),
    ),
];

pub(super) const INVISIBLE: &[Leak] = &[
    leak(
        "appends_counted_quietly",
        "appends of all tenants are counted and nobody is told",
        Fault::Parts(|parts| tap(parts, Tap::Nothing)),
    ),
    leak(
        "refused_beside_any_number",
        "a full log refuses whoever comes, however many others wait",
        Fault::Parts(|parts| tap(parts, Tap::FullBesideOthers)),
    ),
];

/// What a tapped log does to A.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tap {
    /// Counts B's appends.
    Counts,
    Nothing,
    FleetPositions,
    RefusesAfterOthers,
    /// Refuses every ninth append of A, as a log does that is full: of how many is another matter.
    FullBesideOthers,
    LosesWithOthers,
    BlobsByName,
    OneChain,
    ShortReads,
}

struct Tapped {
    inner: Arc<dyn Fabric>,
    others: Arc<AtomicU64>,
    /// What the bodies of B are called.
    bodies: Arc<Mutex<Vec<String>>>,
    /// How many of theirs there were at A's last append, and how many A has made.
    noted: AtomicU64,
    own: AtomicU64,
    tap: Tap,
}

impl Tapped {
    /// Appends of B, its policy left out, which stands in its journal in every world.
    fn others(&self) -> u64 {
        self.others.load(Ordering::SeqCst).saturating_sub(1)
    }
}

impl Fabric for Tapped {
    fn acquire(&self, tenant: TenantKey) -> Result<Tenure, FabricError> {
        self.inner.acquire(tenant)
    }

    fn append(
        &self,
        tenant: TenantKey,
        epoch: Epoch,
        payloads: Vec<Vec<u8>>,
    ) -> BoxFuture<Result<Appended, AppendError>> {
        let others = self.others();
        let is_after_others = self.noted.swap(others, Ordering::SeqCst) != others;
        let own = self.own.fetch_add(1, Ordering::SeqCst);
        let waiting = usize::try_from(others).unwrap_or(usize::MAX);
        let refusal = match self.tap {
            Tap::RefusesAfterOthers if is_after_others => Some(AppendError::Full(1)),
            Tap::FullBesideOthers if own % 9 == 8 => Some(AppendError::Full(waiting)),
            Tap::LosesWithOthers if is_after_others => Some(AppendError::Unsure("the group was lost".into())),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return Box::pin(async move { Err(refusal) });
        }
        if self.tap == Tap::Counts {
            self.others.fetch_add(1, Ordering::SeqCst);
        }
        let (appending, tap) = (self.inner.append(tenant, epoch, payloads), self.tap);
        Box::pin(async move {
            let mut appended = appending.await?;
            match tap {
                Tap::FleetPositions => appended.first.0 += others,
                Tap::OneChain if others > 0 => appended.first_hash = [u8::try_from(others % 251).unwrap_or(0); 32],
                _ => {}
            }
            Ok(appended)
        })
    }

    fn read(&self, tenant: TenantKey, from: Position, max: usize) -> Result<Vec<SealedRecord>, FabricError> {
        let others = usize::try_from(self.others()).unwrap_or(usize::MAX);
        let max = if self.tap == Tap::ShortReads { max.saturating_sub(others % 8).max(1) } else { max };
        self.inner.read(tenant, from, max)
    }

    fn blobs_put(&self, tenant: TenantKey, blobs: Vec<Blob>) -> Result<(), FabricError> {
        if self.tap == Tap::Counts {
            self.bodies.lock().unwrap().extend(blobs.iter().map(|blob| blob.name.clone()));
        }
        self.inner.blobs_put(tenant, blobs)
    }

    fn blob_get(&self, tenant: TenantKey, name: &str) -> Result<Option<Vec<u8>>, FabricError> {
        if self.tap == Tap::BlobsByName
            && let Some(body) = self.bodies.lock().unwrap().first()
            && let Some(theirs) = self.inner.blob_get(cipher(B).tenant(), body)?
        {
            return Ok(Some(theirs));
        }
        self.inner.blob_get(tenant, name)
    }

    fn blob_delete(&self, tenant: TenantKey, name: &str) -> Result<(), FabricError> {
        self.inner.blob_delete(tenant, name)
    }

    fn secrets_keep(&self, tenant: TenantKey, secrets: &[Secret]) -> Result<u64, FabricError> {
        self.inner.secrets_keep(tenant, secrets)
    }

    fn secrets_sync(&self, tenant: TenantKey) -> Result<(), FabricError> {
        self.inner.secrets_sync(tenant)
    }

    fn secrets(&self, tenant: TenantKey, slots: &[u64]) -> Result<Vec<SecretState>, FabricError> {
        self.inner.secrets(tenant, slots)
    }

    fn secrets_destroy(&self, tenant: TenantKey, slots: &[u64]) -> Result<(), FabricError> {
        self.inner.secrets_destroy(tenant, slots)
    }

    fn shred(&self, tenant: TenantKey) -> Result<(), FabricError> {
        self.inner.shred(tenant)
    }

    fn view(&self) -> Vec<Holding> {
        self.inner.view()
    }
}

/// Puts a tapped log under both, so that A's hears of B's appends.
fn tap(parts: &mut Parts<'_>, tap: Tap) {
    let (others, bodies) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    for (tenant, tap) in [(&mut parts.a, tap), (&mut parts.b, Tap::Counts)] {
        let [noted, own] = [AtomicU64::new(0), AtomicU64::new(0)];
        let (inner, others, bodies) = (parts.vault.fabric(), Arc::clone(&others), Arc::clone(&bodies));
        let tapped = Tapped { inner, others, bodies, noted, own, tap };
        let cipher = tenant.belongings.cipher.clone();
        tenant.belongings.journal = Journal::acquire(Arc::new(tapped), cipher).unwrap();
    }
}

/// B's documents go into A's index, in a domain that A's policy lets nobody find anything of.
fn shared_statistics(parts: &mut Parts<'_>) {
    if parts.life.documents == 0 {
        return;
    }
    let folder = parts.a.belongings.folder.join("index");
    let index = SearchIndex::open(&folder, &parts.a.belongings.cipher).unwrap();
    let mut writer = index.writer().unwrap();
    for number in 0..parts.life.documents {
        let document = theirs(number);
        let (Some(id), Content::Text(text)) = (document.id, document.content) else { continue };
        let id = format!("theirs-{id}");
        let chunk = Chunk {
            document_id: id.as_str(),
            title: "Theirs",
            source: "upload.local",
            domain: HIDDEN,
            usecase: "general",
            text: text.as_str(),
            number: 0,
            start: 0,
            end: text.chars().count(),
            page: None,
            trust_score: 1.0,
            version: 0,
            document_sha256: "",
            language: Default::default(),
        };
        writer.add(&chunk, FirstOfDocument::No).unwrap();
    }
    writer.commit(&Stamp { next: 0, guard: parts.a.policy.guard.fingerprint.clone() }).unwrap();
    writer.close().unwrap();
}
