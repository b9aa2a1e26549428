//! What one line of the route table says.
use bailiwick_policy::access::Right;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Adds a type's schema to a document and returns a reference to it.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// One route.
#[derive(Clone, Copy)]
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path; `{name}` is one segment.
    pub path: &'static str,
    /// The right whose handle the route knocks for; `None` for public routes.
    pub right: Option<Right>,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Body taken.
    pub(super) takes: Option<Shape>,
    /// Body given.
    pub(super) gives: Option<Shape>,
    /// Headers heeded beside those of every route, each with what it does.
    pub(super) heeds: &'static [(&'static str, &'static str)],
    /// Status where all went well.
    pub(super) status: u16,
    /// Its handler, behind the method.
    pub(super) mount: Mount,
}

/// Puts a handler behind a method.
pub(super) type Mount = fn(actix_web::Route) -> actix_web::Route;

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    pub(super) const fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Some(shape::<T>);
        self
    }

    pub(super) const fn gives<T: JsonSchema>(mut self, status: u16) -> Self {
        self.gives = Some(shape::<T>);
        self.status = status;
        self
    }

    pub(super) const fn heeds(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.heeds = headers;
        self
    }

    pub(super) const fn answers(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

pub(super) const fn route(
    method: &'static str,
    path: &'static str,
    right: Option<Right>,
    summary: &'static str,
    mount: Mount,
) -> Route {
    Route { method, path, right, summary, takes: None, gives: None, heeds: &[], status: 200, mount }
}
