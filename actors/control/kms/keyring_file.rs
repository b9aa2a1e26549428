//! The keyrings' files, one a tenant: `DATA/keys/<tenant key>.keyring`, mode 0600.
//!
//! A file of its own and not the store, because a destroyed key must be gone: the store's log keeps old values until their
//! segment is written over. What is written is synced aside, gets its name, and its folder is synced, before anybody has
//! the key. What is destroyed is overwritten and synced before its name goes.
use super::errors::KeyError;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::KEYRING_BYTES_MAX;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// The folder's name in a data folder.
pub(super) const FOLDER: &str = "keys";

/// The folder of keyrings.
#[derive(Debug)]
pub(super) struct KeyringFolder {
    folder: PathBuf,
}

/// How the file is named to whoever reads an error: below the data folder.
pub(crate) fn shown(tenant: TenantKey) -> String {
    format!("{FOLDER}/{}.keyring", tenant.to_hex())
}

fn failed(doing: &'static str, tenant: TenantKey) -> impl Fn(io::Error) -> KeyError {
    move |error| KeyError::File { doing, file: shown(tenant), error }
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl KeyringFolder {
    /// Opens the folder of a data folder, making it where there is none.
    pub(super) fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        sync_folder(data)?;
        Ok(Self { folder })
    }

    fn file(&self, tenant: TenantKey) -> PathBuf {
        self.folder.join(format!("{}.keyring", tenant.to_hex()))
    }

    fn aside(&self, tenant: TenantKey) -> PathBuf {
        self.folder.join(format!("{}.keyring.new", tenant.to_hex()))
    }

    /// Reads a tenant's keyring; nothing where it has none.
    pub(super) fn read(&self, tenant: TenantKey) -> Result<Option<Vec<u8>>, KeyError> {
        let failed = failed("reading the keys of the tenant", tenant);
        let Some(file) = absent_is_none(File::open(self.file(tenant))).map_err(&failed)? else { return Ok(None) };
        let (mut bytes, bound) = (Vec::new(), u64::try_from(KEYRING_BYTES_MAX).unwrap_or(u64::MAX));
        file.take(bound.saturating_add(1)).read_to_end(&mut bytes).map_err(&failed)?;
        if bytes.len() > KEYRING_BYTES_MAX {
            let problem = format!("is larger than {KEYRING_BYTES_MAX} bytes, and no keyring");
            return Err(KeyError::Damaged { file: shown(tenant), problem });
        }
        Ok(Some(bytes))
    }

    /// Writes a tenant's first keyring; never over one that is there.
    pub(super) fn create(&self, tenant: TenantKey, bytes: &[u8]) -> Result<(), KeyError> {
        let failed = failed("writing the keys of the tenant", tenant);
        self.write_aside(tenant, bytes).map_err(&failed)?;
        fs::hard_link(self.aside(tenant), self.file(tenant)).map_err(&failed)?;
        fs::remove_file(self.aside(tenant)).map_err(&failed)?;
        sync_folder(&self.folder).map_err(&failed)
    }

    /// Writes a keyring in place of the one that is there, and overwrites that: a file without a name would keep its keys
    /// beyond their destruction.
    pub(super) fn replace(&self, tenant: TenantKey, bytes: &[u8]) -> Result<(), KeyError> {
        let failed = failed("writing the keys of the tenant", tenant);
        let mut former = OpenOptions::new().write(true).open(self.file(tenant)).map_err(&failed)?;
        self.write_aside(tenant, bytes).map_err(&failed)?;
        fs::rename(self.aside(tenant), self.file(tenant)).map_err(&failed)?;
        sync_folder(&self.folder).map_err(&failed)?;
        overwrite(&mut former).map_err(&failed)
    }

    fn write_aside(&self, tenant: TenantKey, bytes: &[u8]) -> io::Result<()> {
        let aside = self.aside(tenant);
        self.clear_aside(tenant)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Removes what a write that was cut short has left. It is overwritten, unless it is a second name of the keyring itself.
    fn clear_aside(&self, tenant: TenantKey) -> io::Result<()> {
        let aside = self.aside(tenant);
        let Some(left) = absent_is_none(fs::read(&aside))? else { return Ok(()) };
        if absent_is_none(fs::read(self.file(tenant)))?.is_some_and(|held| held == left) {
            fs::remove_file(&aside)
        } else {
            overwrite_and_remove(&aside)
        }
    }

    /// Destroys a tenant's keyring, and what a write that was cut short has left of one. Destroying what is gone is no
    /// error.
    pub(super) fn destroy(&self, tenant: TenantKey) -> Result<(), KeyError> {
        let failed = failed("destroying the keys of the tenant", tenant);
        overwrite_and_remove(&self.aside(tenant)).map_err(&failed)?;
        overwrite_and_remove(&self.file(tenant)).map_err(&failed)?;
        sync_folder(&self.folder).map_err(&failed)
    }
}

fn overwrite_and_remove(path: &Path) -> io::Result<()> {
    let Some(mut file) = absent_is_none(OpenOptions::new().write(true).open(path))? else { return Ok(()) };
    overwrite(&mut file)?;
    fs::remove_file(path)
}

fn overwrite(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), file)?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
