//! Requests for erasure at the room's door.
use super::RetrievalRoom;
use super::requests::answered;
use crate::erasures::messages::{AskErasure, CountOverdue, ListErasures, ShowErasure};
use actix::prelude::*;
use bailiwick_kernel::mail;

/// A request for erasure is durable: the room looks what it is about.
#[derive(Message)]
#[rtype(result = "()")]
struct OweErasure;

impl Handler<OweErasure> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, _owe: OweErasure, ctx: &mut Context<Self>) {
        self.owe_erasure(ctx);
    }
}

impl Handler<AskErasure> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: AskErasure, ctx: &mut Context<Self>) {
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return request.reply.answer(Err(rejection)),
        };
        let AskErasure { wish, principal, reply } = request;
        let (desk, now_unix_ms, room) = (self.desk.clone(), self.clock.now_unix_ms(), ctx.address());
        Self::change(ctx, async move {
            let _until_done = permit;
            let (outcome, afterwards) = answered(desk.ask_erasure(wish, principal, now_unix_ms).await);
            if outcome.is_ok() {
                mail::post_certain(&room, OweErasure);
            }
            reply.answer(outcome);
            afterwards
        });
    }
}

impl Handler<ListErasures> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, list: ListErasures, _ctx: &mut Context<Self>) {
        let ListErasures { after, limit, principal, reply } = list;
        let let_in = self.let_in().and_then(|permit| Ok((permit, self.visible(&principal)?)));
        let (permit, visible) = match let_in {
            Ok(let_in) => let_in,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, now_unix_ms) = (self.desk.clone(), self.clock.now_unix_ms());
        actix::spawn(async move {
            let _until_done = permit;
            reply.answer(desk.list_erasures(after, limit, visible, now_unix_ms).await);
        });
    }
}

impl Handler<CountOverdue> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, CountOverdue { reply }: CountOverdue, _ctx: &mut Context<Self>) {
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, now_unix_ms) = (self.desk.clone(), self.clock.now_unix_ms());
        actix::spawn(async move {
            let _until_done = permit;
            reply.answer(desk.overdue(now_unix_ms).await);
        });
    }
}

impl Handler<ShowErasure> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, show: ShowErasure, _ctx: &mut Context<Self>) {
        let ShowErasure { id, principal, reply } = show;
        let let_in = self.let_in().and_then(|permit| Ok((permit, self.visible(&principal)?)));
        let (permit, visible) = match let_in {
            Ok(let_in) => let_in,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, now_unix_ms) = (self.desk.clone(), self.clock.now_unix_ms());
        actix::spawn(async move {
            let _until_done = permit;
            reply.answer(desk.show_erasure(id, visible, now_unix_ms).await);
        });
    }
}
