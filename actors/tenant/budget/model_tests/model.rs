//! The model: flat tallies under labels of the calendar on the wall, and prices reckoned anew.
use super::super::accounts::Spender;
use super::super::hold::{Candidate, Embedding};
use crate::catalog::Price;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::Window;
use jiff::tz::TimeZone;
use std::collections::{BTreeSet, HashMap};

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

/// The name of a tally: which limit, and whose in which window.
type Name = (usize, String);

/// One ceiling a call stands under, as it is.
pub(super) struct Standing {
    /// `the tenant`, or level and name, as refusals say it.
    pub(super) whose: String,
    pub(super) window: Window,
    pub(super) money: Option<u64>,
    pub(super) tokens: Option<u64>,
    pub(super) tally: Tally,
}

fn exact(amount: u128) -> u64 {
    u64::try_from(amount).unwrap()
}

/// Money and tokens a candidate takes at worst, where its answers have at most so many tokens.
pub(super) fn worst(candidate: &Candidate, prompt_tokens: u64, tokens_max: u32) -> (u64, u64) {
    let Price { input_nano_usd_per_token, output_nano_usd_per_token } = candidate.price;
    let said = u128::from(candidate.route.max_tokens.min(tokens_max)) * u128::from(candidate.answers);
    let asked = u128::from(prompt_tokens);
    let money = asked * u128::from(input_nano_usd_per_token) + said * u128::from(output_nano_usd_per_token);
    (exact(money), exact(asked + said))
}

/// What looking a question up takes at worst.
pub(super) fn embedding_at_worst(embedding: &Embedding) -> (u64, u64) {
    let price = u128::from(embedding.price.input_nano_usd_per_token);
    (exact(price * u128::from(embedding.tokens)), embedding.tokens)
}

/// What the model knows.
pub(super) struct Model {
    limits: Vec<Limit>,
    zone: TimeZone,
    /// Every posting.
    pub(super) posted: Vec<Posting>,
    tallies: HashMap<Name, Tally>,
    /// Tallies that were changed and not checked since.
    changed: BTreeSet<Name>,
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
        Self { limits, zone, posted: Vec::new(), tallies: HashMap::new(), changed: BTreeSet::new() }
    }

    /// The limits a spender stands under at a time, with the key of each tally.
    fn over(&self, spender: &Spender, at_unix_ms: u64) -> Vec<(usize, Name)> {
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
        for (_, name) in self.over(spender, at_unix_ms) {
            change(self.tallies.entry(name.clone()).or_default());
            self.changed.insert(name);
        }
    }

    /// The limits a spender stands under at a time, with what they count.
    pub(super) fn under(&self, spender: &Spender, at_unix_ms: u64) -> Vec<Standing> {
        let standing = |(index, name): (usize, Name)| {
            let limit = &self.limits[index];
            let (member, _window) = name.1.rsplit_once('/').unwrap();
            let whose = match limit.level {
                "tenant" => "the tenant".to_owned(),
                "usecase" => format!("use case {member}"),
                level => format!("{level} {member}"),
            };
            let tally = self.tallies.get(&name).copied().unwrap_or_default();
            Standing { whose, window: limit.window, money: limit.money, tokens: limit.tokens, tally }
        };
        self.over(spender, at_unix_ms).into_iter().map(standing).collect()
    }

    /// What the calendar on the wall calls a window.
    pub(super) fn label(&self, window: Window, at_unix_ms: u64) -> String {
        label(window, at_unix_ms, &self.zone)
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

    /// posted + held never exceeds a limit, but for what providers charged above the hold and what a crash left unknown: looked
    /// at wherever something has changed.
    pub(super) fn check(&mut self) {
        for name in std::mem::take(&mut self.changed) {
            let tally = self.tallies.get(&name).copied().unwrap_or_default();
            let limit = &self.limits[name.0];
            let used = (tally.posted.0 + tally.held.0 - tally.above.0, tally.posted.1 + tally.held.1 - tally.above.1);
            assert!(used.0 <= limit.money.unwrap_or(u64::MAX), "{name:?}: {} of {:?}", used.0, limit.money);
            assert!(used.1 <= limit.tokens.unwrap_or(u64::MAX), "{name:?}: {} of {:?}", used.1, limit.tokens);
        }
    }
}
