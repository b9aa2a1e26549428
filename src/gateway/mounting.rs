//! Mounts the route table: each path once, with all its methods, and an answer for everything else.
use super::errors::Failure;
use super::openapi;
use super::routes::ROUTES;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

/// Mounts the table, the docs page and the answer for everything else.
pub fn configure(config: &mut ServiceConfig) {
    let mut paths: Vec<&'static str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    for (at, path) in paths.iter().enumerate() {
        let mounted_before = paths.iter().take(at).any(|earlier| earlier == path);
        if !mounted_before {
            config.service(resource(path));
        }
    }
    config.service(openapi::pages());
    config.default_service(web::to(no_such_route));
}

/// One path with all its methods; any other method is told which they are.
fn resource(path: &'static str) -> actix_web::Resource {
    let here = || ROUTES.iter().filter(|route| route.path == path);
    let allow = here().map(|route| route.method).collect::<Vec<_>>().join(", ");
    let resource =
        here().fold(web::resource(path), |resource, route| match Method::from_bytes(route.method.as_bytes()) {
            Ok(method) => resource.route((route.mount)(web::method(method))),
            Err(_) => resource,
        });
    resource.default_service(web::to(move || {
        let allow = allow.clone();
        async move { Err::<actix_web::HttpResponse, _>(Failure::method_not_allowed(allow)) }
    }))
}

async fn no_such_route() -> Result<actix_web::HttpResponse, Failure> {
    Err(Failure::of_framework(actix_web::http::StatusCode::NOT_FOUND))
}
