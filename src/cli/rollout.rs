//! `bailiwick policy rollout|promote|rollback`: a release on its way, and back to an earlier one.
use super::client::{Client, segment};
use super::policy::{Remote, signatures, texts};
use super::{Connection, Output, say};
use anyhow::{Context, bail};
use bailiwick_policy::commit::SIGNED;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::release::RELEASED;
use clap::Args;
use reqwest::Method;
use semver::Version;
use serde_json::Value;
use std::path::PathBuf;

const VERSION_KEY: &str = "policy_semver:";

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The tenant's name.
    #[arg(long)]
    tenant: String,
    /// The version whose files are put back. Without it, the release on its way is sent back.
    #[arg(long, requires = "signer")]
    to: Option<String>,
    /// Who signs the files that are put back: an OpenSSH private key of the type ed25519.
    #[arg(long)]
    signer: Option<PathBuf>,
    /// The folder of all tenants, into which they are put.
    #[arg(long, default_value = "tenants")]
    tenants: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

fn print(output: Output, tenant: &str, answer: &Value) -> anyhow::Result<()> {
    if output == Output::Json {
        say(serde_json::to_string_pretty(answer)?);
        return Ok(());
    }
    let rollout = answer.get("rollout").filter(|rollout| !rollout.is_null());
    let Some(rollout) = rollout else {
        say(format!("{tenant}: everybody has the newest release"));
        return Ok(());
    };
    let count = |arm: &str, what: &str| rollout.pointer(&format!("/{arm}/{what}")).and_then(Value::as_u64).unwrap_or(0);
    say(format!(
        "{tenant}: {} % of the conversations have the release, {}",
        rollout.get("percent").and_then(Value::as_u64).unwrap_or(0),
        rollout.get("next").map(ToString::to_string).unwrap_or_default(),
    ));
    for (arm, name) in [("canary", "the release"), ("control", "the one before")] {
        say(format!("  {name}: {} requests, {} failed", count(arm, "requests"), count(arm, "failures")));
    }
    Ok(())
}

/// Shows how far the newest release is.
pub(super) async fn show(remote: &Remote) -> anyhow::Result<()> {
    let client = Client::new(&remote.connection, None)?;
    let path = format!("/admin/v1/policies/{}/rollout", segment(&remote.tenant));
    print(remote.connection.output, &remote.tenant, &client.call(Method::GET, &path, None).await?)
}

/// Shows what the folder's newest files would have made of what was asked before.
pub(super) async fn rehearse(remote: &Remote) -> anyhow::Result<()> {
    let client = Client::new(&remote.connection, None)?;
    let path = format!("/admin/v1/policies/{}/rehearsal", segment(&remote.tenant));
    let rehearsal = client.call(Method::GET, &path, None).await?;
    if remote.connection.output == Output::Json {
        say(serde_json::to_string_pretty(&rehearsal)?);
        return Ok(());
    }
    let count = |path: &str| rehearsal.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    say(format!(
        "{}: of the last {} requests that were answered, {} would be refused, {} withheld, {} answered with other obligations",
        remote.tenant,
        count("/recorded/requests"),
        count("/recorded/refused"),
        count("/recorded/withheld"),
        count("/recorded/obliged_otherwise"),
    ));
    say(format!(
        "{}: {} golden questions find {} documents with an answer, instead of {}",
        remote.tenant,
        count("/golden/questions"),
        count("/golden/found_after"),
        count("/golden/found_before"),
    ));
    for (side, whose) in [("before", "the policy in force"), ("after", "the folder's policy")] {
        let reason = rehearsal.pointer(&format!("/golden/searched_{side}/reason")).and_then(Value::as_str);
        reason
            .into_iter()
            .for_each(|reason| say(format!("  under {whose} they were searched by words alone: {reason}")));
    }
    for list in ["/recorded/examples", "/golden/examples"] {
        let examples = rehearsal.pointer(list).and_then(Value::as_array);
        examples.into_iter().flatten().for_each(|example| say(format!("  {example}")));
    }
    Ok(())
}

/// Gives everybody the release on its way, or sends it back.
pub(super) async fn steer(remote: &Remote, verb: &str) -> anyhow::Result<()> {
    let client = Client::new(&remote.connection, None)?;
    let path = format!("/admin/v1/policies/{}/{verb}", segment(&remote.tenant));
    print(remote.connection.output, &remote.tenant, &client.call(Method::POST, &path, None).await?)
}

impl Rollback {
    /// Does it.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { tenant, to, signer, tenants, connection } = self;
        let (Some(version), Some(signer)) = (to, signer) else {
            return steer(&Remote { tenant, connection }, "rollback").await;
        };
        let client = Client::new(&connection, None)?;
        let path = format!("/admin/v1/policies/{}/releases/{}", segment(&tenant), segment(&version));
        let release = client.call(Method::GET, &path, None).await?;
        let files: FileTexts = serde_json::from_value(release.get("files").cloned().unwrap_or_default())
            .context("reading the release: the server's answer has no files")?;
        let mut folder = texts(&tenants, &tenant)?;
        let mut written = put_back(&files, &folder)?;
        if written.is_empty() {
            say(format!("{tenant}: the folder holds version {version} already"));
            return Ok(());
        }
        folder.extend(written.clone());
        written.extend(signatures(&tenant, &folder, &FileTexts::new(), &signer)?);
        for (file, text) in &written {
            std::fs::write(tenants.join(&tenant).join(file), text)
                .with_context(|| format!("writing {tenant}/{file}"))?;
        }
        let names: Vec<_> = written.keys().filter(|file| RELEASED.contains(&file.as_str())).cloned().collect();
        say(format!(
            "{tenant}: {} as in version {version}, under newer versions and signed; the server takes them from its folder, \
             or now (bailiwick policy commit); where releases go in stages, bailiwick policy promote gives it to everybody at once",
            names.join(", ")
        ));
        Ok(())
    }
}

/// The files of a release that differ from those of the folder, each under a version above the folder's.
pub(super) fn put_back(release: &FileTexts, folder: &FileTexts) -> anyhow::Result<FileTexts> {
    let mut files = FileTexts::new();
    for file in RELEASED {
        let Some(before) = release.get(file) else { continue };
        let now = folder.get(file).map_or("", String::as_str);
        if !SIGNED.contains(&file) {
            if before != now {
                files.insert(file.to_owned(), before.clone());
            }
            continue;
        }
        let (Some((line, _)), Some((_, newest))) = (version_of(before), version_of(now)) else {
            bail!("putting back {file}: it has no line {VERSION_KEY} at its beginning; write one");
        };
        let raised = Version::new(newest.major, newest.minor, newest.patch.saturating_add(1));
        let text = before.replacen(line, &format!("{VERSION_KEY} {raised}"), 1);
        // only another version between them: it is there already
        if version_of(now).map(|(line, _)| now.replacen(line, "", 1)) != Some(before.replacen(line, "", 1)) {
            files.insert(file.to_owned(), text);
        }
    }
    Ok(files)
}

/// The line that says the version of a policy file, and the version.
fn version_of(text: &str) -> Option<(&str, Version)> {
    let line = text.lines().find(|line| line.starts_with(VERSION_KEY))?;
    let said = line.strip_prefix(VERSION_KEY)?.split('#').next()?.trim().trim_matches(['"', '\'']);
    Some((line, Version::parse(said).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_policy::compile::{GOVERNANCE, ROUTER};

    fn texts(governance: &str, router: &str) -> FileTexts {
        [(GOVERNANCE, governance), (ROUTER, router)].map(|(file, text)| (file.to_owned(), text.to_owned())).into()
    }

    #[test]
    fn what_differs_comes_back_under_a_version_above_the_folders() {
        let before = texts("tenant_id: t\npolicy_semver: 1.2.3 # first\nrules: [a]\n", "model: old\n");
        let now = texts("tenant_id: t\npolicy_semver: \"2.0.9\"\nrules: [b]\n", "model: new\n");
        let back = put_back(&before, &now).unwrap();
        assert_eq!(back[GOVERNANCE], "tenant_id: t\npolicy_semver: 2.0.10\nrules: [a]\n");
        assert_eq!(back[ROUTER], "model: old\n");
        let same = texts("tenant_id: t\npolicy_semver: 7.0.0\nrules: [a]\n", "model: old\n");
        assert_eq!(put_back(&before, &same).unwrap(), FileTexts::new(), "another version alone is no difference");
        assert!(put_back(&before, &texts("rules: [b]\n", "")).is_err());
    }
}
