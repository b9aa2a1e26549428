//! The model: flat tallies under labels of the calendar on the wall.
use super::super::accounts::Spender;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::Window;
use jiff::tz::TimeZone;
use std::collections::HashMap;

/// One ceiling as the model knows it.
pub(super) struct Limit {
    level: &'static str,
    name: Option<String>,
    window: Window,
    money: Option<u64>,
    tokens: Option<u64>,
}

/// Money and tokens: posted within holds, posted above them, held.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) posted: (u64, u64),
    pub(super) above: (u64, u64),
    pub(super) held: (u64, u64),
}

/// Spender, admission, money and tokens, and how much of them was above the hold.
type Posting = (Spender, u64, (u64, u64), (u64, u64));

/// What the model knows.
pub(super) struct Model {
    limits: Vec<Limit>,
    zone: TimeZone,
    /// Every posting.
    pub(super) posted: Vec<Posting>,
    tallies: HashMap<(usize, String), Tally>,
}

fn label(window: Window, at_unix_ms: u64, zone: &TimeZone) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at_unix_ms).unwrap()).unwrap().to_zoned(zone.clone());
    match window {
        Window::Hour => format!("{}{}", at.strftime("%Y-%m-%d %H"), at.offset().seconds() / 1_800),
        Window::Day => at.strftime("%Y-%m-%d").to_string(),
        Window::Month => at.strftime("%Y-%m").to_string(),
    }
}

impl Model {
    pub(super) fn new(policy: &PolicySnapshot) -> Self {
        let budget = &policy.router.budget;
        let own =
            |window, limit: NanoUsd| Limit { level: "tenant", name: None, window, money: Some(limit.0), tokens: None };
        let mut limits = vec![own(Window::Day, budget.daily_limit_usd), own(Window::Month, budget.monthly_limit_usd)];
        limits.extend(budget.hourly_limit_usd.map(|limit| own(Window::Hour, limit)));
        limits.extend(budget.ceilings.iter().map(|rule| Limit {
            level: rule.level.as_str(),
            name: (rule.name != "*").then(|| rule.name.clone()),
            window: rule.window,
            money: rule.limit_usd.map(|limit| limit.0),
            tokens: rule.limit_tokens,
        }));
        let zone = TimeZone::get(&budget.time_zone).unwrap();
        Self { limits, zone, posted: Vec::new(), tallies: HashMap::new() }
    }

    /// The limits a spender stands under at a time, with the key of each tally.
    fn over(&self, spender: &Spender, at_unix_ms: u64) -> Vec<(usize, (usize, String))> {
        let mut over = Vec::new();
        for (index, limit) in self.limits.iter().enumerate() {
            let whose = match limit.level {
                "tenant" => Some(String::new()),
                "domain" => spender.domain.clone(),
                "usecase" => spender.usecase.clone(),
                "user" => spender.user.clone(),
                _ => spender.key.clone(),
            };
            let Some(whose) = whose.filter(|whose| limit.name.as_ref().is_none_or(|name| name == whose)) else {
                continue;
            };
            over.push((index, (index, format!("{whose}/{}", label(limit.window, at_unix_ms, &self.zone)))));
        }
        over
    }

    pub(super) fn change(&mut self, spender: &Spender, at_unix_ms: u64, change: impl Fn(&mut Tally)) {
        for (_, key) in self.over(spender, at_unix_ms) {
            change(self.tallies.entry(key).or_default());
        }
    }

    /// The room under every limit: now, and if all that is held came back.
    pub(super) fn rooms(&self, spender: &Spender, at_unix_ms: u64) -> ((u64, u64), (u64, u64)) {
        let (mut now, mut at_rest) = ((u64::MAX, u64::MAX), (u64::MAX, u64::MAX));
        for (index, key) in self.over(spender, at_unix_ms) {
            let tally = self.tallies.get(&key).copied().unwrap_or_default();
            let limit = &self.limits[index];
            let (money, tokens) = (limit.money.unwrap_or(u64::MAX), limit.tokens.unwrap_or(u64::MAX));
            at_rest.0 = at_rest.0.min(money.saturating_sub(tally.posted.0));
            at_rest.1 = at_rest.1.min(tokens.saturating_sub(tally.posted.1));
            now.0 = now.0.min(money.saturating_sub(tally.posted.0 + tally.held.0));
            now.1 = now.1.min(tokens.saturating_sub(tally.posted.1 + tally.held.1));
        }
        (now, at_rest)
    }

    /// The room of windows in which nothing was spent.
    pub(super) fn empty(&self, spender: &Spender, at_unix_ms: u64) -> (u64, u64) {
        self.over(spender, at_unix_ms).iter().fold((u64::MAX, u64::MAX), |least, (index, _)| {
            let limit = &self.limits[*index];
            (least.0.min(limit.money.unwrap_or(u64::MAX)), least.1.min(limit.tokens.unwrap_or(u64::MAX)))
        })
    }

    pub(super) fn post(&mut self, spender: &Spender, at_unix_ms: u64, sum: (u64, u64), above: (u64, u64)) {
        self.posted.push((spender.clone(), at_unix_ms, sum, above));
        self.change(spender, at_unix_ms, |tally| {
            tally.posted = (tally.posted.0 + sum.0, tally.posted.1 + sum.1);
            tally.above = (tally.above.0 + above.0, tally.above.1 + above.1);
        });
    }

    /// Takes back a posting that turned out to be no charge, or one of another size.
    pub(super) fn take_back(&mut self, spender: &Spender, at_unix_ms: u64, amount: u64) {
        let found = self
            .posted
            .iter()
            .position(|(whose, at, sum, _)| (whose, *at, sum.0) == (spender, at_unix_ms, amount) && sum.1 == 0);
        let (_, _, sum, above) = self.posted.swap_remove(found.unwrap());
        self.change(spender, at_unix_ms, |tally| {
            tally.posted = (tally.posted.0 - sum.0, tally.posted.1 - sum.1);
            tally.above = (tally.above.0 - above.0, tally.above.1 - above.1);
        });
    }

    /// posted + held never exceeds a limit, but for what providers charged above the hold and what a crash left unknown.
    pub(super) fn check(&self, spender: &Spender, at_unix_ms: u64) {
        for (index, key) in self.over(spender, at_unix_ms) {
            let tally = self.tallies.get(&key).copied().unwrap_or_default();
            let limit = &self.limits[index];
            let used = (tally.posted.0 + tally.held.0 - tally.above.0, tally.posted.1 + tally.held.1 - tally.above.1);
            assert!(used.0 <= limit.money.unwrap_or(u64::MAX), "{key:?}: {} of {:?}", used.0, limit.money);
            assert!(used.1 <= limit.tokens.unwrap_or(u64::MAX), "{key:?}: {} of {:?}", used.1, limit.tokens);
        }
    }
}
