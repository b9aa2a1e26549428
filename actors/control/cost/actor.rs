//! The shell of the cost room.
use super::messages::{Charged, ReadCosts};
use super::rules::Ledger;
use actix::prelude::*;

/// The room.
#[derive(Default, Debug)]
pub struct Cost {
    ledger: Ledger,
}

impl Actor for Cost {
    type Context = Context<Self>;
}

impl Handler<Charged> for Cost {
    type Result = ();

    fn handle(&mut self, charged: Charged, _ctx: &mut Self::Context) {
        self.ledger.add(&charged);
    }
}

impl Handler<ReadCosts> for Cost {
    type Result = ();

    fn handle(&mut self, read: ReadCosts, _ctx: &mut Self::Context) {
        read.reply.answer(Ok(self.ledger.view()));
    }
}
