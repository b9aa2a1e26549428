//! `bailiwick migrate`: a single-tenant system into a tenant, while both are being asked. What is to be done is written down
//! before it is done, so that whoever is killed goes on, and whoever does not want it takes it back.
use super::client::Client;
use super::policy::texts;
use super::{Connection, Output, say};
use anyhow::{Context, bail};
use bailiwick_control::migration::rules::{Event, Stage};
use bailiwick_control::migration::state::{Plan, State};
use bailiwick_kernel::clock::{Clock, SystemClock, rfc3339};
use bailiwick_policy::compile::SOVEREIGNTY;
use bailiwick_policy::digest::sha256_hex;
use bailiwick_policy::migration::{Asked, Fate, Note, Translation, translate};
use bailiwick_policy::parse::{FileTexts, parse};
use bailiwick_policy::schema::SovereigntyFile;
use clap::{ArgGroup, Args};
use serde_json::json;
use source::Old;
use std::path::{Path, PathBuf};

mod documents;
mod files;
mod lineage;

mod source;

/// Bring a single-tenant system into a tenant.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["from", "status", "rollback", "confirm"])))]
pub(crate) struct Migrate {
    /// The old system's folder: policies/, corpus/, reports/lineage.jsonl, a feature matrix (features.yaml or .json), router.yaml.
    /// Run it again after an end of any kind: it goes on where it stopped, and brings in what has come meanwhile.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Print what would be done and everything that cannot be carried; change nothing.
    #[arg(long, requires = "from")]
    dry_run: bool,
    /// Show how far it is.
    #[arg(long)]
    status: bool,
    /// Take out what it brought, and put back the files that were there.
    #[arg(long)]
    rollback: bool,
    /// Keep it for good.
    #[arg(long)]
    confirm: bool,
    /// The tenant it comes to.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The folder of all tenants.
    #[arg(long, default_value = "tenants")]
    tenants: PathBuf,
    /// Who signs the policies that change: an OpenSSH private key of the type ed25519. Without it they wait for being signed.
    #[arg(long)]
    signer: Option<PathBuf>,
    /// A provider config.toml of the server has, which the old router may name.
    #[arg(long)]
    provider: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

/// What every part of a migration needs.
pub(super) struct Way<'a> {
    pub(super) tenant: &'a str,
    pub(super) tenants: &'a Path,
    pub(super) signer: Option<&'a Path>,
    pub(super) client: Client,
}

fn now() -> String {
    rfc3339(SystemClock.now_unix_ms())
}

impl Migrate {
    /// Does it.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match &self.from {
            Some(from) if self.dry_run => self.rehearse(from).await,
            Some(from) => self.bring(from).await,
            None if self.status => self.show(),
            None if self.rollback => self.take_back().await,
            None => self.keep().await,
        }
    }

    fn way(&self) -> anyhow::Result<Way<'_>> {
        Ok(Way {
            tenant: &self.tenant,
            tenants: &self.tenants,
            signer: self.signer.as_deref(),
            client: Client::new(&self.connection, Some(&self.tenant))?,
        })
    }

    fn target(&self) -> anyhow::Result<FileTexts> {
        texts(&self.tenants, &self.tenant).with_context(|| {
            format!(
                "migrating into {0}: create it first, with `bailiwick tenant create {0} --signers FILE`",
                self.tenant
            )
        })
    }

    /// Opens what is written down of a migration that was begun.
    fn begun(&self, doing: &str) -> anyhow::Result<State> {
        if State::is_absent(&self.tenants, &self.tenant) {
            bail!("{doing}: no migration into {} was begun here; begin one with --from DIR", self.tenant);
        }
        Ok(State::open(&self.tenants, &self.tenant)?)
    }

    fn translated(&self, old: &Old) -> anyhow::Result<Translation> {
        let (target, now) = (self.target()?, now());
        let asked =
            Asked { tenant: &self.tenant, old: &old.files, target: &target, providers: &self.provider, now: &now };
        Ok(translate(&asked))
    }

    /// What a rollback could not do, where there is something.
    fn held(&self) -> anyhow::Result<Option<String>> {
        let days = self
            .target()?
            .get(SOVEREIGNTY)
            .and_then(|text| parse::<SovereigntyFile>(SOVEREIGNTY, text).ok())
            .map_or(0, |file| file.data_sovereignty.retention.data_days);
        let told =
            || format!("note: documents of {} stay for {days} days: a rollback takes them out no earlier", self.tenant);
        Ok((days > 0).then(told))
    }

    async fn rehearse(&self, from: &Path) -> anyhow::Result<()> {
        let old = Old::open(from)?;
        let translation = self.translated(&old)?;
        let lines = lineage::examine(&self.tenant, &old)?;
        let unread = documents::examine(&old).await?;
        let notes: Vec<String> = told(&translation.notes).chain(old.strangers.iter().cloned()).collect();
        if self.connection.output == Output::Json {
            say(serde_json::to_string_pretty(&json!({
                "tenant": self.tenant, "files": translation.files, "notes": translation.notes, "refused": translation.refused,
                "not_carried": old.strangers, "documents": old.corpus.len(), "documents_refused": unread,
                "lineage": {"lines": lines.read, "refused": lines.refused, "left_behind": lines.left_behind},
            }))?);
        } else {
            translation.files.keys().for_each(|file| say(format!("would change {}/{file}", self.tenant)));
            say(format!(
                "would take in {} documents of {}",
                old.corpus.len().saturating_sub(unread.len()),
                old.corpus.len()
            ));
            say(format!("would import {} lines of lineage", lines.read));
            notes.iter().chain(&lines.refused).chain(&lines.left_behind).chain(&unread).for_each(say);
            translation.refused.iter().for_each(|error| say(format!("refused: {error}")));
            self.held()?.iter().for_each(say);
            say("nothing was changed");
        }
        if !translation.refused.is_empty() {
            bail!(
                "{} things keep the files from serving; mend them in the old system's folder",
                translation.refused.len()
            );
        }
        Ok(())
    }

    async fn bring(&self, from: &Path) -> anyhow::Result<()> {
        let old = Old::open(from)?;
        let way = self.way()?;
        self.target()?;
        let mut state = State::open(&self.tenants, &self.tenant)?;
        self.begin(&old, &mut state)?;
        files::place(&way, &mut state).await?;
        documents::bring(&way, &old, &mut state).await?;
        let lines = lineage::bring(&way, &old, &mut state).await?;
        if state.progress().stage != Stage::Complete {
            state.note(Event::Complete)?;
        }
        lines.refused.iter().for_each(|line| eprintln!("{line}"));
        let progress = state.progress();
        if self.connection.output == Output::Json {
            say(serde_json::to_string_pretty(&report(&state))?);
        } else {
            say(format!(
                "{}: {} documents and {} lines of lineage are there; look at them, then --confirm or --rollback",
                self.tenant,
                progress.taken.len(),
                progress.lineage.as_ref().map_or(0, |lineage| lineage.lines),
            ));
        }
        if !progress.failed.is_empty() {
            bail!("{} of {} files failed", progress.failed.len(), old.corpus.len());
        }
        Ok(())
    }

    /// Writes down what is to be done, unless that was done before.
    fn begin(&self, old: &Old, state: &mut State) -> anyhow::Result<()> {
        let sources = old.files.iter().map(|(file, text)| (file.clone(), sha256_hex(text.as_bytes()))).collect();
        if let Some(plan) = state.plan().filter(|_| state.progress().stage != Stage::Left) {
            state.progress().may_go_on().map_err(|reason| anyhow::anyhow!("migrating: {reason}"))?;
            if plan.from != old.root {
                bail!("migrating: {} is on its way; confirm it or roll it back first", plan.from.display());
            }
            if plan.sources != sources {
                eprintln!(
                    "note: the old system's files were changed since; they are carried as they stood when it began"
                );
            }
            return Ok(());
        }
        let translation = self.translated(old)?;
        for line in told(&translation.notes).chain(old.strangers.iter().cloned()) {
            eprintln!("{line}");
        }
        if !translation.refused.is_empty() {
            translation.refused.iter().for_each(|error| eprintln!("refused: {error}"));
            bail!("migrating: {} things keep the files from serving, nothing was changed", translation.refused.len());
        }
        self.held()?.iter().for_each(|line| eprintln!("{line}"));
        let target = self.target()?;
        let stands = |file: &String| (file.clone(), files::digest(target.get(file)));
        let plan = Plan {
            tenant: self.tenant.clone(),
            from: old.root.clone(),
            begun_at: now(),
            files: translation.files.keys().map(stands).collect(),
            sources,
        };
        let staged = files::staged(target, &translation.files);
        Ok(state.begin(plan, &staged)?)
    }

    fn show(&self) -> anyhow::Result<()> {
        let state = self.begun("showing a migration")?;
        if self.connection.output == Output::Json {
            say(serde_json::to_string_pretty(&report(&state))?);
            return Ok(());
        }
        let (progress, plan) = (state.progress(), state.plan());
        say(format!(
            "{}: {} from {}, begun at {}",
            self.tenant,
            progress.stage.as_str(),
            plan.map(|plan| plan.from.display().to_string()).unwrap_or_default(),
            plan.map(|plan| plan.begun_at.clone()).unwrap_or_default(),
        ));
        let placed = match &progress.files {
            Some((files, true)) => format!("{} files are in force", files.len()),
            Some((files, false)) => format!("{} files are being exchanged", files.len()),
            None => format!("{} files wait", plan.map_or(0, |plan| plan.files.len())),
        };
        let lineage = progress.lineage.clone().unwrap_or_default();
        say(format!("  {placed}; {} documents are there, {} failed", progress.taken.len(), progress.failed.len()));
        say(format!("  {} lines of lineage are there, of {} looked at", lineage.lines, lineage.to));
        progress.failed.iter().for_each(|(path, problem)| say(format!("  {path}: {problem}")));
        Ok(())
    }

    async fn take_back(&self) -> anyhow::Result<()> {
        let mut state = self.begun("rolling back")?;
        state.progress().may_go_back().map_err(|reason| anyhow::anyhow!("rolling back: {reason}"))?;
        let way = self.way()?;
        if state.progress().stage != Stage::Leaving {
            state.note(Event::Leaving)?;
        }
        lineage::withdraw(&way, &state).await?;
        let kept = documents::remove(&way, &mut state).await?;
        files::put_back(&way, &mut state).await?;
        if !kept.is_empty() {
            kept.iter().for_each(|line| eprintln!("{line}"));
            bail!("rolling back: {} documents may not be removed yet; everything else is as it was", kept.len());
        }
        state.note(Event::Left)?;
        say(format!("{}: what the migration brought is gone, and the files are as they were", self.tenant));
        Ok(())
    }

    async fn keep(&self) -> anyhow::Result<()> {
        let mut state = self.begun("confirming")?;
        state.progress().may_be_confirmed().map_err(|reason| anyhow::anyhow!("confirming: {reason}"))?;
        lineage::keep(&self.way()?, &state).await?;
        if state.progress().stage != Stage::Confirmed {
            state.note(Event::Confirmed)?;
        }
        say(format!("{}: the migration is confirmed and stays", self.tenant));
        Ok(())
    }
}

fn told(notes: &[Note]) -> impl Iterator<Item = String> {
    notes.iter().map(|note| match note.fate {
        Fate::Lost => format!("not carried: {}", note.at),
        Fate::Changed => format!("carried otherwise: {}", note.at),
    })
}

fn report(state: &State) -> serde_json::Value {
    let (progress, plan) = (state.progress(), state.plan());
    json!({
        "stage": progress.stage,
        "plan": plan,
        "files_in_force": progress.files.as_ref().is_some_and(|(_, placed)| *placed),
        "documents": progress.taken.len(),
        "failed": progress.failed,
        "lineage": progress.lineage,
    })
}
