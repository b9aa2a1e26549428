//! Which documents were taken in under one key: read by whoever keeps them as they are elsewhere.
use super::RetrievalRoom;
use super::messages::{ListTakenIn, TakenIn, TakenInPortion};
use super::rules::LIST_MAX;
use actix::prelude::*;
use std::sync::Arc;

impl Handler<ListTakenIn> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: ListTakenIn, _ctx: &mut Context<Self>) {
        let ListTakenIn { by, after, reply } = request;
        let permit = match self.let_in_unnoted() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let corpus = Arc::clone(&self.desk.corpus);
        actix::spawn(async move {
            let _until_done = permit;
            let listed = corpus.read(move |truth| truth.list(after.as_deref(), LIST_MAX)).await;
            reply.answer(listed.map(|held| {
                let is_whole = held.len() == LIST_MAX;
                let next = held.last().filter(|_last| is_whole).map(|last| last.accepted.id.clone());
                let of_that_key = held.into_iter().map(|held| held.accepted).filter(|accepted| accepted.by == by);
                let known =
                    of_that_key.map(|accepted| TakenIn { id: accepted.id, metadata_json: accepted.metadata_json });
                TakenInPortion { documents: known.collect(), next }
            }));
        });
    }
}
