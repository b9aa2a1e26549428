//! A denial, read from what whoever is refused is told.
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::schema::Window;
use regex::Regex;
use std::sync::LazyLock;

static MONEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r": ([0-9.]+) USD are needed, ([0-9.]+) USD of ([0-9.]+) USD are spent and ([0-9.]+) USD held in this (\w+) by ([^;,]+)[;,]")
        .unwrap()
});
static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r": (\d+) tokens are needed, (\d+) of (\d+) are used and (\d+) held in this (\w+) by ([^;,]+)[;,]")
        .unwrap()
});

/// The numbers that justify a refusal: nano-dollars, or tokens.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) is_money: bool,
    pub(super) needed: u64,
    pub(super) used: u64,
    pub(super) limit: u64,
    pub(super) held: u64,
    pub(super) window: Window,
    /// `the tenant`, or level and name.
    pub(super) whose: String,
}

impl Denial {
    pub(super) fn read(detail: &str) -> Option<Self> {
        let (found, is_money) =
            MONEY.captures(detail).map(|found| (found, true)).or_else(|| Some((TOKENS.captures(detail)?, false)))?;
        let number = |at: usize| {
            let text = &found[at];
            if is_money { NanoUsd::parse_usd(text).unwrap().0 } else { text.parse().unwrap() }
        };
        let window = match &found[5] {
            "hour" => Window::Hour,
            "day" => Window::Day,
            "month" => Window::Month,
            _ => return None,
        };
        Some(Self {
            is_money,
            needed: number(1),
            used: number(2),
            limit: number(3),
            held: number(4),
            window,
            whose: found[6].to_owned(),
        })
    }
}
