//! The shell of the schedule: a timer, a look at what is due, and the tenants' golden questions off the reactor.
use super::messages::{ReadSchedules, Scheduled};
use crate::gitops::folder::Folders;
use crate::gitops::messages::{Found, Sound};
use actix::prelude::*;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::golden::Golden;
use bailiwick_tenant::evaluation::messages::{Evaluate, ReadEvaluationDue};
use bailiwick_tenant::evaluation::schedule::SCHEDULE_KEY;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// After the start: tenants are being opened before.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// Between two looks at who is due.
const LOOK: Duration = Duration::from_secs(60);
/// A tenant that has not answered by then is asked again at the next look.
const ANSWER: Duration = Duration::from_secs(2);
/// A tenant that has not begun by then keeps nobody else waiting; whether it has is in its journal.
const BEGUN: Duration = Duration::from_secs(10);
/// Evaluations begun by one look; the others follow at the next.
const BEGUN_PER_LOOK_MAX: usize = 8;

/// The room.
#[derive(Debug)]
pub struct Schedule {
    folders: Folders,
    registry: Recipient<ReadSchedules>,
}

impl Schedule {
    /// A room that asks this registry.
    #[must_use]
    pub fn new(folders: Folders, registry: Recipient<ReadSchedules>) -> Self {
        Self { folders, registry }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let (folders, registry) = (self.folders.clone(), self.registry.clone());
        let looking = async move {
            let mut begun = 0;
            for tenant in scheduled(&registry).await {
                if begun >= BEGUN_PER_LOOK_MAX {
                    break;
                }
                let Some(due_unix_ms) = due(&tenant).await else { continue };
                match begin(&folders, &tenant, due_unix_ms).await {
                    Ok(()) => begun += 1,
                    // tried again at the next look
                    Err(rejection) => {
                        tracing::warn!(tenant = %tenant.key, %rejection, "golden questions are due and could not be asked");
                    }
                }
            }
        };
        ctx.spawn(looking.into_actor(self).map(|(), _act, ctx| {
            ctx.run_later(LOOK, Self::look);
        }));
    }
}

/// Who asks questions that are asked by themselves: a ceiling of `router.yaml` and a limit of `tenant.yaml` may name the key.
fn asker() -> Principal {
    Principal {
        key_id: SCHEDULE_KEY.to_owned(),
        user_id: None,
        role: Some(Role::Operator),
        attributes: BTreeMap::new(),
    }
}

async fn scheduled(registry: &Recipient<ReadSchedules>) -> Vec<Scheduled> {
    let (reply, awaited) = ReplySlot::pair();
    match registry.send(ReadSchedules { reply }).await {
        Ok(()) => awaited.outcome().await.unwrap_or_default(),
        Err(_gone) => Vec::new(),
    }
}

/// The time that is due; nothing where none is, or the tenant stays silent.
async fn due(tenant: &Scheduled) -> Option<u64> {
    let (reply, awaited) = ReplySlot::pair();
    offer(&tenant.due, ReadEvaluationDue { reply }).ok()?;
    timeout(ANSWER, awaited.outcome()).await.ok()?.ok()?
}

async fn begin(folders: &Folders, tenant: &Scheduled, due_unix_ms: u64) -> Outcome<()> {
    let (folders, name) = (folders.clone(), tenant.name.clone());
    let reading = bailiwick_kernel::residue::spawn_blocking(move || golden(&folders, &name));
    let golden = reading.await.unwrap_or_else(|_panicked| Err(Rejection::lost()))?;
    let (reply, begun) = ReplySlot::pair();
    let evaluate = Evaluate { golden, by: asker(), due_unix_ms: Some(due_unix_ms), reply };
    offer(&tenant.evaluate, evaluate).map_err(|(_evaluate, undelivered)| Rejection::from(undelivered))?;
    let begun = timeout(BEGUN, begun.outcome()).await.unwrap_or_else(|_silent| Err(Rejection::lost()));
    begun.map(|_progress| ())
}

/// The questions a tenant's folder holds now.
fn golden(folders: &Folders, name: &str) -> Outcome<Vec<Golden>> {
    let problem = match folders.load(name) {
        Found::Compiled(Sound { golden: Ok(golden), .. }) => return Ok(golden.to_vec()),
        Found::Compiled(Sound { golden: Err(problem), .. }) | Found::Broken(problem) => problem,
        Found::Gone => "its folder is gone".to_owned(),
    };
    Err(Rejection::new(Code::PolicyDenied, problem))
}

impl Actor for Schedule {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_later(FIRST_LOOK, Self::look);
    }
}
