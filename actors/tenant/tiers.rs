//! What a tenant's plan is worth where work is shared: its weight, and its tier's own queues.
use bailiwick_policy::schema::Plan;
use std::num::NonZeroU32;

/// Shares of a plan where tenants of all plans share one pool.
#[must_use]
pub const fn weight(plan: Plan) -> NonZeroU32 {
    const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
    match plan {
        Plan::Free => NonZeroU32::MIN,
        Plan::Pro => TWO,
        Plan::Enterprise => TWO.saturating_mul(TWO),
    }
}

/// One of something for every tier.
#[derive(Clone, Debug)]
pub struct Tiers<T> {
    free: T,
    pro: T,
    enterprise: T,
}

impl<T> Tiers<T> {
    /// Makes one for every tier.
    pub fn each(mut make: impl FnMut(Plan) -> T) -> Self {
        Self { free: make(Plan::Free), pro: make(Plan::Pro), enterprise: make(Plan::Enterprise) }
    }

    /// That of a plan.
    #[must_use]
    pub fn of(&self, plan: Plan) -> &T {
        match plan {
            Plan::Free => &self.free,
            Plan::Pro => &self.pro,
            Plan::Enterprise => &self.enterprise,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.free, &self.pro, &self.enterprise].into_iter()
    }
}
