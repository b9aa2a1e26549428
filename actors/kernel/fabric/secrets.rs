//! The secrets of documents: 32 random bytes each, in slots of one file a tenant. Not in the store, whose log keeps what was
//! written over: a slot is written over where it stands when its document goes, and is never used again.
use super::store::{StoreFailure, sync_folder};
use super::{FabricError, Secret, SecretState};
use crate::ids::TenantKey;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Bytes of a slot.
pub const SECRET_BYTES: usize = 32;
/// A slot nobody has used yet.
const FREE: [u8; SECRET_BYTES] = [0; SECRET_BYTES];
/// A slot whose secret was destroyed.
const DESTROYED: [u8; SECRET_BYTES] = [0xFF; SECRET_BYTES];
/// Slots a file grows by: their blocks are there before they are used, so that a sync need not wait for the file system's own log.
const GROWTH_SLOTS: usize = 4_096;
/// Slots looked through at once for the last one that was used.
const LOOK_SLOTS: u64 = 4_096;

/// The first slot of a tenant that was never used; nothing before that was looked for.
type Next = Arc<Mutex<Option<u64>>>;

/// The secrets of all tenants of one node.
#[derive(Debug)]
pub struct Secrets {
    folder: PathBuf,
    nexts: Mutex<HashMap<TenantKey, Next>>,
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> FabricError {
    move |error| StoreFailure::from(error).while_doing(doing)
}

fn offset(slot: u64) -> u64 {
    slot.saturating_mul(SECRET_BYTES as u64)
}

fn slots_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len() / SECRET_BYTES as u64)
}

/// The first slot behind the last one that was used.
fn next_of(file: &mut File) -> io::Result<u64> {
    let mut end = slots_of(file)?;
    while end > 0 {
        let begin = end.saturating_sub(LOOK_SLOTS);
        let length = usize::try_from(offset(end.saturating_sub(begin))).unwrap_or(usize::MAX);
        let mut bytes = Zeroizing::new(vec![0_u8; length]);
        file.seek(SeekFrom::Start(offset(begin)))?;
        file.read_exact(&mut bytes)?;
        if let Some(last) = bytes.as_chunks::<SECRET_BYTES>().0.iter().rposition(|slot| *slot != FREE) {
            return Ok(begin.saturating_add(last as u64).saturating_add(1));
        }
        end = begin;
    }
    Ok(0)
}

/// What a slot holds; behind the end of the file it is free.
fn state_of(file: &mut File, slot: u64) -> io::Result<SecretState> {
    if slot >= slots_of(file)? {
        return Ok(SecretState::Free);
    }
    let mut bytes = Zeroizing::new(FREE);
    file.seek(SeekFrom::Start(offset(slot)))?;
    file.read_exact(bytes.as_mut_slice())?;
    Ok(match *bytes {
        FREE => SecretState::Free,
        DESTROYED => SecretState::Destroyed,
        held => SecretState::Held(Secret::from_bytes(held)),
    })
}

impl Secrets {
    /// The secrets under a data folder.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn open(folder: &Path) -> Result<Self, FabricError> {
        let folder = folder.join("secrets");
        fs::create_dir_all(&folder).map_err(failed("opening the folder of the documents' secrets"))?;
        Ok(Self { folder, nexts: Mutex::default() })
    }

    fn path(&self, tenant: TenantKey) -> PathBuf {
        self.folder.join(tenant.to_hex())
    }

    fn next(&self, tenant: TenantKey) -> Next {
        let mut nexts = self.nexts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(nexts.entry(tenant).or_default())
    }

    /// The file of a tenant; nothing where it has none.
    fn existing(&self, tenant: TenantKey) -> io::Result<Option<File>> {
        match OpenOptions::new().read(true).write(true).open(self.path(tenant)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file of a tenant, made where there is none.
    fn file(&self, tenant: TenantKey) -> io::Result<File> {
        if let Some(file) = self.existing(tenant)? {
            return Ok(file);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.path(tenant))?;
        sync_folder(&self.folder)?;
        Ok(file)
    }

    /// Puts secrets into slots nobody has used, one behind the other, and gives the first. Durable once [`Secrets::sync`] has
    /// returned.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn keep(&self, tenant: TenantKey, secrets: &[Secret]) -> Result<u64, FabricError> {
        let failed = failed("keeping the secrets of documents");
        let next = self.next(tenant);
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = self.file(tenant).map_err(&failed)?;
        let first = match *next {
            Some(first) => first,
            None => next_of(&mut file).map_err(&failed)?,
        };
        let end = first.saturating_add(secrets.len() as u64);
        let mut write = || {
            if end > slots_of(&file)? {
                file.seek(SeekFrom::End(0))?;
                let growth = GROWTH_SLOTS.max(secrets.len());
                file.write_all(&vec![0; growth.saturating_mul(SECRET_BYTES)])?;
            }
            let mut bytes = Zeroizing::new(Vec::with_capacity(secrets.len().saturating_mul(SECRET_BYTES)));
            secrets.iter().for_each(|secret| bytes.extend_from_slice(secret.as_bytes()));
            file.seek(SeekFrom::Start(offset(first)))?;
            file.write_all(&bytes)
        };
        // what was half written is not used again
        *next = Some(end);
        write().map_err(&failed)?;
        Ok(first)
    }

    /// Returns once everything kept before is on the disk. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn sync(&self, tenant: TenantKey) -> Result<(), FabricError> {
        let synced = self.existing(tenant).and_then(|file| file.map_or(Ok(()), |file| file.sync_data()));
        synced.map_err(failed("syncing the secrets of documents"))
    }

    /// What slots hold, in the order they are asked for.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn states(&self, tenant: TenantKey, slots: &[u64]) -> Result<Vec<SecretState>, FabricError> {
        let failed = failed("reading the secrets of documents");
        let Some(mut file) = self.existing(tenant).map_err(&failed)? else {
            return Ok(slots.iter().map(|_slot| SecretState::Free).collect());
        };
        slots.iter().map(|slot| state_of(&mut file, *slot)).collect::<io::Result<_>>().map_err(failed)
    }

    /// Destroys secrets: they are written over, on the disk, when this returns. Slots that nobody has used stay free.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn destroy(&self, tenant: TenantKey, slots: &[u64]) -> Result<(), FabricError> {
        let failed = failed("destroying the secrets of documents");
        let Some(mut file) = self.existing(tenant).map_err(&failed)? else { return Ok(()) };
        let mut destroy = || {
            for slot in slots {
                if matches!(state_of(&mut file, *slot)?, SecretState::Held(_)) {
                    file.seek(SeekFrom::Start(offset(*slot)))?;
                    file.write_all(&DESTROYED)?;
                }
            }
            file.sync_data()
        };
        destroy().map_err(failed)
    }

    /// All slots of a tenant up to the last one that was used, as they are now.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn copied(&self, tenant: TenantKey) -> Result<Zeroizing<Vec<u8>>, FabricError> {
        let failed = failed("copying the secrets of documents");
        let Some(mut file) = self.existing(tenant).map_err(&failed)? else { return Ok(Zeroizing::default()) };
        let mut copy = || {
            let length = usize::try_from(offset(next_of(&mut file)?)).unwrap_or(usize::MAX);
            let mut bytes = Zeroizing::new(vec![0_u8; length]);
            file.rewind()?;
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        copy().map_err(failed)
    }

    /// Puts slots back where the tenant has none; durable when this returns.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn put_back(&self, tenant: TenantKey, bytes: &[u8]) -> Result<(), FabricError> {
        let put = || {
            let mut file = self.file(tenant)?;
            file.set_len(0)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        put().map_err(failed("putting the secrets of documents back"))
    }

    /// Whether a tenant has any.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn holds(&self, tenant: TenantKey) -> Result<bool, FabricError> {
        self.path(tenant).try_exists().map_err(failed("looking for the secrets of documents"))
    }

    /// Destroys all of a tenant's.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn shred(&self, tenant: TenantKey) -> Result<(), FabricError> {
        let next = self.next(tenant);
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let shred = || {
            let Some(mut file) = self.existing(tenant)? else { return Ok(()) };
            let slots = slots_of(&file)?;
            let block = DESTROYED.repeat(GROWTH_SLOTS);
            let mut left = usize::try_from(offset(slots)).unwrap_or(usize::MAX);
            while left > 0 {
                let length = left.min(block.len());
                file.write_all(block.get(..length).unwrap_or_default())?;
                left = left.saturating_sub(length);
            }
            file.sync_data()?;
            fs::remove_file(self.path(tenant))?;
            sync_folder(&self.folder)
        };
        shred().map_err(failed("destroying the secrets of a tenant's documents"))?;
        *next = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GROWTH_SLOTS, SECRET_BYTES, Secrets};
    use crate::fabric::{Secret, SecretState};
    use crate::ids::TenantKey;

    #[expect(clippy::disallowed_methods, reason = "test")]
    fn tenant(number: u128) -> TenantKey {
        TenantKey::mint(uuid::Uuid::from_u128(number))
    }

    fn secret(byte: u8) -> Secret {
        Secret::from_bytes([byte; SECRET_BYTES])
    }

    fn states(secrets: &Secrets, slots: &[u64]) -> Vec<String> {
        let said = |state: SecretState| match state {
            SecretState::Free => "free".to_owned(),
            SecretState::Destroyed => "destroyed".to_owned(),
            SecretState::Held(secret) => secret.as_bytes()[0].to_string(),
        };
        secrets.states(tenant(1), slots).unwrap().into_iter().map(said).collect()
    }

    #[test]
    fn a_destroyed_secret_is_gone_from_its_file_and_its_slot_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(folder.path()).unwrap();
        assert_eq!(states(&secrets, &[0, 9]), ["free", "free"], "there is no file yet");
        assert_eq!(secrets.keep(tenant(1), &[secret(7), secret(8), secret(9)]).unwrap(), 0);
        secrets.sync(tenant(1)).unwrap();
        secrets.destroy(tenant(1), &[2, 1, 1, 50]).unwrap();
        assert_eq!(states(&secrets, &[2, 0, 1, 50, u64::MAX]), ["destroyed", "7", "destroyed", "free", "free"]);
        let bytes = std::fs::read(secrets.path(tenant(1))).unwrap();
        assert!(!bytes.contains(&8) && !bytes.contains(&9) && bytes.contains(&7));
        // opened anew, the last one that was used being destroyed
        let secrets = Secrets::open(folder.path()).unwrap();
        assert_eq!(secrets.keep(tenant(1), &[secret(5)]).unwrap(), 3);
        assert_eq!(states(&secrets, &[0, 1, 2, 3, 4]), ["7", "destroyed", "destroyed", "5", "free"]);
        assert_eq!(secrets.keep(tenant(2), &[secret(5)]).unwrap(), 0, "each tenant has its own");
    }

    #[test]
    fn a_file_grows_and_is_copied_put_back_and_shredded() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secrets = Secrets::open(folder.path()).unwrap();
        let many = vec![secret(3); GROWTH_SLOTS - 1];
        assert_eq!(secrets.keep(tenant(1), &many).unwrap(), 0);
        assert_eq!(secrets.keep(tenant(1), &[secret(4), secret(5)]).unwrap(), many.len() as u64);
        let last = many.len() as u64 + 1;
        let secrets = Secrets::open(folder.path()).unwrap();
        secrets.destroy(tenant(1), &[1]).unwrap();
        let copied = secrets.copied(tenant(1)).unwrap();
        assert_eq!(copied.len() as u64, (last + 1) * SECRET_BYTES as u64, "without what nobody has used");
        let back = Secrets::open(elsewhere.path()).unwrap();
        back.put_back(tenant(1), &copied).unwrap();
        assert_eq!(states(&back, &[0, 1, last, last + 1]), ["3", "destroyed", "5", "free"]);
        assert_eq!(back.keep(tenant(1), &[secret(6)]).unwrap(), last + 1);
        assert!(back.holds(tenant(1)).unwrap());
        back.shred(tenant(1)).unwrap();
        assert!(!back.holds(tenant(1)).unwrap());
        assert_eq!(states(&back, &[0]), ["free"]);
        assert_eq!(back.copied(tenant(2)).unwrap().len(), 0);
    }
}
