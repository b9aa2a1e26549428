use crate::gateway::{ROUTES, configure};
use crate::gateway::{frame, openapi};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::{App, test};
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"];

macro_rules! app {
    () => {
        test::init_service(App::new().wrap(from_fn(frame)).configure(configure)).await
    };
}

fn request(method: &str, path: &str) -> test::TestRequest {
    let path = path.replace(['{', '}'], "");
    test::TestRequest::default().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(&path)
}

#[actix_web::test]
async fn the_app_mounts_exactly_the_table() {
    let app = app!();
    for route in ROUTES {
        for method in METHODS {
            let listed = ROUTES.iter().any(|other| other.path == route.path && other.method == method);
            let response = test::call_service(&app, request(method, route.path).to_request()).await;
            let refused = matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(!refused, listed, "{method} {}: {}", route.path, response.status());
            if !listed {
                let allow = response.headers().get("allow").unwrap().to_str().unwrap().to_owned();
                assert!(allow.split(", ").any(|allowed| allowed == route.method), "{allow}");
                let body: Value = test::read_body_json(response).await;
                let code = body.get("code").or_else(|| body["error"].get("code")).cloned();
                assert_eq!(code, Some("invalid_request".into()), "{method} {}", route.path);
            }
        }
    }
}

#[actix_web::test]
async fn an_unknown_route_is_a_problem() {
    let app = app!();
    for path in ["/", "/v1/nothing", "/v1/ask/", "/admin/v1/tenants/a/b/c", "/v1/documents/a/b"] {
        let response = test::call_service(&app, request("GET", path).to_request()).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        let id = response.headers().get("x-request-id").unwrap().to_str().unwrap().to_owned();
        let body: Value = test::read_body_json(response).await;
        assert_eq!((body["code"].as_str(), body["request_id"].as_str()), (Some("not_found"), Some(&*id)));
    }
}

#[actix_web::test]
async fn without_a_door_nothing_is_let_in() {
    let app = app!();
    for route in ROUTES.iter().filter(|route| route.right.is_some()) {
        let response = test::call_service(&app, request(route.method, route.path).to_request()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{} {}", route.method, route.path);
    }
    assert_eq!(
        test::call_service(&app, request("GET", "/readyz").to_request()).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(test::call_service(&app, request("GET", "/healthz").to_request()).await.status(), StatusCode::OK);
}

#[actix_web::test]
async fn a_sane_request_id_is_taken_over_and_any_other_replaced() {
    let app = app!();
    for (sent, kept) in
        [("abc-1.2_3:4", true), ("", false), ("a b", false), (&*"x".repeat(129), false), ("a\"b", false)]
    {
        let request = test::TestRequest::get().uri("/healthz").insert_header(("x-request-id", sent)).to_request();
        let response = test::call_service(&app, request).await;
        let id = response.headers().get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(id == sent, kept, "{sent}");
        assert!(kept || uuid::Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 7), "{id}");
    }
}

#[actix_web::test]
async fn the_description_covers_the_table_and_resolves() {
    let document = openapi::build();
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        assert_eq!(operation["summary"], route.summary, "{} {}", route.method, route.path);
        assert_eq!(operation.get("security").is_some(), route.right.is_some(), "{}", route.path);
    }
    let described =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().keys()).count();
    assert_eq!(described, ROUTES.len(), "nothing else is described");
    let ids: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), ROUTES.len(), "operation ids are unique");
    let mut missing = Vec::new();
    unresolved(&document, &document, &mut missing);
    assert!(missing.is_empty(), "{missing:?}");
    for name in ["AskBody", "Answer", "Problem", "OpenAiProblem", "Usd"] {
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

fn unresolved(root: &Value, value: &Value, missing: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(place)) = map.get("$ref") {
                let found = place.strip_prefix('#').is_some_and(|pointer| root.pointer(pointer).is_some());
                if !found {
                    missing.push(place.clone());
                }
            }
            map.values().for_each(|inner| unresolved(root, inner, missing));
        }
        Value::Array(list) => list.iter().for_each(|inner| unresolved(root, inner, missing)),
        _ => {}
    }
}

#[actix_web::test]
async fn the_docs_page_is_in_the_binary() {
    let app = app!();
    let moved = test::call_service(&app, request("GET", "/docs").to_request()).await;
    assert_eq!(moved.headers().get("location").unwrap(), "/docs/");
    let page = test::call_service(&app, request("GET", "/docs/").to_request()).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(String::from_utf8_lossy(&test::read_body(page).await).contains("swagger"));
    let script = test::call_service(&app, request("GET", "/docs/swagger-ui-bundle.js").to_request()).await;
    assert_eq!(script.status(), StatusCode::OK);
}

#[actix_web::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = actix_web::HttpServer::new(|| App::new().wrap(from_fn(frame)).configure(configure))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    let answered = bailiwick_kernel::residue::spawn_blocking(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let body = vec![b'x'; 8 << 20];
        write!(socket, "POST /v1/ask HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
        // the server may stop reading; what matters is that its answer can be read
        let _stopped = socket.write_all(&body);
        let mut text = [0_u8; 64];
        let read = socket.read(&mut text).unwrap_or(0);
        String::from_utf8_lossy(&text[..read]).into_owned()
    })
    .await
    .unwrap();
    assert!(answered.starts_with("HTTP/1.1 500"), "{answered:?}");
    handle.stop(false).await;
    running.await.unwrap().unwrap();
}
