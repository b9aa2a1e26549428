//! The watcher: file events of the operating system, coalesced until they are quiet.
use super::messages::{Changed, Scope};
use super::rules;
use actix::Recipient;
use bailiwick_kernel::limits::{FOLDER_BURST_MS, FOLDER_POLL_MS, FOLDER_QUIET_MS};
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Events that came and were not reported yet. Bounded: a set of folder names that collapses into "all".
#[derive(Clone, Debug, Default)]
pub struct Burst {
    changed: Arc<Mutex<Option<Scope>>>,
    woken: Arc<Notify>,
}

impl Burst {
    /// Adds a change.
    pub fn add(&self, change: Scope) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        *changed = Some(rules::add(changed.take(), change));
        self.woken.notify_one();
    }

    /// Waits for a burst and for its end: quiet for [`FOLDER_QUIET_MS`], or [`FOLDER_BURST_MS`] long.
    pub async fn next(&self) -> Scope {
        loop {
            self.woken.notified().await;
            let latest = Instant::now() + Duration::from_millis(FOLDER_BURST_MS);
            loop {
                let quiet = Instant::now() + Duration::from_millis(FOLDER_QUIET_MS);
                if timeout_at(quiet.min(latest), self.woken.notified()).await.is_err() {
                    break;
                }
            }
            let burst = self.changed.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(scope) = burst {
                return scope;
            }
        }
    }
}

/// Watches until it is dropped.
pub type Watching = Box<dyn Watcher + Send>;

/// Watches the tenants folder: by the operating system's events, or by looking every few seconds where those are not
/// to be had (network file systems, exhausted watch limits).
///
/// # Errors
/// Where neither is possible.
pub fn watch(root: &Path, burst: &Burst) -> notify::Result<Watching> {
    let mut native =
        RecommendedWatcher::new(reporter(root, burst), Config::default()).map(|watcher| Box::new(watcher) as Watching);
    if let Ok(watcher) = &mut native
        && watcher.watch(root, RecursiveMode::Recursive).is_ok()
    {
        return native;
    }
    tracing::warn!(
        tenant = "none",
        "file events are not to be had for the tenants folder; looking every two seconds instead"
    );
    let every = Config::default().with_poll_interval(Duration::from_millis(FOLDER_POLL_MS));
    let mut polling = PollWatcher::new(reporter(root, burst), every)?;
    polling.watch(root, RecursiveMode::Recursive)?;
    Ok(Box::new(polling))
}

fn reporter(root: &Path, burst: &Burst) -> impl FnMut(notify::Result<Event>) + Send + 'static {
    let (root, burst): (PathBuf, Burst) = (root.to_path_buf(), burst.clone());
    move |event| match event {
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
        Ok(event) if event.need_rescan() => burst.add(Scope::All),
        Ok(event) => {
            let folders: BTreeSet<_> = event.paths.iter().filter_map(|path| rules::folder_of(&root, path)).collect();
            if !folders.is_empty() {
                burst.add(Scope::Some(folders));
            }
        }
        Err(_lost) => burst.add(Scope::All),
    }
}

/// Reports bursts to the room until the room is gone.
pub async fn report(burst: Burst, room: Recipient<Changed>) {
    while room.connected() {
        let scope = burst.next().await;
        if room.send(Changed(scope)).await.is_err() {
            return;
        }
    }
}
