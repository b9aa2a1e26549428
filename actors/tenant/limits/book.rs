//! The counters of all limits of one kind, by limit and member: looked at together, changed together.
use super::gcra::{Cell, Dry, Given, Rate};
use super::scope::Scope;
use super::sheet::Figure;
use bailiwick_kernel::limits::COUNTED_MEMBERS_MAX;
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::{EVERY_MEMBER, names};
use std::collections::HashMap;

/// One limit as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spec {
    /// The level; `None` for the tenant itself.
    pub(super) level: Option<Level>,
    /// The member, or every one.
    pub(super) name: Box<str>,
    /// How much.
    pub(super) rate: Rate,
}

/// The cells of one limit.
#[derive(Clone, Debug)]
enum Counters {
    /// Of the one member it names.
    One(Cell),
    /// Of every member that is not whole, by name.
    Each(HashMap<Box<str>, Cell>),
}

#[derive(Clone, Debug)]
struct Limit {
    spec: Spec,
    /// Names the limit as long as its rate stays: what was taken under another rate is not given back.
    serial: u64,
    counters: Counters,
}

/// What was taken from one counter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) serial: u64,
    pub(super) member: Box<str>,
    pub(super) given: Given,
}

/// Why nothing was taken. Nothing was counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Closed {
    /// A limit has not enough left; of several, the one that has to be waited for longest.
    Dry {
        /// The limit.
        spec: Spec,
        /// Whom it was counted for.
        member: Box<str>,
        /// For how long.
        dry: Dry,
    },
    /// Every counter there may be is in use.
    Full {
        /// Nanoseconds until the first of them is free.
        wait_ns: u64,
    },
}

/// The counters of all limits of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    limits: Vec<Limit>,
    /// Cells that stand by a member's name, over all limits.
    members: usize,
    next_serial: u64,
    /// No counter by a member's name is whole before this.
    busy_until_ns: u64,
}

/// The counter with the least left of those looked at.
#[derive(Clone, Copy, Default)]
struct Tightest(Option<(Rate, Cell)>);

impl Tightest {
    fn look_at(&mut self, rate: Rate, cell: Cell, now_ns: u64) {
        if self.0.is_none_or(|(other, its)| rate.has_less_left(cell, other, its, now_ns)) {
            self.0 = Some((rate, cell));
        }
    }

    fn figure(self, now_ns: u64) -> Option<Figure> {
        self.0.map(|(rate, cell)| Figure {
            limit: rate.amount,
            remaining: rate.remaining(cell, now_ns),
            reset_ns: rate.whole_in_ns(cell, now_ns),
        })
    }
}

impl Limit {
    fn fresh(spec: Spec, serial: u64) -> Self {
        let counters = if spec.level.is_some() && *spec.name == *EVERY_MEMBER {
            Counters::Each(HashMap::new())
        } else {
            Counters::One(Cell::default())
        };
        Self { spec, serial, counters }
    }

    /// The member a scope is counted for here; `None` where the limit does not hold for it.
    fn member<'a>(&self, scope: &Scope<'a>) -> Option<&'a str> {
        let Some(level) = self.spec.level else { return Some("") };
        let member = scope.member(level);
        names(&self.spec.name, member).then_some(member)
    }

    /// A member without a cell is whole.
    fn cell(&self, member: &str) -> Option<Cell> {
        match &self.counters {
            Counters::One(cell) => Some(*cell),
            Counters::Each(cells) => cells.get(member).copied(),
        }
    }

    /// Goes over to another rate of the same window: units used stay used, none are given anew.
    fn rebase(mut self, rate: Rate, serial: u64, now_ns: u64) -> Self {
        let before = self.spec.rate;
        let over = |cell: &mut Cell| *cell = before.rebased(*cell, rate, now_ns);
        match &mut self.counters {
            Counters::One(cell) => over(cell),
            Counters::Each(cells) => cells.values_mut().for_each(over),
        }
        self.spec.rate = rate;
        self.serial = serial;
        self
    }
}

impl Book {
    /// Takes other limits over. A limit that stays keeps its counters; one whose amount changes keeps what is used.
    pub(super) fn adopt(&mut self, specs: Vec<Spec>, now_ns: u64) {
        let mut before = std::mem::take(&mut self.limits);
        for spec in specs {
            let serial = self.next_serial;
            self.next_serial = serial.saturating_add(1);
            let same = |limit: &Limit| {
                limit.spec.level == spec.level
                    && limit.spec.name == spec.name
                    && limit.spec.rate.window_ns == spec.rate.window_ns
            };
            let kept = before.iter().position(same).map(|at| before.swap_remove(at));
            self.limits.push(match kept {
                Some(kept) if kept.spec.rate == spec.rate => kept,
                Some(kept) => kept.rebase(spec.rate, serial, now_ns),
                None => Limit::fresh(spec, serial),
            });
        }
        self.count_members();
    }

    /// True where there is a limit at all.
    pub(super) fn has_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    /// Whether so many units could be taken at every level.
    pub(super) fn peek(&mut self, scope: &Scope<'_>, now_ns: u64, units: u64) -> Result<(), Closed> {
        let mut worst: Option<(&Limit, &str, Dry)> = None;
        let mut new_members: usize = 0;
        for (limit, member) in held(&self.limits, scope) {
            let cell = limit.cell(member);
            new_members = new_members.saturating_add(usize::from(cell.is_none()));
            let Err(dry) = limit.spec.rate.peek(cell.unwrap_or_default(), now_ns, units) else { continue };
            if worst.is_none_or(|(_, _, other)| is_longer(dry, other)) {
                worst = Some((limit, member, dry));
            }
        }
        if let Some((limit, member, dry)) = worst {
            return Err(Closed::Dry { spec: limit.spec.clone(), member: member.into(), dry });
        }
        if self.members.saturating_add(new_members) > COUNTED_MEMBERS_MAX {
            self.make_room(now_ns, new_members)?;
        }
        Ok(())
    }

    /// Takes units that were looked at, from every level, and tells what was taken where. Gives the limit with the least left
    /// afterwards: whoever takes wants to tell it, and every look at a member costs as much as the rest of a decision.
    pub(super) fn take(
        &mut self,
        scope: &Scope<'_>,
        now_ns: u64,
        units: u64,
        mut note: impl FnMut(u64, &str, Given),
    ) -> Option<Figure> {
        let mut tightest = Tightest::default();
        for limit in &mut self.limits {
            let Some(member) = limit.member(scope) else { continue };
            let rate = limit.spec.rate;
            let take = |cell: &mut Cell| (rate.take(cell, now_ns, units), *cell);
            let (given, cell) = match &mut limit.counters {
                Counters::One(cell) => take(cell),
                Counters::Each(cells) => match cells.get_mut(member) {
                    Some(cell) => take(cell),
                    None => {
                        self.members = self.members.saturating_add(1);
                        self.busy_until_ns = 0;
                        take(cells.entry(member.into()).or_default())
                    }
                },
            };
            note(limit.serial, member, given);
            tightest.look_at(rate, cell, now_ns);
        }
        tightest.figure(now_ns)
    }

    /// Gives units back to one counter, where it still stands.
    pub(super) fn give_back(&mut self, part: &Part, now_ns: u64, units: u64) {
        let Some(limit) = self.limits.iter_mut().find(|limit| limit.serial == part.serial) else { return };
        let cell = match &mut limit.counters {
            Counters::One(cell) => Some(cell),
            Counters::Each(cells) => cells.get_mut(&part.member),
        };
        if let Some(cell) = cell {
            limit.spec.rate.give_back(cell, part.given, now_ns, units);
        }
        self.busy_until_ns = 0;
    }

    /// The limit with the least left for a scope.
    pub(super) fn tightest(&self, scope: &Scope<'_>, now_ns: u64) -> Option<Figure> {
        let mut tightest = Tightest::default();
        for (limit, member) in held(&self.limits, scope) {
            tightest.look_at(limit.spec.rate, limit.cell(member).unwrap_or_default(), now_ns);
        }
        tightest.figure(now_ns)
    }

    /// Cells that stand by a member's name.
    pub(super) fn members(&self) -> usize {
        self.members
    }

    /// Forgets every member whose allowance is whole again, with its memory.
    pub(super) fn sweep(&mut self, now_ns: u64) {
        let mut earliest = u64::MAX;
        for limit in &mut self.limits {
            let rate = limit.spec.rate;
            if let Counters::Each(cells) = &mut limit.counters {
                cells.retain(|_member, cell| match rate.whole_in_ns(*cell, now_ns) {
                    0 => false,
                    wait_ns => {
                        earliest = earliest.min(wait_ns);
                        true
                    }
                });
                cells.shrink_to_fit();
            }
        }
        self.busy_until_ns = now_ns.saturating_add(earliest);
        self.count_members();
    }

    fn make_room(&mut self, now_ns: u64, wanted: usize) -> Result<(), Closed> {
        if now_ns >= self.busy_until_ns {
            self.sweep(now_ns);
        }
        if self.members.saturating_add(wanted) <= COUNTED_MEMBERS_MAX {
            return Ok(());
        }
        Err(Closed::Full { wait_ns: self.busy_until_ns.saturating_sub(now_ns) })
    }

    fn count_members(&mut self) {
        let named = |limit: &Limit| if let Counters::Each(cells) = &limit.counters { cells.len() } else { 0 };
        self.members = self.limits.iter().map(named).sum();
    }
}

/// The limits that hold for a scope, each with the member it is counted for.
fn held<'b, 'a: 'b>(limits: &'b [Limit], scope: &'b Scope<'a>) -> impl Iterator<Item = (&'b Limit, &'a str)> {
    limits.iter().filter_map(move |limit| Some((limit, limit.member(scope)?)))
}

fn is_longer(one: Dry, other: Dry) -> bool {
    match (one, other) {
        (_, Dry::Forever) => false,
        (Dry::Forever, Dry::For { .. }) => true,
        (Dry::For { wait_ns: one }, Dry::For { wait_ns: other }) => one > other,
    }
}
