//! The OpenFeature Remote Evaluation Protocol: a tenant's flags for a context, one or all. And the same flags as they are
//! written, for the control plane.
use super::errors::{Failure, FlagProblem, json_bytes};
use super::knock;
use super::reply::ok;
use super::{body, edge::Edge};
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::FLAG_CONTEXT_BYTES_MAX;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::digest::sha256_hex;
use bailiwick_policy::flags::{Context, ErrorCode, Evaluation, OffBy, Reason, evaluate, evaluate_all};
use bailiwick_policy::schema::Feature;
use bailiwick_tenant::service_level::rules::LevelView;
use bailiwick_tenant::supervisor::messages::FlagsInForce;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What evaluations over all flags may be asked for again with.
pub(super) const NOT_CHANGED: &[(&str, &str)] = &[(
    "If-None-Match",
    "The `ETag` of an earlier answer. Where the answer would be the same for this context, it is a 304 without a body.",
)];

/// For whom flags are evaluated. Fields that later versions of the protocol add are passed over.
#[derive(Deserialize, JsonSchema, Default, Debug)]
pub struct EvaluationBody {
    /// `targetingKey` and attributes.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub context: Option<Value>,
}

/// One flag's value.
#[derive(Serialize, JsonSchema, Debug)]
pub struct FlagAnswer<'a> {
    /// Which flag.
    pub key: &'a str,
    /// Its value.
    pub value: &'a Value,
    /// Why it has it.
    pub reason: Reason,
    /// The name of the value.
    pub variant: &'a str,
    /// More about it.
    pub metadata: FlagMetadata,
}

/// More about a flag's value.
#[derive(Serialize, JsonSchema, Debug)]
pub struct FlagMetadata {
    /// It is off while the tenant's service level is breached.
    pub experimental: bool,
    /// What has switched it off for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switched_off_by: Option<OffBy>,
}

/// One flag of many: its value, or why it has none.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(untagged)]
pub enum FlagItem<'a> {
    /// A value.
    Answer(FlagAnswer<'a>),
    /// An error.
    Problem(FlagProblem<'a>),
}

/// All flags.
#[derive(Serialize, JsonSchema, Debug)]
pub struct FlagAnswers<'a> {
    /// In the order of their names.
    pub flags: Vec<FlagItem<'a>>,
}

/// All flags as they are written, and what has switched them off.
#[derive(Serialize, JsonSchema, Debug)]
pub struct FlagsView<'a> {
    /// By name.
    pub features: BTreeMap<&'a str, FlagView<'a>>,
    /// The level that experimental flags follow.
    pub service_level: LevelView,
    /// Policy version.
    pub policy_version: &'a str,
}

/// A flag as it is written, and what has switched it off.
#[derive(Serialize, JsonSchema, Debug)]
pub struct FlagView<'a> {
    /// As written.
    #[serde(flatten)]
    pub written: &'a Feature,
    /// What has switched it off for everybody; null where nothing has.
    pub switched_off_by: Option<OffBy>,
}

const MISSING_KEY: &str =
    "evaluating the flag: its value depends on the targeting key, and the context has none; send context.targetingKey";

fn answered(said: Evaluation<'_>) -> Result<FlagAnswer<'_>, ErrorCode> {
    let Evaluation { key, value, variant, reason, off_by, error, experimental } = said;
    let metadata = FlagMetadata { experimental, switched_off_by: off_by };
    error.map_or(Ok(FlagAnswer { key, value, reason, variant, metadata }), Err)
}

async fn in_force(edge: &Edge, request: &HttpRequest) -> Result<FlagsInForce, Failure> {
    Ok(edge.door.observe(knock::claim(request)).await?.flags().await?)
}

async fn context(edge: &Edge, request: &HttpRequest, payload: web::Payload) -> Result<Context, Failure> {
    let bytes = body::bytes(request, payload, FLAG_CONTEXT_BYTES_MAX, edge.settings.body_timeout()).await?;
    let EvaluationBody { context } = if bytes.is_empty() {
        EvaluationBody::default()
    } else {
        body::parse(&bytes).map_err(|failure| failure.with_error_code(ErrorCode::ParseError))?
    };
    Context::read(context).map_err(|problem| {
        Failure::invalid(format!("reading the context: {problem}")).with_error_code(ErrorCode::InvalidContext)
    })
}

/// `POST /ofrep/v1/evaluate/flags/{key}`.
pub(super) async fn one(
    request: HttpRequest,
    key: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    evaluate_one(&request, &key, payload).await.map_err(|failure| failure.with_flag(&key))
}

async fn evaluate_one(request: &HttpRequest, key: &str, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(request)?;
    let in_force = in_force(&edge, request).await?;
    let context = context(&edge, request, payload).await?;
    let policy = in_force.policy_for(context.targeting_key());
    let said = evaluate(&policy.features, in_force.level.state, key, &context).and_then(answered);
    said.map(|answer| ok(&answer)).map_err(|error| {
        match error {
            ErrorCode::FlagNotFound => Failure::new(Code::NotFound, "there is no such flag in features.yaml"),
            _ => Failure::invalid(MISSING_KEY),
        }
        .with_error_code(error)
    })
}

/// `POST /ofrep/v1/evaluate/flags`.
pub(super) async fn all(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let in_force = in_force(&edge, &request).await?;
    let context = context(&edge, &request, payload).await?;
    let policy = in_force.policy_for(context.targeting_key());
    let flags = evaluate_all(&policy.features, in_force.level.state, &context)
        .map(|said| match answered(said) {
            Ok(answer) => FlagItem::Answer(answer),
            Err(error) => FlagItem::Problem(FlagProblem {
                key: Some(said.key),
                error_code: error,
                error_details: MISSING_KEY,
                code: Code::InvalidRequest.as_str(),
            }),
        })
        .collect();
    let body = json_bytes(&FlagAnswers { flags });
    // a name of what is said, not of the files: another context may be told something else by the same files
    let tag = format!("\"{}\"", sha256_hex(&body));
    if knows(request.headers(), &tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).content_type("application/json").body(body))
}

/// Whether the caller has the answer of this name already.
fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).any(|known| known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// `GET /admin/v1/tenants/{id}/flags`.
pub(super) async fn of_tenant(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    let FlagsInForce { policy, level, .. } = handle.flags().await?;
    let policy = policy.settled();
    let view = |written| FlagView { written, switched_off_by: written.off_by(level.state) };
    let features = policy.features.features.iter().map(|(name, flag)| (name.as_str(), view(flag))).collect();
    Ok(ok(&FlagsView { features, service_level: level, policy_version: &policy.version }))
}
