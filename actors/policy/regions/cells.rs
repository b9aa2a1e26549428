//! Sets of cells of one axis: sorted, disjoint, half-open ranges.

/// Cells `from..to` of one axis, several ranges of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Cells(Vec<(u32, u32)>);

impl Cells {
    /// Joins ranges, in any order, overlapping or not.
    #[must_use]
    pub fn of(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.retain(|(from, to)| from < to);
        ranges.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Self(joined)
    }

    /// One range.
    #[must_use]
    pub fn range(from: u32, to: u32) -> Self {
        Self::of(vec![(from, to)])
    }

    /// True where there is no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest cell.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|(from, _)| *from)
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Cells that are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (mut own, mut others) = (self.0.iter().copied().peekable(), other.0.iter().copied().peekable());
        let mut both = Vec::new();
        while let (Some(&(own_from, own_to)), Some(&(from, to))) = (own.peek(), others.peek()) {
            let (low, high) = (own_from.max(from), own_to.min(to));
            if low < high {
                both.push((low, high));
            }
            if own_to <= to {
                own.next();
            } else {
                others.next();
            }
        }
        Self(both)
    }

    /// True where a cell is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (mut own, mut others) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(one), Some(two)) = (own.peek(), others.peek()) {
            if one.0.max(two.0) < one.1.min(two.1) {
                return true;
            }
            if one.1 <= two.1 {
                own.next();
            } else {
                others.next();
            }
        }
        false
    }

    /// Cells of an axis with so many cells that are not in it.
    #[must_use]
    pub fn complement(&self, cells: u32) -> Self {
        let mut rest = Vec::with_capacity(self.0.len().saturating_add(1));
        let mut next = 0;
        for (from, to) in &self.0 {
            if next < *from {
                rest.push((next, *from));
            }
            next = *to;
        }
        if next < cells {
            rest.push((next, cells));
        }
        Self(rest)
    }

    /// Cells of this that are not in the other.
    #[must_use]
    pub fn without(&self, other: &Self, cells: u32) -> Self {
        self.and(&other.complement(cells))
    }
}
