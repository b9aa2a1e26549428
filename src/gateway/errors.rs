//! The single mapping from codes to statuses and bodies: RFC 9457 problems on native routes, OpenAI's error object on
//! the routes its clients call, OpenFeature's where flags are evaluated.
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::flags::ErrorCode;
use bailiwick_tenant::retrieval::messages::Ingested;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// Media type of RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// What is said of a failure of our own: its cause is in the log of the room that failed, never in an answer.
const INTERNAL_DETAIL: &str =
    "something of ours failed while answering; try again, and name the request id if it lasts";

/// Why a request has no answer, on its way to a status and a body.
#[derive(Debug)]
pub struct Failure {
    rejection: Rejection,
    status: Option<StatusCode>,
    param: Option<&'static str>,
    allow: Option<Box<str>>,
    documents: Vec<Ingested>,
    // apart: what every answer carries stays small
    flag: Option<Box<FlagFault>>,
}

/// What a failure says where flags are evaluated.
#[derive(Debug)]
struct FlagFault {
    key: Option<String>,
    error_code: ErrorCode,
}

impl Default for FlagFault {
    fn default() -> Self {
        Self { key: None, error_code: ErrorCode::General }
    }
}

impl Failure {
    /// A failure that repeating alone will not change.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Rejection::new(code, detail).into()
    }

    /// The request cannot be understood.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// The request is larger than a stated limit.
    #[must_use]
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(Code::TooLarge, detail)
    }

    /// A status finer than the code's own.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Names the field at fault.
    #[must_use]
    pub fn with_param(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    /// Says what became of each document of the request.
    #[must_use]
    pub fn with_documents(mut self, documents: Vec<Ingested>) -> Self {
        self.documents = documents;
        self
    }

    /// Names the flag that was to be evaluated.
    #[must_use]
    pub fn with_flag(mut self, key: &str) -> Self {
        self.flag.get_or_insert_default().key = Some(key.to_owned());
        self
    }

    /// Says what went wrong in OpenFeature's words.
    #[must_use]
    pub fn with_error_code(mut self, error_code: ErrorCode) -> Self {
        self.flag.get_or_insert_default().error_code = error_code;
        self
    }

    /// The path exists, the method does not.
    #[must_use]
    pub fn method_not_allowed(allow: String) -> Self {
        let mut failure = Self::invalid(format!("this path does not take this method; it takes {allow}"));
        failure.status = Some(StatusCode::METHOD_NOT_ALLOWED);
        failure.allow = Some(allow.into_boxed_str());
        failure
    }

    /// What the web framework refused by itself, by its status.
    #[must_use]
    pub fn of_framework(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => {
                Self::new(Code::NotFound, "there is no such route; /openapi.json lists the routes")
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large("the request is larger than this route takes"),
            status if status.is_client_error() => Self::invalid("the request cannot be understood").with_status(status),
            _ => Self::new(Code::Internal, INTERNAL_DETAIL),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.rejection.code
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| status_of(self.rejection.code))
    }

    /// Milliseconds until a retry can succeed, where that is known.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.rejection.retry_after_ms
    }

    fn detail(&self) -> &str {
        if self.rejection.code == Code::Internal { INTERNAL_DETAIL } else { &self.rejection.detail }
    }

    /// The body of a native route.
    #[must_use]
    pub fn problem<'a>(&'a self, request_id: &'a str) -> Problem<'a> {
        let code = self.rejection.code;
        Problem {
            kind: format!("urn:bailiwick:problem:{}", code.as_str()),
            title: title_of(code),
            status: self.status().as_u16(),
            detail: self.detail(),
            code: code.as_str(),
            request_id,
            documents: &self.documents,
        }
    }

    /// The body of a route OpenAI's clients call.
    #[must_use]
    pub fn openai_body(&self) -> OpenAiProblem<'_> {
        let code = self.rejection.code;
        OpenAiProblem {
            error: OpenAiError {
                message: self.detail(),
                kind: openai_type_of(code),
                param: self.param,
                code: code.as_str(),
            },
        }
    }

    /// The body where flags are evaluated.
    #[must_use]
    pub fn flag_problem(&self) -> FlagProblem<'_> {
        FlagProblem {
            key: self.flag.as_ref().and_then(|fault| fault.key.as_deref()),
            error_code: self.flag.as_ref().map_or(ErrorCode::General, |fault| fault.error_code),
            error_details: self.detail(),
            code: self.rejection.code.as_str(),
        }
    }

    /// Status, headers and body in the given dialect.
    #[must_use]
    pub fn render(&self, dialect: Dialect, request_id: &str) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if let Some(seconds) = retry_after_s(self.status(), &self.rejection) {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if matches!(self.rejection.code, Code::BudgetExceeded | Code::QuotaExceeded) {
            // OpenAI's clients repeat every 429 by themselves; a spent budget is not a burst
            response.insert_header(("x-should-retry", "false"));
        }
        if self.rejection.code == Code::Unauthenticated {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|methods| HeaderValue::from_str(methods).ok()) {
            response.insert_header((header::ALLOW, allow));
        }
        match dialect {
            Dialect::Native => response.content_type(PROBLEM_JSON).body(json_bytes(&self.problem(request_id))),
            Dialect::OpenAi => response.content_type("application/json").body(json_bytes(&self.openai_body())),
            Dialect::OpenFeature => response.content_type("application/json").body(json_bytes(&self.flag_problem())),
        }
    }
}

/// Room for what most values of ours take as JSON.
const JSON_BYTES: usize = 128;

/// Serialises a value of ours; such values hold nothing that JSON cannot.
pub(super) fn json_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    long_json_bytes(value, JSON_BYTES)
}

/// As [`json_bytes`], with room for about what it will take: what is long is not copied, and written over, each time it grows.
pub(super) fn long_json_bytes<T: Serialize>(value: &T, about_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(about_bytes);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => bytes,
        Err(_holds_what_json_cannot) => Vec::new(),
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, status: None, param: None, allow: None, documents: Vec::new(), flag: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    // the frame around every route renders the body: it knows the dialect and the request id
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status())
    }
}

/// Which shape errors have on a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// RFC 9457.
    Native,
    /// OpenAI's error object.
    OpenAi,
    /// The error of OpenFeature's remote evaluation.
    OpenFeature,
}

impl Dialect {
    /// The dialect of a path (contract §2).
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path.starts_with("/ofrep/") {
            return Self::OpenFeature;
        }
        let Some(rest) = path.strip_prefix("/v1/") else { return Self::Native };
        let under = |name: &str| rest.strip_prefix(name).is_some_and(|tail| tail.is_empty() || tail.starts_with('/'));
        if under("chat") || under("embeddings") || under("models") { Self::OpenAi } else { Self::Native }
    }
}

/// An error on a native route (RFC 9457).
#[derive(Serialize, JsonSchema, Debug)]
pub struct Problem<'a> {
    /// Names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words; the same for every problem of this code.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What was being done, what is wrong, what to do.
    pub detail: &'a str,
    /// The stable code.
    pub code: &'static str,
    /// Names this request, as `x-request-id` does.
    pub request_id: &'a str,
    /// What became of each document, where an ingest failed as a whole.
    #[serde(skip_serializing_if = "<[Ingested]>::is_empty")]
    pub documents: &'a [Ingested],
}

/// An error on a route OpenAI's clients call.
#[derive(Serialize, JsonSchema, Debug)]
pub struct OpenAiProblem<'a> {
    /// The error.
    pub error: OpenAiError<'a>,
}

/// OpenAI's error object.
#[derive(Serialize, JsonSchema, Debug)]
pub struct OpenAiError<'a> {
    /// What is wrong.
    pub message: &'a str,
    /// OpenAI's class of error.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field at fault, where one is.
    pub param: Option<&'static str>,
    /// The stable code, the same as on native routes.
    pub code: &'static str,
}

/// An error where flags are evaluated.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub struct FlagProblem<'a> {
    /// The flag, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    /// OpenFeature's code.
    pub error_code: ErrorCode,
    /// What is wrong.
    pub error_details: &'a str,
    /// The stable code, the same as on native routes.
    pub code: &'static str,
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden
        | Code::PolicyDenied
        | Code::SovereigntyViolation
        | Code::TenantSuspended
        | Code::TenantSealed => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::BudgetExceeded | Code::RateLimited | Code::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
        Code::Overloaded | Code::Lost => StatusCode::SERVICE_UNAVAILABLE,
        Code::RetentionViolation | Code::Conflict | Code::ReleasesFrozen => StatusCode::CONFLICT,
        Code::InvalidRequest => StatusCode::BAD_REQUEST,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UpstreamFailed => StatusCode::BAD_GATEWAY,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title_of(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => "No usable credential",
        Code::Forbidden => "Not allowed",
        Code::NotFound => "Not found",
        Code::BudgetExceeded => "Budget exceeded",
        Code::RateLimited => "Too many requests",
        Code::Overloaded => "Overloaded",
        Code::PolicyDenied => "Denied by policy",
        Code::SovereigntyViolation => "Outside the allowed regions",
        Code::RetentionViolation => "Against the retention rules",
        Code::QuotaExceeded => "Quota exceeded",
        Code::InvalidRequest => "Invalid request",
        Code::TooLarge => "Too large",
        Code::UpstreamFailed => "The model provider failed",
        Code::TenantSuspended => "Tenant suspended",
        Code::TenantSealed => "Tenant sealed",
        Code::Lost => "Lost before it was answered",
        Code::Conflict => "Conflict",
        Code::ReleasesFrozen => "Releases are frozen",
        Code::Internal => "Internal error",
    }
}

fn openai_type_of(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => "authentication_error",
        Code::Forbidden
        | Code::PolicyDenied
        | Code::SovereigntyViolation
        | Code::TenantSuspended
        | Code::TenantSealed => "permission_error",
        Code::BudgetExceeded | Code::QuotaExceeded => "insufficient_quota",
        Code::RateLimited => "rate_limit_error",
        Code::NotFound
        | Code::InvalidRequest
        | Code::TooLarge
        | Code::Conflict
        | Code::ReleasesFrozen
        | Code::RetentionViolation => "invalid_request_error",
        Code::Overloaded | Code::Lost | Code::UpstreamFailed | Code::Internal => "server_error",
    }
}

/// Whole seconds, rounded up, for 429 and 503. Where nothing is known, a passing state lifts within a second; a spent
/// budget or quota does not, so nothing is promised.
fn retry_after_s(status: StatusCode, rejection: &Rejection) -> Option<u64> {
    if status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    match rejection.retry_after_ms {
        Some(wait_ms) => Some(wait_ms.div_ceil(1_000).max(1)),
        None if matches!(rejection.code, Code::BudgetExceeded | Code::QuotaExceeded) => None,
        None => Some(1),
    }
}
