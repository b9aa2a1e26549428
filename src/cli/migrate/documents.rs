//! Documents of the old corpus: sent in portions under ids that follow from place and content, taken out by the same ids.
use super::Way;
use super::source::Old;
use crate::cli::client::segment;
use crate::cli::patience::{call, problem, told};
use anyhow::{Context, bail};
use bailiwick_control::migration::rules::{Event, document_id};
use bailiwick_control::migration::state::State;
use bailiwick_kernel::limits::DOCUMENT_BYTES_MAX;
use bailiwick_policy::digest::sha256_hex;
use bailiwick_tenant::retrieval::parse::{Sandbox, detect};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const FILES_PER_REQUEST: usize = 32;
const BYTES_PER_REQUEST: usize = 8 << 20;
/// Documents of a page of the list.
const PAGE: usize = 1_000;
/// Documents removed at the same time, and those written down together.
const REMOVALS_AT_ONCE: usize = 8;
const REMOVALS_PER_NOTE: usize = 64;

/// What cannot be read of the corpus, each in a line.
pub(super) async fn examine(old: &Old) -> anyhow::Result<Vec<String>> {
    let program =
        std::env::current_exe().context("finding this program, which reads documents in a process of its own")?;
    let mut sandbox = Sandbox::new(program, vec!["parse-child".to_owned()]);
    let bar = bar(old.corpus.len())?;
    let mut refused = Vec::new();
    for (name, path) in &old.corpus {
        let bytes = Bytes::from(std::fs::read(path).with_context(|| format!("reading {}", path.display()))?);
        let read = match detect(name, &bytes) {
            Ok(format) => sandbox.parse_alone(format, bytes).await.map(|_text| ()),
            Err(error) => Err(error),
        };
        refused.extend(read.err().map(|error| format!("not carried: corpus/{name}: {error}")));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(refused)
}

fn bar(length: usize) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} documents  {msg}")?);
    Ok(bar)
}

/// Sends what is not there yet, and takes out what has gone from the corpus since it was sent.
pub(super) async fn bring(way: &Way<'_>, old: &Old, state: &mut State) -> anyhow::Result<()> {
    let (mut corpus, mut places) = (BTreeMap::new(), BTreeMap::new());
    for (name, path) in &old.corpus {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let id = document_id(name, &sha256_hex(&bytes));
        corpus.insert(id.clone(), name.clone());
        places.insert(id, path.clone());
    }
    let there = there(way).await?;
    let gone = state.progress().to_remove(&corpus);
    let kept = take_out(way, state, gone).await?;
    kept.iter().for_each(|line| eprintln!("{line}"));
    let wanted: Vec<(String, String)> =
        state.progress().to_send(&corpus, &there).into_iter().map(|(id, name)| (id.clone(), name.clone())).collect();
    let bar = bar(corpus.len())?;
    bar.inc(u64::try_from(corpus.len().saturating_sub(wanted.len())).unwrap_or(0));
    let (mut portion, mut bytes_of_portion) = (Vec::new(), 0_usize);
    for (id, name) in wanted {
        let path: &PathBuf = places.get(&id).context("finding a document again")?;
        let size = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
        if usize::try_from(size).map_or(true, |size| size > DOCUMENT_BYTES_MAX) {
            // a request with it would be refused as a whole
            let problem = format!("{size} bytes are more than {DOCUMENT_BYTES_MAX}; split it");
            bar.suspend(|| eprintln!("corpus/{name}: {problem}"));
            state.note(Event::Failed { path: name, problem })?;
            bar.inc(1);
            continue;
        }
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let is_full =
            portion.len() >= FILES_PER_REQUEST || bytes_of_portion.saturating_add(bytes.len()) > BYTES_PER_REQUEST;
        if is_full && !portion.is_empty() {
            send(way, state, std::mem::take(&mut portion), &bar).await?;
            bytes_of_portion = 0;
        }
        bytes_of_portion = bytes_of_portion.saturating_add(bytes.len());
        portion.push(Parcel { id, name, bytes: Bytes::from(bytes) });
    }
    send(way, state, portion, &bar).await?;
    bar.finish_and_clear();
    Ok(())
}

/// A document on its way.
struct Parcel {
    id: String,
    name: String,
    bytes: Bytes,
}

fn form(parcels: &[Parcel]) -> Form {
    parcels.iter().fold(Form::new(), |form, Parcel { id, name, bytes }| {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let file = name.rsplit('/').next().unwrap_or(name).to_owned();
        form.text("id", id.clone())
            .part("file", Part::stream_with_length(reqwest::Body::from(bytes.clone()), length).file_name(file))
    })
}

async fn send(way: &Way<'_>, state: &mut State, parcels: Vec<Parcel>, bar: &ProgressBar) -> anyhow::Result<()> {
    if parcels.is_empty() {
        return Ok(());
    }
    let documents = parcels.iter().map(|parcel| (parcel.id.clone(), parcel.name.clone())).collect();
    state.note(Event::Sending { documents })?;
    let request = || way.client.request(Method::POST, "/v1/documents").multipart(form(&parcels));
    let (status, answer) = told(request).await?;
    let Some(documents) = answer.get("documents").and_then(Value::as_array) else {
        bail!("sending documents: {}", problem(status, &answer));
    };
    let mut taken = BTreeSet::new();
    for (parcel, document) in parcels.iter().zip(documents) {
        let failed = document.get("state").and_then(Value::as_str) == Some("failed");
        if !failed {
            taken.insert(parcel.id.clone());
            continue;
        }
        let reason = document.get("error").and_then(Value::as_str).unwrap_or("the server gave no reason").to_owned();
        bar.suspend(|| eprintln!("corpus/{}: {reason}", parcel.name));
        state.note(Event::Failed { path: parcel.name.clone(), problem: reason })?;
    }
    state.note(Event::Taken { ids: taken })?;
    bar.inc(u64::try_from(parcels.len()).unwrap_or(0));
    bar.set_message(format!("{} failed", state.progress().failed.len()));
    Ok(())
}

/// The ids of every document the tenant has.
async fn there(way: &Way<'_>) -> anyhow::Result<BTreeSet<String>> {
    let (mut ids, mut after) = (BTreeSet::new(), None::<String>);
    loop {
        let behind = after.as_deref().map(|after| format!("&after={}", segment(after))).unwrap_or_default();
        let page = call(&way.client, Method::GET, &format!("/v1/documents?limit={PAGE}{behind}"), None).await?;
        let documents = page.get("documents").and_then(Value::as_array).into_iter().flatten();
        ids.extend(documents.filter_map(|document| Some(document.get("id")?.as_str()?.to_owned())));
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(ids),
        }
    }
}

/// Takes out every document the migration brought. Gives those that may not be removed, each in a line.
pub(super) async fn remove(way: &Way<'_>, state: &mut State) -> anyhow::Result<Vec<String>> {
    let ids = state.progress().sent.keys().cloned().collect();
    take_out(way, state, ids).await
}

async fn take_out(way: &Way<'_>, state: &mut State, ids: BTreeSet<String>) -> anyhow::Result<Vec<String>> {
    let ids: Vec<String> = ids.into_iter().collect();
    let bar = bar(ids.len())?;
    let mut kept = Vec::new();
    for portion in ids.chunks(REMOVALS_PER_NOTE) {
        let removals = stream::iter(portion).map(async |id| {
            let path = format!("/v1/documents/{}", segment(id));
            Ok::<_, anyhow::Error>((id.clone(), told(|| way.client.request(Method::DELETE, &path)).await?))
        });
        let mut removals = removals.buffer_unordered(REMOVALS_AT_ONCE);
        let mut removed = BTreeSet::new();
        let mut trouble = None;
        while let Some(removal) = removals.next().await {
            match removal {
                Ok((id, (status, _))) if status.is_success() || status == StatusCode::NOT_FOUND => {
                    removed.insert(id);
                }
                Ok((id, (status, answer))) => kept.push(format!("{id}: {}", problem(status, &answer))),
                Err(error) => trouble = Some(error),
            }
        }
        bar.inc(u64::try_from(portion.len()).unwrap_or(0));
        state.note(Event::Removed { ids: removed })?;
        if let Some(error) = trouble {
            return Err(error);
        }
    }
    bar.finish_and_clear();
    Ok(kept)
}
