//! `/openapi.json`, made from the route table and the types that read and write the bodies, and the page that shows it.
use super::errors::{Dialect, FlagProblem, OpenAiProblem, Problem};
use super::route::{Route, Shape};
use super::routes::ROUTES;
use actix_web::HttpResponse;
use actix_web::http::header;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::sync::LazyLock;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, Required, ResponseBuilder,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

const BEARER: &str = "key";

/// The document as text, made once.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| build().to_string());

/// `GET /openapi.json`.
pub(super) async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.as_str())
}

/// `GET /docs`: the page lives one slash further.
pub(super) async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// The page, its assets inside the binary.
pub(super) fn pages() -> SwaggerUi {
    SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json"))
}

/// The whole document.
#[must_use]
pub fn build() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut document = skeleton(&mut generator);
    let mut schemas = generator.take_definitions(true);
    schemas.sort_keys();
    document.as_object_mut().and_then(|document| {
        let components = document.get_mut("components")?.as_object_mut()?;
        components.insert("schemas".into(), Value::Object(schemas))
    });
    document
}

fn skeleton(generator: &mut SchemaGenerator) -> Value {
    let mut paths = Paths::new();
    for route in ROUTES {
        if let Some(method) = http_method(route.method) {
            paths.add_path_operation(route.path, vec![method], operation(route, generator));
        }
    }
    let mut components = Components::new();
    components
        .add_security_scheme(BEARER, SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()));
    let info = InfoBuilder::new()
        .title("Bailiwick")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Question answering over documents, for many tenants, under policy, budget and lineage."))
        .build();
    let document: OpenApi = OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build();
    serde_json::to_value(document).unwrap_or_default()
}

fn http_method(method: &str) -> Option<HttpMethod> {
    match method {
        "GET" => Some(HttpMethod::Get),
        "POST" => Some(HttpMethod::Post),
        "PUT" => Some(HttpMethod::Put),
        "PATCH" => Some(HttpMethod::Patch),
        "DELETE" => Some(HttpMethod::Delete),
        _ => None,
    }
}

fn tag(route: &Route) -> &'static str {
    match route.right {
        None => "public",
        Some(_) if route.path.starts_with("/admin/") => "control plane",
        Some(_) => match Dialect::of_path(route.path) {
            Dialect::OpenAi => "openai",
            Dialect::OpenFeature => "openfeature",
            Dialect::Native => "data plane",
        },
    }
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Operation {
    let mut operation =
        OperationBuilder::new().tag(tag(route)).summary(Some(route.summary)).operation_id(Some(operation_id(route)));
    for name in path_parameters(route.path) {
        operation = operation.parameter(path_parameter(name));
    }
    for (name, does) in route.heeds {
        operation = operation.parameter(header_parameter(name, does));
    }
    if let Some(right) = route.right {
        operation = operation
            .description(Some(format!("Needs the right `{}`.", format!("{right:?}").to_lowercase())))
            .security(SecurityRequirement::new(BEARER, Vec::<String>::new()));
    }
    if let Some(takes) = route.takes {
        let content = ContentBuilder::new().schema(reference(takes, generator)).build();
        operation = operation.request_body(Some(
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build(),
        ));
    }
    let mut answer = ResponseBuilder::new().description("done");
    if let Some(gives) = route.gives {
        answer = answer.content("application/json", ContentBuilder::new().schema(reference(gives, generator)).build());
    }
    let (media_type, problem): (&str, Shape) = match Dialect::of_path(route.path) {
        Dialect::Native => (super::errors::PROBLEM_JSON, |generator| generator.subschema_for::<Problem<'static>>()),
        Dialect::OpenAi => ("application/json", |generator| generator.subschema_for::<OpenAiProblem<'static>>()),
        Dialect::OpenFeature => ("application/json", |generator| generator.subschema_for::<FlagProblem<'static>>()),
    };
    let content = ContentBuilder::new().schema(reference(problem, generator)).build();
    operation
        .response(route.status.to_string(), answer.build())
        .response(
            "default",
            ResponseBuilder::new()
                .description("refused or failed, with a stable code")
                .content(media_type, content)
                .build(),
        )
        .build()
}

/// A reference to a named schema; `None` for the free object, which needs none.
fn reference(shape: Shape, generator: &mut SchemaGenerator) -> Option<Ref> {
    let schema = shape(generator);
    schema.get("$ref").and_then(Value::as_str).map(Ref::new)
}

fn operation_id(route: &Route) -> String {
    let words = route.path.chars().filter_map(|letter| match letter {
        '{' | '}' => None,
        letter if letter.is_ascii_alphanumeric() || letter == '_' => Some(letter),
        _ => Some('_'),
    });
    route.method.to_lowercase().chars().chain(words).collect()
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(text))
        .build()
}

fn header_parameter(name: &str, does: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(does))
        .schema(Some(text))
        .build()
}
