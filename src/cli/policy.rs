//! `bailiwick policy …`: a tenant's policy from the shell. All but `commit` and `log` work on the files alone: no server, no key.
use super::client::{Client, segment};
use super::rollout::{self, Rollback};
use super::{Connection, Output, say};
use anyhow::{Context, bail};
use bailiwick_control::gitops::folder::Folders;
use bailiwick_policy::commit::{SIGNED, SIGNERS, signature_of};
use bailiwick_policy::compile::{compile, rules};
use bailiwick_policy::conflicts::conflicts;
use bailiwick_policy::diff::changes;
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::language::checks::Enacted;
use bailiwick_policy::parse::{FileError, FileTexts};
use bailiwick_policy::signature::{public_line, sign};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Conflicts whose example the running engine is asked about; each has the rules compiled anew.
const CONFIRMED_MAX: usize = 10;

/// What can be done with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Compile a tenant's files and verify their signatures, as the server does before it lets them into force.
    Check(Check),
    /// List every conflict of a tenant's rules, each with a request that shows it.
    Conflicts(Files),
    /// Show which requests are decided otherwise than by the same tenant's rules in another folder.
    Diff(Diff),
    /// Sign a tenant's policy files with an OpenSSH key, or add an approval to those that are signed.
    Sign(Sign),
    /// Have a server bring the tenant's folder into force now, and say why where it does not.
    Commit(Remote),
    /// List the policies that came into force on a server, and who signed them.
    Log(Remote),
    /// Show what the tenant's folder on a server would have made of what was asked before, without bringing it into force.
    Rehearse(Remote),
    /// Show how far the newest release is on its way to everybody.
    Rollout(Remote),
    /// Give everybody the release that is on its way now.
    Promote(Remote),
    /// Send the release that is on its way back; or put an earlier one into the folder, under newer versions.
    Rollback(Rollback),
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The tenant's name.
    #[arg(long)]
    tenant: String,
    /// The folder of all tenants.
    #[arg(long, default_value = "tenants")]
    tenants: PathBuf,
    /// The platform's guardrails, where there are any.
    #[arg(long)]
    guardrails: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    files: Files,
    /// The folder of all tenants as it was before.
    #[arg(long)]
    before: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    #[command(flatten)]
    files: Files,
    /// An OpenSSH private key of the type ed25519, without a passphrase. For any other one use `ssh-keygen -Y sign`.
    #[arg(long)]
    signer: PathBuf,
    /// Keep the signatures that are there and add this one.
    #[arg(long)]
    approve: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// The tenant's name.
    #[arg(long)]
    pub(super) tenant: String,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Policy {
    /// Does it.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check(check) => check.run(),
            Self::Conflicts(files) => files.conflicts(),
            Self::Diff(diff) => diff.run(),
            Self::Sign(sign) => sign.run(),
            Self::Commit(remote) => remote.commit().await,
            Self::Log(remote) => remote.log().await,
            Self::Rehearse(remote) => rollout::rehearse(&remote).await,
            Self::Rollout(remote) => rollout::show(&remote).await,
            Self::Promote(remote) => rollout::steer(&remote, "promote").await,
            Self::Rollback(rollback) => rollback.run().await,
        }
    }
}

fn told(errors: &[FileError]) -> anyhow::Error {
    anyhow::anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

pub(super) fn texts(tenants: &Path, tenant: &str) -> anyhow::Result<FileTexts> {
    // a folder that is not there is not made by looking
    if !tenants.is_dir() {
        bail!("reading {}: there is no such folder; name the folder of all tenants", tenants.display());
    }
    let found = Folders::open(tenants, Guardrails::none())?.texts(tenant)?;
    found.with_context(|| format!("reading {}: there is no folder {tenant}; name a tenant", tenants.display()))
}

/// Prints as JSON, or a line for each thing found.
fn print<T: Serialize>(
    output: Output,
    whole: &impl Serialize,
    found: &[T],
    line: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    match output {
        Output::Json => say(serde_json::to_string_pretty(whole)?),
        Output::Text => found.iter().for_each(|one| say(line(one))),
    }
    Ok(())
}

impl Files {
    fn texts(&self) -> anyhow::Result<FileTexts> {
        texts(&self.tenants, &self.tenant)
    }

    fn guardrails(&self) -> anyhow::Result<Guardrails> {
        let Some(path) = &self.guardrails else { return Ok(Guardrails::none()) };
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Guardrails::parse(&path.display().to_string(), &text).map_err(|errors| told(&errors))
    }

    fn rules(&self, texts: &FileTexts) -> anyhow::Result<Vec<Enacted>> {
        rules(texts, &self.guardrails()?).map_err(|errors| told(&errors))
    }

    fn conflicts(&self) -> anyhow::Result<()> {
        let rules = self.rules(&self.texts()?)?;
        let found = conflicts(&rules);
        if let Some(doubtful) = found.found.iter().take(CONFIRMED_MAX).find(|conflict| !conflict.is_confirmed(&rules)) {
            bail!("the running engine does not show this conflict, which is a fault of this program: {doubtful}");
        }
        print(self.output, &found, &found.found, |conflict| {
            format!("{}: {conflict}", if conflict.kind.refuses() { "conflict" } else { "warning" })
        })?;
        let refusing = found.found.iter().filter(|conflict| conflict.kind.refuses()).count();
        if refusing > 0 {
            bail!("{refusing} conflicts keep this policy from coming into force");
        }
        if self.output == Output::Text {
            say(format!("no conflict, {} warnings", found.found.len().saturating_add(found.more)));
        }
        Ok(())
    }
}

impl Check {
    fn run(self) -> anyhow::Result<()> {
        let (files, texts) = (&self.files, self.files.texts()?);
        let policy = compile(&files.tenant, &texts, &files.guardrails()?).map_err(|errors| told(&errors))?;
        print(files.output, &policy.warnings, &policy.warnings, |warning| format!("warning: {warning}"))?;
        let now_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        policy.standing(None, i64::try_from(now_unix_s)?).map_err(|errors| told(&errors))?;
        if files.output == Output::Text {
            say(format!("{}: policy {} compiles and is signed", files.tenant, policy.version));
        }
        Ok(())
    }
}

impl Diff {
    fn run(self) -> anyhow::Result<()> {
        let files = &self.files;
        let after = files.rules(&files.texts()?)?;
        let before = files.rules(&texts(&self.before, &files.tenant)?)?;
        let found = changes(&before, &after)
            .map_err(|_too_complicated| anyhow::anyhow!("comparing the rules: they are too complicated; split them"))?;
        print(files.output, &found, &found.found, |change| {
            let requests =
                if change.requests.is_empty() { "every request".to_owned() } else { change.requests.join(" and ") };
            let example = serde_json::to_string(&change.example).unwrap_or_default();
            format!(
                "{}: {} becomes {} where {requests}; for example {example}",
                change.action, change.before, change.after
            )
        })?;
        if files.output == Output::Text {
            say(format!("{} changes", found.found.len().saturating_add(found.more)));
        }
        Ok(())
    }
}

impl Sign {
    fn run(self) -> anyhow::Result<()> {
        let texts = self.files.texts()?;
        let before = if self.approve { texts.clone() } else { FileTexts::new() };
        let signatures = signatures(&self.files.tenant, &texts, &before, &self.signer)?;
        let folder = self.files.tenants.join(&self.files.tenant);
        for (name, text) in signatures {
            std::fs::write(folder.join(&name), text)
                .with_context(|| format!("writing {}/{name}", self.files.tenant))?;
            if self.files.output == Output::Text {
                say(format!("signed {}/{}", self.files.tenant, name.trim_end_matches(".sig")));
            }
        }
        Ok(())
    }
}

/// The signatures of a tenant's files by a key, behind those that stood there before.
pub(super) fn signatures(
    tenant: &str,
    texts: &FileTexts,
    before: &FileTexts,
    signer: &Path,
) -> anyhow::Result<FileTexts> {
    let key = zeroize::Zeroizing::new(
        std::fs::read_to_string(signer).with_context(|| format!("reading {}", signer.display()))?,
    );
    let line = public_line(&key)?;
    let mut signatures = FileTexts::new();
    for file in SIGNED.into_iter().chain([SIGNERS]) {
        let Some(text) = texts.get(file) else { continue };
        let name = signature_of(file);
        let kept = before.get(&name).map_or("", String::as_str);
        let signature = format!("{kept}{}", sign(&key, text.as_bytes())?);
        signatures.insert(name, signature);
    }
    if !texts.get(SIGNERS).is_some_and(|list| list.contains(&line)) {
        say(format!("note: {line} is not in {SIGNERS} of {tenant}: its signature counts for nothing there"));
    }
    Ok(signatures)
}

impl Remote {
    async fn commit(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let path = format!("/admin/v1/policies/{}/commit", segment(&self.tenant));
        let view = client.call(Method::POST, &path, None).await?;
        if self.connection.output == Output::Json {
            say(serde_json::to_string_pretty(&view)?);
        } else {
            let version = view.get("policy_version").and_then(|version| version.as_str()).unwrap_or_default();
            say(format!("{}: policy {version} is in force", self.tenant));
        }
        Ok(())
    }

    async fn log(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let path = format!("/admin/v1/policies/{}/log", segment(&self.tenant));
        let log = client.call(Method::GET, &path, None).await?;
        if self.connection.output == Output::Json {
            say(serde_json::to_string_pretty(&log)?);
            return Ok(());
        }
        let text = |value: &serde_json::Value, key: &str| {
            value.get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
        };
        for commit in log.get("commits").and_then(|commits| commits.as_array()).into_iter().flatten() {
            let people: Vec<_> = commit
                .get("signed_by")
                .and_then(|people| people.as_array())
                .into_iter()
                .flatten()
                .filter_map(|person| person.as_str())
                .collect();
            say(format!(
                "{} {} signed by {}",
                text(commit, "committed_at"),
                text(commit, "version"),
                people.join(", ")
            ));
        }
        Ok(())
    }
}
