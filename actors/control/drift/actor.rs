//! The shell of the drift room: asks every open tenant within a bounded time, and draws the map of what came.
use super::messages::{DriftSource, ReadDrift};
use super::rules::map;
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::{COST_ALL_MS, COST_MS, COST_READINGS_AT_ONCE};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_tenant::quality::messages::{QualityView, ReadQuality};
use futures_util::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The room.
#[derive(Debug)]
pub struct Drift {
    clock: SharedClock,
}

impl Drift {
    /// A room that reads the time here.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { clock }
    }
}

impl Actor for Drift {
    type Context = Context<Self>;
}

impl Handler<ReadDrift> for Drift {
    type Result = ();

    fn handle(&mut self, ReadDrift { tenants, reply }: ReadDrift, ctx: &mut Self::Context) {
        let clock = self.clock.clone();
        let gathered = async move {
            let asked: Vec<_> = tenants.iter().filter_map(door_of).collect();
            let said: BTreeMap<String, QualityView> = stream::iter(asked)
                .map(ask)
                .buffer_unordered(COST_READINGS_AT_ONCE)
                .take_until(sleep(Duration::from_millis(COST_ALL_MS)))
                .filter_map(async |said| said)
                .collect()
                .await;
            reply.answer(Ok(map(&tenants, &said, clock.now_unix_ms())));
        };
        ctx.spawn(gathered.into_actor(self));
    }
}

/// A tenant's name and where it is asked; nothing where its rooms are not open.
fn door_of(source: &DriftSource) -> Option<(String, Recipient<ReadQuality>)> {
    source.quality.clone().map(|quality| (source.name.clone(), quality))
}

/// What one tenant says; nothing where it stays silent.
async fn ask((name, quality): (String, Recipient<ReadQuality>)) -> Option<(String, QualityView)> {
    let (reply, awaited) = ReplySlot::pair();
    offer(&quality, ReadQuality { reply }).ok()?;
    let said = timeout(Duration::from_millis(COST_MS), awaited.outcome()).await.ok()?.ok()?;
    Some((name, said))
}
