//! Parsed files to the one snapshot a tenant's rooms run under.
use crate::access::Right;
pub use crate::checks::name_problem;
use crate::commit::{Asked, Committed, Standing};
use crate::conflicts::{Conflict, Conflicts, conflicts};
use crate::dense::DenseSettings;
use crate::evaluate::Engine;
use crate::findings::{Findings, Source};
use crate::guard::Guard;
use crate::guardrails::Guardrails;
use crate::language::Rule;
use crate::language::checks::{Enacted, Origin, problems};
use crate::obligations::Obligation;
use crate::parse::{FileError, FileTexts, advice};
use crate::rerank::RerankSettings;
use crate::retention::Rules;
use crate::schema::*;
use crate::signature::{Revoked, SAMPLE_PUBLIC_KEY, Signers};
use crate::{budget, checks, commit, contradictions, patterns, regimes, release};
use aws_lc_rs::digest::{Context, SHA256};
use jiff::tz::TimeZone;
use regex::RegexSet;
use std::sync::Arc;

/// Earlier questions a follow-up may be understood by.
const HISTORY_TURNS_MAX: u32 = 20;
/// Characters of a conversation that may be kept for models.
const HISTORY_CHARACTERS_MAX: u32 = 16_000;

/// The registry record.
pub const TENANT: &str = "tenant.yaml";
/// Trust and poisoning guard.
pub const RETRIEVAL: &str = "policies/retrieval.yaml";
/// Sampling and floors.
pub const EVALUATION: &str = "policies/evaluation.yaml";
/// Output rules; its version is the snapshot's.
pub const GOVERNANCE: &str = "policies/governance.yaml";
/// Models and budget.
pub const ROUTER: &str = "router.yaml";
/// Flags; none where absent.
pub const FEATURES: &str = "features.yaml";
/// Regions and retention.
pub const SOVEREIGNTY: &str = "data-sovereignty.yaml";
/// Objectives; taken from the router's service level where absent.
pub const SLO: &str = "slo.yaml";
/// Users; none where absent.
pub const USERS: &str = "users.yaml";

/// Every file that decides something, relative to the tenant's folder. A shell reads those that exist.
pub const FILES: [&str; 9] = [TENANT, RETRIEVAL, EVALUATION, GOVERNANCE, ROUTER, FEATURES, SOVEREIGNTY, SLO, USERS];

/// Availability a tenant without `slo.yaml` aims at: the specification's 99.9 %.
const AVAILABILITY_DEFAULT: f64 = 0.999;

/// Everything a tenant's rooms need to decide, immutable, swapped whole.
#[derive(Clone, Debug)]
pub struct PolicySnapshot {
    /// The version answers are stamped with: the `policy_semver` of `governance.yaml`.
    pub version: String,
    /// SHA-256 over all files of the tenant that decide anything, in hexadecimal.
    pub digest: String,
    /// SHA-256 over those of them that a release is made of, in hexadecimal ([`RELEASED`](crate::release::RELEASED)).
    pub release: String,
    /// The registry record.
    pub tenant: TenantFile,
    /// The compiled trust and poisoning guard.
    pub guard: Arc<Guard>,
    /// Passages taken into an answer by default.
    pub top_k: usize,
    /// How passages are found by their meaning, where the tenant wants that.
    pub dense: Option<DenseSettings>,
    /// How the passages found first are looked at once more, where the tenant wants that.
    pub rerank: Option<RerankSettings>,
    /// Patterns no answer may contain.
    pub output_forbidden: RegexSet,
    /// What may be done, what may not, and what goes with it.
    pub engine: Arc<Engine>,
    /// Conflicts of the rules that keep nobody from serving.
    pub conflicts: Arc<Conflicts>,
    /// Governance settings as written.
    pub governance: GovernanceSettings,
    /// Evaluation settings as written.
    pub evaluation: EvaluationSettings,
    /// Primary, fallback, service level, budget.
    pub router: RouterFile,
    /// The calendar of the budget's windows.
    pub budget_zone: TimeZone,
    /// Feature flags.
    pub features: FeaturesFile,
    /// Where data and calls may be.
    pub sovereignty: Sovereignty,
    /// Objectives.
    pub slo: Objectives,
    /// Users.
    pub users: Vec<User>,
    /// The policy files with their signatures and the list of signers, as they were read.
    pub signed: Arc<FileTexts>,
    /// Keys that sign nothing on this node.
    pub revoked: Arc<Revoked>,
    /// What serves whomever this release does not reach; `None` where it reaches everybody. Only a
    /// [release](crate::release) that is brought to people in stages, or was sent back, has one.
    pub control: Option<Arc<PolicySnapshot>>,
    /// Contradictions that keep nobody from serving; `policy check` says them.
    pub warnings: Vec<FileError>,
}

impl PolicySnapshot {
    /// What this policy is to the one in force: whether it may follow.
    ///
    /// # Errors
    /// Everything that keeps it from coming into force.
    pub fn standing(&self, before: Option<&Committed>, now_unix_s: i64) -> Result<Standing, Vec<FileError>> {
        let asked = Asked {
            tenant: &self.tenant.name,
            texts: &self.signed,
            approvals: self.governance.approvals,
            revoked: &self.revoked,
        };
        commit::standing(&asked, before, now_unix_s)
    }

    /// How long its objects are kept, and by when they are gone.
    #[must_use]
    pub fn retention(&self) -> Rules {
        Rules::of(&self.sovereignty, &self.governance.legal_holds)
    }

    /// The user of this id, where `users.yaml` names one.
    #[must_use]
    pub fn user(&self, user_id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.user_id == user_id)
    }

    /// Index of the first output pattern an answer contains; such an answer is withheld.
    #[must_use]
    pub fn output_violation(&self, text: &str) -> Option<usize> {
        patterns::first_match(&self.output_forbidden, text)
    }
}

/// Reads and checks all files of the tenant in the folder of this name, under the platform's guardrails.
///
/// # Errors
/// Everything that keeps the tenant from serving, over all files, sorted by file and line. A missing required file
/// is one of these: nothing is assumed that would let something pass.
pub fn compile(
    folder_name: &str,
    texts: &FileTexts,
    guardrails: &Guardrails,
) -> Result<PolicySnapshot, Vec<FileError>> {
    let mut findings = Findings::default();
    findings.errors.extend(name_problem(folder_name).map(|problem| FileError::whole(TENANT, problem)));
    findings.errors.extend(strangers(texts));
    let files = Files::read(texts, &mut findings);
    let compiled = files.check(folder_name, guardrails, &mut findings);
    files.check_signers(texts, &mut findings);
    files.check_history(&mut findings);
    findings.errors.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    match (compiled, findings.errors.is_empty()) {
        (Some(compiled), true) => {
            let revoked = guardrails.revoked();
            let snapshot = files.snapshot(folder_name, compiled, texts, findings.warnings);
            snapshot.map(|snapshot| PolicySnapshot { revoked, ..snapshot }).ok_or(findings.errors)
        }
        _ => Err(findings.errors),
    }
}

/// The rules of a tenant's policy files with the guardrails above them, for programs that look at rules alone.
///
/// # Errors
/// What keeps them from being read or checked.
pub fn rules(texts: &FileTexts, guardrails: &Guardrails) -> Result<Vec<Enacted>, Vec<FileError>> {
    let mut findings = Findings::default();
    let rules = Files::read(texts, &mut findings).checked_rules(guardrails, &mut findings);
    let about_rules = |error: &FileError| commit::SIGNED.contains(&error.file.as_str());
    findings.errors.retain(about_rules);
    rules.ok_or(findings.errors)
}

/// Files that look as if they decided something, and do not: a slip in the name of an optional file would
/// otherwise switch it off in silence.
fn strangers(texts: &FileTexts) -> impl Iterator<Item = FileError> {
    let is_law = |file: &str| {
        let name = file.strip_prefix("policies/").unwrap_or(file);
        !name.contains('/') && (name.ends_with(".yaml") || name.ends_with(".yml"))
    };
    texts
        .keys()
        .filter(move |file| is_law(file) && !FILES.contains(&file.as_str()))
        .map(|file| FileError::whole(file, format!("unknown file {file:?}: {}", advice(file, &FILES))))
}

/// Length before content, so that no two sets of files run together to the same bytes.
pub(crate) fn digest<'a>(texts: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let mut context = Context::new(&SHA256);
    for part in texts.into_iter().flat_map(|(file, text)| [file, text]) {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    hex::encode(context.finish())
}

struct Files {
    tenant: Option<Source<TenantFile>>,
    retrieval: Option<Source<RetrievalPolicy>>,
    evaluation: Option<Source<EvaluationPolicy>>,
    governance: Option<Source<GovernancePolicy>>,
    router: Option<Source<RouterFile>>,
    features: Option<Source<FeaturesFile>>,
    sovereignty: Option<Source<SovereigntyFile>>,
    slo: Option<Source<SloFile>>,
    users: Option<Source<UsersFile>>,
}

struct Compiled {
    guard: Guard,
    output_forbidden: RegexSet,
    engine: Engine,
    conflicts: Conflicts,
}

impl Files {
    fn read(texts: &FileTexts, findings: &mut Findings) -> Self {
        Self {
            tenant: findings.required(texts, TENANT),
            retrieval: findings.required(texts, RETRIEVAL),
            evaluation: findings.required(texts, EVALUATION),
            governance: findings.required(texts, GOVERNANCE),
            router: findings.required(texts, ROUTER),
            features: findings.optional(texts, FEATURES),
            sovereignty: findings.required(texts, SOVEREIGNTY),
            slo: findings.optional(texts, SLO),
            users: findings.optional(texts, USERS),
        }
    }

    /// Checks whatever could be read, so that one broken file does not hide the errors of the others.
    fn check(&self, folder_name: &str, guardrails: &Guardrails, findings: &mut Findings) -> Option<Compiled> {
        if let Some(tenant) = &self.tenant {
            checks::tenant(tenant, folder_name, findings);
            contradictions::quotas(tenant, findings);
        }
        if let Some(evaluation) = &self.evaluation {
            checks::head(evaluation, folder_name, findings);
            checks::evaluation(evaluation, findings);
        }
        if let Some(router) = &self.router {
            checks::router(router, folder_name, findings);
            contradictions::router(router, findings);
        }
        if let Some(features) = &self.features {
            checks::features(features, folder_name, findings);
        }
        if let Some(sovereignty) = &self.sovereignty {
            checks::sovereignty(sovereignty, folder_name, findings);
        }
        if let Some(slo) = &self.slo {
            checks::slo(slo, folder_name, findings);
        }
        if let Some(users) = &self.users {
            checks::users(users, folder_name, findings);
        }
        self.check_pairs(findings);
        let guard = self.retrieval.as_ref().and_then(|retrieval| {
            checks::head(retrieval, folder_name, findings);
            checks::retrieval(retrieval, findings)
        });
        let output_forbidden = self.governance.as_ref().and_then(|governance| {
            checks::head(governance, folder_name, findings);
            checks::governance(governance, findings)
        });
        let (engine, conflicts) = self.rules(guardrails, findings)?;
        self.check_approvers(engine.rules(), findings);
        self.check_sources(engine.rules(), findings);
        Some(Compiled { guard: guard?, output_forbidden: output_forbidden?, engine, conflicts })
    }

    /// The rules of the three policy files as one policy, with the guardrails above it; `None` where they cannot be one.
    fn checked_rules(&self, guardrails: &Guardrails, findings: &mut Findings) -> Option<Vec<Enacted>> {
        let enacted = |file: &'static str, rules: &[Rule]| {
            let placed = rules.iter().cloned().enumerate();
            placed.map(|(index, rule)| Enacted { rule, origin: Origin::Tenant { file, index } }).collect::<Vec<_>>()
        };
        let mut rules: Vec<_> = guardrails.enacted().collect();
        rules.extend(enacted(RETRIEVAL, &self.retrieval.as_ref()?.value.rules));
        rules.extend(enacted(EVALUATION, &self.evaluation.as_ref()?.value.rules));
        rules.extend(enacted(GOVERNANCE, &self.governance.as_ref()?.value.rules));
        let problems = problems(&rules);
        for (index, path, problem) in &problems {
            findings.errors.push(self.at(rules.get(*index), path, problem));
        }
        problems.is_empty().then_some(rules)
    }

    /// The rules, compiled, with the conflicts among them that keep nobody from serving.
    fn rules(&self, guardrails: &Guardrails, findings: &mut Findings) -> Option<(Engine, Conflicts)> {
        let rules = self.checked_rules(guardrails, findings)?;
        let told = |conflict: &Conflict| {
            self.at(rules.iter().find(|enacted| enacted.rule.id == conflict.rule), "id", &conflict.to_string())
        };
        let conflicts = conflicts(&rules);
        // what refuses is what the tenant's own rules come to: a new guardrail narrows a tenant and never stops it
        let own: Vec<_> = rules.iter().filter(|enacted| !enacted.is_guardrail()).cloned().collect();
        let own = if own.len() < rules.len() { self::conflicts(&own) } else { conflicts.clone() };
        findings.errors.extend(own.found.iter().filter(|conflict| conflict.kind.refuses()).map(told));
        findings.warnings.extend(conflicts.found.iter().filter(|conflict| !conflict.is_in(&own)).map(told));
        findings.warnings.extend(own.found.iter().filter(|conflict| !conflict.kind.refuses()).map(told));
        match Engine::compile(rules) {
            Ok(engine) => Some((engine, conflicts)),
            Err(problem) => {
                findings.errors.push(FileError::whole(GOVERNANCE, problem.to_string()));
                None
            }
        }
    }

    /// Something wrong with a rule, where the rule stands.
    fn at(&self, rule: Option<&Enacted>, path: &str, problem: &str) -> FileError {
        let Some(Enacted { origin: Origin::Tenant { file, index }, .. }) = rule else {
            return FileError::whole(GOVERNANCE, problem);
        };
        let path = format!("rules[{index}].{path}");
        let places = match *file {
            RETRIEVAL => self.retrieval.as_ref().map(|source| source.at(&path, problem)),
            EVALUATION => self.evaluation.as_ref().map(|source| source.at(&path, problem)),
            _ => self.governance.as_ref().map(|source| source.at(&path, problem)),
        };
        places.unwrap_or_else(|| FileError::whole(file, problem))
    }

    /// Requests that need an approval nobody can give would be found when the first of them waits.
    fn check_approvers(&self, rules: &[Enacted], findings: &mut Findings) {
        let asks = |enacted: &&Enacted| enacted.rule.obligation == Some(Obligation::Approve);
        let Some(asking) = rules.iter().find(asks) else { return };
        let users = self.users.iter().flat_map(|users| &users.value.users);
        let may = |user: &&User| user.status == UserStatus::Active && user.role.may(Right::Govern);
        match users.filter(may).map(|user| &user.user_id).collect::<Vec<_>>().as_slice() {
            [] => {
                let problem =
                    "no owner or admin stands in users.yaml who could approve such a request: name at least one";
                findings.errors.push(self.at(Some(asking), "obligation", problem));
            }
            [only] => {
                let problem = format!(
                    "only {only:?} of users.yaml may approve such a request, and nobody approves their own: name a second owner \
                     or admin"
                );
                findings.warnings.push(self.at(Some(asking), "obligation", &problem));
            }
            _ => {}
        }
    }

    /// A source is a document, and every document takes a passage: answers of more sources than passages are never given.
    /// Of a guardrail that is only said: it narrows a tenant and never stops it.
    fn check_sources(&self, rules: &[Enacted], findings: &mut Findings) {
        let Some(top_k) = self.retrieval.as_ref().map(|retrieval| retrieval.value.settings.top_k) else { return };
        for enacted in rules {
            let Some(Obligation::MinSources(sources)) = &enacted.rule.obligation else { continue };
            if *sources > top_k {
                let problem = format!(
                    "{sources} sources are demanded and {top_k} passages go into an answer, so that every answer would be withheld: \
                     write at most {top_k}, or raise settings.top_k in {RETRIEVAL}"
                );
                let found = self.at(Some(enacted), "obligation", &problem);
                if enacted.is_guardrail() { findings.warnings.push(found) } else { findings.errors.push(found) }
            }
        }
    }

    /// A conversation is kept in memory: what is kept of it is bounded.
    fn check_history(&self, findings: &mut Findings) {
        let Some(governance) = &self.governance else { return };
        if governance.value.settings.max_history_turns > HISTORY_TURNS_MAX {
            let problem =
                format!("at most {HISTORY_TURNS_MAX} earlier questions are kept: write 0 to {HISTORY_TURNS_MAX}");
            findings.refuse(governance, "settings.max_history_turns", problem);
        }
        if governance.value.settings.max_history_characters > HISTORY_CHARACTERS_MAX {
            let problem = format!(
                "at most {HISTORY_CHARACTERS_MAX} characters of a conversation are kept: write 0 to {HISTORY_CHARACTERS_MAX}"
            );
            findings.refuse(governance, "settings.max_history_characters", problem);
        }
    }

    /// Approvals nobody can give would be found at the next change, when it is too late.
    fn check_signers(&self, texts: &FileTexts, findings: &mut Findings) {
        let Some(governance) = &self.governance else { return };
        let (path, approvals) = ("settings.approvals", governance.value.settings.approvals);
        findings.positive(governance, path, approvals.into());
        if texts.get(commit::SIGNERS).is_some_and(|list| list.contains(SAMPLE_PUBLIC_KEY)) {
            let problem = "whoever has this program's source may sign: the private half of the samples' key is public; name \
                           your own people before production, or revoke it for the node (config.toml, revoked_signers)";
            findings.warnings.push(FileError::whole(commit::SIGNERS, problem));
        }
        match texts.get(commit::SIGNERS).map(|list| Signers::parse(commit::SIGNERS, list)) {
            None => {}
            Some(Err(errors)) => findings.errors.extend(errors),
            Some(Ok(signers)) if usize::try_from(approvals).is_ok_and(|approvals| approvals > signers.len()) => {
                let problem = format!(
                    "{approvals} people have to sign and {} may: nobody could change this policy, name more in {}",
                    signers.len(),
                    commit::SIGNERS
                );
                findings.refuse(governance, path, problem);
            }
            Some(Ok(_)) => {}
        }
    }

    fn check_pairs(&self, findings: &mut Findings) {
        if let (Some(tenant), Some(sovereignty)) = (&self.tenant, &self.sovereignty) {
            checks::one_home(tenant, sovereignty, findings);
            regimes::agree(tenant, sovereignty, findings);
            if let Some(router) = &self.router {
                contradictions::across(tenant, router, sovereignty, findings);
            }
        }
        if let (Some(governance), Some(sovereignty)) = (&self.governance, &self.sovereignty) {
            contradictions::holds(governance, sovereignty, findings);
        }
        if let (Some(router), Some(slo)) = (&self.router, &self.slo) {
            contradictions::objectives(router, slo, findings);
        }
    }

    /// The snapshot; `None` where a required file is absent, which then is among the errors already.
    fn snapshot(
        self,
        folder_name: &str,
        compiled: Compiled,
        texts: &FileTexts,
        warnings: Vec<FileError>,
    ) -> Option<PolicySnapshot> {
        let digest = digest(texts);
        let is_signed = |file: &&String| commit::is_about_signatures(file);
        let signed =
            texts.iter().filter(|(file, _)| is_signed(file)).map(|(file, text)| (file.clone(), text.clone())).collect();
        let (retrieval, governance, router) = (self.retrieval?.value, self.governance?.value, self.router?.value);
        let evaluation = self.evaluation?.value;
        let no_features = || FeaturesFile { tenant_id: folder_name.to_owned(), features: Default::default() };
        let slo = self.slo.map_or_else(|| objectives(&router.sla), |source| source.value.slo);
        Some(PolicySnapshot {
            version: governance.policy_semver,
            digest,
            release: release::digest_of(texts),
            tenant: self.tenant?.value,
            guard: Arc::new(compiled.guard),
            top_k: usize::try_from(retrieval.settings.top_k).ok()?,
            dense: retrieval.settings.dense,
            rerank: retrieval.settings.rerank,
            output_forbidden: compiled.output_forbidden,
            engine: Arc::new(compiled.engine),
            conflicts: Arc::new(compiled.conflicts),
            governance: governance.settings,
            evaluation: evaluation.settings,
            budget_zone: budget::zone(&router.budget.time_zone)?,
            router,
            features: self.features.map_or_else(no_features, |source| source.value),
            sovereignty: self.sovereignty?.value.data_sovereignty,
            slo,
            users: self.users.map(|source| source.value.users).unwrap_or_default(),
            signed: Arc::new(signed),
            revoked: Arc::default(),
            control: None,
            warnings,
        })
    }
}

fn objectives(sla: &Sla) -> Objectives {
    Objectives {
        availability: AVAILABILITY_DEFAULT,
        p95_latency_ms: sla.p95_latency_ms,
        error_rate_max: sla.error_rate_max,
        cost_per_1k_qa_usd: sla.cost_per_1k_qa_usd,
    }
}

#[cfg(test)]
#[path = "compile_holds_tests.rs"]
mod holds_tests;
#[cfg(test)]
#[path = "compile_people_tests.rs"]
mod people_tests;
#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
