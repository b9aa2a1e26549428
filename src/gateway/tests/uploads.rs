use crate::gateway::documents::{answer, in_order};
use crate::gateway::upload::{Arrived, DocumentsBody, Parcel, arrive, cut, last_component, parcel_at, parcel_of};
use actix_web::test::TestRequest;
use actix_web::{FromRequest, web};
use bailiwick_kernel::limits::{DOCUMENT_BYTES_MAX, DOCUMENTS_PER_REQUEST_MAX};
use bailiwick_tenant::retrieval::messages::{Content, DocumentState, Ingested};
use serde_json::{Value, json};
use std::time::Duration;

async fn sent(media_type: &str, body: Vec<u8>) -> Result<Vec<Parcel>, (u16, String)> {
    let (request, mut payload) =
        TestRequest::post().insert_header(("content-type", media_type)).set_payload(body).to_http_parts();
    let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
    let arrived = arrive(&request, payload, Duration::from_secs(20)).await;
    let parcels = arrived.and_then(|arrived| match arrived {
        Arrived::Form(parcels) => Ok(parcels),
        Arrived::Json(body) => cut(&body)?.iter().enumerate().map(|(at, document)| parcel_at(at, document)).collect(),
    });
    parcels.map_err(|failure| (failure.status().as_u16(), failure.to_string()))
}

async fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Result<Vec<Parcel>, (u16, String)> {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend_from_slice(
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    sent("multipart/form-data; boundary=b", body).await
}

fn file_of(parcel: &Parcel) -> (&str, &[u8], Option<&str>, Option<&str>) {
    match parcel {
        Parcel::Take(document) => match &document.content {
            Content::File { name, bytes } => (name, bytes, document.domain.as_deref(), document.title.as_deref()),
            Content::Text(_) => panic!("a file"),
        },
        Parcel::Refused(ingested) => panic!("refused: {ingested:?}"),
    }
}

#[actix_web::test]
async fn an_id_comes_for_each_file_in_their_order_or_for_none() {
    let ids = |parcels: Vec<Parcel>| -> Vec<_> {
        let id = |parcel| if let Parcel::Take(document) = parcel { document.id } else { panic!("refused") };
        parcels.into_iter().map(id).collect()
    };
    let (one, two) = (("file", Some("a.txt"), &b"one"[..]), ("file", Some("b.txt"), &b"two"[..]));
    let parcels = form(&[("id", None, b"x"), one, two, ("id", None, b" y ")]).await.unwrap();
    assert_eq!(ids(parcels), [Some("x".to_owned()), Some("y".to_owned())]);
    assert_eq!(ids(form(&[one, two]).await.unwrap()), [None, None]);
    let (status, problem) = form(&[("id", None, b"x"), one, two]).await.unwrap_err();
    assert!(status == 400 && problem.contains("1 came for 2 files"), "{problem}");
    let long = "x".repeat(300);
    assert_eq!(form(&[("id", None, long.as_bytes()), one]).await.unwrap_err().0, 413);
}

#[actix_web::test]
async fn files_share_the_fields_of_their_form_wherever_they_stand() {
    let parcels =
        form(&[("file", Some("a.txt"), b"one"), ("domain", None, b"hr"), ("file", Some("../x/b.md"), b"two")])
            .await
            .unwrap();
    assert_eq!(
        parcels.iter().map(file_of).collect::<Vec<_>>(),
        [("a.txt", &b"one"[..], Some("hr"), None), ("b.md", b"two", Some("hr"), None)]
    );
    let titled = form(&[("title", None, b"T"), ("files", Some("a.txt"), b"one")]).await.unwrap();
    assert_eq!(file_of(&titled[0]).3, Some("T"));
}

#[actix_web::test]
async fn bad_forms_are_refused_whole() {
    let file: (&str, Option<&str>, &[u8]) = ("file", Some("a.txt"), b"x");
    assert!(form(&[file, ("domian", None, b"hr")]).await.unwrap_err().1.contains("did you mean `domain`?"));
    assert!(form(&[file, ("domain", None, b"a"), ("domain", None, b"b")]).await.unwrap_err().1.contains("twice"));
    assert!(form(&[file, ("domain", None, b"\xff")]).await.unwrap_err().1.contains("UTF-8"));
    assert!(form(&[file, ("domain", None, b"a\0b")]).await.unwrap_err().1.contains("NUL"));
    assert!(form(&[file, file, ("title", None, b"T")]).await.unwrap_err().1.contains("one document"));
    assert_eq!(form(&[file, ("domain", None, &[b'x'; 17 << 10])]).await.unwrap_err().0, 413);
    assert_eq!(form(&[]).await.unwrap_err().0, 400);
    assert_eq!(sent("multipart/form-data", b"x".to_vec()).await.unwrap_err().0, 400);
    assert_eq!(sent("multipart/form-data; boundary=b", b"--b\r\ncut".to_vec()).await.unwrap_err().0, 400);
    let many: Vec<(&str, Option<&str>, &[u8])> = vec![file; DOCUMENTS_PER_REQUEST_MAX + 1];
    assert_eq!(form(&many).await.unwrap_err().0, 413);
}

#[actix_web::test]
async fn an_oversized_file_stays_out_and_its_neighbours_go_in() {
    let large = vec![b'x'; DOCUMENT_BYTES_MAX + 1];
    let parcels = form(&[("file", Some("large.txt"), &large), ("file", Some("small.txt"), b"ok")]).await.unwrap();
    let Parcel::Refused(refused) = &parcels[0] else { panic!("refused") };
    assert_eq!((refused.title.as_str(), refused.state), ("large.txt", DocumentState::Failed));
    assert!(refused.error.as_deref().unwrap().contains("split"));
    assert_eq!(file_of(&parcels[1]).1, b"ok");
    let twice = form(&[("file", Some("a"), &large), ("file", Some("b"), &large)]).await;
    assert_eq!(twice.unwrap_err().0, 413, "the body as a whole is bounded");
}

#[actix_web::test]
async fn json_documents_stand_or_fall_alone() {
    let body = json!({ "documents": [
        { "title": "good", "text": "words", "metadata": { "a": 1 } },
        { "title": "empty", "text": "  " },
        { "title": "nul", "text": "a\u{0}b" },
        { "id": " ", "title": "blank id", "text": "x" },
        { "title": "t".repeat(1_001), "text": "x" },
        { "title": "meta", "text": "x", "metadata": { "a": "x".repeat(20_000) } },
    ] });
    let parcels = sent("application/json", body.to_string().into_bytes()).await.unwrap();
    let taken: Vec<bool> = parcels.iter().map(|parcel| matches!(parcel, Parcel::Take(_))).collect();
    assert_eq!(taken, [true, false, false, false, false, false]);
}

#[actix_web::test]
async fn a_misshapen_json_request_is_refused_whole() {
    for (body, words) in [
        (json!({ "documents": [] }), "none"),
        (json!({ "documents": [{ "title": "a" }] }), "missing field `text`"),
        (json!({ "documents": [{ "title": "a", "text": "x", "domian": "y" }] }), "did you mean `domain`?"),
        (json!({ "documents": [{ "title": "a", "text": "x", "metadata": 3 }] }), "invalid type"),
        (json!({ "document": [] }), "did you mean `documents`?"),
    ] {
        let (status, detail) = sent("application/json", body.to_string().into_bytes()).await.unwrap_err();
        assert_eq!(status, 400);
        assert!(detail.contains(words), "{detail}");
    }
    let many = json!({ "documents": vec![json!({ "title": "a", "text": "x" }); DOCUMENTS_PER_REQUEST_MAX + 1] });
    assert_eq!(sent("application/json", many.to_string().into_bytes()).await.unwrap_err().0, 413);
}

#[test]
fn names_of_files_lose_every_path() {
    for (name, kept) in [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\b.pdf", "b.pdf"),
        ("/", "upload"),
        ("..", "upload"),
        ("", "upload"),
        ("a\u{0}b\n.txt", "ab.txt"),
        (" ü.md ", "ü.md"),
    ] {
        assert_eq!(last_component(name), kept, "{name:?}");
    }
}

fn ingested(title: &str, state: DocumentState) -> Ingested {
    Ingested {
        id: title.into(),
        title: title.into(),
        chunks: 0,
        seq: 0,
        state,
        error: (state == DocumentState::Failed).then(|| "broken".into()),
        code: (state == DocumentState::Failed).then_some(bailiwick_kernel::outcome::Code::InvalidRequest),
    }
}

#[test]
fn results_stand_in_the_order_of_the_request() {
    let refused = vec![None, Some(ingested("b", DocumentState::Failed)), None];
    let all = in_order(refused, vec![ingested("a", DocumentState::Accepted), ingested("c", DocumentState::Unchanged)]);
    assert_eq!(all.iter().map(|one| one.title.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn anything_taken_is_created_and_nothing_taken_is_a_problem() {
    let mixed = answer(vec![ingested("a", DocumentState::Failed), ingested("b", DocumentState::Quarantined)]).unwrap();
    assert_eq!(mixed.status().as_u16(), 201);
    let failure = answer(vec![ingested("a", DocumentState::Failed), ingested("b", DocumentState::Failed)]).unwrap_err();
    assert_eq!(failure.status().as_u16(), 422);
    let problem: Value = serde_json::to_value(failure.problem("r")).unwrap();
    assert_eq!(problem["documents"].as_array().unwrap().len(), 2);
    let one = answer(vec![ingested("a", DocumentState::Failed)]).unwrap_err();
    assert!(one.to_string().contains("broken"), "one document's reason is the problem's");
}

#[test]
fn a_document_keeps_what_was_said_of_it() {
    let body: DocumentsBody =
        serde_json::from_value(json!({ "documents": [{ "id": "x", "title": "T", "text": "words", "source": "https://a.org", "region": "eu" }] })).unwrap();
    let Parcel::Take(document) = parcel_of(body.documents.into_iter().next().unwrap()) else { panic!("taken") };
    assert_eq!(
        (document.id.as_deref(), document.title.as_deref(), document.region.as_deref()),
        (Some("x"), Some("T"), Some("eu"))
    );
    assert_eq!(document.content, Content::Text("words".into()));
}
