//! Starts the HTTP server on a bound socket.
use super::connection::watch_all;
use super::edge::Edge;
use super::frame::frame;
use super::mounting::configure;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};
use bailiwick_kernel::residue;
use rustls::ServerConfig;
use std::time::Duration;

/// Serves on `listener` with the gateway's routes and whatever `extra` mounts beside them, under TLS where there is some. A
/// handshake has as long as the head of a request. Shutdown is the caller's: stop the server by its handle; requests in flight
/// have the stated grace.
///
/// # Errors
/// Where the socket cannot be listened on.
pub fn serve(
    edge: Edge,
    listener: std::net::TcpListener,
    tls: Option<ServerConfig>,
    workers: usize,
    extra: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let settings = std::sync::Arc::clone(&edge.settings);
    let edge = web::Data::new(edge);
    let workers = workers.max(1);
    let server = HttpServer::new(move || {
        // on each worker's thread
        actix_web::rt::spawn(residue::attend());
        App::new().app_data(web::Data::clone(&edge)).wrap(from_fn(frame)).configure(extra.clone()).configure(configure)
    });
    let connections = (settings.connections_max / workers).max(1);
    let server = server
        .workers(workers)
        .max_connections(connections)
        // handshakes under way are bounded like connections: fewer would let slow ones keep all others waiting
        .max_connection_rate(connections)
        .tls_handshake_timeout(Duration::from_millis(settings.head_timeout_ms))
        .tcp_nodelay(true)
        .client_request_timeout(Duration::from_millis(settings.head_timeout_ms))
        .client_disconnect_timeout(Duration::from_millis(settings.disconnect_timeout_ms))
        .keep_alive(Duration::from_millis(settings.keep_alive_ms))
        .shutdown_timeout(settings.grace_ms.div_ceil(1_000))
        .disable_signals()
        .on_connect(watch_all(&settings));
    let listening = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok(listening.run())
}
