//! Mail is bounded, a dropped reply is lost, and a room that ends says how.
use actix::prelude::*;
use bailiwick_kernel::mail::{ReplySlot, Undelivered, offer, post_certain};
use bailiwick_kernel::obituary::{Cause, Died, Obituary};
use bailiwick_kernel::outcome::{Code, Rejection};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Hears who died.
struct Supervisor(UnboundedSender<Died>);
impl Actor for Supervisor {
    type Context = Context<Self>;
}
impl Handler<Died> for Supervisor {
    type Result = ();
    fn handle(&mut self, died: Died, _: &mut Self::Context) {
        self.0.send(died).unwrap();
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum Work {
    Quietly,
    Answer(ReplySlot<u8>),
    Panic(Option<ReplySlot<u8>>),
    Stop,
}

struct Room {
    _obituary: Obituary,
}
impl Actor for Room {
    type Context = Context<Self>;
    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(1);
    }
}
impl Handler<Work> for Room {
    type Result = ();
    fn handle(&mut self, work: Work, context: &mut Self::Context) {
        match work {
            Work::Quietly => {}
            Work::Answer(slot) => slot.answer(Ok(5)),
            Work::Panic(_held) => panic!("a room panics, on purpose"),
            Work::Stop => context.stop(),
        }
    }
}

fn supervised(room: &'static str) -> (Addr<Room>, UnboundedReceiver<Died>) {
    let (told, deaths) = unbounded_channel();
    let supervisor = Supervisor(told).start();
    (Room { _obituary: Obituary::new(room, 4, supervisor.recipient()) }.start(), deaths)
}

/// An actor's panic unwinds through its arbiter, so the room that panics lives on one of its own.
async fn on_an_arbiter_of_its_own(arbiter: &Arbiter) -> (Addr<Room>, UnboundedReceiver<Died>) {
    let (told, deaths) = unbounded_channel();
    let supervisor = Supervisor(told).start();
    let obituary = Obituary::new("doomed", 7, supervisor.recipient());
    (Room::start_in_arbiter(&arbiter.handle(), move |_| Room { _obituary: obituary }), deaths)
}

#[actix_rt::test]
async fn a_panic_in_a_handler_is_told_and_its_reply_is_lost() {
    let arbiter = Arbiter::new();
    let (room, mut deaths) = on_an_arbiter_of_its_own(&arbiter).await;
    let (slot, awaited) = ReplySlot::pair();
    assert!(offer(&room.clone().recipient(), Work::Panic(Some(slot))).is_ok());
    assert_eq!(awaited.outcome().await, Err(Rejection::lost()));
    assert_eq!(deaths.recv().await, Some(Died { room: "doomed", incarnation: 7, cause: Cause::Panicked }));
    let refused = loop {
        match offer(&room.clone().recipient(), Work::Quietly) {
            Err((_, why)) => break why,
            Ok(()) => actix_rt::task::yield_now().await,
        }
    };
    assert_eq!(refused, Undelivered::Closed);
    arbiter.stop();
}

#[actix_rt::test]
async fn an_orderly_stop_is_told_as_one() {
    let (room, mut deaths) = supervised("tired");
    assert!(offer(&room.recipient(), Work::Stop).is_ok());
    assert_eq!(deaths.recv().await, Some(Died { room: "tired", incarnation: 4, cause: Cause::Stopped }));
}

#[actix_rt::test]
async fn a_full_mailbox_gives_the_message_back() {
    let (room, _deaths) = supervised("busy");
    let door = room.clone().recipient();
    let (slot, awaited) = ReplySlot::pair();
    assert!(offer(&door, Work::Answer(slot)).is_ok());
    assert_eq!(awaited.outcome().await, Ok(5));
    // Nothing of this arbiter runs until the next await, so the room cannot empty its mailbox in between.
    let refused = (0..100).find_map(|_| offer(&door, Work::Quietly).err());
    assert!(matches!(refused, Some((Work::Quietly, Undelivered::Full))));
    post_certain(&room, Work::Stop);
    let rejection = Rejection::from(Undelivered::Full);
    assert!(rejection.code == Code::Overloaded && rejection.retry_after_ms.is_some());
    assert_eq!(Rejection::from(Undelivered::Closed).code, Code::Lost);
}

#[actix_rt::test]
async fn a_dropped_reply_is_lost_and_a_caller_gone_is_seen() {
    let (slot, awaited) = ReplySlot::<u8>::pair();
    drop(slot);
    assert_eq!(awaited.outcome().await, Err(Rejection::lost()));
    let (slot, awaited) = ReplySlot::<u8>::pair();
    assert!(!slot.is_abandoned());
    drop(awaited);
    assert!(slot.is_abandoned());
    slot.answer(Ok(1));
}
