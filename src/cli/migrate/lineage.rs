//! The old system's lineage: looked at line by line, and brought in as what another system told.
use super::Way;
use super::source::Old;
use crate::cli::client::segment;
use crate::cli::patience::{call, problem, told};
use anyhow::{Context, bail};
use bailiwick_control::migration::rules::{Event, Lineage};
use bailiwick_control::migration::state::{State, digest_of};
use bailiwick_kernel::limits::IMPORTED_LINE_BYTES_MAX;
use bailiwick_tenant::imports::rules::read;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Lines of one request; few, so that those who ask wait for none of it.
const LINES_PER_REQUEST: usize = 256;
const BYTES_PER_REQUEST: usize = 1 << 20;
/// Stands for a line that is no text: the server refuses it under its number.
const NO_TEXT: &str = "\u{fffd}";

/// What a file of lineage comes to.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// Lines that can be read.
    pub(super) read: u64,
    /// Those that cannot, each in a line.
    pub(super) refused: Vec<String>,
    /// Fields that lineage has no place for, each in a line.
    pub(super) left_behind: Vec<String>,
}

/// A line of the file.
struct Line {
    text: String,
    /// It has an end. The last one may have none because somebody is still writing it.
    is_ended: bool,
}

fn lines(path: &Path) -> anyhow::Result<impl Iterator<Item = std::io::Result<Line>>> {
    let mut file = BufReader::new(File::open(path).with_context(|| format!("reading {}", path.display()))?);
    Ok(std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        match file.read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) => Some(Ok(Line { text: text(&bytes), is_ended: bytes.ends_with(b"\n") })),
            Err(error) => Some(Err(error)),
        }
    }))
}

/// A line without its end. One that is too long is cut: it is refused for its length in any case.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Err(_) => NO_TEXT.to_owned(),
        Ok(text) if text.len() <= IMPORTED_LINE_BYTES_MAX => text.to_owned(),
        Ok(text) => text.chars().take(IMPORTED_LINE_BYTES_MAX.saturating_add(1)).collect(),
    }
}

/// Looks at every line; nothing is sent.
pub(super) fn examine(tenant: &str, old: &Old) -> anyhow::Result<Examined> {
    let (mut examined, mut fields) = (Examined::default(), BTreeMap::<String, (u64, u64)>::new());
    let Some(path) = &old.lineage else { return Ok(examined) };
    for (number, line) in (1_u64..).zip(lines(path)?) {
        let line = line.with_context(|| format!("reading {}", path.display()))?;
        if line.text.trim().is_empty() {
            continue;
        }
        match read(tenant, &line.text) {
            Ok(read) => {
                examined.read = examined.read.saturating_add(1);
                for field in read.left_behind {
                    let (_, count) = fields.entry(field).or_insert((number, 0));
                    *count = count.saturating_add(1);
                }
            }
            Err(problem) => examined.refused.push(refused(number, &problem)),
        }
    }
    let told = |(field, (line, count)): (String, (u64, u64))| {
        format!(
            "not carried: reports/lineage.jsonl:{line}: unknown key {field:?}, in {count} lines: only its digest is kept"
        )
    };
    examined.left_behind = fields.into_iter().map(told).collect();
    Ok(examined)
}

fn refused(line: u64, problem: &str) -> String {
    format!("not carried: reports/lineage.jsonl:{line}: {problem}")
}

/// The file that is imported: that of before, which may have grown, or this one.
fn begun(path: &Path, state: &mut State) -> anyhow::Result<Lineage> {
    if let Some(lineage) = state.progress().lineage.clone() {
        let (file_sha256, bytes) = digest_of(path, lineage.bytes)?;
        if (&file_sha256, bytes) != (&lineage.file_sha256, lineage.bytes) {
            bail!(
                "importing lineage: {} is not what it was when its import began, and lines may only be added to it; put it back, or \
                 roll the migration back",
                path.display()
            );
        }
        return Ok(lineage);
    }
    let (file_sha256, bytes) = digest_of(path, u64::MAX)?;
    state.note(Event::Lineage { file_sha256: file_sha256.clone(), bytes })?;
    Ok(Lineage { file_sha256, bytes, to: 0, lines: 0 })
}

/// Imports what is not there yet. The server knows how far it is: what was answered and not written down is not sent twice.
pub(super) async fn bring(way: &Way<'_>, old: &Old, state: &mut State) -> anyhow::Result<Examined> {
    let mut examined = Examined::default();
    let Some(path) = &old.lineage else { return Ok(examined) };
    let lineage = begun(path, state)?;
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{pos} lines of lineage")?);
    let route = format!("/admin/v1/tenants/{}/lineage/import", segment(way.tenant));
    let behind = usize::try_from(lineage.to).unwrap_or(usize::MAX);
    let mut rest = lines(path)?.skip(behind).peekable();
    let mut after = lineage.to;
    while rest.peek().is_some() {
        let (mut portion, mut bytes) = (Vec::new(), 0_usize);
        while portion.len() < LINES_PER_REQUEST && bytes < BYTES_PER_REQUEST {
            let Some(line) = rest.next() else { break };
            let line = line.with_context(|| format!("reading {}", path.display()))?;
            if !line.is_ended && read(way.tenant, &line.text).is_err() {
                let number = after.saturating_add(u64::try_from(portion.len()).unwrap_or(0)).saturating_add(1);
                examined.refused.push(refused(number, "it has no end yet; the next run looks at it again"));
                break;
            }
            bytes = bytes.saturating_add(line.text.len());
            portion.push(line.text);
        }
        if portion.is_empty() {
            break;
        }
        let count = u64::try_from(portion.len()).unwrap_or(0);
        let body =
            json!({"file_sha256": lineage.file_sha256, "file": "lineage.jsonl", "after": after, "lines": portion});
        let view = call(&way.client, Method::POST, &route, Some(&body)).await.context("importing lineage")?;
        after = after.saturating_add(count);
        for line in view.get("refused").and_then(Value::as_array).into_iter().flatten() {
            let number = line.get("line").and_then(Value::as_u64).unwrap_or(0);
            examined.refused.push(refused(number, line.get("problem").and_then(Value::as_str).unwrap_or_default()));
        }
        let lines = view.get("lines").and_then(Value::as_u64).unwrap_or(0);
        state.note(Event::Imported { to: after, lines })?;
        bar.set_position(after);
    }
    bar.finish_and_clear();
    Ok(examined)
}

async fn step(way: &Way<'_>, state: &State, verb: &str) -> anyhow::Result<()> {
    let Some(lineage) = &state.progress().lineage else { return Ok(()) };
    let path = format!("/admin/v1/tenants/{}/lineage/import/{verb}", segment(way.tenant));
    let body = json!({"file_sha256": lineage.file_sha256});
    let (status, answer) = told(|| way.client.request(Method::POST, &path).json(&body)).await?;
    // a file without a line was never heard of there
    if status.is_success() || (status == StatusCode::NOT_FOUND && lineage.lines == 0) {
        return Ok(());
    }
    bail!("settling the import of lineage: {}", problem(status, &answer))
}

/// Takes the import back.
pub(super) async fn withdraw(way: &Way<'_>, state: &State) -> anyhow::Result<()> {
    step(way, state, "withdraw").await
}

/// Keeps it for good.
pub(super) async fn keep(way: &Way<'_>, state: &State) -> anyhow::Result<()> {
    step(way, state, "keep").await
}
