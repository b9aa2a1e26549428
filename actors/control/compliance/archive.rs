//! Weekly reports as they were made, sealed beside the control journal. Everything here blocks.
use super::report::Report;
use aws_lc_rs::digest::{SHA256, digest};
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use uuid::Uuid;

/// Keeps and gives back reports.
#[derive(Clone, Debug)]
pub struct Archive {
    journal: Journal,
}

fn name_of(tenant: Uuid, week: &str) -> String {
    format!("compliance/{tenant}/{week}")
}

fn failed(doing: &str, reason: &str) -> Rejection {
    tracing::error!(tenant = "none", doing, reason, "a weekly report");
    Rejection::new(Code::Internal, format!("{doing}: the operator finds the reason in the log"))
}

/// SHA-256 of a report as it is kept, in hexadecimal.
///
/// # Errors
/// `internal` where it cannot be written down.
pub fn sha256_of(report: &Report) -> Outcome<String> {
    Ok(hex::encode(digest(&SHA256, &bytes_of(report)?)))
}

fn bytes_of(report: &Report) -> Outcome<Vec<u8>> {
    serde_json::to_vec(report).map_err(|error| failed("writing a weekly report", &error.to_string()))
}

impl Archive {
    /// What is kept beside this journal.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self { journal }
    }

    /// Keeps a report; durable with the control journal's next append.
    ///
    /// # Errors
    /// `internal` where it cannot be kept.
    pub fn keep(&self, tenant: Uuid, report: &Report) -> Outcome<()> {
        let blob = self.journal.blob(&name_of(tenant, &report.week), &bytes_of(report)?);
        let kept = blob.and_then(|blob| self.journal.blobs_put(vec![blob]));
        kept.map_err(|error| failed("keeping a weekly report", &error.to_string()))
    }

    /// The report of a week.
    ///
    /// # Errors
    /// `not_found` where none is kept, `internal` where it cannot be read.
    pub fn read(&self, tenant: Uuid, week: &str) -> Outcome<Report> {
        const DOING: &str = "reading a weekly report";
        let bytes = self.journal.blob_get(&name_of(tenant, week));
        let bytes = bytes.map_err(|error| failed(DOING, &error.to_string()))?.ok_or_else(not_kept)?;
        serde_json::from_slice(&bytes).map_err(|error| failed(DOING, &error.to_string()))
    }

    /// Forgets reports. Forgetting what is gone is no error.
    ///
    /// # Errors
    /// `internal` where one may still be there.
    pub fn forget(&self, tenant: Uuid, weeks: &[String]) -> Outcome<()> {
        weeks.iter().try_for_each(|week| {
            let forgotten = self.journal.blob_delete(&name_of(tenant, week));
            forgotten.map_err(|error| failed("forgetting weekly reports", &error.to_string()))
        })
    }
}

/// There is no report of that week.
#[must_use]
pub fn not_kept() -> Rejection {
    Rejection::new(Code::NotFound, "there is no report of that week; the weeks there are stand in the list of reports")
}
