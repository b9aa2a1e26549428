//! The tenant's files: staged and signed beside its folder, exchanged one by one, brought into force; and put back.
use super::Way;
use crate::cli::client::segment;
use crate::cli::patience::{problem, told};
use crate::cli::policy::{signatures, texts};
use crate::cli::rollout::put_back as raised;
use anyhow::bail;
use bailiwick_control::migration::rules::{Event, Placing, Swap};
use bailiwick_control::migration::state::{AFTER, BACK, State, exchange};
use bailiwick_kernel::clock::{Clock, SystemClock};
use bailiwick_policy::commit::{SIGNED, signature_of};
use bailiwick_policy::compile::compile;
use bailiwick_policy::digest::sha256_hex;
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::parse::FileTexts;
use reqwest::Method;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The tenant's files as they are to be, without the signatures of those that change.
pub(super) fn staged(mut target: FileTexts, changed: &FileTexts) -> FileTexts {
    for file in SIGNED.into_iter().filter(|file| changed.contains_key(*file)) {
        target.remove(&signature_of(file));
    }
    target.extend(changed.clone());
    target
}

pub(super) fn digest(text: Option<&String>) -> Option<String> {
    text.map(|text| sha256_hex(text.as_bytes()))
}

/// Files with the signatures beside those that are signed.
fn with_signatures(files: &BTreeSet<String>) -> BTreeSet<String> {
    let signed = |file: &String| SIGNED.contains(&file.as_str()).then(|| signature_of(file));
    files.iter().cloned().chain(files.iter().filter_map(signed)).collect()
}

/// Staged texts that may come into force. Signs them where somebody said who signs.
fn ready(way: &Way<'_>, state: &State, place: &str, files: &BTreeSet<String>) -> anyhow::Result<FileTexts> {
    let folder = state.folder().join(place);
    let mut staged = texts(&folder, way.tenant)?;
    let signed: Vec<&str> = SIGNED.into_iter().filter(|file| files.contains(*file)).collect();
    let is_unsigned = signed.iter().any(|file| !staged.contains_key(&signature_of(file)));
    if let Some(signer) = way.signer.filter(|_| is_unsigned) {
        let mut made = signatures(way.tenant, &staged, &FileTexts::new(), signer)?;
        made.retain(|name, _| signed.iter().any(|file| signature_of(file) == *name));
        state.add_staged(place, way.tenant, &made)?;
        staged.extend(made);
    }
    let checked = compile(way.tenant, &staged, &Guardrails::none()).and_then(|policy| {
        let now_unix_s = i64::try_from(SystemClock.now_unix_ms() / 1_000).unwrap_or(i64::MAX);
        policy.standing(None, now_unix_s)
    });
    if let Err(errors) = checked {
        errors.iter().for_each(|error| eprintln!("{error}"));
        bail!(
            "bringing files into force: they wait in {0}; look at them, sign them with `bailiwick policy sign --tenant {1} --tenants \
             {0} --signer KEY`, and run the same command again; or run it with --signer KEY",
            folder.display(),
            way.tenant
        );
    }
    Ok(staged)
}

/// Exchanges the files of the plan and brings them into force.
pub(super) async fn place(way: &Way<'_>, state: &mut State) -> anyhow::Result<()> {
    if state.progress().files.as_ref().is_some_and(|(_, placed)| *placed) {
        return Ok(());
    }
    let stood = state.plan().map(|plan| plan.files.clone()).unwrap_or_default();
    if stood.is_empty() {
        return Ok(());
    }
    let planned: BTreeSet<String> = stood.keys().cloned().collect();
    let staged = ready(way, state, AFTER, &planned)?;
    let now = texts(way.tenants, way.tenant)?;
    if state.progress().files.is_none() {
        if let Some((name, _)) = stood.iter().find(|(name, stood)| digest(now.get(*name)) != **stood) {
            bail!(
                "exchanging {0}/{name}: it was changed since the new one was made of it; take the plan back with --rollback, and begin \
                 anew",
                way.tenant
            );
        }
        let names = with_signatures(&planned);
        let swap = |name: &String| Swap { from: digest(now.get(name)), to: digest(staged.get(name)) };
        let files: BTreeMap<String, Swap> = names.iter().map(|name| (name.clone(), swap(name))).collect();
        let before = names.iter().filter_map(|name| Some((name.clone(), now.get(name)?.clone()))).collect();
        state.keep_before(&before)?;
        state.note(Event::Placing { files })?;
    }
    let files = state.progress().files.clone().map(|(files, _)| files).unwrap_or_default();
    exchange_all(way, &files, &staged, &now)?;
    if let Some(refusal) = commit(way).await? {
        // they never came into force: the bytes of before may stand there again
        let before = kept(state, &files)?;
        for name in files.keys() {
            exchange(&way.tenants.join(way.tenant).join(name), before.get(name).map(String::as_str))?;
        }
        bail!("{refusal}");
    }
    Ok(state.note(Event::Placed)?)
}

fn exchange_all(way: &Way<'_>, files: &BTreeMap<String, Swap>, new: &FileTexts, now: &FileTexts) -> anyhow::Result<()> {
    let changed = |(name, swap): &(&String, &Swap)| swap.placing(digest(now.get(*name)).as_deref()) == Placing::Changed;
    if let Some((name, _)) = files.iter().find(changed) {
        bail!(
            "exchanging {0}/{name}: somebody has changed it meanwhile; put it back, or take the change over by hand",
            way.tenant
        );
    }
    for (name, swap) in files {
        if swap.placing(digest(now.get(name)).as_deref()) == Placing::Exchange {
            let text = new.get(name);
            if digest(text) != swap.to {
                bail!("exchanging {0}/{name}: what was staged was changed since; roll back and begin anew", way.tenant);
            }
            exchange(&way.tenants.join(way.tenant).join(name), text.map(String::as_str))?;
        }
    }
    Ok(())
}

/// Has the server bring the folder into force. Gives why it does not, where it has looked at the files and refuses them.
async fn commit(way: &Way<'_>) -> anyhow::Result<Option<String>> {
    let path = format!("/admin/v1/policies/{}/commit", segment(way.tenant));
    let (status, answer) = told(|| way.client.request(Method::POST, &path)).await?;
    if status.is_success() {
        return Ok(None);
    }
    let problem = format!("bringing files into force: {}", problem(status, &answer));
    if answer.get("code").and_then(Value::as_str) == Some("policy_denied") {
        return Ok(Some(problem));
    }
    bail!("{problem}")
}

/// Puts the files back that were there. A version of a policy never comes into force twice: a signed file comes back under a
/// version above all others, and signed anew; everything else to the byte.
pub(super) async fn put_back(way: &Way<'_>, state: &mut State) -> anyhow::Result<()> {
    let Some((files, _)) = state.progress().files.clone() else { return Ok(()) };
    let is_signed = |name: &String| SIGNED.iter().any(|file| name == file || *name == signature_of(file));
    let before = kept(state, &files)?;
    let versions_of = before.iter().filter(|(name, _)| SIGNED.contains(&name.as_str()));
    let now = texts(way.tenants, way.tenant)?;
    let back = raised(&versions_of.map(|(name, text)| (name.clone(), text.clone())).collect(), &now)?;
    let is_strange = |name: &&String| {
        let stands = digest(now.get(*name));
        files.get(*name).is_some_and(|swap| stands != swap.to && stands != swap.from)
    };
    if let Some(name) = back.keys().find(is_strange) {
        bail!("putting {0}/{name} back: somebody has changed it meanwhile; put it back by hand", way.tenant);
    }
    if !back.is_empty() {
        let names: BTreeSet<String> = back.keys().cloned().collect();
        if !is_staged(way, state, &back) {
            let mut whole = staged(now, &back);
            for name in files.keys().filter(|name| !is_signed(name)) {
                whole.remove(name);
                whole.extend(before.get(name).map(|text| (name.clone(), text.clone())));
            }
            state.stage(BACK, way.tenant, &whole)?;
        }
        let ready = ready(way, state, BACK, &names)?;
        for name in with_signatures(&names) {
            exchange(&way.tenants.join(way.tenant).join(&name), ready.get(&name).map(String::as_str))?;
        }
    }
    let others = files.iter().filter(|(name, _)| !is_signed(name));
    let reversed =
        |(name, swap): (&String, &Swap)| (name.clone(), Swap { from: swap.to.clone(), to: swap.from.clone() });
    exchange_all(way, &others.map(reversed).collect(), &before, &texts(way.tenants, way.tenant)?)?;
    commit(way).await?.map_or(Ok(()), |refusal| Err(anyhow::anyhow!("{refusal}")))
}

/// The files as they stood before they were exchanged.
fn kept(state: &State, files: &BTreeMap<String, Swap>) -> anyhow::Result<FileTexts> {
    let mut before = FileTexts::new();
    for name in files.keys() {
        before.extend(state.before(name)?.map(|text| (name.clone(), text)));
    }
    Ok(before)
}

/// True where these files wait for being signed already.
fn is_staged(way: &Way<'_>, state: &State, back: &FileTexts) -> bool {
    texts(&state.folder().join(BACK), way.tenant)
        .is_ok_and(|staged| back.iter().all(|(name, text)| staged.get(name) == Some(text)))
}
