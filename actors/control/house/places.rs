//! Which arbiter each tenant lives on. Pure.
//!
//! Tenants on one arbiter take turns, in the order in which their messages come: who sends many is felt by the others there.
//! Those on different ones are threads to the operating system, which lets whoever has used little go first.
use bailiwick_kernel::ids::TenantKey;
use std::collections::HashMap;

/// The places of a node's tenants.
#[derive(Debug)]
pub struct Places {
    by_tenant: HashMap<TenantKey, usize>,
    /// How many tenants live on each arbiter, closed ones that may come back among them.
    tenants: Vec<usize>,
}

impl Places {
    /// So many arbiters, and nobody on them.
    #[must_use]
    pub fn on(arbiters: usize) -> Self {
        Self { by_tenant: HashMap::new(), tenants: vec![0; arbiters] }
    }

    /// The place of a tenant, the same for all its incarnations: where it first came, the one with the fewest tenants.
    /// Nothing where there are no arbiters.
    pub fn of(&mut self, tenant: TenantKey) -> Option<usize> {
        if let Some(place) = self.by_tenant.get(&tenant) {
            return Some(*place);
        }
        let (place, tenants) = self.tenants.iter_mut().enumerate().min_by_key(|(_, tenants)| **tenants)?;
        *tenants = tenants.saturating_add(1);
        self.by_tenant.insert(tenant, place);
        Some(place)
    }

    /// Gives up the place of a tenant that never comes back.
    pub fn give_up(&mut self, tenant: TenantKey) {
        let tenants = self.by_tenant.remove(&tenant).and_then(|place| self.tenants.get_mut(place));
        if let Some(tenants) = tenants {
            *tenants = tenants.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Places;
    use bailiwick_kernel::ids::TenantKey;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[expect(clippy::disallowed_methods, reason = "test")]
    fn tenant(number: u8) -> TenantKey {
        TenantKey::mint(uuid::Uuid::from_u128(number.into()))
    }

    #[test]
    fn nobody_shares_an_arbiter_while_one_is_free() {
        let mut places = Places::on(3);
        assert_eq!([1, 2, 3, 1, 2, 3].map(|number| places.of(tenant(number))), [0, 1, 2, 0, 1, 2].map(Some));
        assert_eq!(places.of(tenant(4)), Some(0));
        places.give_up(tenant(2));
        assert_eq!([5, 2].map(|number| places.of(tenant(number))), [Some(1), Some(1)], "it came back as another one");
        assert_eq!(Places::on(0).of(tenant(1)), None);
    }

    proptest! {
        /// Whoever comes and goes: a tenant stays where it is, and whoever comes comes to where the fewest are.
        #[test]
        fn a_tenant_stays_and_comes_to_where_the_fewest_are(
            arbiters in 1..6_usize,
            steps in prop::collection::vec((any::<bool>(), 0..12_u8), 0..200),
        ) {
            let (mut places, mut model) = (Places::on(arbiters), HashMap::<u8, usize>::new());
            for (comes, number) in steps {
                if !comes {
                    places.give_up(tenant(number));
                    model.remove(&number);
                    continue;
                }
                let place = places.of(tenant(number)).unwrap();
                let on = |place: usize| model.values().filter(|other| **other == place).count();
                match model.get(&number) {
                    Some(before) => prop_assert_eq!(place, *before),
                    None => prop_assert_eq!(Some(on(place)), (0..arbiters).map(on).min()),
                }
                model.insert(number, place);
            }
        }
    }
}
