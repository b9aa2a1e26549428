//! `bailiwick tenant export` and `import`: one tenant as a folder: its files, its documents with their words, its lineage, and its
//! whole journal with the signed head, which proves both. Keys stay behind: they are issued anew where it goes.
use super::client::{Client, segment};
use super::patience::{call, problem, told};
use super::{Connection, Output, say};
use anyhow::{Context, bail};
use bailiwick_control::migration::state::digest_of;
use bailiwick_kernel::clock::{Clock, SystemClock, rfc3339};
use clap::Args;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

/// What the manifest's `format` says.
const FORMAT: &str = "bailiwick-tenant-1";
const MANIFEST: &str = "manifest.json";
/// The tenant's own folder.
const FILES: &str = "tenant";
const DOCUMENTS: &str = "documents.jsonl";
const LINEAGE: &str = "lineage.jsonl";
const JOURNAL: &str = "journal.jsonl";
/// Documents of a page of the list.
const PAGE: usize = 500;
/// Documents read at the same time.
const READ_AT_ONCE: usize = 8;
/// Of one request that brings documents.
const DOCUMENTS_PER_REQUEST: usize = 64;
/// Of one request that brings lineage; few, so that those who ask wait for none of it.
const LINES_PER_REQUEST: usize = 256;
/// Of either.
const BYTES_PER_REQUEST: usize = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Name or uuid.
    tenant: String,
    /// The folder that is made.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The folder an export made.
    from: PathBuf,
    /// Go on with an import that was cut short: the tenant is there, and gets what it has not.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What an export says of itself.
#[derive(Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    tenant: String,
    id: String,
    exported_at: String,
    documents: u64,
    /// SHA-256 of every file, by its place.
    files: BTreeMap<String, String>,
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn bar(length: u64, of: &str) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(length);
    bar.set_style(ProgressStyle::with_template(&format!("{{bar:40}} {{pos}}/{{len}} {of}"))?);
    Ok(bar)
}

impl Export {
    /// Writes the folder: aside first, so that a part is never taken for the whole.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if std::fs::symlink_metadata(&self.out).is_ok() {
            bail!("exporting to {}: something is there already; name a folder that is not", self.out.display());
        }
        let client = Client::new(&self.connection, Some(&self.tenant))?;
        let path = format!("/admin/v1/tenants/{}", segment(&self.tenant));
        let view = call(&client, Method::GET, &path, None).await?;
        let aside = self.out.with_extension("part");
        if aside.exists() {
            std::fs::remove_dir_all(&aside).with_context(|| format!("clearing {}", aside.display()))?;
        }
        let mut archive = Archive { folder: aside, files: BTreeMap::new() };
        let given = call(&client, Method::GET, &format!("{path}/files"), None).await?;
        for (place, content) in given.get("files").and_then(Value::as_object).into_iter().flatten() {
            archive.write(&format!("{FILES}/{place}"), content.as_str().unwrap_or_default().as_bytes())?;
        }
        let documents = archive.documents(&client).await?;
        archive.stream(&client, "/v1/lineage/export", LINEAGE).await?;
        archive.stream(&client, "/v1/receipts/export", JOURNAL).await?;
        let (tenant, id) = (text(&view, "name").to_owned(), text(&view, "id").to_owned());
        let exported_at = rfc3339(SystemClock.now_unix_ms());
        let (format, files) = (FORMAT.to_owned(), archive.files.clone());
        let manifest = Manifest { format, tenant, id, exported_at, documents, files };
        archive.write(MANIFEST, &serde_json::to_vec_pretty(&manifest)?)?;
        std::fs::rename(&archive.folder, &self.out).with_context(|| format!("making {}", self.out.display()))?;
        match self.connection.output {
            Output::Json => say(serde_json::to_string(&manifest)?),
            Output::Text => say(format!(
                "{}: {documents} documents and {} files written to {}; it holds their words in the clear",
                manifest.tenant,
                manifest.files.len(),
                self.out.display()
            )),
        }
        Ok(())
    }
}

/// A folder that is being made.
struct Archive {
    folder: PathBuf,
    files: BTreeMap<String, String>,
}

impl Archive {
    fn make(&self, place: &str) -> anyhow::Result<(PathBuf, BufWriter<File>)> {
        let path = self.folder.join(place);
        let doing = || format!("writing {}", path.display());
        std::fs::create_dir_all(path.parent().unwrap_or(&self.folder)).with_context(doing)?;
        let mut options = File::options();
        options.write(true).create_new(true);
        // words of the tenant, for nobody but who asked for them
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = BufWriter::new(options.open(&path).with_context(doing)?);
        Ok((path, file))
    }

    fn finish(&mut self, place: &str, path: &Path, mut file: BufWriter<File>) -> anyhow::Result<()> {
        file.flush().and_then(|()| file.get_ref().sync_all()).with_context(|| format!("writing {}", path.display()))?;
        self.files.insert(place.to_owned(), digest_of(path, u64::MAX)?.0);
        Ok(())
    }

    fn write(&mut self, place: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, mut file) = self.make(place)?;
        file.write_all(bytes).with_context(|| format!("writing {}", path.display()))?;
        self.finish(place, &path, file)
    }

    /// What a route gives, as it gives it.
    async fn stream(&mut self, client: &Client, route: &str, place: &str) -> anyhow::Result<()> {
        let (path, mut file) = self.make(place)?;
        let mut response = client.send(client.request(Method::GET, route)).await?;
        while let Some(piece) = response.chunk().await.with_context(|| format!("reading {route}"))? {
            file.write_all(&piece).with_context(|| format!("writing {}", path.display()))?;
        }
        self.finish(place, &path, file)
    }

    /// Every document with its words, as an upload has them, a line each.
    async fn documents(&mut self, client: &Client) -> anyhow::Result<u64> {
        let (path, mut file) = self.make(DOCUMENTS)?;
        let (mut written, mut after) = (0_u64, None::<String>);
        let bar = ProgressBar::no_length();
        bar.set_style(ProgressStyle::with_template("{pos} documents")?);
        loop {
            let behind = after.as_deref().map(|after| format!("&after={}", segment(after))).unwrap_or_default();
            let page = call(client, Method::GET, &format!("/v1/documents?limit={PAGE}{behind}"), None).await?;
            let listed = page.get("documents").and_then(Value::as_array).cloned().unwrap_or_default();
            let reading = stream::iter(listed).map(async |listed| {
                let route = format!("/v1/documents/{}", segment(text(&listed, "id")));
                told(|| client.request(Method::GET, &route)).await
            });
            let mut reading = reading.buffered(READ_AT_ONCE);
            while let Some(read) = reading.next().await {
                let (status, document) = read?;
                match status {
                    StatusCode::OK => {}
                    // removed meanwhile
                    StatusCode::NOT_FOUND => continue,
                    status => bail!("reading a document: {}", problem(status, &document)),
                }
                let line = serde_json::to_vec(&as_uploaded(&document))?;
                file.write_all(&line).and_then(|()| file.write_all(b"\n")).context("writing documents")?;
                written = written.saturating_add(1);
                bar.inc(1);
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        bar.finish_and_clear();
        self.finish(DOCUMENTS, &path, file)?;
        Ok(written)
    }
}

/// The fields of a document that an upload brings.
fn as_uploaded(document: &Value) -> Value {
    let fields = ["id", "title", "text", "source", "domain", "usecase", "region", "metadata"];
    let given = fields.into_iter().filter_map(|field| Some((field.to_owned(), document.get(field)?.clone())));
    Value::Object(given.collect())
}

impl Import {
    /// Makes the tenant and brings everything in.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let manifest = self.manifest()?;
        let Manifest { tenant, id, .. } = &manifest;
        let client = Client::new(&self.connection, Some(tenant))?;
        self.make(&client, &manifest).await?;
        let failed = self.documents(&client, manifest.documents).await?;
        let lines = self.lineage(&client, tenant).await?;
        failed.iter().for_each(|line| eprintln!("{line}"));
        let taken = manifest.documents.saturating_sub(u64::try_from(failed.len()).unwrap_or(u64::MAX));
        match self.connection.output {
            Output::Json => say(json!({
                "tenant": tenant, "id": id, "documents": taken, "failed": failed, "lineage_lines": lines,
            })
            .to_string()),
            Output::Text => say(format!(
                "{tenant}: {taken} documents and {lines} lines of lineage are there; issue its people keys anew"
            )),
        }
        if !failed.is_empty() {
            bail!("{} of {} documents were not taken", failed.len(), manifest.documents);
        }
        Ok(())
    }

    /// The manifest, once every file is what it says.
    fn manifest(&self) -> anyhow::Result<Manifest> {
        let path = self.from.join(MANIFEST);
        let text = std::fs::read(&path)
            .with_context(|| format!("reading {}: name a folder that an export made", path.display()))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?;
        if manifest.format != FORMAT {
            bail!("reading {}: this build knows no {:?}; use a newer one", path.display(), manifest.format);
        }
        for (place, sha256) in &manifest.files {
            if !Path::new(place).components().all(|part| matches!(part, Component::Normal(_))) {
                bail!("reading {}: {place:?} is no place of a file in it", path.display());
            }
            let file = self.from.join(place);
            let (found, _bytes) = digest_of(&file, u64::MAX)?;
            if found != *sha256 {
                bail!("reading {}: it is not what was exported; export the tenant again", file.display());
            }
        }
        Ok(manifest)
    }

    async fn make(&self, client: &Client, manifest: &Manifest) -> anyhow::Result<()> {
        let Manifest { tenant, id, files, .. } = manifest;
        let path = format!("/admin/v1/tenants/{}", segment(tenant));
        let (status, view) = told(|| client.request(Method::GET, &path)).await?;
        match status {
            StatusCode::OK if text(&view, "id") != id => {
                bail!("importing {tenant}: another tenant of that name is there; rename or destroy it first")
            }
            StatusCode::OK if self.resume => return Ok(()),
            StatusCode::OK => bail!(
                "importing {tenant}: it is there already, and older documents would take the place of newer ones; to go on \
                 with an import that was cut short, say --resume"
            ),
            StatusCode::NOT_FOUND => {}
            status => bail!("importing {tenant}: {}", problem(status, &view)),
        }
        let mut texts = BTreeMap::new();
        for place in files.keys() {
            if let Some(relative) = place.strip_prefix(&format!("{FILES}/")) {
                let path = self.from.join(place);
                let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                texts.insert(relative, text);
            }
        }
        let made = call(client, Method::POST, "/admin/v1/imports", Some(&json!({"files": texts}))).await?;
        if text(&made, "name") != tenant || text(&made, "id") != id {
            bail!("importing {tenant}: its files are of {} ({})", text(&made, "name"), text(&made, "id"));
        }
        Ok(())
    }

    fn lines(&self, place: &str) -> anyhow::Result<impl Iterator<Item = anyhow::Result<String>>> {
        let path = self.from.join(place);
        let file = File::open(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(BufReader::new(file).lines().map(move |line| line.with_context(|| format!("reading {}", path.display()))))
    }

    /// Gives those that were not taken, each in a line.
    async fn documents(&self, client: &Client, count: u64) -> anyhow::Result<Vec<String>> {
        let (mut failed, bar) = (Vec::new(), bar(count, "documents")?);
        let mut portions = Portions { lines: self.lines(DOCUMENTS)?, most: DOCUMENTS_PER_REQUEST };
        while let Some(portion) = portions.next()? {
            let documents: Vec<Value> =
                portion.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
            let body = json!({"documents": documents});
            let answer =
                call(client, Method::POST, "/v1/documents", Some(&body)).await.context("bringing documents")?;
            for taken in answer.get("documents").and_then(Value::as_array).into_iter().flatten() {
                if text(taken, "state") == "failed" {
                    failed.push(format!("{}: {}", text(taken, "id"), text(taken, "error")));
                }
            }
            bar.inc(u64::try_from(portion.len()).unwrap_or(0));
        }
        bar.finish_and_clear();
        Ok(failed)
    }

    /// Gives how many lines are kept, as what another system told.
    async fn lineage(&self, client: &Client, tenant: &str) -> anyhow::Result<u64> {
        let (file_sha256, _bytes) = digest_of(&self.from.join(LINEAGE), u64::MAX)?;
        let route = format!("/admin/v1/tenants/{}/lineage/import", segment(tenant));
        let (mut after, mut kept) = (0_u64, 0);
        let mut portions = Portions { lines: self.lines(LINEAGE)?, most: LINES_PER_REQUEST };
        while let Some(portion) = portions.next()? {
            let body = json!({"file_sha256": file_sha256, "file": LINEAGE, "after": after, "lines": portion});
            let view = call(client, Method::POST, &route, Some(&body)).await.context("bringing lineage")?;
            if let Some(refused) = view.get("refused").and_then(Value::as_array).and_then(|refused| refused.first()) {
                bail!("bringing lineage: {refused}");
            }
            after = after.saturating_add(u64::try_from(portion.len()).unwrap_or(0));
            kept = view.get("lines").and_then(Value::as_u64).unwrap_or(0);
        }
        if after > 0 {
            let body = json!({"file_sha256": file_sha256});
            call(client, Method::POST, &format!("{route}/keep"), Some(&body)).await.context("keeping lineage")?;
        }
        Ok(kept)
    }
}

/// Lines, as many at a time as a request takes.
struct Portions<I: Iterator<Item = anyhow::Result<String>>> {
    lines: I,
    most: usize,
}

impl<I: Iterator<Item = anyhow::Result<String>>> Portions<I> {
    fn next(&mut self) -> anyhow::Result<Option<Vec<String>>> {
        let (mut portion, mut bytes) = (Vec::new(), 0_usize);
        while portion.len() < self.most && bytes < BYTES_PER_REQUEST {
            let Some(line) = self.lines.next() else { break };
            let line = line?;
            bytes = bytes.saturating_add(line.len());
            portion.push(line);
        }
        Ok((!portion.is_empty()).then_some(portion))
    }
}
