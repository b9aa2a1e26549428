//! Bounded mail. Nothing is sent past a mailbox's bound but settlements, obituaries, the ends of calls that others wait
//! for and a supervisor's orders to its rooms, whose number is bounded by the turns and rooms that exist.
use crate::outcome::{Code, Outcome, Rejection};
use actix::dev::ToEnvelope;
use actix::prelude::*;
use tokio::sync::oneshot;

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undelivered {
    /// The mailbox is full: answer 503 with `Retry-After`.
    Full,
    /// The address is dead: the room was rebuilt or closed.
    Closed,
}

impl From<Undelivered> for Rejection {
    fn from(undelivered: Undelivered) -> Self {
        match undelivered {
            Undelivered::Full => {
                Rejection::retry_after(Code::Overloaded, "the queue of this tenant is full; try again shortly", 250)
            }
            Undelivered::Closed => Rejection::lost(),
        }
    }
}

/// Offers a message within the mailbox's bound. The message comes back with the reason when it is not taken.
///
/// # Errors
/// The message and why it was not taken.
pub fn offer<M>(to: &Recipient<M>, message: M) -> Result<(), (M, Undelivered)>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    to.try_send(message).map_err(|error| match error {
        SendError::Full(message) => (message, Undelivered::Full),
        SendError::Closed(message) => (message, Undelivered::Closed),
    })
}

/// Posts past the mailbox's bound. Only for settlements, ends of calls, obituaries and orders between a supervisor and its
/// rooms: each admitted turn and each room can have one, so the bound of those is the bound of these. The one `do_send`.
#[expect(clippy::disallowed_methods, reason = "the single audited exception to bounded mail")]
pub fn post_certain<A, M>(to: &Addr<A>, message: M)
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    to.do_send(message);
}

/// As [`post_certain`], for a recipient.
#[expect(clippy::disallowed_methods, reason = "the single audited exception to bounded mail")]
pub fn post_certain_to<M>(to: &Recipient<M>, message: M)
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    to.do_send(message);
}

/// Where one answer goes. Dropping it unanswered tells the asker that the work was lost.
#[derive(Debug)]
pub struct ReplySlot<T>(oneshot::Sender<Outcome<T>>);

/// The asker's end of a [`ReplySlot`].
#[derive(Debug)]
pub struct Awaited<T>(oneshot::Receiver<Outcome<T>>);

impl<T> ReplySlot<T> {
    /// A slot and the end to wait at.
    #[must_use]
    pub fn pair() -> (Self, Awaited<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), Awaited(receiver))
    }

    /// Answers. A caller that went away is no error.
    pub fn answer(self, outcome: Outcome<T>) {
        let _gone = self.0.send(outcome);
    }

    /// True where nobody waits any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

impl<T> Awaited<T> {
    /// Waits for the answer; a dropped slot is [`Rejection::lost`].
    ///
    /// # Errors
    /// Whatever the room refused or failed with.
    pub async fn outcome(self) -> Outcome<T> {
        self.0.await.unwrap_or_else(|_dropped| Err(Rejection::lost()))
    }
}
