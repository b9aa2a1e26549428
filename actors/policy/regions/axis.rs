//! One attribute, cut into cells that no rule tells apart.
use super::cells::Cells;
use crate::language::attributes::Kind;
use crate::language::condition::{Pattern, Scalar};
use crate::language::{Fact, Test};
use std::collections::BTreeSet;

/// One attribute of a [`super::space::Space`].
#[derive(Clone, Debug)]
pub struct Axis {
    cuts: Cuts,
    /// The last cell means that the request lacks the attribute.
    optional: bool,
}

#[derive(Clone, Debug)]
enum Cuts {
    /// Cell `i` holds the texts from `cuts[i]` on, below `cuts[i + 1]`.
    Texts(Vec<String>),
    /// Cell `i` holds the numbers from `cuts[i]` on, below `cuts[i + 1]`; the last goes up to the highest.
    Numbers(Vec<i64>, i64),
    /// A cell each.
    Choices(&'static [&'static str]),
    /// No, then yes.
    Flag,
}

/// What a condition asks of an attribute, gathered before it is cut.
#[derive(Clone, Debug)]
pub struct Constants {
    kind: Kind,
    optional: bool,
    texts: BTreeSet<String>,
    numbers: BTreeSet<i64>,
}

impl Constants {
    /// Nothing asked yet.
    #[must_use]
    pub fn new(kind: Kind, optional: bool) -> Self {
        Self { kind, optional, texts: BTreeSet::new(), numbers: BTreeSet::new() }
    }

    /// Notes what a test compares with.
    pub fn note(&mut self, test: &Test) {
        match test {
            Test::AnyOf(scalars) => scalars.iter().for_each(|scalar| self.note_scalar(scalar)),
            Test::Between { at_least, at_most } => {
                self.numbers.extend(*at_least);
                self.numbers.extend(at_most.map(|most| most.saturating_add(1)));
            }
            Test::Present(_) | Test::Contains(_) => {}
        }
    }

    fn note_scalar(&mut self, scalar: &Scalar) {
        match scalar {
            Scalar::Text(text) => {
                let (from, to) = text_range(text);
                self.texts.insert(from);
                self.texts.extend(to);
            }
            Scalar::Number(number) => self.numbers.extend([*number, number.saturating_add(1)]),
            Scalar::Flag(_) => {}
        }
    }

    /// Cuts the attribute.
    #[must_use]
    pub fn axis(self) -> Axis {
        let cuts = match self.kind {
            Kind::Text => {
                let mut cuts = self.texts;
                cuts.insert(String::new());
                Cuts::Texts(cuts.into_iter().collect())
            }
            Kind::Number(low, high) => {
                let mut cuts = self.numbers;
                cuts.retain(|cut| (low..=high).contains(cut));
                cuts.insert(low);
                Cuts::Numbers(cuts.into_iter().collect(), high)
            }
            Kind::Choice(known) => Cuts::Choices(known),
            Kind::Flag | Kind::Texts => Cuts::Flag,
        };
        Axis { cuts, optional: self.optional }
    }
}

impl Axis {
    fn values(&self) -> u32 {
        let values = match &self.cuts {
            Cuts::Texts(cuts) => cuts.len(),
            Cuts::Numbers(cuts, _) => cuts.len(),
            Cuts::Choices(known) => known.len(),
            Cuts::Flag => 2,
        };
        u32::try_from(values).unwrap_or(u32::MAX)
    }

    /// How many cells there are.
    #[must_use]
    pub fn cells(&self) -> u32 {
        self.values().saturating_add(u32::from(self.optional))
    }

    /// The cell of requests that lack the attribute.
    #[must_use]
    pub fn missing(&self) -> Cells {
        Cells::range(self.values(), self.cells())
    }

    /// The cells in which a test passes.
    #[must_use]
    pub fn passing(&self, test: &Test) -> Cells {
        match test {
            Test::Present(true) => Cells::range(0, self.values()),
            Test::Present(false) => self.missing(),
            Test::Contains(_) => Cells::range(1, 2),
            Test::Between { at_least, at_most } => {
                let from = at_least.map_or(0, |least| self.cell_of_number(least));
                let to = at_most.map_or(self.values(), |most| self.cell_of_number(most).saturating_add(1));
                Cells::range(from, to)
            }
            Test::AnyOf(scalars) => Cells::of(scalars.iter().map(|scalar| self.range_of(scalar)).collect()),
        }
    }

    fn range_of(&self, scalar: &Scalar) -> (u32, u32) {
        match (scalar, &self.cuts) {
            (Scalar::Text(text), Cuts::Texts(cuts)) => {
                let (from, to) = text_range(text);
                let at = |text: &String| index(cuts.binary_search(text).unwrap_or_else(|next| next));
                (at(&from), to.map_or(self.values(), |to| at(&to)))
            }
            (Scalar::Text(text), Cuts::Choices(known)) => {
                let cell = index(known.iter().position(|choice| choice == text).unwrap_or(known.len()));
                (cell, cell.saturating_add(1))
            }
            (Scalar::Number(number), Cuts::Numbers(..)) => {
                let cell = self.cell_of_number(*number);
                (cell, cell.saturating_add(1))
            }
            (Scalar::Flag(flag), _) => (u32::from(*flag), u32::from(*flag).saturating_add(1)),
            _ => (0, 0),
        }
    }

    fn cell_of_number(&self, number: i64) -> u32 {
        match &self.cuts {
            Cuts::Numbers(cuts, _) => index(cuts.partition_point(|cut| *cut <= number)).saturating_sub(1),
            _ => 0,
        }
    }

    /// A value of a cell, as readable as can be; `None` for the cell of requests that lack it.
    #[must_use]
    pub fn sample(&self, cell: u32) -> Option<Fact> {
        let at = usize::try_from(cell).ok()?;
        match &self.cuts {
            Cuts::Texts(cuts) => {
                let from = cuts.get(at)?;
                Some(Fact::Text(readable(from, cuts.get(at.saturating_add(1)))))
            }
            Cuts::Numbers(cuts, _) => cuts.get(at).copied().map(Fact::Number),
            Cuts::Choices(known) => known.get(at).map(|choice| Fact::Text((*choice).to_owned())),
            Cuts::Flag => (cell < 2).then_some(Fact::Flag(cell == 1)),
        }
    }

    /// The cells in words.
    #[must_use]
    pub fn describe(&self, cells: &Cells) -> String {
        let values = Cells::range(0, self.values());
        let present = cells.and(&values);
        let is_rest = |range: &Cells| present == values.without(range, self.cells());
        let mut parts = Vec::new();
        let rest = values.without(&present, self.cells());
        if present == values {
            parts.push("any value".to_owned());
        } else if matches!(self.cuts, Cuts::Texts(_)) && present.first() == Some(0) && is_rest(&rest) {
            parts.push(format!("anything but {}", self.ranges_in_words(&rest)));
        } else if !present.is_empty() {
            parts.push(self.ranges_in_words(&present));
        }
        if !cells.and(&self.missing()).is_empty() {
            parts.push("absent".to_owned());
        }
        parts.join(" or ")
    }

    fn ranges_in_words(&self, cells: &Cells) -> String {
        let words: Vec<_> = cells.ranges().iter().map(|(from, to)| self.range_in_words(*from, *to)).collect();
        words.join(", ")
    }

    fn range_in_words(&self, from: u32, to: u32) -> String {
        let at = |cell: u32| usize::try_from(cell).unwrap_or(usize::MAX);
        match &self.cuts {
            Cuts::Texts(cuts) => {
                let low = cuts.get(at(from)).map_or("", String::as_str);
                match cuts.get(at(to)) {
                    Some(high) if *high == next_text(low) => format!("{low:?}"),
                    Some(high) if end_of_prefix(low).as_ref() == Some(high) => format!("{:?}", format!("{low}*")),
                    Some(high) => format!("texts from {low:?} up to {high:?}"),
                    None => format!("texts from {low:?} on"),
                }
            }
            Cuts::Numbers(cuts, highest) => {
                let low = cuts.get(at(from)).copied().unwrap_or_default();
                let high = cuts.get(at(to)).map_or(*highest, |next| next.saturating_sub(1));
                if low == high { low.to_string() } else { format!("{low} to {high}") }
            }
            Cuts::Choices(known) => known.get(at(from)..at(to)).unwrap_or_default().join(", "),
            Cuts::Flag => if from == 0 { "false" } else { "true" }.to_owned(),
        }
    }
}

#[cfg(test)]
impl Axis {
    /// The cell a value lies in, found by looking at every cell's bounds.
    pub fn cell_of(&self, test: &Test, fact: Option<&Fact>) -> u32 {
        let cells = 0..self.values();
        match (&self.cuts, fact) {
            (_, None) => self.values(),
            (Cuts::Texts(cuts), Some(Fact::Text(text))) => {
                cells.rev().find(|cell| cuts[*cell as usize] <= *text).unwrap()
            }
            (Cuts::Numbers(cuts, _), Some(Fact::Number(number))) => {
                cells.rev().find(|cell| cuts[*cell as usize] <= *number).unwrap()
            }
            (Cuts::Choices(known), Some(Fact::Text(text))) => {
                known.iter().position(|choice| choice == text).unwrap() as u32
            }
            (Cuts::Flag, Some(Fact::Flag(flag))) => u32::from(*flag),
            (Cuts::Flag, Some(Fact::Texts(texts))) => match test {
                Test::Contains(text) => u32::from(texts.contains(text)),
                _ => panic!("a set is asked what it contains"),
            },
            _ => panic!("{fact:?} is of another type"),
        }
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The texts a constant stands for: from the first, and up to the second where there is one.
fn text_range(text: &str) -> (String, Option<String>) {
    match Pattern::of(text) {
        Pattern::Exactly(text) => (text.to_owned(), Some(next_text(text))),
        Pattern::Prefix(prefix) => (prefix.to_owned(), end_of_prefix(prefix)),
    }
}

/// The text right behind this one in the order of texts.
fn next_text(text: &str) -> String {
    format!("{text}\0")
}

/// The first text that does not begin like this any more, and lies behind all that do; `None` where there is none.
#[must_use]
pub fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        let next = (u32::from(last).saturating_add(1)..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}

/// A text of a cell that a person can read, or its first one.
fn readable(from: &str, below: Option<&String>) -> String {
    let fits = |text: &str| text >= from && below.is_none_or(|below| text < below.as_str());
    let base = from.trim_end_matches('\0');
    let printable = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    let own = [base.to_owned(), format!("{base}x"), format!("{base}-other"), format!("{base}0")];
    let any = ["other", "a", "0", "zz"].map(str::to_owned);
    let tries = if base.is_empty() { [any, own] } else { [own, any] };
    tries.into_iter().flatten().find(|text| fits(text) && printable(text)).unwrap_or_else(|| from.to_owned())
}
