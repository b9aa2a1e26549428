//! A point is made: of every tenant what is new since the point before, while it is served. Blocks.
use super::errors::{BackupError, altered, io};
use super::pieces::{Begin, End, PIECE_BYTES, PartReader, PartWriter, Piece, digest_of};
use super::target::{PartRef, Point, Target, TenantKeys};
use super::views::{PointView, TenantPart};
use crate::gitops::folder::Folders;
use crate::kms::KeyService;
use aws_lc_rs::digest::{SHA256, digest};
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::codec;
use bailiwick_kernel::erasures::LedgerHead;
use bailiwick_kernel::fabric::copies::{BlobDigest, each_portion};
use bailiwick_kernel::fabric::embedded::Embedded;
use bailiwick_kernel::fabric::{Fabric, SealedRecord};
use bailiwick_kernel::ids::{Position, TenantKey};
use bailiwick_policy::parse::FileTexts;
use std::collections::{BTreeMap, BTreeSet};

/// A series begins anew with a whole copy after this time, so that an old one can go as a whole.
const SERIES_MS: u64 = 30 * 86_400_000;
/// Digests in one piece.
const DIGESTS_PER_PIECE: usize = PIECE_BYTES / 32;

/// Whom a point is made of.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) tenant: TenantKey,
    /// The tenant's name; nothing for the control plane itself.
    pub(super) name: Option<String>,
}

/// What a point is made with.
pub(super) struct Making<'a> {
    pub(super) target: &'a Target,
    pub(super) store: &'a Embedded,
    pub(super) keys: &'a KeyService,
    pub(super) folders: &'a Folders,
    /// Texts of the node itself, kept with the control plane.
    pub(super) of_node: FileTexts,
    pub(super) now_unix_ms: u64,
}

/// What the parts of a series before this one hold.
#[derive(Default)]
struct Before {
    digests: BTreeSet<BlobDigest>,
    texts: Option<[u8; 32]>,
    end: Option<End>,
}

impl Making<'_> {
    /// Makes a point of these tenants. Those before it stay what they are.
    pub(super) fn point(&self, subjects: &[Subject], ledger: LedgerHead) -> Result<PointView, BackupError> {
        let numbers = self.target.points()?;
        let last = numbers.last().map(|number| self.target.point(*number)).transpose()?;
        let number = numbers.last().map_or(1, |number| number.saturating_add(1));
        let former: BTreeMap<String, PartRef> =
            last.iter().flat_map(|point| &point.parts).map(|part| (part.tenant.clone(), part.clone())).collect();
        let (mut parts, mut shown) = (Vec::new(), Vec::new());
        for subject in subjects {
            let Some((part, is_new)) = self.part(subject, number, former.get(&subject.tenant.to_hex()))? else {
                continue;
            };
            shown.push(TenantPart {
                tenant: part.name.clone().unwrap_or_else(|| "control plane".to_owned()),
                bytes: if is_new { part.bytes } else { 0 },
                is_whole: is_new && part.series == number,
            });
            parts.push(part);
        }
        let point = Point { number, at_unix_ms: self.now_unix_ms, parts, ledger };
        self.target.keep_point(&point)?;
        let made_at = rfc3339(self.now_unix_ms);
        let bytes = shown.iter().map(|part| part.bytes).fold(0, u64::saturating_add);
        Ok(PointView {
            point: number,
            made_at,
            bytes,
            erasures: point.ledger.lines,
            tenants: shown,
            pruned: Vec::new(),
        })
    }

    /// The part of a tenant: a new one, or that of the point before where nothing is new. Nothing where it has nothing.
    fn part(
        &self,
        subject: &Subject,
        number: u64,
        former: Option<&PartRef>,
    ) -> Result<Option<(PartRef, bool)>, BackupError> {
        let tenant = subject.tenant.to_hex();
        let Some(keyring) = self.keys.keyring_bytes(subject.tenant)? else { return Ok(None) };
        let kept = self.target.keys_of(&tenant)?;
        let texts = match &subject.name {
            Some(name) => self.folders.texts(name)?.unwrap_or_default(),
            None => self.of_node.clone(),
        };
        let follows =
            former.filter(|part| self.now_unix_ms < part.began_unix_ms.saturating_add(SERIES_MS)).zip(kept.as_ref());
        let before = match follows {
            Some((part, keys)) => Some((part, self.before(subject, part, keys)?)),
            None => None,
        };
        // a journal that was put back and went on otherwise is another one: it begins a series of its own
        let before = match before {
            Some((part, before)) if self.still_begins_with(subject.tenant, &before)? => Some((part, before)),
            _ => None,
        };
        let mut keys = match kept {
            Some(keys) => keys,
            None => TenantKeys::drawn(keyring.clone(), number)?,
        };
        if keys.keyring != keyring || before.is_none() {
            keys.keyring = keyring;
            self.target.keep_keys(&tenant, &keys)?;
        }
        let cipher = Cipher::derive(&keys.backup_key, subject.tenant)?;
        let (part, held) = before.map_or_else(|| (None, Before::default()), |(part, before)| (Some(part), before));
        self.written(subject, number, (part, held), &texts, &cipher).map(Some)
    }

    /// What the parts up to this one hold, read without the bytes of blobs.
    fn before(&self, subject: &Subject, last: &PartRef, keys: &TenantKeys) -> Result<Before, BackupError> {
        let cipher = Cipher::derive(&keys.backup_key, subject.tenant)?;
        let mut before = Before::default();
        for (number, _) in chain(self.target, &cipher, last)? {
            let path = self.target.part(&last.tenant, last.series, number)?;
            let mut reader = PartReader::open(&path, part_name(&last.tenant, number), &cipher)?;
            while let Some(piece) = reader.next()? {
                match piece {
                    Piece::Blob { digest, bytes } => {
                        reader.skip_blob(bytes)?;
                        before.digests.insert(digest);
                    }
                    Piece::Gone(gone) => gone.iter().for_each(|digest| {
                        before.digests.remove(digest);
                    }),
                    Piece::End(end) => {
                        before.texts = end.texts;
                        before.end = Some(end);
                    }
                    Piece::Begin(_) | Piece::Records(_) | Piece::Bytes(_) | Piece::Text { .. } | Piece::Secrets(_) => {}
                }
            }
        }
        Ok(before)
    }

    fn still_begins_with(&self, tenant: TenantKey, before: &Before) -> Result<bool, BackupError> {
        let Some(end) = &before.end else { return Ok(false) };
        let Some(last) = end.next.checked_sub(1) else { return Ok(true) };
        let record = self.store.read(tenant, Position(last), 1)?.pop();
        Ok(record.is_some_and(|record| record.position.0 == last && record.hash == end.hash))
    }

    fn written(
        &self,
        subject: &Subject,
        number: u64,
        (former, before): (Option<&PartRef>, Before),
        texts: &FileTexts,
        cipher: &Cipher,
    ) -> Result<(PartRef, bool), BackupError> {
        let tenant = subject.tenant.to_hex();
        let series = former.map_or(number, |part| part.series);
        let began_unix_ms = former.map_or(self.now_unix_ms, |part| part.began_unix_ms);
        let from = before.end.clone();
        let texts_sha256 = (!texts.is_empty()).then(|| sha256(&codec::encode(texts).unwrap_or_default()));
        if let (Some(part), Some(end)) = (former, &from) {
            let is_same = self.store.end_of(subject.tenant)?.next.0 == end.next
                && self.store.blob_digests(subject.tenant)? == before.digests
                && texts_sha256 == before.texts;
            if is_same {
                return Ok((part.clone(), false));
            }
        }
        let path = self.target.part(&tenant, series, number)?;
        let mut part = PartWriter::create(&path, part_name(&tenant, number), cipher)?;
        part.put(&Piece::Begin(Begin {
            tenant: tenant.clone(),
            series,
            number,
            before: former.map(|part| (part.number, part.sha256)),
            from: from.as_ref().map_or(0, |end| end.next),
            from_hash: from.as_ref().map_or([0; 32], |end| end.hash),
        }))?;
        let mut copied = before.digests.clone();
        // the bulk first, while blobs may go; then what came meanwhile, while none may: so the second look is short
        self.blobs(subject.tenant, &mut copied, &mut part)?;
        let held = self.store.hold_blobs();
        let end = self.store.end_of(subject.tenant)?;
        let now = self.blobs(subject.tenant, &mut copied, &mut part)?;
        let secrets = self.store.secrets_of(subject.tenant)?;
        drop(held);
        secrets.chunks(PIECE_BYTES).try_for_each(|secrets| part.put(&Piece::Secrets(secrets.to_vec())))?;
        let gone: Vec<BlobDigest> = copied.difference(&now).copied().collect();
        gone.chunks(DIGESTS_PER_PIECE).try_for_each(|gone| part.put(&Piece::Gone(gone.to_vec())))?;
        let from = Position(from.map_or(0, |end| end.next));
        let mut waiting = Vec::new();
        each_portion::<BackupError>(self.store, subject.tenant, (from, end.next), |records| {
            for record in records {
                waiting.push(record);
                if weight(&waiting) >= PIECE_BYTES {
                    part.put(&Piece::Records(std::mem::take(&mut waiting)))?;
                }
            }
            Ok(())
        })?;
        if !waiting.is_empty() {
            part.put(&Piece::Records(waiting))?;
        }
        if texts_sha256 != before.texts {
            let texts = texts.iter().map(|(name, text)| Piece::Text { name: name.clone(), text: text.clone() });
            texts.into_iter().try_for_each(|text| part.put(&text))?;
        }
        part.put(&Piece::End(End { next: end.next.0, hash: end.hash, texts: texts_sha256 }))?;
        let (sha256, bytes) = part.finish(&path)?;
        let name = subject.name.clone();
        Ok((PartRef { tenant, name, series, began_unix_ms, number, sha256, bytes }, true))
    }

    /// Copies the blobs that are not copied yet. Gives what there is.
    fn blobs(
        &self,
        tenant: TenantKey,
        copied: &mut BTreeSet<BlobDigest>,
        part: &mut PartWriter<'_>,
    ) -> Result<BTreeSet<BlobDigest>, BackupError> {
        let now = self.store.blob_digests(tenant)?;
        for digest in now.difference(&copied.clone()) {
            if let Some(sealed) = self.store.blob_under(tenant, digest)? {
                part.put_blob(*digest, &sealed)?;
                copied.insert(*digest);
            }
        }
        Ok(now)
    }
}

fn weight(records: &[SealedRecord]) -> usize {
    records.iter().map(|record| record.payload.len().saturating_add(64)).sum()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut found = [0; 32];
    found.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    found
}

/// What a part is sealed as.
pub(super) fn part_name(tenant: &str, number: u64) -> String {
    format!("part {number} of {tenant}")
}

/// The parts of a series up to this one, oldest first, each as the one behind it names it.
pub(super) fn chain(target: &Target, cipher: &Cipher, last: &PartRef) -> Result<Vec<(u64, [u8; 32])>, BackupError> {
    let mut parts = Vec::new();
    let mut next = Some((last.number, last.sha256));
    while let Some((number, sha256)) = next {
        let (path, name) = (target.part(&last.tenant, last.series, number)?, part_name(&last.tenant, number));
        if !path.try_exists().map_err(io("looking for", &path))? {
            return Err(altered(name, "is missing"));
        }
        if digest_of(&path)? != sha256 {
            return Err(altered(name, "is not the one its point names"));
        }
        let mut reader = PartReader::open(&path, name.clone(), cipher)?;
        let Some(Piece::Begin(begin)) = reader.next()? else { return Err(altered(name, "has no beginning")) };
        let belongs = begin.tenant == last.tenant && begin.series == last.series && begin.number == number;
        if !belongs || begin.before.is_some_and(|(before, _)| before >= number) {
            return Err(altered(name, "belongs elsewhere"));
        }
        parts.push((number, sha256));
        next = begin.before;
    }
    parts.reverse();
    Ok(parts)
}
