//! A whole journal as lines of JSON, with its signed head first, to be verified by somebody who does not trust this node. The
//! first portion decides the status; a failure after it cuts the connection, so that nobody takes a part for the whole.
use super::errors::{Failure, json_bytes};
use actix_web::HttpResponse;
use actix_web::http::header;
use bailiwick_kernel::limits::EXPORT_PORTION_MAX;
use bailiwick_kernel::outcome::Rejection;
use bailiwick_tenant::proofs::forms::{Header, ShownRecord};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;

/// Whose journal it is.
pub(super) trait Source {
    /// Up to so many records from a position on.
    async fn portion(&self, from: u64, max: usize) -> Result<Vec<ShownRecord>, Rejection>;
}

/// What is left of an export.
struct Rest<S> {
    source: S,
    next: u64,
    size: u64,
}

impl<S: Source> Rest<S> {
    /// The next lines; nothing at the end.
    async fn lines(&mut self) -> Result<Option<Bytes>, Rejection> {
        let left = usize::try_from(self.size.saturating_sub(self.next)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let records = self.source.portion(self.next, left.min(EXPORT_PORTION_MAX)).await?;
        let count = records.len().min(left);
        if count == 0 {
            return Err(Rejection::lost());
        }
        self.next = self.next.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        let mut lines = Vec::new();
        records.iter().take(count).for_each(|record| line(record, &mut lines));
        Ok(Some(Bytes::from(lines)))
    }
}

fn line(value: &impl Serialize, lines: &mut Vec<u8>) {
    lines.extend_from_slice(&json_bytes(value));
    lines.push(b'\n');
}

/// The first `size` records of a journal behind this header, as a file of this name.
pub(super) async fn whole<S: Source + 'static>(
    header: &Header,
    size: u64,
    file: &str,
    source: S,
) -> Result<HttpResponse, Failure> {
    let mut rest = Rest { source, next: 0, size };
    let mut first = Vec::new();
    line(header, &mut first);
    first.extend_from_slice(&rest.lines().await?.unwrap_or_default());
    let portions = stream::unfold((rest, Some(Bytes::from(first))), |(mut rest, first)| async move {
        match first {
            Some(first) => Some((Ok(first), (rest, None))),
            None => match rest.lines().await {
                Ok(lines) => lines.map(|lines| (Ok(lines), (rest, None))),
                Err(rejection) => {
                    rest.next = rest.size;
                    Some((Err(rejection), (rest, None)))
                }
            },
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("application/jsonl")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")))
        .streaming(portions))
}
