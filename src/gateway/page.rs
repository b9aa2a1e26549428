//! One page of a list: where it begins, and how long it is.
use super::body;
use super::errors::Failure;
use actix_web::HttpRequest;
use bailiwick_kernel::limits::NAME_CHARS_MAX;
use serde::Deserialize;

/// Items where nobody says how many.
const LIMIT_DEFAULT: usize = 100;

/// Which page.
pub(super) struct Page {
    /// The last item of the page before.
    pub(super) after: Option<String>,
    /// Items at most.
    pub(super) limit: usize,
}

/// Query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

impl Page {
    /// The page a request asks for, of `limit_max` items at most.
    pub(super) fn of(request: &HttpRequest, limit_max: usize) -> Result<Self, Failure> {
        let PageQuery { after, limit } = body::query(request)?;
        body::bounded_option("after", after.as_deref(), NAME_CHARS_MAX)?;
        Ok(Self { after, limit: within(limit, limit_max)? })
    }
}

/// So many items as were asked for, of `limit_max` at most.
pub(super) fn within(limit: Option<usize>, limit_max: usize) -> Result<usize, Failure> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if (1..=limit_max).contains(&limit) {
        return Ok(limit);
    }
    Err(Failure::invalid(format!("reading limit: send a number from 1 to {limit_max}")).with_param("limit"))
}
