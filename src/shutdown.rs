//! The end, in order: not ready, no new requests, answers in flight, tenants, the store. Exit code 0.
use crate::boot::Running;
use actix_web::dev::ServerHandle;
use std::sync::atomic::Ordering;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves when somebody asks this process to end.
///
/// # Errors
/// Where signals cannot be listened for.
pub async fn requested() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Ends a running house. Requests in flight have the server's grace; then tenants give back what they hold.
///
/// # Errors
/// Where the store's last words could not be made durable.
pub async fn end(running: Running, server: ServerHandle) -> anyhow::Result<()> {
    let Running { edge, draining, closing, traces, vault, arbiters } = running;
    draining.store(true, Ordering::SeqCst);
    server.stop(true).await;
    drop(edge);
    closing.close_all().await;
    if let Some(traces) = traces {
        traces.flush().await; // after the last turn, before what they ran on
    }
    for arbiter in arbiters {
        arbiter.stop();
    }
    bailiwick_kernel::residue::spawn_blocking(move || vault.sync()).await??;
    Ok(())
}
