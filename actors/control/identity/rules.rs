//! Whether a token is true, and how long a key set is: pure decisions. Every refusal is told apart here and in the log;
//! the caller hears one and the same answer for all.
use super::issuer::{Issuer, text};
use super::keys::KeySet;
use crate::registry::credentials::ShownKey;
use aws_lc_rs::digest;
use bailiwick_kernel::limits::{
    KEY_SET_ASKED_MS, KEY_SET_FRESH_MS, KEY_SET_STALE_MS, NAME_CHARS_MAX, TENANT_NAME_CHARS_MAX, TOKEN_BYTES_MAX,
};
use bailiwick_policy::access::Role;
use jsonwebtoken::{DecodingKey, Header, Validation, dangerous, decode, decode_header};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Time until a key set is read again where its issuer says nothing.
const FRESH_MS: u64 = 3_600_000;
/// Bytes of the digest that stands for a user in a principal's id.
const SUBJECT_BYTES: usize = 8;
/// What a token may call itself; a logout token or a proof of possession is signed by the same keys and is no credential.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];

type Claims = Map<String, Value>;

/// Why a token is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is no token, or of a kind that is no credential.
    Malformed,
    /// It is too long.
    TooLong,
    /// Nobody trusts its issuer.
    Issuer,
    /// Its issuer does not sign with this algorithm.
    Algorithm,
    /// Its issuer's key set could not be read, or not for too long.
    NoKeys,
    /// Its issuer has published no such key.
    UnknownKey,
    /// The signature is not the key's.
    Signature,
    /// It has expired, or never says when it will.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is meant for somebody else.
    Audience,
    /// It names no tenant its issuer speaks for.
    Tenant,
    /// It names no role.
    Role,
    /// It names no user.
    User,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::TooLong,
        Self::Issuer,
        Self::Algorithm,
        Self::NoKeys,
        Self::UnknownKey,
        Self::Signature,
        Self::Expired,
        Self::NotYetValid,
        Self::Audience,
        Self::Tenant,
        Self::Role,
        Self::User,
    ];

    /// The reason as it stands in the log and in figures.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::Issuer => "unknown_issuer",
            Self::Algorithm => "algorithm",
            Self::NoKeys => "no_keys",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Audience => "audience",
            Self::Tenant => "tenant",
            Self::Role => "role",
            Self::User => "user",
        }
    }

    /// True where a newer key set could say otherwise.
    #[must_use]
    pub fn may_be_cured(self) -> bool {
        matches!(self, Self::NoKeys | Self::UnknownKey)
    }
}

/// A refused token, with the issuer it claims where that one is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Why.
    pub why: Refusal,
    /// Place of the issuer in the configuration.
    pub issuer: Option<usize>,
}

/// A key set as it was read.
#[derive(Clone, Debug)]
pub struct Held {
    /// The keys.
    pub keys: KeySet,
    /// After this time they prove nothing any more.
    pub good_until_unix_ms: u64,
}

/// An issuer with its keys, where they could be read.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// Who.
    pub issuer: Arc<Issuer>,
    /// Its keys.
    pub held: Option<Arc<Held>>,
}

/// All issuers as they stand now.
#[derive(Clone, Default, Debug)]
pub struct Standing {
    /// Counts up with every key set that is read.
    pub version: u64,
    /// The issuers, in the order of the configuration.
    pub issuers: Vec<Trusted>,
}

/// A token that was verified. Only [`verify`] makes one: what it says, its issuer has said.
#[derive(Debug)]
pub struct Passed {
    mark: ShownKey,
    tenant: String,
    role: Role,
    user_id: String,
    key_id: String,
    attributes: BTreeMap<String, String>,
    expires_unix_ms: u64,
    accepted_until_unix_ms: u64,
}

impl Passed {
    /// The tenant its issuer names.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The role its issuer gives.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The user.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// What stands for it in records: the same for every token of this user.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// What its issuer says of the user, by attribute.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// What nothing granted on it may outlive.
    #[must_use]
    pub fn expires_unix_ms(&self) -> u64 {
        self.expires_unix_ms
    }

    /// True where it is still accepted: until its expiry and what clocks may differ by.
    #[must_use]
    pub fn is_accepted(&self, now_unix_ms: u64) -> bool {
        now_unix_ms < self.accepted_until_unix_ms
    }

    /// What the lobby remembers it by.
    #[must_use]
    pub fn into_mark(self) -> ShownKey {
        self.mark
    }
}

/// Verifies a token.
///
/// # Errors
/// Why it is refused.
pub fn verify(standing: &Standing, token: &str, now_unix_ms: u64) -> Result<Passed, Refused> {
    let unknown = |why| Refused { why, issuer: None };
    if token.len() > TOKEN_BYTES_MAX {
        return Err(unknown(Refusal::TooLong));
    }
    let header = decode_header(token).map_err(|_unreadable| unknown(Refusal::Malformed))?;
    // unproven: good for finding the keys that must have signed it, and for nothing else
    let claimed: Claims =
        dangerous::insecure_decode_claims(token).map_err(|_unreadable| unknown(Refusal::Malformed))?;
    let named = claimed.get("iss").and_then(Value::as_str);
    let found = standing.issuers.iter().enumerate().find(|(_, trusted)| named == Some(trusted.issuer.issuer.as_str()));
    let (place, trusted) = found.ok_or_else(|| unknown(Refusal::Issuer))?;
    let refused = |why| Refused { why, issuer: Some(place) };
    let (claims, good_until_unix_ms) = proven(trusted, token, &header, now_unix_ms).map_err(refused)?;
    let mark = ShownKey::of_token(standing.version, token);
    read(&trusted.issuer, &claims, mark, good_until_unix_ms, now_unix_ms).map_err(refused)
}

/// The claims, once a key of the issuer has signed them.
fn proven(trusted: &Trusted, token: &str, header: &Header, now_unix_ms: u64) -> Result<(Claims, u64), Refusal> {
    if !trusted.issuer.algorithms.contains(&header.alg) {
        return Err(Refusal::Algorithm);
    }
    let known = header.typ.as_ref().is_none_or(|kind| TYPES.contains(&kind.to_ascii_lowercase().as_str()));
    // an extension somebody has to understand is one this house does not
    if !known || header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(Refusal::Malformed);
    }
    let held = trusted.held.as_ref().filter(|held| now_unix_ms < held.good_until_unix_ms).ok_or(Refusal::NoKeys)?;
    let keys = held.keys.fitting(header.kid.as_deref(), header.alg);
    if keys.is_empty() {
        return Err(Refusal::UnknownKey);
    }
    let signed = |key: &DecodingKey| decode::<Claims>(token, key, &signature_alone(header)).ok();
    let claims = keys.into_iter().find_map(signed).ok_or(Refusal::Signature)?.claims;
    Ok((claims, held.good_until_unix_ms))
}

/// The library proves the signature; the claims are judged here, by the house's clock and one reading of them.
fn signature_alone(header: &Header) -> Validation {
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn read(
    issuer: &Issuer,
    claims: &Claims,
    mark: ShownKey,
    good_until: u64,
    now_unix_ms: u64,
) -> Result<Passed, Refusal> {
    let now_s = now_unix_ms / 1_000;
    let expires_s = claims.get("exp").and_then(seconds).ok_or(Refusal::Expired)?;
    let accepted_until_s = expires_s.saturating_add(issuer.leeway_s);
    if now_s >= accepted_until_s {
        return Err(Refusal::Expired);
    }
    let from = claims.get("nbf").map_or(Some(0), seconds).ok_or(Refusal::NotYetValid)?;
    if from > now_s.saturating_add(issuer.leeway_s) {
        return Err(Refusal::NotYetValid);
    }
    let meant = match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(issuer.audience.as_str())),
        Some(one) => one.as_str() == Some(issuer.audience.as_str()),
        None => false,
    };
    if !meant {
        return Err(Refusal::Audience);
    }
    let tenant = text(claims, &issuer.tenant_claim, TENANT_NAME_CHARS_MAX);
    let tenant = tenant.filter(|tenant| issuer.tenants.contains(tenant)).ok_or(Refusal::Tenant)?;
    let role = issuer.role_of(claims).ok_or(Refusal::Role)?;
    let user_id = text(claims, &issuer.user_claim, NAME_CHARS_MAX).ok_or(Refusal::User)?;
    Ok(Passed {
        mark,
        tenant,
        role,
        key_id: key_id(issuer, &user_id),
        user_id,
        attributes: issuer.attributes_of(claims),
        expires_unix_ms: expires_s.saturating_mul(1_000).min(good_until),
        accepted_until_unix_ms: accepted_until_s.saturating_mul(1_000).min(good_until),
    })
}

/// Seconds since the epoch; identity providers write them with fractions, too.
fn seconds(value: &Value) -> Option<u64> {
    let fraction = || value.as_f64().filter(|time| time.is_finite() && *time >= 0.0).map(|time| time as u64);
    value.as_u64().or_else(fraction)
}

fn key_id(issuer: &Issuer, user_id: &str) -> String {
    let whole = format!("{}\n{user_id}", issuer.issuer);
    let digest = digest::digest(&digest::SHA256, whole.as_bytes());
    let short: Vec<u8> = digest.as_ref().iter().copied().take(SUBJECT_BYTES).collect();
    format!("jwt:{}:{}", issuer.host(), hex::encode(short))
}

/// How long a key set is not read again, as its issuer's `Cache-Control` says, within bounds.
#[must_use]
pub fn fresh_for_ms(cache_control: Option<&str>) -> u64 {
    let (shortest, longest) = (*KEY_SET_FRESH_MS.start(), *KEY_SET_FRESH_MS.end());
    let mut said = cache_control.unwrap_or_default().split(',').map(|part| part.trim().to_ascii_lowercase());
    let stated = said.find_map(|part| match part.as_str() {
        "no-store" | "no-cache" => Some(0),
        part => part.strip_prefix("max-age=").map(|age| age.parse::<u64>().unwrap_or(0).saturating_mul(1_000)),
    });
    stated.unwrap_or(FRESH_MS).clamp(shortest, longest)
}

/// Until when a key set read now proves anything: as long as it is fresh, and then as long as one may be kept that could
/// not be read again.
#[must_use]
pub fn good_until_unix_ms(now_unix_ms: u64, fresh_ms: u64) -> u64 {
    now_unix_ms.saturating_add(fresh_ms).saturating_add(KEY_SET_STALE_MS)
}

/// True where a token of an unknown key may have the key set read again.
#[must_use]
pub fn may_ask(asked_unix_ms: Option<u64>, now_unix_ms: u64) -> bool {
    asked_unix_ms.is_none_or(|asked| now_unix_ms.saturating_sub(asked) >= KEY_SET_ASKED_MS)
}
