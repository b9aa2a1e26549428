//! A tenant is destroyed here and in every known backup, and that is certified. Blocks.
use super::Backups;
use super::errors::{BackupError, altered, io};
use super::pieces::sync_parent;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::fabric::chain::Head;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_kernel::transparency::certificate;
use bailiwick_tenant::proofs::certificates::{CERTIFICATE, ErasureCertificate};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FOLDER: &str = "certificates";

/// The journal of a tenant before it was destroyed.
#[derive(Serialize, Deserialize)]
struct Before {
    records: u64,
    chain: String,
}

/// What was destroyed beside the node's own data.
struct Gone {
    /// Backups that could not be reached.
    unreached: Vec<PathBuf>,
    /// Collections of vector stores that were deleted.
    collections: usize,
}

fn forget(path: &Path) -> Result<(), BackupError> {
    fs::remove_file(path).map_err(io("removing", path))
}

impl Backups {
    /// Destroys a tenant: writes it into the erasure ledger, has the node's own data destroyed, then what is in every known
    /// backup, then what lies in stores outside, of which `outside` says how many collections were deleted, then certifies it. What
    /// was begun is finished by doing it again.
    ///
    /// # Errors
    /// Those of `shred` and of `outside`; `internal` where the ledger or the certificate cannot be written.
    pub fn destroying<T>(
        &self,
        tenant: TenantKey,
        by: &str,
        shred: impl FnOnce() -> Outcome<T>,
        outside: impl FnOnce() -> Outcome<usize>,
    ) -> Outcome<T> {
        let before = self.head_before(tenant).map_err(Rejection::from)?;
        self.note_destruction(tenant)?;
        let shredded = shred()?;
        let unreached = self.destroy(tenant)?;
        let gone = Gone { unreached, collections: outside()? };
        self.certify(tenant, by, &before, &gone).map_err(Rejection::from)?;
        Ok(shredded)
    }

    /// Where the tenant's journal ended before the first try: a later one finds it no more.
    fn head_before(&self, tenant: TenantKey) -> Result<Before, BackupError> {
        let path = self.data.join(FOLDER).join(format!("{}.before", tenant.to_hex()));
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| altered("certificate", error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let Head { next, hash } = self.vault.store().end_of(tenant)?;
                let before = Before { records: next.0, chain: hex::encode(hash) };
                self.write(&path, &before)?;
                Ok(before)
            }
            Err(error) => Err(io("reading", &path)(error)),
        }
    }

    fn certificate_file(&self, tenant: &str) -> PathBuf {
        self.data.join(FOLDER).join(format!("{tenant}.json"))
    }

    /// Writes a file of the folder, whole and durably.
    fn write(&self, path: &Path, content: &impl Serialize) -> Result<(), BackupError> {
        let bytes = serde_json::to_vec(content).map_err(|error| altered("certificate", error.to_string()))?;
        let folder = self.data.join(FOLDER);
        fs::create_dir_all(&folder).map_err(io("making", &folder))?;
        let aside = path.with_extension("new");
        fs::write(&aside, bytes).map_err(io("writing", &aside))?;
        fs::File::open(&aside).and_then(|file| file.sync_all()).map_err(io("writing", &aside))?;
        fs::rename(&aside, path).map_err(io("naming", path))?;
        sync_parent(path)
    }

    fn certify(&self, tenant: TenantKey, by: &str, before: &Before, gone: &Gone) -> Result<(), BackupError> {
        let path = self.certificate_file(&tenant.to_hex());
        // a destruction that is finished at another start was certified, or its journal is gone
        if path.try_exists().map_err(io("looking for", &path))? {
            return forget(&path.with_extension("before"));
        }
        let said = [
            ("what", "tenant".to_owned()),
            ("rule", "the keys of the tenant are destroyed, and everything it owned".to_owned()),
            ("asked_by", by.to_owned()),
            ("erased", rfc3339(self.clock.now_unix_ms())),
            ("records_before", before.records.to_string()),
            ("chain_before", before.chain.clone()),
            ("records_after", "0".to_owned()),
            ("backups_not_reached", gone.unreached.len().to_string()),
            ("collections_deleted", gone.collections.to_string()),
        ];
        let signer = self.keys.head_signer(tenant)?;
        let lines = said.map(|(key, value)| (key.to_owned(), value)).into();
        let signed = certificate::sign(&signer, lines).map_err(|error| altered("certificate", error.to_string()))?;
        let file = ErasureCertificate {
            format: CERTIFICATE.to_owned(),
            certificate: signed,
            verifier_key: signer.verifier_key(),
            consistency: None,
        };
        self.write(&path, &file)?;
        forget(&path.with_extension("before"))
    }

    /// The certificate of a tenant that was destroyed here, by its key in hexadecimal. Blocking.
    ///
    /// # Errors
    /// [`BackupError`] where it cannot be read.
    pub fn certificate(&self, tenant: &str) -> Result<ErasureCertificate, BackupError> {
        let path = self.certificate_file(tenant);
        let bytes = fs::read(&path).map_err(io("reading the certificate", &path))?;
        serde_json::from_slice(&bytes).map_err(|error| altered("certificate", error.to_string()))
    }
}
