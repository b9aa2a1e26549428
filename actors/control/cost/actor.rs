//! The shell of the cost room: asks every tenant within a bounded time and sums up what comes.
use super::messages::{CostSource, ReadCosts};
use super::rules::Gathering;
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::{COST_ALL_MS, COST_MS, COST_READINGS_AT_ONCE};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_tenant::spend::view::{SpendQuery, SpendView};
use bailiwick_tenant::supervisor::messages::ReadSpend;
use futures_util::stream::{self, StreamExt};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The room.
#[derive(Debug)]
pub struct Cost {
    clock: SharedClock,
}

impl Cost {
    /// A room that reads the time here.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { clock }
    }
}

impl Actor for Cost {
    type Context = Context<Self>;
}

impl Handler<ReadCosts> for Cost {
    type Result = ();

    fn handle(&mut self, read: ReadCosts, ctx: &mut Self::Context) {
        let ReadCosts { tenants, query, reply } = read;
        let clock = self.clock.clone();
        let mut gathering = Gathering::new(query.clone(), tenants.iter().map(|tenant| tenant.name.clone()).collect());
        let gathered = async move {
            let mut answers = stream::iter(tenants)
                .map(|tenant| ask(tenant, query.clone()))
                .buffer_unordered(COST_READINGS_AT_ONCE)
                .take_until(sleep(Duration::from_millis(COST_ALL_MS)))
                .boxed_local();
            while let Some((name, answer)) = answers.next().await {
                match answer {
                    Ok(Some(view)) => {
                        if let Err(rejection) = gathering.take(&name, view) {
                            return reply.answer(Err(rejection));
                        }
                    }
                    Ok(None) => {} // silent: named as missing at the end
                    Err(reason) => gathering.miss(&name, reason),
                }
            }
            reply.answer(Ok(gathering.end(clock.now_unix_ms())));
        };
        ctx.spawn(gathered.into_actor(self));
    }
}

/// Asks one tenant: what it spent, nothing where it stays silent, or why it cannot be asked.
async fn ask(tenant: CostSource, query: SpendQuery) -> (String, Result<Option<SpendView>, String>) {
    let CostSource { name, spend } = tenant;
    let answer = match spend {
        Err(state) => Err(format!("it is {state}")),
        Ok(spend) => {
            let (reply, awaited) = ReplySlot::pair();
            match offer(&spend, ReadSpend { query, reply }) {
                Err(_) => Ok(None),
                Ok(()) => {
                    let answered = timeout(Duration::from_millis(COST_MS), awaited.outcome()).await;
                    answered.ok().transpose().map_err(|rejection| rejection.detail)
                }
            }
        }
    };
    (name, answer)
}
