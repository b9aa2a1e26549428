//! Which tenants the publisher reaches.
use super::actor::Registry;
use super::lodging::Stage;
use super::messages::{Publishing, ReadPublishing};
use actix::prelude::*;

impl Handler<ReadPublishing> for Registry {
    type Result = ();

    fn handle(&mut self, ReadPublishing { reply }: ReadPublishing, _ctx: &mut Self::Context) {
        let open = self.directory.tenants().filter_map(|tenant| {
            let Stage::Open(doors) = &self.lodgings.get(&tenant.key)?.stage else { return None };
            let (head, take, taken) = (doors.publish.clone(), doors.take.clone(), doors.taken.clone());
            Some(Publishing { name: tenant.name.clone(), tenant: tenant.key, head, take, taken })
        });
        reply.answer(Ok(open.collect()));
    }
}
