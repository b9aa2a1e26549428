//! A part of a backup as a stream of sealed pieces, each bound to its part and its place in it: a piece that is changed,
//! moved, left out or taken from another part does not open, and a part without its last piece is none.
use super::errors::{BackupError, altered, io};
use aws_lc_rs::digest;
use bailiwick_kernel::cipher::{Cipher, Purpose};
use bailiwick_kernel::codec;
use bailiwick_kernel::fabric::SealedRecord;
use bailiwick_kernel::fabric::copies::BlobDigest;
use bailiwick_kernel::ids::{Epoch, Position};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of one piece before it is sealed, about: what is larger is cut.
pub(super) const PIECE_BYTES: usize = 1 << 20;
/// Bytes of one sealed piece, at most: a full one, and the longest record more.
const SEALED_BYTES_MAX: u32 = 4 << 20;
/// SHA-256 of a file.
pub(super) type FileDigest = [u8; 32];

/// What stands first in a part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) tenant: String,
    /// The point that began the series with a whole copy.
    pub(super) series: u64,
    /// The point it was made for.
    pub(super) number: u64,
    /// The part before it in its series, and what that is.
    pub(super) before: Option<(u64, FileDigest)>,
    /// Where the records before it ended.
    pub(super) from: u64,
    pub(super) from_hash: [u8; 32],
}

/// What stands last in a part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct End {
    /// Where the journal ends with it.
    pub(super) next: u64,
    pub(super) hash: [u8; 32],
    /// SHA-256 of the texts of the tenant's folder, whether they stand in this part or in one before it.
    pub(super) texts: Option<[u8; 32]>,
}

/// One piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    Begin(Begin),
    Records(Vec<SealedRecord>),
    /// A blob begins; its bytes follow in pieces of their own.
    Blob {
        digest: BlobDigest,
        bytes: u64,
    },
    /// Bytes of the blob before.
    Bytes(Vec<u8>),
    /// Blobs of earlier parts that are gone.
    Gone(Vec<BlobDigest>),
    /// A text of the tenant's folder, or of the node itself.
    Text {
        name: String,
        text: String,
    },
    /// Secrets of documents, those of all pieces behind each other by slot. What stands in the last part is what there is.
    Secrets(Vec<u8>),
    End(End),
}

impl Piece {
    fn plain(&self) -> Result<Vec<u8>, BackupError> {
        let tagged = |tag: u8, body: Vec<u8>| [vec![tag], body].concat();
        Ok(match self {
            Self::Begin(begin) => tagged(0, codec::encode(begin)?),
            Self::Records(records) => tagged(1, records_plain(records)),
            Self::Blob { digest, bytes } => tagged(2, [digest.as_slice(), &bytes.to_be_bytes()].concat()),
            Self::Bytes(bytes) => tagged(3, bytes.clone()),
            Self::Gone(digests) => tagged(4, digests.concat()),
            Self::Text { name, text } => tagged(5, codec::encode(&(name, text))?),
            Self::End(end) => tagged(6, codec::encode(end)?),
            Self::Secrets(bytes) => tagged(7, bytes.clone()),
        })
    }

    fn read(plain: &[u8]) -> Option<Self> {
        let (tag, body) = plain.split_first()?;
        Some(match tag {
            0 => Self::Begin(codec::decode(body).ok()?),
            1 => Self::Records(records_of(body)?),
            2 => {
                let (digest, bytes) = body.split_first_chunk::<32>()?;
                Self::Blob { digest: *digest, bytes: u64::from_be_bytes(bytes.try_into().ok()?) }
            }
            3 => Self::Bytes(body.to_vec()),
            4 => Self::Gone(body.chunks(32).map(|digest| digest.try_into().ok()).collect::<Option<_>>()?),
            5 => {
                let (name, text) = codec::decode(body).ok()?;
                Self::Text { name, text }
            }
            6 => Self::End(codec::decode(body).ok()?),
            7 => Self::Secrets(body.to_vec()),
            _ => return None,
        })
    }
}

fn records_plain(records: &[SealedRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        bytes.extend_from_slice(&record.position.0.to_be_bytes());
        bytes.extend_from_slice(&record.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&record.hash);
        bytes.extend_from_slice(&u64::try_from(record.payload.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(&record.payload);
    }
    bytes
}

fn records_of(mut bytes: &[u8]) -> Option<Vec<SealedRecord>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (position, rest) = bytes.split_first_chunk::<8>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (payload, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        records.push(SealedRecord {
            position: Position(u64::from_be_bytes(*position)),
            epoch: Epoch(u64::from_be_bytes(*epoch)),
            hash: *hash,
            payload: payload.to_vec(),
        });
        bytes = rest;
    }
    Some(records)
}

fn place(name: &str, number: u64) -> Vec<u8> {
    format!("{name}\0{number}").into_bytes()
}

/// Writes a part. It has its name only when [`PartWriter::finish`] has returned.
pub(super) struct PartWriter<'a> {
    cipher: &'a Cipher,
    name: String,
    aside: PathBuf,
    file: BufWriter<File>,
    number: u64,
    bytes: u64,
    digest: digest::Context,
}

impl<'a> PartWriter<'a> {
    /// Begins a part of this name, in a file aside of `path`.
    pub(super) fn create(path: &Path, name: String, cipher: &'a Cipher) -> Result<Self, BackupError> {
        let aside = path.with_extension("new");
        let file = BufWriter::new(File::create(&aside).map_err(io("writing", &aside))?);
        let digest = digest::Context::new(&digest::SHA256);
        Ok(Self { cipher, name, aside, file, number: 0, bytes: 0, digest })
    }

    pub(super) fn put(&mut self, piece: &Piece) -> Result<(), BackupError> {
        let sealed = self.cipher.seal(Purpose::Backup, &place(&self.name, self.number), &piece.plain()?)?;
        let length = u32::try_from(sealed.len()).ok().filter(|length| *length <= SEALED_BYTES_MAX);
        let length = length.ok_or_else(|| altered(self.name.clone(), "has a piece that is too long"))?.to_be_bytes();
        for bytes in [length.as_slice(), &sealed] {
            self.file.write_all(bytes).map_err(io("writing", &self.aside))?;
            self.digest.update(bytes);
            self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
        self.number = self.number.saturating_add(1);
        Ok(())
    }

    /// Puts a blob in, a piece at a time.
    pub(super) fn put_blob(&mut self, digest: BlobDigest, sealed: &[u8]) -> Result<(), BackupError> {
        self.put(&Piece::Blob { digest, bytes: u64::try_from(sealed.len()).unwrap_or(u64::MAX) })?;
        sealed.chunks(PIECE_BYTES).try_for_each(|bytes| self.put(&Piece::Bytes(bytes.to_vec())))
    }

    /// Ends it: durable under its name when this returns. Gives its digest and its bytes.
    pub(super) fn finish(mut self, path: &Path) -> Result<(FileDigest, u64), BackupError> {
        self.file.flush().map_err(io("writing", &self.aside))?;
        self.file.get_ref().sync_all().map_err(io("writing", &self.aside))?;
        std::fs::rename(&self.aside, path).map_err(io("naming", path))?;
        sync_parent(path)?;
        let mut digest = FileDigest::default();
        digest.iter_mut().zip(self.digest.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Ok((digest, self.bytes))
    }
}

/// Makes created, renamed and removed entries beside a file durable.
pub(super) fn sync_parent(path: &Path) -> Result<(), BackupError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("syncing", folder))
}

/// SHA-256 of a file, read once.
pub(super) fn digest_of(path: &Path) -> Result<FileDigest, BackupError> {
    let mut file = File::open(path).map_err(io("reading", path))?;
    let (mut context, mut buffer) = (digest::Context::new(&digest::SHA256), vec![0_u8; 256 << 10]);
    loop {
        let read = file.read(&mut buffer).map_err(io("reading", path))?;
        if read == 0 {
            break;
        }
        context.update(buffer.get(..read).unwrap_or_default());
    }
    let mut digest = FileDigest::default();
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    Ok(digest)
}

/// Reads a part, piece by piece.
pub(super) struct PartReader<'a> {
    cipher: &'a Cipher,
    name: String,
    file: BufReader<File>,
    number: u64,
    ended: bool,
}

impl<'a> PartReader<'a> {
    pub(super) fn open(path: &Path, name: String, cipher: &'a Cipher) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(io("reading", path))?;
        Ok(Self { cipher, name, file: BufReader::new(file), number: 0, ended: false })
    }

    fn wrong(&self, problem: &str) -> BackupError {
        altered(self.name.clone(), format!("{problem} at piece {}", self.number))
    }

    /// The next piece; nothing behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, BackupError> {
        let Some(length) = self.length()? else { return Ok(None) };
        let mut sealed = vec![0_u8; length];
        self.file.read_exact(&mut sealed).map_err(|_cut| self.wrong("is cut"))?;
        let plain = self.cipher.open(Purpose::Backup, &place(&self.name, self.number), &sealed);
        let plain = plain.map_err(|_refused| self.wrong("was altered or belongs elsewhere"))?;
        let piece = Piece::read(&plain).ok_or_else(|| self.wrong("says what this build does not know"))?;
        self.ended = matches!(piece, Piece::End(_));
        self.number = self.number.saturating_add(1);
        Ok(Some(piece))
    }

    /// Passes over the bytes of a blob without reading them.
    pub(super) fn skip_blob(&mut self, bytes: u64) -> Result<(), BackupError> {
        let pieces = bytes.div_ceil(u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX));
        for _ in 0..pieces {
            let length = self.length()?.ok_or_else(|| self.wrong("is cut"))?;
            let offset = i64::try_from(length).unwrap_or(i64::MAX);
            self.file.seek(SeekFrom::Current(offset)).map_err(|_cut| self.wrong("is cut"))?;
            self.number = self.number.saturating_add(1);
        }
        Ok(())
    }

    /// The bytes of the blob that has begun.
    pub(super) fn blob(&mut self, bytes: u64) -> Result<Vec<u8>, BackupError> {
        let mut sealed = Vec::new();
        while u64::try_from(sealed.len()).unwrap_or(u64::MAX) < bytes {
            match self.next()? {
                Some(Piece::Bytes(more)) if !more.is_empty() => sealed.extend_from_slice(&more),
                _ => return Err(self.wrong("lacks bytes of a blob")),
            }
        }
        Ok(sealed)
    }

    fn length(&mut self) -> Result<Option<usize>, BackupError> {
        let mut length = [0_u8; 4];
        let mut read = 0;
        while read < length.len() {
            let more = self.file.read(length.get_mut(read..).unwrap_or_default());
            match more.map_err(|_cut| self.wrong("is cut"))? {
                0 if read == 0 && self.ended => return Ok(None),
                0 => return Err(self.wrong("is cut")),
                more => read = read.saturating_add(more),
            }
        }
        let length = u32::from_be_bytes(length);
        if self.ended || length > SEALED_BYTES_MAX {
            return Err(self.wrong("has more than was written"));
        }
        Ok(Some(usize::try_from(length).unwrap_or(usize::MAX)))
    }
}
