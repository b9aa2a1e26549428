//! The index on disk, every byte sealed with its tenant's cipher.
//!
//! A tantivy directory over plain files. Index files are written once; each is a header (mark, random file id) and
//! frames of up to [`FRAME_BYTES`] that are sealed under the file's path, its id, their number and whether they are
//! the last: a frame cannot be altered, moved, repeated, dropped or taken from another file or tenant. `meta.json` and
//! `.managed.json` are sealed whole. Lock files are empty. An older whole copy of a file is not noticed here: the index
//! names the journal position it has reached, and what is missing is replayed.
//!
//! A file is decrypted as a whole when it is opened, held in memory while anything refers to it, and shared by all who
//! open it meanwhile: reads inside a query cost what they cost in a plain directory.
use bailiwick_kernel::cipher::{Cipher, CipherError, OVERHEAD_BYTES, Purpose};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

#[cfg(test)]
mod tests;

/// Plain bytes of one frame: large enough that sealing costs little beside writing, small enough for many writers.
const FRAME_BYTES: usize = 64 << 10;
const SEALED_FRAME_BYTES: usize = FRAME_BYTES + OVERHEAD_BYTES;
const FRAMED_MARK: [u8; 4] = *b"BWX2";
const WHOLE_MARK: [u8; 4] = *b"BWA2";
const FILE_ID_BYTES: usize = 16;
const HEADER_BYTES: usize = FRAMED_MARK.len() + FILE_ID_BYTES;

/// One tenant's index directory. Clones share their open files.
#[derive(Clone)]
pub struct SealedDirectory {
    root: Arc<PathBuf>,
    files: MmapDirectory,
    cipher: Cipher,
    opened: Arc<Mutex<HashMap<PathBuf, Weak<[u8]>>>>,
}

impl fmt::Debug for SealedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedDirectory({:?}, {:?})", self.root, self.cipher)
    }
}

impl SealedDirectory {
    /// Opens a folder, which must exist, for the tenant whose cipher is given. Whether the cipher is the right one
    /// shows when the first file is opened.
    ///
    /// # Errors
    /// Where the folder does not exist or is not a folder.
    pub fn open(root: &Path, cipher: Cipher) -> Result<Self, OpenDirectoryError> {
        let files = MmapDirectory::open(root)?;
        Ok(Self { root: Arc::new(root.to_owned()), files, cipher, opened: Arc::default() })
    }

    /// Plain bytes of the files that are open: the memory this index holds.
    #[must_use]
    pub fn open_bytes(&self) -> u64 {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.values().filter_map(Weak::upgrade).map(|plain| plain.len() as u64).sum()
    }

    fn open_shared(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        let find = |opened: &HashMap<PathBuf, Weak<[u8]>>| opened.get(path).and_then(Weak::upgrade);
        if let Some(plain) = find(&self.opened.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(plain);
        }
        // Decrypted without the lock: two who open one file at once do the work twice, nobody waits for another file.
        let plain = unseal_file(&self.cipher, &self.root.join(path), path)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|_, plain| plain.strong_count() > 0);
        opened.insert(path.to_owned(), Arc::downgrade(&plain));
        Ok(plain)
    }

    fn forget(&self, path: &Path) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

impl Directory for SealedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let plain = self.open_shared(path).map_err(|error| read_error(error, path))?;
        Ok(Arc::new(OwnedBytes::new(plain)))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.forget(path);
        self.files.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.files.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.forget(path);
        let file = self.files.open_write(path)?;
        let writer = SealedWriter::new(self.cipher.clone(), path, file);
        let writer = writer.map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))?;
        Ok(WritePtr::new(Box::new(writer)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let bytes = self.files.atomic_read(path)?;
        let plain = bytes.strip_prefix(&WHOLE_MARK).ok_or_else(|| not_sealed(path)).and_then(|sealed| {
            self.cipher.open(Purpose::Index, &whole_name(path), sealed).map_err(|e| altered(e, path))
        });
        plain.map_err(|error| read_error(error, path))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let mut bytes = WHOLE_MARK.to_vec();
        self.cipher.seal_into(Purpose::Index, &whole_name(path), data, &mut bytes).map_err(io::Error::other)?;
        self.files.atomic_write(path, &bytes)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.files.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.files.acquire_lock(lock)
    }

    fn watch(&self, watch_callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.files.watch(watch_callback)
    }
}

fn read_error(error: io::Error, path: &Path) -> OpenReadError {
    if error.kind() == io::ErrorKind::NotFound {
        return OpenReadError::FileDoesNotExist(path.to_owned());
    }
    OpenReadError::wrap_io_error(error, path.to_owned())
}

fn refused(path: &Path, why: impl fmt::Display) -> io::Error {
    let text = format!("opening the sealed index file {}: {why}; rebuild the index from the journal", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn altered(error: CipherError, path: &Path) -> io::Error {
    refused(path, error)
}

fn not_sealed(path: &Path) -> io::Error {
    refused(path, "it is not one of this directory's sealed files")
}

fn torn(path: &Path) -> io::Error {
    refused(path, "its end is missing")
}

/// The name a frame is sealed under. Parts of fixed length stand first, so that no two frames share a name.
struct FrameName(Vec<u8>);

impl FrameName {
    fn new(path: &Path, file_id: [u8; FILE_ID_BYTES]) -> Self {
        let mut name = Vec::with_capacity(FILE_ID_BYTES + 10 + path.as_os_str().len());
        name.extend_from_slice(b"F");
        name.extend_from_slice(&file_id);
        name.extend_from_slice(&[0; 9]);
        name.extend_from_slice(path.as_os_str().as_encoded_bytes());
        Self(name)
    }

    fn of(&mut self, number: u64, is_last: bool) -> &[u8] {
        let places = self.0.iter_mut().skip(1 + FILE_ID_BYTES);
        for (place, byte) in places.zip(number.to_le_bytes().into_iter().chain([u8::from(is_last)])) {
            *place = byte;
        }
        &self.0
    }
}

fn whole_name(path: &Path) -> Vec<u8> {
    [b"W", path.as_os_str().as_encoded_bytes()].concat()
}

/// Seals what is written into it frame by frame. A file that was not terminated has no last frame and is refused.
struct SealedWriter {
    cipher: Cipher,
    file: WritePtr,
    name: FrameName,
    /// Frames sealed so far: the number of the next one.
    number: u64,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl SealedWriter {
    fn new(cipher: Cipher, path: &Path, mut file: WritePtr) -> io::Result<Self> {
        let file_id: [u8; FILE_ID_BYTES] = rand::random();
        file.write_all(&FRAMED_MARK)?;
        file.write_all(&file_id)?;
        Ok(Self { cipher, file, name: FrameName::new(path, file_id), number: 0, plain: Vec::new(), sealed: Vec::new() })
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        self.sealed.clear();
        let name = self.name.of(self.number, is_last);
        self.cipher.seal_into(Purpose::Index, name, &self.plain, &mut self.sealed).map_err(io::Error::other)?;
        self.file.write_all(&self.sealed)?;
        self.plain.clear();
        self.number += 1;
        Ok(())
    }
}

impl Write for SealedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full frame waits for the byte after it: only then is it certain not to be the last.
        if self.plain.len() == FRAME_BYTES && !bytes.is_empty() {
            self.seal(false)?;
        }
        let (taken, _) = bytes.split_at_checked(FRAME_BYTES - self.plain.len()).unwrap_or((bytes, &[]));
        self.plain.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// Keeps an unfinished frame: frames inside a file are full, and nobody reads a file before it is terminated.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for SealedWriter {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.seal(true)?;
        self.file.terminate_ref(token)
    }
}

/// Decrypts a whole file, frame by frame, into one allocation.
fn unseal_file(cipher: &Cipher, location: &Path, path: &Path) -> io::Result<Arc<[u8]>> {
    let mut file = File::open(location)?;
    let mut header = [0; HEADER_BYTES];
    let length = file.metadata()?.len();
    let sealed = length.checked_sub(HEADER_BYTES as u64).ok_or_else(|| not_sealed(path))?;
    file.read_exact(&mut header)?;
    let file_id = header.strip_prefix(&FRAMED_MARK).and_then(|id| id.first_chunk::<FILE_ID_BYTES>());
    let mut name = FrameName::new(path, *file_id.ok_or_else(|| not_sealed(path))?);

    let frames = sealed.div_ceil(SEALED_FRAME_BYTES as u64);
    let overhead = frames.saturating_mul(OVERHEAD_BYTES as u64);
    // Even an empty file has its last frame.
    let plain_length = sealed.checked_sub(overhead).filter(|_| frames > 0).ok_or_else(|| torn(path))?;
    let plain_length = usize::try_from(plain_length).map_err(|_too_long| not_sealed(path))?;
    let mut plain: Arc<[u8]> = std::iter::repeat_n(0, plain_length).collect();
    let whole = Arc::get_mut(&mut plain).ok_or_else(|| not_sealed(path))?;
    let mut buffer = vec![0; SEALED_FRAME_BYTES.min(usize::try_from(sealed).unwrap_or(SEALED_FRAME_BYTES))];
    let mut places = whole.chunks_mut(FRAME_BYTES);
    for number in 0..frames {
        let place = places.next().unwrap_or_default();
        let frame = buffer.get_mut(..place.len() + OVERHEAD_BYTES).ok_or_else(|| torn(path))?;
        file.read_exact(frame)?;
        let name = name.of(number, number + 1 == frames);
        cipher.open_into(Purpose::Index, name, frame, place).map_err(|error| altered(error, path))?;
    }
    Ok(plain)
}
