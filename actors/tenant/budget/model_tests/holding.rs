//! Calls that come, and the durable blocks that cover them.
use super::super::candidates::OUTPUT_TOKENS_MIN;
use super::super::rules::{Call, Cover, Ended, Fit, Weighed};
use super::denial::Denial;
use super::model::{embedding_at_worst, worst};
use super::{Growing, Held, World};
use crate::entry::Entry;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Rejection;

fn fits(needs: &[(u64, u64)], room: (u64, u64)) -> bool {
    needs.iter().any(|need| need.0 <= room.0 && need.1 <= room.1)
}

/// What each candidate needs where its answers have at most so many tokens.
fn needs(call: &Call, tokens: u32) -> Vec<(u64, u64)> {
    call.candidates.iter().map(|one| worst(one, call.prompt_tokens, tokens)).collect()
}

/// The least money and the least tokens of them.
fn least(needs: &[(u64, u64)]) -> (u64, u64) {
    (needs.iter().map(|need| need.0).min().unwrap(), needs.iter().map(|need| need.1).min().unwrap())
}

impl World {
    /// A hold: what is decided must be what the numbers say.
    pub(super) fn hold(&mut self) {
        let call = self.draw_call();
        let (now, at_rest) = self.model.rooms(&call.spender, call.admitted_unix_ms);
        let (whole, shortest) = (needs(&call, u32::MAX), needs(&call, OUTPUT_TOKENS_MIN));
        match self.balance.weigh(&call, self.now) {
            Weighed::Fits(fit) => {
                assert!(fits(&shortest, at_rest));
                self.make(&fit, call, &whole, now);
            }
            Weighed::MustWait(tight) => {
                self.seen.waits += 1;
                let justified = !tight.is_empty() && !fits(&whole, now) && fits(&shortest, at_rest);
                assert!(justified, "made to wait for nothing");
            }
            Weighed::Refused(rejection) => {
                self.seen.denials += 1;
                let justified = !fits(&whole, now) && (!fits(&shortest, at_rest) || !fits(&shortest, now));
                assert!(justified, "refused without reason: {}", rejection.detail);
                self.check_denial(&rejection, &call, least(&shortest));
            }
        }
    }

    fn make(&mut self, fit: &Fit, call: Call, whole: &[(u64, u64)], now: (u64, u64)) {
        let fitting: Vec<_> = fit.candidates.iter().map(|one| worst(one, call.prompt_tokens, u32::MAX)).collect();
        assert!(fitting.iter().all(|need| need.0 <= now.0 && need.1 <= now.1), "held what does not fit");
        let made = self.balance.make(fit, &call);
        let all = fitting.iter().fold((0, 0), |sum, need| (sum.0 + need.0, sum.1 + need.1));
        let dearest = |part: fn(&(u64, u64)) -> u64| fitting.iter().map(part).max().unwrap();
        let answer = if fits(&[all], now) { all } else { (dearest(|need| need.0), dearest(|need| need.1)) };
        let beside = |looked_up: (u64, u64)| (answer.0 + looked_up.0, answer.1 + looked_up.1);
        let sum = fit.embedding.as_ref().map_or(answer, |one| beside(embedding_at_worst(one)));
        assert_eq!((made.amount.0, fit.tokens()), sum, "held something else than the worst case");
        assert!(fits(&[sum], now), "held for what does not fit");
        let has_room = call.embedding.as_ref().is_some_and(|one| fits(&[beside(embedding_at_worst(one))], now));
        assert_eq!(fit.embedding.is_some(), has_room && fits(whole, now), "looked up where there is room");
        self.model.change(&call.spender, call.admitted_unix_ms, |tally| {
            tally.held = (tally.held.0 + sum.0, tally.held.1 + sum.1);
        });
        let is_parked = matches!(made.cover, Cover::Grow(_));
        self.open.push(Held { number: made.number, call, sum, is_older: false, is_parked });
        self.seen.parked += u64::from(is_parked);
        match made.cover {
            Cover::Covered => {}
            Cover::Ahead(block) | Cover::Grow(block) => self.grow(block),
            Cover::Record(taken) => self.journal.push(Entry::HoldTaken(taken)),
        }
    }

    /// The numbers of a denial are those of a ceiling the call stands under, and they justify it.
    fn check_denial(&mut self, rejection: &Rejection, call: &Call, needed: (u64, u64)) {
        let Rejection { detail, retry_after_ms, .. } = rejection;
        let denial = Denial::read(detail).unwrap_or_else(|| panic!("a denial without its numbers: {detail}"));
        let said = if denial.is_money { needed.0 } else { needed.1 };
        assert_eq!(denial.needed, said, "{detail}");
        let of = |pair: (u64, u64)| if denial.is_money { pair.0 } else { pair.1 };
        let under = self.model.under(&call.spender, call.admitted_unix_ms);
        let ceiling = under.iter().find(|ceiling| {
            let limit = if denial.is_money { ceiling.money } else { ceiling.tokens };
            let (used, held) = (of(ceiling.tally.posted), of(ceiling.tally.held));
            (ceiling.whose.as_str(), ceiling.window, limit)
                == (denial.whose.as_str(), denial.window, Some(denial.limit))
                && (used, held) == (denial.used, denial.held)
        });
        assert!(ceiling.is_some(), "no ceiling has these numbers: {detail}");
        assert!(denial.needed > denial.limit.saturating_sub(denial.used), "the numbers do not justify it: {detail}");
        self.seen.denials_in_numbers += 1;
        let empty = self.model.empty(&call.spender, call.admitted_unix_ms);
        let Some(wait_ms) = *retry_after_ms else {
            return assert!(needed.0 > empty.0 || needed.1 > empty.1, "nobody is told when to come back: {detail}");
        };
        let label = |at_unix_ms: u64| self.model.label(denial.window, at_unix_ms);
        let denied_in = label(call.admitted_unix_ms);
        assert_ne!(label(self.now + wait_ms), denied_in, "told to come back too early: {detail}");
        let is_over = label(self.now) != denied_in;
        assert!(is_over || label(self.now + wait_ms - 1) == denied_in, "told to come back too late: {detail}");
    }

    /// A block is asked for, as the till asks: one at a time.
    fn grow(&mut self, block: NanoUsd) {
        if self.growing.is_some() {
            return;
        }
        let charged_before = self.balance.ledger.books.charged();
        self.growing = Some(Growing { block, charged_before, at: self.journal.len() });
        self.journal.push(Entry::EscrowTaken { block, at_unix_ms: self.now });
    }

    /// The room hears of its block: durable, or not taken because the log was full.
    pub(super) fn land(&mut self) {
        let Some(Growing { block, charged_before, at }) = self.growing.take() else { return };
        if self.dice.roll(20) == 0 {
            self.journal.remove(at);
            self.seen.blocks_refused += 1;
            let parked: Vec<Held> = self.open.extract_if(.., |held| held.is_parked).collect();
            for held in parked {
                self.let_go(&held);
                assert_eq!(self.balance.returned(held.number, Ended::Unused, NanoUsd::ZERO, self.now), None);
                self.ended.push(held.number);
            }
            return;
        }
        let since = self.balance.ledger.books.charged().saturating_sub(charged_before);
        self.balance.escrowed(block.saturating_sub(since));
        match self.balance.cover(self.now) {
            Cover::Grow(block) => self.grow(block),
            Cover::Covered | Cover::Ahead(_) | Cover::Record(_) => {
                self.open.iter_mut().for_each(|held| held.is_parked = false);
            }
        }
    }
}
