//! How one call comes to its hold: weighed, made to wait where others hold what it needs, covered by a durable block or a
//! durable record of its own, handed on.
use super::actor::BudgetRoom;
use super::breaker::used_ppm;
use super::counters::CounterKey;
use super::hold::Hold;
use super::rules::{Call, Cover, Ended, Fit, Made, TRY_AGAIN_MS, Weighed};
use super::waiting::Waiting;
use crate::entry::{Entry, HoldTaken};
use crate::turn::{Funded, Grounded, Turn};
use actix::prelude::*;
use bailiwick_kernel::fabric::{AppendError, Appended};
use bailiwick_kernel::journal::JournalError;
use bailiwick_kernel::limits::{HOLD_WAIT_MS_MAX, MAILBOX_MAX};
use bailiwick_kernel::mail::offer;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};

/// A call with what it asks for.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) turn: Turn<Grounded>,
    pub(super) call: Call,
}

impl BudgetRoom {
    /// Weighs a call that has just come.
    pub(super) fn fund(&mut self, caller: Caller, ctx: &mut Context<Self>) {
        let now_unix_ms = self.clock.now_unix_ms();
        match self.balance.weigh(&caller.call, now_unix_ms) {
            Weighed::Refused(rejection) => caller.turn.refuse(rejection),
            Weighed::MustWait(tight) => self.queue(caller, tight, now_unix_ms),
            Weighed::Fits(fit) => match self.behind(&fit) {
                tight if tight.is_empty() => self.hold(caller, fit, ctx),
                tight => self.queue(caller, tight, now_unix_ms),
            },
        }
    }

    /// The counters for which others wait already; a call that takes nothing from them stands behind nobody.
    fn behind(&self, fit: &Fit) -> Vec<CounterKey> {
        if fit.takes_nothing() { Vec::new() } else { self.line.stands_before(fit.keys()) }
    }

    fn queue(&mut self, caller: Caller, tight: Vec<CounterKey>, now_unix_ms: u64) {
        let patience = now_unix_ms.saturating_add(HOLD_WAIT_MS_MAX);
        let until_unix_ms = caller.turn.case.deadline_unix_ms.min(patience);
        if let Err(turned_away) = self.line.join(Waiting { call: caller, tight, until_unix_ms }) {
            let detail = "too many calls of this tenant wait until money held by others comes back; try again shortly";
            turned_away.call.turn.refuse(Rejection::retry_after(Code::Overloaded, detail, TRY_AGAIN_MS));
        }
    }

    /// Lets those that wait try again, in their order.
    pub(super) fn try_the_line_again(&mut self, ctx: &mut Context<Self>) {
        if self.line.is_empty() {
            return;
        }
        for Waiting { call: caller, until_unix_ms, .. } in self.line.take() {
            if caller.turn.is_abandoned() {
                continue; // nothing was held: dropping the turn ends it
            }
            let now_unix_ms = self.clock.now_unix_ms();
            let tight = match self.balance.weigh(&caller.call, now_unix_ms) {
                Weighed::Refused(rejection) => {
                    caller.turn.refuse(rejection);
                    continue;
                }
                Weighed::MustWait(tight) => tight,
                Weighed::Fits(fit) => match self.behind(&fit) {
                    tight if tight.is_empty() => {
                        self.hold(caller, fit, ctx);
                        continue;
                    }
                    tight => tight,
                },
            };
            // it fits: whoever stood in the line before stands in it now
            let _full = self.line.join(Waiting { call: caller, tight, until_unix_ms });
        }
    }

    /// Tells those that waited in vain, and lets those behind them try.
    pub(super) fn dismiss_the_late(&mut self, ctx: &mut Context<Self>) {
        let held = self.balance.held();
        for Waiting { call: caller, .. } in self.line.take_late(self.clock.now_unix_ms()) {
            let detail = format!(
                "holding money for this call: it fits the budget only when some of the {held} USD held by calls under way come back, and they did not in time; try again shortly"
            );
            caller.turn.refuse(Rejection::retry_after(Code::BudgetExceeded, detail, TRY_AGAIN_MS));
        }
        self.try_the_line_again(ctx);
    }

    fn hold(&mut self, caller: Caller, fit: Fit, ctx: &mut Context<Self>) {
        if self.parked.len() >= MAILBOX_MAX {
            let detail = "too many calls of this tenant wait for their hold; try again shortly";
            return caller.turn.refuse(Rejection::retry_after(Code::Overloaded, detail, 250));
        }
        let Caller { turn, call } = caller;
        let now_ns = self.now_ns();
        let taken = self.token_rates.take(&turn.case.scope(), now_ns, fit.tokens());
        turn.note_tokens(self.token_rates.figure(&turn.case.scope(), now_ns));
        let taken = match taken {
            Ok(taken) => taken,
            Err(refused) => return turn.refuse(refused.into()),
        };
        let Made { number, amount, cover } = self.balance.make(&fit, &call);
        self.tokens_taken.insert(number, taken);
        let hold = Hold::new(number, amount, fit.candidates, call.prompt_tokens, ctx.address().recipient())
            .with_embedding(fit.embedding);
        let mut turn = turn.fund(hold);
        turn.note_budget_used(used_ppm(&self.balance.of_tenant(self.clock.now_unix_ms())));
        match cover {
            Cover::Covered => self.hand_on(turn),
            Cover::Ahead(block) => {
                self.hand_on(turn);
                self.grow(block, ctx);
            }
            Cover::Grow(block) => {
                self.parked.push_back(turn);
                self.grow(block, ctx);
            }
            Cover::Record(taken) => self.record(turn, taken, ctx),
        }
    }

    /// Gives back what a call took of the rates and did not use.
    pub(super) fn give_tokens_back(&mut self, number: u64, ended: Ended) {
        let Some(taken) = self.tokens_taken.remove(&number) else { return };
        let used = if let Ended::Settled(used) = ended { used.tokens } else { 0 };
        let (now_ns, unused) = (self.now_ns(), taken.tokens().saturating_sub(used));
        self.token_rates.give_back(taken, now_ns, unused);
    }

    pub(super) fn hand_on(&self, turn: Turn<Funded>) {
        if let Err((turn, undelivered)) = offer(&self.next, turn) {
            turn.refuse(undelivered.into());
        }
    }

    fn record(&mut self, turn: Turn<Funded>, taken: Box<HoldTaken>, ctx: &mut Context<Self>) {
        let append = self.journal.append(&[Entry::HoldTaken(taken)]);
        ctx.spawn(append.into_actor(self).map(move |appended, room, ctx| match appended {
            Ok(_) => room.hand_on(turn),
            Err(error) if is_full(&error) => turn.refuse(busy()),
            Err(error) => {
                tracing::error!(tenant = %room.journal.tenant(), %error, "a hold could not be made durable; the rooms are rebuilt");
                ctx.stop();
            }
        }));
    }

    pub(super) fn grow(&mut self, block: NanoUsd, ctx: &mut Context<Self>) {
        if self.growing {
            return;
        }
        self.growing = true;
        let append = self.journal.append(&[Entry::EscrowTaken { block, at_unix_ms: self.clock.now_unix_ms() }]);
        // charges that stand behind this record in the journal are taken from the new block
        let before = self.balance.ledger.books.charged();
        ctx.spawn(append.into_actor(self).map(move |appended, room, ctx| room.grown(block, before, appended, ctx)));
    }

    fn grown(
        &mut self,
        block: NanoUsd,
        charged_before: NanoUsd,
        appended: Result<Appended, JournalError>,
        ctx: &mut Context<Self>,
    ) {
        self.growing = false;
        if appended.as_ref().is_err_and(is_full) {
            self.parked.drain(..).for_each(|turn| turn.refuse(busy()));
            return self.close_if_asked(ctx);
        }
        if let Err(error) = appended {
            tracing::error!(tenant = %self.journal.tenant(), %error, "the escrow could not be made durable; the rooms are rebuilt");
            return ctx.stop();
        }
        let since = self.balance.ledger.books.charged().saturating_sub(charged_before);
        self.balance.escrowed(block.saturating_sub(since));
        match self.balance.cover(self.clock.now_unix_ms()) {
            Cover::Grow(block) => self.grow(block, ctx),
            Cover::Covered | Cover::Ahead(_) | Cover::Record(_) => {
                while let Some(turn) = self.parked.pop_front() {
                    self.hand_on(turn);
                }
                self.close_if_asked(ctx);
            }
        }
    }
}

/// True where an append was turned away before it was taken: nothing stands in the journal.
pub(crate) fn is_full(error: &JournalError) -> bool {
    matches!(error, JournalError::Append(AppendError::Full(_)))
}

fn busy() -> Rejection {
    let detail = "holding money for this call: the journal of this node is busy; try again shortly";
    Rejection::retry_after(Code::Overloaded, detail, TRY_AGAIN_MS)
}
