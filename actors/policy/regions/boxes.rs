//! Boxes: for every attribute the cells it may be in; attributes that are not named may be anything.
use super::cells::Cells;

/// A product of cells. Never empty: a box without a point is not made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Box(Vec<(AxisNumber, Cells)>);

/// The number of an attribute's axis.
pub type AxisNumber = u32;

/// A bound on work, shared by the parts of one question.
#[derive(Clone, Debug)]
pub struct Steps(u64);

/// The rules are too complicated to be analysed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooComplicated;

impl Steps {
    /// A fresh allowance.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self(steps)
    }

    /// Takes some.
    ///
    /// # Errors
    /// Where fewer are left; then none is.
    pub fn take(&mut self, steps: usize) -> Result<(), TooComplicated> {
        let left = u64::try_from(steps).ok().and_then(|steps| self.0.checked_sub(steps));
        self.0 = left.unwrap_or_default();
        left.map(|_left| ()).ok_or(TooComplicated)
    }
}

impl Box {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Everything with one attribute in these cells; `None` where there are none.
    #[must_use]
    pub fn of(axis: AxisNumber, cells: Cells) -> Option<Self> {
        (!cells.is_empty()).then(|| Self(vec![(axis, cells)]))
    }

    /// The attributes that are bound, with their cells.
    #[must_use]
    pub fn bounds(&self) -> &[(AxisNumber, Cells)] {
        &self.0
    }

    /// The cells of one attribute; `None` for all of them.
    #[must_use]
    pub fn cells(&self, axis: AxisNumber) -> Option<&Cells> {
        self.0.binary_search_by_key(&axis, |bound| bound.0).ok().and_then(|at| self.0.get(at)).map(|bound| &bound.1)
    }

    /// True where a point is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (mut own, mut others) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(one), Some(two)) = (own.peek(), others.peek()) {
            match one.0.cmp(&two.0) {
                std::cmp::Ordering::Less => drop(own.next()),
                std::cmp::Ordering::Greater => drop(others.next()),
                std::cmp::Ordering::Equal => {
                    if !one.1.meets(&two.1) {
                        return false;
                    }
                    own.next();
                    others.next();
                }
            }
        }
        true
    }

    /// Points that are in both; `None` where there are none.
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let (mut own, mut others) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::with_capacity(self.0.len().max(other.0.len()));
        loop {
            match (own.peek(), others.peek()) {
                (Some(one), Some(two)) if one.0 == two.0 => {
                    let cells = one.1.and(&two.1);
                    if cells.is_empty() {
                        return None;
                    }
                    both.push((one.0, cells));
                    own.next();
                    others.next();
                }
                (Some(one), other) if other.is_none_or(|two| one.0 < two.0) => {
                    both.extend(own.next().cloned());
                }
                (_, Some(_)) => both.extend(others.next().cloned()),
                (_, None) => return Some(Self(both)),
            }
        }
    }

    /// This box with one attribute narrowed; `None` where nothing is left.
    fn narrowed(&self, axis: AxisNumber, cells: Cells) -> Option<Self> {
        Self::of(axis, cells).and_then(|slab| self.and(&slab))
    }

    /// Points of this that are not in the other, as disjoint boxes. `lengths` are the axes' numbers of cells.
    #[must_use]
    pub fn without(&self, other: &Self, lengths: &[u32]) -> Vec<Self> {
        if !self.meets(other) {
            return vec![self.clone()];
        }
        let mut pieces = Vec::new();
        let mut rest = self.clone();
        for (axis, cells) in &other.0 {
            let length = usize::try_from(*axis).ok().and_then(|axis| lengths.get(axis)).copied().unwrap_or_default();
            pieces.extend(rest.narrowed(*axis, cells.complement(length)));
            match rest.narrowed(*axis, cells.clone()) {
                Some(narrowed) => rest = narrowed,
                None => return pieces,
            }
        }
        pieces
    }
}

/// A part of the box that none of the others covers; `None` where they cover all of it.
///
/// # Errors
/// [`TooComplicated`].
pub fn uncovered(
    whole: &Box,
    covers: &[&Box],
    lengths: &[u32],
    steps: &mut Steps,
) -> Result<Option<Box>, TooComplicated> {
    let mut open = vec![(whole.clone(), 0_usize)];
    while let Some((part, from)) = open.pop() {
        let hit = covers.iter().enumerate().skip(from).find(|(_, cover)| cover.meets(&part));
        let looked_at = hit.map_or(covers.len(), |(at, _)| at.saturating_add(1)).saturating_sub(from);
        steps.take(looked_at.max(1))?;
        match hit {
            None => return Ok(Some(part)),
            Some((at, cover)) => {
                let next = at.saturating_add(1);
                open.extend(part.without(cover, lengths).into_iter().map(|piece| (piece, next)));
            }
        }
    }
    Ok(None)
}

/// Points of the first boxes that are in none of the others, as boxes; disjoint where the first are.
///
/// # Errors
/// [`TooComplicated`].
pub fn difference(
    wholes: Vec<Box>,
    others: &[&Box],
    lengths: &[u32],
    steps: &mut Steps,
) -> Result<Vec<Box>, TooComplicated> {
    let mut rest = wholes;
    for other in others {
        let mut next = Vec::with_capacity(rest.len());
        for part in rest {
            steps.take(1)?;
            next.extend(part.without(other, lengths));
        }
        rest = next;
    }
    Ok(rest)
}
