//! A point is put back onto an empty folder: everything is verified, erasures are applied, and only then it has its name.
//! A restore that was cut short leaves a folder beside that nobody serves.
use super::errors::{BackupError, altered, io};
use super::making::{chain, part_name};
use super::pieces::{Begin, PartReader, Piece, sync_parent};
use super::target::{PartRef, Point, Target, Tried};
use super::{OPERATOR_KEY, TenantKeysOf};
use crate::gitops::folder::Folders;
use crate::kms::{KeyService, NODE_SECRET, RootSource};
use crate::registry::directory::{control_key, key_of_hex};
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::clock::{SharedClock, rfc3339};
use bailiwick_kernel::erasures::{self, Event, Ledger, LedgerHead, Line, TenantErasures};
use bailiwick_kernel::fabric::chain::Head;
use bailiwick_kernel::fabric::copies::BlobDigest;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::shelf::Vault;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::retrieval::reapply;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is put back, and where.
#[derive(Debug)]
pub struct Restore {
    /// The backup.
    pub from: PathBuf,
    /// Which point; the newest where absent.
    pub point: Option<u64>,
    /// The data folder: absent or empty.
    pub data: PathBuf,
    /// Where the tenants' folders are put back; those that are there already stay.
    pub tenants: Folders,
    /// Where the root key comes from, and its file where it is carried as one.
    pub root: RootSource,
    /// The file of the root key.
    pub root_file: Option<PathBuf>,
    /// Where the node is.
    pub region: Region,
    /// Further copies of the erasure ledger: the newest one counts.
    pub ledgers: Vec<PathBuf>,
    /// Time.
    pub clock: SharedClock,
}

/// What was put back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// The point.
    pub point: u64,
    /// RFC 3339.
    pub made_at: String,
    /// Tenants that are back.
    pub tenants: Vec<String>,
    /// Tenants that are not, each with the reason.
    pub left_out: Vec<String>,
    /// Documents that had been erased since, and were erased again.
    pub erased_again: u64,
    /// Lines of the erasure ledger that was applied …
    pub erasures: u64,
    /// … and when its last one was written.
    pub last_erasure_at: Option<String>,
}

impl Restore {
    /// Puts it back. Blocks in between: not for a thread that others wait for.
    ///
    /// # Errors
    /// [`BackupError`]; then the data folder is as it was.
    pub async fn run(&self) -> Result<Restored, BackupError> {
        self.is_empty()?;
        let mut staging = self.data.clone().into_os_string();
        staging.push(".restoring");
        let staging = PathBuf::from(staging);
        if staging.try_exists().map_err(io("looking for", &staging))? {
            fs::remove_dir_all(&staging).map_err(io("removing what an earlier restore left", &staging))?;
        }
        fs::create_dir_all(&staging).map_err(io("making", &staging))?;
        if let Some(file) = &self.root_file {
            copy_private(file, &staging.join("master.key"))?;
        } else if !matches!(self.root, RootSource::Given(_)) {
            let detail = "restoring: the root key is in no backup; name the file you carried it in with --root-key, or \
                          root_key_env in config.toml";
            return Err(BackupError::Refused(detail.to_owned()));
        }
        let secret = self.from.join(NODE_SECRET);
        if secret.try_exists().map_err(io("looking for", &secret))? {
            copy_private(&secret, &staging.join(NODE_SECRET))?;
        }
        let keys = KeyService::open(&staging, &self.root, &self.region)?;
        let target = Target::open(&self.from, keys.backup_cipher()?)?;
        let number = match self.point {
            Some(number) => number,
            None => target.points()?.last().copied().ok_or_else(|| altered("points", "are missing"))?,
        };
        let point = target.point(number)?;
        let (lines, head) = self.newest_ledger(&target, &keys, &point)?;
        fs::write(staging.join(erasures::FILE), head.1).map_err(io("writing", &staging))?;
        let vault = Vault::open(&staging)?;
        let ledger = Arc::new(Ledger::open(&staging.join(erasures::FILE), keys.ledger_keys()?)?);
        let mut restored = Restored {
            point: number,
            made_at: rfc3339(point.at_unix_ms),
            tenants: Vec::new(),
            left_out: Vec::new(),
            erased_again: 0,
            erasures: head.0.lines,
            last_erasure_at: lines.last().map(|line| rfc3339(line.at_unix_ms)),
        };
        let mut tried = Vec::new();
        let destroyed: BTreeSet<&str> =
            lines.iter().filter(|line| line.event == Event::TenantDestroyed).map(|line| line.tenant.as_str()).collect();
        for part in &point.parts {
            let name = part.name.clone().unwrap_or_else(|| "control plane".to_owned());
            if destroyed.contains(part.tenant.as_str()) {
                restored.left_out.push(format!("{name}: it was destroyed"));
                continue;
            }
            let kept = target.keys_of(&part.tenant)?;
            let kept = kept.ok_or_else(|| altered(format!("keys/{}.key", part.tenant), "is missing"))?;
            if part.series < kept.oldest_series {
                restored.left_out.push(format!("{name}: its copy at this point is gone, because its time was over"));
                continue;
            }
            let tenant = key_of_hex(&part.tenant).ok_or_else(|| altered(name.clone(), "is of nobody"))?;
            let tenant = TenantKeysOf { tenant, cipher: Cipher::derive(&kept.backup_key, tenant)? };
            keys.adopt_keyring(tenant.tenant, &kept.keyring)?;
            let texts = put_back(&target, &vault, &tenant, part)?;
            self.put_texts(part, texts, &staging)?;
            restored.erased_again =
                restored.erased_again.saturating_add(self.erase_again(&vault, &keys, &ledger, &tenant, &lines).await?);
            restored.tenants.extend(part.name.clone());
            tried.push(part.tenant.clone());
        }
        vault.sync()?;
        drop(vault);
        if self.data.try_exists().map_err(io("looking for", &self.data))? {
            fs::remove_dir(&self.data).map_err(io("taking the place of", &self.data))?;
        }
        fs::rename(&staging, &self.data).map_err(io("naming", &self.data))?;
        sync_parent(&self.data)?;
        let tried = Tried { point: number, at_unix_ms: self.clock.now_unix_ms(), tenants: tried };
        if let Err(error) = target.keep_tried(&tried) {
            // everything is back; a backup that can only be read remembers nothing
            tracing::warn!(%error, "that the backup was put back could not be noted beside it");
        }
        Ok(restored)
    }

    fn is_empty(&self) -> Result<(), BackupError> {
        let is_taken = match fs::read_dir(&self.data) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(io("reading", &self.data)(error)),
        };
        if is_taken {
            let detail = format!("restoring to {}: it is not empty; name a folder that is", self.data.display());
            return Err(BackupError::Refused(detail));
        }
        Ok(())
    }

    /// The longest of the ledgers there are. One that knows less than the backup knew is refused.
    fn newest_ledger(
        &self,
        target: &Target,
        keys: &KeyService,
        point: &Point,
    ) -> Result<(Vec<Line>, (LedgerHead, String)), BackupError> {
        let reader = keys.ledger_keys()?;
        let mut newest = (Vec::new(), (LedgerHead::default(), String::new()));
        for path in std::iter::once(target.ledger()).chain(self.ledgers.iter().cloned()) {
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && path == target.ledger() => continue,
                Err(error) => return Err(io("reading the erasure ledger", &path)(error)),
            };
            let (lines, head) =
                reader.read(&text).map_err(|problem| altered(path.display().to_string(), format!("has {problem}")))?;
            if head.lines >= newest.1.0.lines {
                newest = (lines, (head, text));
            }
        }
        let newest_point = target.points()?.last().map(|number| target.point(*number)).transpose()?;
        let known = newest_point.map_or_else(|| point.ledger.clone(), |newest| newest.ledger);
        let held = usize::try_from(known.lines.saturating_sub(1)).ok().and_then(|last| newest.0.get(last));
        let is_known = known.lines == 0 || held.is_some_and(|line| line.chain == known.chain);
        if !is_known {
            let detail = format!(
                "restoring: the erasure ledger has {} lines, and the backup was made when it had {}; what was erased since would \
                 return; name a newer copy of it with --ledger",
                newest.1.0.lines, known.lines
            );
            return Err(BackupError::Refused(detail));
        }
        Ok(newest)
    }

    fn put_texts(&self, part: &PartRef, texts: FileTexts, staging: &Path) -> Result<(), BackupError> {
        let Some(name) = &part.name else {
            let Some(key) = texts.get(OPERATOR_KEY) else { return Ok(()) };
            return write_private(&staging.join(OPERATOR_KEY), key.as_bytes());
        };
        if !texts.is_empty() && self.tenants.texts(name)?.is_none() {
            self.tenants.create(name, &texts)?;
        }
        Ok(())
    }

    /// Applies the ledger to a tenant that has been put back: what was erased is erased again, what was asked for is asked
    /// for again. Gives how many documents that was.
    async fn erase_again(
        &self,
        vault: &Vault,
        keys: &KeyService,
        ledger: &Arc<Ledger>,
        tenant: &TenantKeysOf,
        lines: &[Line],
    ) -> Result<u64, BackupError> {
        let hex = tenant.tenant.to_hex();
        let events: Vec<Event> =
            lines.iter().filter(|line| line.tenant == hex).map(|line| line.event.clone()).collect();
        if events.is_empty() || tenant.tenant == control_key() {
            return Ok(0);
        }
        let cipher = keys.cipher_for(tenant.tenant, || vault.traces(tenant.tenant))?;
        let belongings = vault.belongings(cipher)?;
        let erasures = TenantErasures::new(Arc::clone(ledger), tenant.tenant);
        let erased = reapply(&belongings, &erasures, &events, self.clock.now_unix_ms()).await?;
        Ok(u64::try_from(erased).unwrap_or(u64::MAX))
    }
}

/// Puts one tenant's journal and blobs back. Gives the texts of its folder.
fn put_back(target: &Target, vault: &Vault, tenant: &TenantKeysOf, last: &PartRef) -> Result<FileTexts, BackupError> {
    let parts = chain(target, &tenant.cipher, last)?;
    let live = live_blobs(target, &parts, tenant, last)?;
    let store = vault.store();
    let mut returning = store.put_back(tenant.tenant)?;
    let (mut texts, mut secrets, mut end) = (FileTexts::new(), Zeroizing::new(Vec::new()), None);
    let mut before = None;
    for (number, sha256) in &parts {
        let name = part_name(&last.tenant, *number);
        let mut reader = open(target, tenant, last, *number)?;
        let mut fresh_texts = FileTexts::new();
        // those of the part before: what was destroyed since is in this one no more
        secrets = Zeroizing::default();
        while let Some(piece) = reader.next()? {
            match piece {
                Piece::Begin(Begin { before: named, from, .. }) => {
                    if named != before || Position(from) != returning.head().next {
                        return Err(altered(name, "does not follow the part before it"));
                    }
                }
                Piece::Records(records) => returning.records(&records)?,
                Piece::Blob { digest, bytes } if live.contains(&digest) => {
                    store.put_under(tenant.tenant, digest, reader.blob(bytes)?)?;
                }
                Piece::Blob { bytes, .. } => reader.skip_blob(bytes)?,
                Piece::Text { name, text } => {
                    fresh_texts.insert(name, text);
                }
                Piece::Gone(_) => {}
                Piece::Secrets(bytes) => secrets.extend_from_slice(&bytes),
                Piece::Bytes(_) => return Err(altered(name, "has bytes of no blob")),
                Piece::End(found) => end = Some(Head { next: Position(found.next), hash: found.hash }),
            }
        }
        if !fresh_texts.is_empty() {
            texts = fresh_texts;
        }
        before = Some((*number, *sha256));
    }
    let end = end.ok_or_else(|| altered(part_name(&last.tenant, last.number), "has no end"))?;
    if !secrets.is_empty() {
        store.put_secrets_back(tenant.tenant, &secrets)?;
    }
    returning.end(end)?;
    Ok(texts)
}

fn open<'a>(
    target: &Target,
    tenant: &'a TenantKeysOf,
    last: &PartRef,
    number: u64,
) -> Result<PartReader<'a>, BackupError> {
    let path = target.part(&last.tenant, last.series, number)?;
    PartReader::open(&path, part_name(&last.tenant, number), &tenant.cipher)
}

/// The blobs that are still there with the last part: what was removed on the way is not put back.
fn live_blobs(
    target: &Target,
    parts: &[(u64, [u8; 32])],
    tenant: &TenantKeysOf,
    last: &PartRef,
) -> Result<BTreeSet<BlobDigest>, BackupError> {
    let mut live = BTreeSet::new();
    for (number, _) in parts {
        let mut reader = open(target, tenant, last, *number)?;
        while let Some(piece) = reader.next()? {
            match piece {
                Piece::Blob { digest, bytes } => {
                    reader.skip_blob(bytes)?;
                    live.insert(digest);
                }
                Piece::Gone(gone) => gone.iter().for_each(|digest| {
                    live.remove(digest);
                }),
                _ => {}
            }
        }
    }
    Ok(live)
}

fn copy_private(from: &Path, to: &Path) -> Result<(), BackupError> {
    let bytes = zeroize::Zeroizing::new(fs::read(from).map_err(io("reading", from))?);
    write_private(to, &bytes)
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(io("writing", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("writing", path))
}
