//! The shell of the key watch: two timers, and looks on threads that may block.
use super::messages::Registry;
use super::rules::{Verdict, Watched};
use crate::kms::KeyService;
use crate::kms::custody::{Custody, Look};
use crate::kms::rules::{Due, Rotation, due};
use crate::registry::encryption::{KeyIsDue, KeyRules, KeyStanding, ReadKeyRules};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::{KEY_AGE_LOOK_MS, KEY_LOOK_MS, KEY_LOOKS_AT_ONCE, KEY_ROTATIONS_PER_LOOK_MAX};
use bailiwick_kernel::mail::ReplySlot;
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One key service: nobody else waits for it.
type Lane = (&'static str, String);

/// A customer's key to be looked at.
struct Wanted {
    tenant: TenantKey,
    is_sealed: bool,
    custody: Custody,
}

/// The room.
pub struct KeyWatch {
    keys: KeyService,
    clock: SharedClock,
    registry: Registry,
    watched: Watched,
    /// Key services that are being asked.
    asked: BTreeSet<Lane>,
    /// Tenants whose keyring was said to be full.
    full: BTreeSet<TenantKey>,
}

impl KeyWatch {
    /// A watch that has seen nothing yet.
    pub(super) fn new(keys: KeyService, clock: SharedClock, registry: Registry) -> Self {
        let (watched, asked, full) = (Watched::default(), BTreeSet::new(), BTreeSet::new());
        Self { keys, clock, registry, watched, asked, full }
    }

    /// Reads what the tenants' files say, then goes on with it.
    fn with_rules(
        &mut self,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Vec<KeyRules>, &mut Context<Self>) + 'static,
    ) {
        let rules = self.registry.rules.clone();
        let reading = async move {
            let (reply, awaited) = ReplySlot::pair();
            rules.send(ReadKeyRules { reply }).await.ok()?;
            awaited.outcome().await.ok()
        };
        ctx.spawn(reading.into_actor(self).map(|read, act, ctx| then(act, read.unwrap_or_default(), ctx)));
    }

    fn look_at_ages(&mut self, ctx: &mut Context<Self>) {
        self.with_rules(ctx, |act, rules, ctx| {
            let now_unix_ms = act.clock.now_unix_ms();
            let mut made = 0;
            for KeyRules { tenant, rotation_days, is_open, .. } in rules {
                let (Some(days), true, Some(newest)) = (rotation_days, is_open, act.keys.newest(tenant)) else { continue };
                let rotation = Rotation::OlderThanDays(days);
                match due(&newest, rotation, now_unix_ms) {
                    Due::Yes if made < KEY_ROTATIONS_PER_LOOK_MAX => {
                        made += 1;
                        act.tell_due(KeyIsDue { tenant, rotation }, ctx);
                    }
                    Due::Full if act.full.insert(tenant) => tracing::error!(
                        %tenant,
                        versions = newest.number,
                        "the tenant's key is due, but its keyring holds as many versions as it may; the newest goes on sealing"
                    ),
                    Due::Yes | Due::Full | Due::No => {}
                }
            }
        });
        ctx.run_later(Duration::from_millis(KEY_AGE_LOOK_MS), Self::look_at_ages);
    }

    fn tell_due(&self, due: KeyIsDue, ctx: &mut Context<Self>) {
        ctx.spawn(self.registry.due.send(due).into_actor(self).map(|_sent, _act, _ctx| ()));
    }

    fn tell_standing(&self, standing: KeyStanding, ctx: &mut Context<Self>) {
        ctx.spawn(self.registry.standing.send(standing).into_actor(self).map(|_sent, _act, _ctx| ()));
    }

    fn look_at_customers_keys(&mut self, ctx: &mut Context<Self>) {
        self.with_rules(ctx, |act, rules, ctx| {
            let mut lanes: BTreeMap<Lane, Vec<Wanted>> = BTreeMap::new();
            for KeyRules { tenant, kms_key_id, is_sealed, .. } in rules {
                let custody = act.keys.custody(kms_key_id.as_deref());
                let lane = match &custody {
                    Custody::Customer(key) => (key.kind, key.region.clone()),
                    // what a key wraps that the tenant names no longer, or that this node does not know
                    Custody::Node | Custody::NotHonoured(_) if is_sealed || act.is_wrapped_by_customer(tenant) => {
                        ("", String::new())
                    }
                    Custody::Node | Custody::NotHonoured(_) => continue,
                };
                lanes.entry(lane).or_default().push(Wanted { tenant, is_sealed, custody });
            }
            let all: BTreeSet<TenantKey> = lanes.values().flatten().map(|wanted| wanted.tenant).collect();
            act.watched.keep_only(|tenant| all.contains(&tenant));
            for (lane, wanted) in lanes {
                // one that has not answered yet is not asked a second time
                if act.asked.insert(lane.clone()) {
                    act.look_along(lane, wanted, ctx);
                }
            }
        });
        ctx.run_later(Duration::from_millis(KEY_LOOK_MS), Self::look_at_customers_keys);
    }

    fn is_wrapped_by_customer(&self, tenant: TenantKey) -> bool {
        self.keys.newest(tenant).is_some_and(|newest| newest.key_id.is_some())
    }

    /// Looks at the keys of one key service, and judges each as its look ends.
    fn look_along(&mut self, lane: Lane, wanted: Vec<Wanted>, ctx: &mut Context<Self>) {
        let (keys, clock) = (self.keys.clone(), self.clock.clone());
        let looks = stream::iter(wanted).map(move |Wanted { tenant, is_sealed, custody }| {
            let (keys, began_unix_ms) = (keys.clone(), clock.now_unix_ms());
            async move {
                let looking = bailiwick_kernel::residue::spawn_blocking(move || keys.look(tenant, custody.wish()));
                let look =
                    looking.await.unwrap_or_else(|_panicked| Look::Unreached("the look itself failed".to_owned()));
                (tenant, is_sealed, look, began_unix_ms)
            }
        });
        let looks = looks.buffer_unordered(KEY_LOOKS_AT_ONCE).into_actor(self).map(
            |(tenant, is_sealed, look, began_unix_ms), act, ctx| match act.watched.judge(
                tenant,
                is_sealed,
                look,
                began_unix_ms,
            ) {
                Verdict::Nothing => {}
                Verdict::Seal(reason) => act.tell_standing(KeyStanding { tenant, withheld: Some(reason) }, ctx),
                Verdict::Unseal => act.tell_standing(KeyStanding { tenant, withheld: None }, ctx),
                Verdict::Adopt => act.tell_due(KeyIsDue { tenant, rotation: Rotation::OfAnotherHolder }, ctx),
            },
        );
        ctx.spawn(looks.finish().map(move |(), act, _ctx| {
            act.asked.remove(&lane);
        }));
    }
}

impl Actor for KeyWatch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_later(Duration::from_millis(KEY_LOOK_MS), Self::look_at_customers_keys);
        ctx.run_later(Duration::from_millis(KEY_AGE_LOOK_MS), Self::look_at_ages);
    }
}
