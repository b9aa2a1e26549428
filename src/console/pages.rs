//! Serves the console's files. They carry no data: everything shown is fetched with the visitor's key.
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use rust_embed::{EmbeddedFile, RustEmbed};

/// Scripts and styles only from here, connections only to here: a stolen answer cannot call home.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

#[derive(RustEmbed)]
#[folder = "src/console/assets"]
struct Assets;

/// Mounts `/console`.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .route("/console", web::get().to(async || serve("index.html")))
        .route("/console/", web::get().to(async || serve("index.html")))
        .route("/console/{file}", web::get().to(async |file: web::Path<String>| serve(&file)));
}

fn serve(name: &str) -> HttpResponse {
    let Some(EmbeddedFile { data, metadata }) = Assets::get(name) else {
        return HttpResponse::NotFound().finish();
    };
    HttpResponse::Ok()
        .content_type(metadata.mimetype().to_owned())
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(data.into_owned())
}
