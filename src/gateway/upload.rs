//! What an ingest request carries: JSON documents or multipart files, each within its limits, each on its own.
use super::body::{self, bounded_option};
use super::errors::Failure;
use super::hints::with_nearest_key;
use actix_multipart::{Field, Multipart};
use actix_web::{HttpRequest, web};
use bailiwick_kernel::limits::{
    BODY_BYTES_MAX, DOCUMENT_BYTES_MAX, DOCUMENTS_PER_REQUEST_MAX, METADATA_BYTES_MAX, NAME_CHARS_MAX,
    SOURCE_CHARS_MAX, TITLE_CHARS_MAX,
};
use bailiwick_tenant::retrieval::messages::{Content, DocumentState, Ingested, NewDocument};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Bytes of one text field of a multipart body.
const FIELD_BYTES_MAX: usize = 16 << 10;
/// The field that comes once for each file: the id the file's document is to have.
const ID: &str = "id";
const FIELDS: &str = "expected one of `domain`, `usecase`, `source`, `region`, `title`, `id`, or files";

/// Documents given as text.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DocumentsBody")]
pub struct DocumentsBody<Document = DocumentBody> {
    /// The documents; each stands or falls alone.
    pub documents: Vec<Document>,
}

/// One document given as text.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DocumentBody {
    /// Its id; derived from source and title where absent, so that the same document is found again.
    #[serde(default)]
    pub id: Option<String>,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Where it came from: a URL.
    #[serde(default)]
    pub source: Option<String>,
    /// Domain; `general` where absent.
    #[serde(default)]
    pub domain: Option<String>,
    /// Use case; `general` where absent.
    #[serde(default)]
    pub usecase: Option<String>,
    /// Region; the tenant's home where absent.
    #[serde(default)]
    pub region: Option<String>,
    /// Detached signature over the text's bytes.
    #[serde(default)]
    pub signature: Option<String>,
    /// Free metadata: a JSON object.
    #[serde(default)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// One document of a request: to be taken in, or already refused at the door.
#[derive(Debug)]
pub(super) enum Parcel {
    /// To be taken in.
    Take(Box<NewDocument>),
    /// Refused, with the reason.
    Refused(Ingested),
}

impl Parcel {
    fn refused(id: Option<String>, title: String, failure: &Failure) -> Self {
        let error = Some(failure.to_string());
        Self::Refused(Ingested {
            id: id.unwrap_or_default(),
            title,
            chunks: 0,
            seq: 0,
            state: DocumentState::Failed,
            error,
            code: Some(failure.code()),
        })
    }
}

/// What a request carried, in either form.
#[derive(Debug)]
pub(super) enum Arrived {
    /// A JSON body, not looked at yet.
    Json(Bytes),
    /// A multipart body; its files are parsed by the tenant.
    Form(Vec<Parcel>),
}

/// Receives the body of a request.
pub(super) async fn arrive(
    request: &HttpRequest,
    payload: web::Payload,
    timeout: Duration,
) -> Result<Arrived, Failure> {
    let media_type = request.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        let parcels = tokio::time::timeout(timeout, multipart(request, payload))
            .await
            .unwrap_or_else(|_elapsed| Err(body::too_slow()));
        return Ok(Arrived::Form(parcels?));
    }
    Ok(Arrived::Json(body::bytes(request, payload, BODY_BYTES_MAX, timeout).await?))
}

/// Cuts a JSON body into its documents, which are still text.
pub(super) fn cut(body: &Bytes) -> Result<Vec<Bytes>, Failure> {
    let DocumentsBody::<&RawValue> { documents } = body::parse(body)?;
    counted(documents.len())?;
    Ok(documents.into_iter().map(|document| body.slice_ref(document.get().as_bytes())).collect())
}

/// One document of a JSON body, by its place in the list. What is no document at all refuses the request.
pub(super) fn parcel_at(at: usize, document: &[u8]) -> Result<Parcel, Failure> {
    Ok(parcel_of(body::parse_named(&format!("documents[{at}]"), document)?))
}

fn counted(documents: usize) -> Result<(), Failure> {
    if documents == 0 {
        return Err(
            Failure::invalid("reading the documents: there are none; send at least one").with_param("documents")
        );
    }
    if documents > DOCUMENTS_PER_REQUEST_MAX {
        let detail = format!(
            "reading the documents: {documents} are too many for one request; send at most {DOCUMENTS_PER_REQUEST_MAX}"
        );
        return Err(Failure::too_large(detail));
    }
    Ok(())
}

/// One JSON document, checked alone: a bad neighbour does not keep it out.
pub(super) fn parcel_of(document: DocumentBody) -> Parcel {
    if let Err(failure) = checked(&document) {
        let title = document.title.chars().take(TITLE_CHARS_MAX).collect();
        let id = document.id.map(|id| id.chars().take(NAME_CHARS_MAX).collect());
        return Parcel::refused(id, title, &failure);
    }
    Parcel::Take(Box::new(NewDocument {
        id: document.id,
        title: Some(document.title),
        content: Content::Text(document.text),
        source: document.source,
        domain: document.domain,
        usecase: document.usecase,
        region: document.region,
        signature: document.signature,
        metadata: document.metadata.map(serde_json::Value::Object),
    }))
}

fn checked(document: &DocumentBody) -> Result<(), Failure> {
    bounded_option("id", document.id.as_deref(), NAME_CHARS_MAX)?;
    if document.id.as_deref().is_some_and(|id| id.trim().is_empty() || id.chars().any(char::is_control)) {
        return Err(Failure::invalid(
            "reading id: it is blank or contains control characters; leave it out or name the document",
        ));
    }
    body::bounded("title", &document.title, TITLE_CHARS_MAX)?;
    shared_fields(
        document.source.as_deref(),
        document.domain.as_deref(),
        document.usecase.as_deref(),
        document.region.as_deref(),
    )?;
    bounded_option("signature", document.signature.as_deref(), METADATA_BYTES_MAX)?;
    if document.text.len() > DOCUMENT_BYTES_MAX {
        return Err(Failure::too_large(format!(
            "reading text: it has more than {DOCUMENT_BYTES_MAX} bytes; split the document"
        )));
    }
    if document.text.trim().is_empty() {
        return Err(Failure::invalid("reading text: it is empty"));
    }
    if document.text.contains('\0') {
        return Err(Failure::invalid("reading text: it contains a NUL byte; remove it"));
    }
    let metadata_bytes = document.metadata.as_ref().map_or(0, |metadata| super::errors::json_bytes(metadata).len());
    if metadata_bytes > METADATA_BYTES_MAX {
        return Err(Failure::too_large(format!("reading metadata: it has more than {METADATA_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn shared_fields(
    source: Option<&str>,
    domain: Option<&str>,
    usecase: Option<&str>,
    region: Option<&str>,
) -> Result<(), Failure> {
    bounded_option("source", source, SOURCE_CHARS_MAX)?;
    bounded_option("domain", domain, NAME_CHARS_MAX)?;
    bounded_option("usecase", usecase, NAME_CHARS_MAX)?;
    bounded_option("region", region, NAME_CHARS_MAX)
}

/// Fields of a multipart body that hold for every file in it, wherever they stand.
#[derive(Default, Debug)]
struct Shared {
    source: Option<String>,
    domain: Option<String>,
    usecase: Option<String>,
    region: Option<String>,
    title: Option<String>,
    /// As many as there are files, in their order; or none.
    ids: Vec<String>,
}

impl Shared {
    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "source" => Some(&mut self.source),
            "domain" => Some(&mut self.domain),
            "usecase" => Some(&mut self.usecase),
            "region" => Some(&mut self.region),
            "title" => Some(&mut self.title),
            _ => None,
        }
    }

    fn checked(&self, files: usize) -> Result<(), Failure> {
        bounded_option("title", self.title.as_deref(), TITLE_CHARS_MAX)?;
        shared_fields(self.source.as_deref(), self.domain.as_deref(), self.usecase.as_deref(), self.region.as_deref())?;
        if self.title.is_some() && files > 1 {
            return Err(Failure::invalid("reading title: it names one document, and there are several files")
                .with_param("title"));
        }
        if !self.ids.is_empty() && self.ids.len() != files {
            let detail = format!(
                "reading id: {} came for {files} files; send one for each file, in their order, or none",
                self.ids.len()
            );
            return Err(Failure::invalid(detail).with_param("id"));
        }
        self.ids.iter().try_for_each(|id| bounded_option("id", Some(id), NAME_CHARS_MAX))
    }
}

struct File {
    name: String,
    /// `None` where the file was larger than a document may be.
    bytes: Option<Bytes>,
}

async fn multipart(request: &HttpRequest, payload: web::Payload) -> Result<Vec<Parcel>, Failure> {
    let mut parts = Multipart::new(request.headers(), payload);
    let (mut shared, mut files, mut room) = (Shared::default(), Vec::new(), BODY_BYTES_MAX);
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|error| broken(&error))?;
        let file_name =
            part.content_disposition().and_then(|disposition| disposition.get_filename()).map(last_component);
        let Some(name) = file_name else {
            text_field(&mut shared, &mut part, &mut room).await?;
            continue;
        };
        counted(files.len() + 1)?;
        let bytes = collect(&mut part, DOCUMENT_BYTES_MAX, &mut room).await?;
        files.push(File { name, bytes });
    }
    counted(files.len())?;
    shared.checked(files.len())?;
    let ids = std::mem::take(&mut shared.ids).into_iter().map(Some).chain(std::iter::repeat(None));
    Ok(files.into_iter().zip(ids).map(|(file, id)| shared.parcel(file, id)).collect())
}

impl Shared {
    fn parcel(&self, file: File, id: Option<String>) -> Parcel {
        let Some(bytes) = file.bytes else {
            let failure =
                Failure::too_large(format!("reading the file: it has more than {DOCUMENT_BYTES_MAX} bytes; split it"));
            return Parcel::refused(id, file.name, &failure);
        };
        Parcel::Take(Box::new(NewDocument {
            id,
            title: self.title.clone(),
            content: Content::File { name: file.name, bytes },
            source: self.source.clone(),
            domain: self.domain.clone(),
            usecase: self.usecase.clone(),
            region: self.region.clone(),
            signature: None,
            metadata: None,
        }))
    }
}

async fn text_field(shared: &mut Shared, part: &mut Field, room: &mut usize) -> Result<(), Failure> {
    let name = part.name().unwrap_or_default().to_owned();
    if name == ID {
        counted(shared.ids.len() + 1)?;
        shared.ids.push(text_of(&name, part, room).await?);
        return Ok(());
    }
    let Some(slot) = shared.slot(&name) else {
        let message = format!("unknown field `{name}`, {FIELDS}");
        return Err(Failure::invalid(format!("reading the form: {}", with_nearest_key(&message))));
    };
    if slot.is_some() {
        return Err(Failure::invalid(format!("reading the form: `{name}` stands twice; send it once")));
    }
    *slot = Some(text_of(&name, part, room).await?).filter(|text| !text.is_empty());
    Ok(())
}

async fn text_of(name: &str, part: &mut Field, room: &mut usize) -> Result<String, Failure> {
    let bytes = collect(part, FIELD_BYTES_MAX, room).await?;
    let bytes = bytes.ok_or_else(|| {
        Failure::too_large(format!("reading the form: `{name}` has more than {FIELD_BYTES_MAX} bytes"))
    })?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_invalid| Failure::invalid(format!("reading the form: `{name}` is not valid UTF-8")))?;
    Ok(text.trim().to_owned())
}

/// Reads one part to its end. Above its limit the rest is read past and `None` comes back, so that the parts after it
/// still count; above the limit of the whole body everything ends.
async fn collect(part: &mut Field, bytes_max: usize, room: &mut usize) -> Result<Option<Bytes>, Failure> {
    let (mut bytes, mut fits) = (BytesMut::new(), true);
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        *room = room.checked_sub(chunk.len()).ok_or_else(|| {
            Failure::too_large(format!(
                "reading the form: one request takes at most {BODY_BYTES_MAX} bytes; send the files in several"
            ))
        })?;
        fits = fits && bytes.len() + chunk.len() <= bytes_max;
        if fits {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = BytesMut::new();
        }
    }
    Ok(fits.then(|| bytes.freeze()))
}

fn broken(error: &actix_multipart::MultipartError) -> Failure {
    Failure::invalid(format!("reading the form: {error}; send multipart/form-data"))
}

/// The name of a file without any folder before it: a path in it is the client's, or a trick.
pub(super) fn last_component(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|letter| !letter.is_control()).take(NAME_CHARS_MAX).collect();
    let clean = clean.trim();
    if clean.is_empty() || clean.chars().all(|letter| letter == '.') {
        String::from("upload")
    } else {
        clean.to_owned()
    }
}
