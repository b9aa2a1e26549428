//! Purpose: speaks HTTP, server-sent events and WebSocket; turns each request into a knock, a call and an answer.
//! Owns: the route table, the mapping of codes to statuses, the shapes of bodies and frames.
//! Sends to: the registry's door, and the handles it gives.
//! Never: a decision about a tenant; a handle kept past its request or session; a log line.
//! Invariants: every error has a stable code; an unknown thing and another tenant's thing answer alike.
mod admin;
mod approvals;
mod ask;
mod audit;
mod backups;
mod body;
mod connection;
mod costs;
mod documents;
mod edge;
mod encryption;
mod erasures;
pub mod errors;
mod evaluations;
mod feedback;
mod figures;
mod frame;
mod heeded;
pub mod hints;
mod imports;
mod journal_export;
mod keys;
mod knock;
mod lineage;
mod money;
mod mounting;
mod moving;
mod ofrep;
mod openai;
mod openai_shape;
pub mod openapi;
mod page;
mod policies;
mod probes;
mod rates;
mod receipts;
mod reply;
mod reports;
pub mod route;
pub mod routes;
mod search;
pub mod server;
mod service;
mod session;
mod session_frames;
mod stream;
pub mod tls;
mod traced;
mod upload;

pub use edge::{Edge, Settings};
pub use frame::frame;
pub use mounting::configure;
pub use route::Route;
pub use routes::ROUTES;
pub use server::serve;

#[cfg(test)]
mod tests;
