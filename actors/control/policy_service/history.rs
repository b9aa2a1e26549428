//! The texts of releases that were committed, sealed in the control plane's own journal. Everything here blocks.
use crate::gitops::folder::Folders;
use bailiwick_kernel::codec;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::commit::is_about_signatures;
use bailiwick_policy::compile::{FILES, PolicySnapshot};
use bailiwick_policy::parse::FileTexts;
use std::sync::Arc;
use uuid::Uuid;

/// Keeps and gives back the texts of releases.
#[derive(Clone, Debug)]
pub struct History {
    journal: Journal,
    folders: Folders,
}

fn name_of(tenant: Uuid, release: &str) -> String {
    format!("release/{tenant}/{release}")
}

fn unreadable(doing: &str, reason: &str) -> Rejection {
    tracing::error!(tenant = "none", doing, reason, "the texts of a release");
    Rejection::new(Code::Internal, format!("{doing}: the operator finds the reason in the log"))
}

impl History {
    /// What is kept beside this journal, compiled as folders are.
    #[must_use]
    pub fn new(journal: Journal, folders: Folders) -> Self {
        Self { journal, folders }
    }

    /// Keeps the texts of a release; durable with the control journal's next append.
    ///
    /// # Errors
    /// `internal` where they cannot be kept: then the release must not be committed.
    pub fn keep(&self, tenant: Uuid, release: &str, texts: &FileTexts) -> Outcome<()> {
        const DOING: &str = "keeping the texts of a release";
        let decides = |file: &str| FILES.contains(&file) || is_about_signatures(file);
        let texts: FileTexts =
            texts.iter().filter(|(file, _)| decides(file)).map(|(file, text)| (file.clone(), text.clone())).collect();
        let bytes = codec::encode(&texts).map_err(|error| unreadable(DOING, &error.to_string()))?;
        let blob = self.journal.blob(&name_of(tenant, release), &bytes);
        let kept = blob.and_then(|blob| self.journal.blobs_put(vec![blob]));
        kept.map_err(|error| unreadable(DOING, &error.to_string()))
    }

    /// The texts of a release.
    ///
    /// # Errors
    /// `not_found` where they are kept no longer, `internal` where they cannot be read.
    pub fn texts(&self, tenant: Uuid, release: &str) -> Outcome<FileTexts> {
        const DOING: &str = "reading the texts of a release";
        let bytes = self.journal.blob_get(&name_of(tenant, release));
        let bytes = bytes.map_err(|error| unreadable(DOING, &error.to_string()))?;
        let bytes = bytes.ok_or_else(|| Rejection::new(Code::NotFound, format!("{DOING}: they are kept no longer")))?;
        codec::decode(&bytes).map_err(|error| unreadable(DOING, &error.to_string()))
    }

    /// A release as it was in force, compiled anew under today's guardrails.
    ///
    /// # Errors
    /// As [`History::texts`]; `policy_denied` where it compiles no longer.
    pub fn snapshot(&self, tenant: Uuid, name: &str, release: &str) -> Outcome<Arc<PolicySnapshot>> {
        let texts = self.texts(tenant, release)?;
        self.folders.compiled(name, &texts).map_err(|problem| {
            let detail = format!(
                "the release that serves beside the newest one compiles no longer under the guardrails of this node:\n{problem}"
            );
            Rejection::new(Code::PolicyDenied, detail)
        })
    }

    /// Forgets the texts of a release. Forgetting what is gone is no error.
    ///
    /// # Errors
    /// `internal` where they may still be there.
    pub fn forget(&self, tenant: Uuid, release: &str) -> Outcome<()> {
        let forgotten = self.journal.blob_delete(&name_of(tenant, release));
        forgotten.map_err(|error| unreadable("forgetting the texts of a release", &error.to_string()))
    }
}
