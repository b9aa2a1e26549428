//! What a request claims: read here, judged in the registry.
use super::edge::Edge;
use super::errors::Failure;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, web};
use bailiwick_control::registry::messages::Claim;
use bailiwick_kernel::limits::NAME_CHARS_MAX;
use bailiwick_kernel::outcome::Code;
use bailiwick_tenant::question::CacheControl;
use bailiwick_tenant::supervisor::messages::Wishes;
use secrecy::SecretString;

/// Names the tenant for the platform operator, whose key belongs to none.
const TENANT: &str = "x-bailiwick-tenant";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Names the conversation a request belongs to: one conversation is served by one release.
const CONVERSATION: &str = "x-bailiwick-conversation";
/// The sub-protocol spoken on `/v1/session`.
pub(super) const PROTOCOL: &str = "bailiwick.v1";
/// Browsers cannot set headers on a WebSocket; they may offer their key as a second sub-protocol of this prefix.
const PROTOCOL_KEY: &str = "bailiwick-key.";

/// The edge this request came to.
pub(super) fn edge(request: &HttpRequest) -> Result<web::Data<Edge>, Failure> {
    request
        .app_data::<web::Data<Edge>>()
        .cloned()
        .ok_or_else(|| Failure::new(Code::Internal, "the gateway has no door"))
}

/// The claim of a data-plane request.
pub(super) fn claim(request: &HttpRequest) -> Claim {
    let headers = request.headers();
    Claim { credential: bearer(headers), tenant: text(headers, TENANT).map(str::to_owned) }
}

/// The claim of a request that names its tenant in the path.
pub(super) fn claim_on(request: &HttpRequest, tenant: &str) -> Claim {
    Claim { credential: bearer(request.headers()), tenant: Some(tenant.to_owned()) }
}

/// The claim of a request for the fleet.
pub(super) fn claim_fleet(request: &HttpRequest) -> Claim {
    Claim { credential: bearer(request.headers()), tenant: None }
}

/// The claim of a WebSocket handshake.
pub(super) fn claim_session(request: &HttpRequest) -> Claim {
    let mut claim = claim(request);
    if claim.credential.is_none() {
        claim.credential = text(request.headers(), header::SEC_WEBSOCKET_PROTOCOL.as_str())
            .and_then(|offered| offered.split(',').find_map(|one| one.trim().strip_prefix(PROTOCOL_KEY)))
            .map(SecretString::from);
    }
    claim
}

/// The key under which a repeated request is the same request.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Failure> {
    let Some(value) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| is_idempotency_key(key));
    key.map(|key| Some(key.to_owned())).ok_or_else(|| {
        Failure::invalid(format!("reading Idempotency-Key: send 1 to {NAME_CHARS_MAX} visible ASCII characters"))
    })
}

/// What a request wants beside its answer: to be the same as an earlier one, or as fresh as can be.
pub(super) fn wishes(request: &HttpRequest) -> Result<Wishes, Failure> {
    let cache_control = text(request.headers(), header::CACHE_CONTROL.as_str()).map(CacheControl::parse);
    Ok(Wishes {
        idempotency_key: idempotency_key(request)?,
        cache_control: cache_control.unwrap_or_default(),
        conversation: conversation(request)?,
        ..Wishes::default()
    })
}

/// The conversation a request belongs to, where it says so.
pub(super) fn conversation(request: &HttpRequest) -> Result<Option<String>, Failure> {
    let Some(value) = request.headers().get(CONVERSATION) else { return Ok(None) };
    let name = value.to_str().ok().filter(|name| is_idempotency_key(name));
    name.map(|name| Some(name.to_owned())).ok_or_else(|| {
        Failure::invalid(format!("reading {CONVERSATION}: send 1 to {NAME_CHARS_MAX} visible ASCII characters"))
    })
}

/// The same wishes in the conversation a body names; a header and a body name the same one, or one of them none.
pub(super) fn in_conversation(wishes: Wishes, named: Option<String>) -> Result<Wishes, Failure> {
    let Some(name) = named else { return Ok(wishes) };
    let problem = match &wishes.conversation {
        _ if !is_idempotency_key(&name) => format!("send 1 to {NAME_CHARS_MAX} visible ASCII characters"),
        Some(other) if *other != name => format!("{CONVERSATION} names another conversation; send one of the two"),
        _ => return Ok(Wishes { conversation: Some(name), ..wishes }),
    };
    Err(Failure::invalid(format!("reading conversation_id: {problem}")).with_param("conversation_id"))
}

/// True where a text may serve as an idempotency key.
pub(super) fn is_idempotency_key(key: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let value = text(headers, header::AUTHORIZATION.as_str())?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| SecretString::from(token))
}
