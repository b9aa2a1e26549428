//! What the policy's rules say to one request: what is known of it in, obligations or a refusal out. Pure.
use crate::question::Matter;
use bailiwick_kernel::limits::TOP_K_MAX;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::evaluate::{Refusal, Ruling};
use bailiwick_policy::language::attributes::{PLATFORM, USER_ATTRIBUTES, WEEKDAYS};
use bailiwick_policy::language::{Action, Fact, Facts};
use bailiwick_policy::obligations::Obligations;
use bailiwick_policy::schema::{User, UserStatus};
use bailiwick_policy::visibility::{self, Visible};

/// Rules of one permission that are named.
pub const RULES_NAMED_MAX: usize = 16;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// The epoch began on a Thursday, the fourth day of its week.
const EPOCH_WEEKDAY: u64 = 3;

/// A request the rules permit, with what they make of it. Only [`Ruled::on`] makes one.
#[derive(Clone, PartialEq, Debug)]
pub struct Ruled {
    facts: Facts,
    by: Vec<String>,
    obligations: Obligations,
}

impl Ruled {
    /// Rules on what is asked. A session that was opened before its user was locked ends here.
    ///
    /// # Errors
    /// `unauthenticated` for a locked user, `policy_denied`.
    pub fn on(policy: &PolicySnapshot, matter: &Matter, principal: &Principal, now_unix_ms: u64) -> Outcome<Self> {
        let user = listed(policy, principal);
        if user.is_some_and(|user| user.status == UserStatus::Locked) {
            return Err(Rejection::unauthenticated());
        }
        let (action, facts) = asked(matter, facts(user, principal, now_unix_ms), policy.top_k);
        let (by, obligations) = permitted_by(policy, action, &facts)?;
        Ok(Self { facts, by, obligations })
    }

    /// What a refused request carries to its record: no permission follows from it.
    #[must_use]
    pub fn nothing() -> Self {
        Self { facts: Facts::new(), by: Vec::new(), obligations: Obligations::default() }
    }

    /// What was known of it, to be written down.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Ids of the rules that permit it: the first [`RULES_NAMED_MAX`] of them.
    #[must_use]
    pub fn by(&self) -> &[String] {
        &self.by
    }

    /// What goes with the permission.
    #[must_use]
    pub fn obligations(&self) -> Obligations {
        self.obligations
    }

    /// Rules on calling a model for it.
    ///
    /// # Errors
    /// `policy_denied`.
    pub fn may_call(&self, policy: &PolicySnapshot, call: &ModelCall<'_>) -> Outcome<()> {
        let facts = self.facts.clone().of_model(call.provider, call.model, call.region, call.fallback);
        permitted(policy, Action::Generate, &facts).map(|_| ())
    }

    /// Which documents it may rest on.
    ///
    /// # Errors
    /// `policy_denied` where a rule cannot say.
    pub fn visible(&self, policy: &PolicySnapshot) -> Outcome<Visible> {
        visible(policy, &self.facts)
    }

    /// What of this request decides which answers it may be given: equal views may be given the same answers.
    #[must_use]
    pub fn view(&self, policy: &PolicySnapshot) -> String {
        format!("{:?} {}", self.obligations, policy.engine.asked(Action::Generate, &self.facts))
    }
}

/// A call of a model, before it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModelCall<'a> {
    /// The provider's name in `config.toml`.
    pub provider: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// Where the call goes.
    pub region: &'a str,
    /// True for the router's fallback.
    pub fallback: bool,
}

/// Rules on an action.
///
/// # Errors
/// `policy_denied`, naming the rule.
pub fn permitted(policy: &PolicySnapshot, action: Action, facts: &Facts) -> Outcome<Obligations> {
    match policy.engine.decide(action, facts) {
        Ruling::Permitted { obligations, .. } => Ok(obligations),
        Ruling::Refused(refusal) => Err(denied(policy, action, &refusal)),
    }
}

/// As [`permitted`], with the rules that permit it.
fn permitted_by(policy: &PolicySnapshot, action: Action, facts: &Facts) -> Outcome<(Vec<String>, Obligations)> {
    match policy.engine.decide(action, facts) {
        Ruling::Permitted { by, obligations } => {
            let named = by.iter().take(RULES_NAMED_MAX).map(|enacted| enacted.rule.id.clone());
            Ok((named.collect(), obligations))
        }
        Ruling::Refused(refusal) => Err(denied(policy, action, &refusal)),
    }
}

/// Which documents may be found by whom these facts are about.
///
/// # Errors
/// `policy_denied` where a rule cannot say.
pub fn visible(policy: &PolicySnapshot, facts: &Facts) -> Outcome<Visible> {
    visibility::visible(&policy.engine, facts).map_err(|refusal| denied(policy, Action::Retrieve, &refusal))
}

fn denied(policy: &PolicySnapshot, action: Action, refusal: &Refusal<'_>) -> Rejection {
    let detail = format!("asking to {action}: {refusal} (policy {})", policy.version);
    Rejection::new(Code::PolicyDenied, detail)
}

/// Who asks, and when: the facts every request has.
#[must_use]
pub fn asker(policy: &PolicySnapshot, principal: &Principal, now_unix_ms: u64) -> Facts {
    facts(listed(policy, principal), principal, now_unix_ms)
}

/// The user who asks, where `users.yaml` names one.
fn listed<'a>(policy: &'a PolicySnapshot, principal: &Principal) -> Option<&'a User> {
    principal.user_id.as_deref().and_then(|user_id| policy.user(user_id))
}

fn facts(user: Option<&User>, principal: &Principal, now_unix_ms: u64) -> Facts {
    let permissions = user.map(|user| user.permissions.iter().cloned().collect()).unwrap_or_default();
    let weekday = usize::try_from((now_unix_ms / DAY_MS).saturating_add(EPOCH_WEEKDAY) % 7).unwrap_or_default();
    let facts = Facts::new()
        .text_if("user.id", principal.user_id.as_deref())
        .text("user.role", principal.role.map_or(PLATFORM, Role::as_str))
        .with("user.permissions", Fact::Texts(permissions))
        .number("request.hour_utc", now_unix_ms % DAY_MS / HOUR_MS)
        .text_if("request.weekday", WEEKDAYS.get(weekday).copied());
    // what the tenant's own file says of a user comes last, and stays
    let attributes = principal.attributes.iter().chain(user.into_iter().flat_map(|user| &user.attributes));
    attributes.fold(facts, |facts, (name, value)| facts.text(format!("{USER_ATTRIBUTES}{name}"), value))
}

/// What is asked for.
#[must_use]
pub fn action_of(matter: &Matter) -> Action {
    match matter {
        Matter::Ask(_) => Action::Ask,
        Matter::Search(_) => Action::Search,
        Matter::Chat(_) => Action::Complete,
        // numbers about texts, and no words
        Matter::Embed(_) | Matter::Rank(_) => Action::Embed,
    }
}

/// What is asked for, with its facts.
fn asked(matter: &Matter, facts: Facts, default_top_k: usize) -> (Action, Facts) {
    let (domain, usecase, top_k) = match matter {
        Matter::Ask(question) => (&question.domain, &question.usecase, question.top_k),
        Matter::Search(search) => (&search.domain, &search.usecase, search.top_k),
        Matter::Chat(_) | Matter::Embed(_) | Matter::Rank(_) => (&None, &None, None),
    };
    let facts = facts
        .text_if("request.domain", domain.as_deref())
        .text_if("request.usecase", usecase.as_deref())
        .number("request.bytes", matter.bytes())
        .number("request.top_k", top_k.unwrap_or(default_top_k).min(TOP_K_MAX));
    (action_of(matter), facts)
}

#[cfg(test)]
#[path = "ruling_tests.rs"]
mod tests;
