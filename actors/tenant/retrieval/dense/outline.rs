//! Which passages' vectors lie in a collection outside, as far as the node knows: their numbers alone. Pure.
use super::super::index::{of_place, place};
use super::matrix::Unfit;
use std::collections::BTreeMap;

/// How a vector stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// On the shelf alone.
    Waiting,
    /// It may lie outside too, until that is known to be over.
    Sent,
}

/// The vectors of one tenant that are searched outside.
#[derive(Debug)]
pub struct Outline {
    points_max: usize,
    dimensions: usize,
    places: BTreeMap<u64, State>,
    sent: usize,
    is_filled: bool,
}

/// What of it may be found, and what not; both in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sides {
    /// Points outside that may come back.
    pub admitted: Vec<u64>,
    /// Everything else that may be there.
    pub others: Vec<u64>,
}

impl Outline {
    /// An empty one of at most so many points.
    #[must_use]
    pub fn new(points_max: usize) -> Self {
        Self { points_max, dimensions: 0, places: BTreeMap::new(), sent: 0, is_filled: false }
    }

    /// Vectors it knows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Of them, those that may lie outside.
    #[must_use]
    pub fn sent_count(&self) -> usize {
        self.sent
    }

    /// Numbers of a vector; 0 where there is none.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Whether everything there was has been brought there once.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.is_filled
    }

    /// Says whether everything there was has been brought there.
    pub fn set_filled(&mut self, is_filled: bool) {
        self.is_filled = is_filled;
    }

    /// Whether vectors of so many numbers would be taken in.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn fits(&self, numbers: usize, vectors: usize) -> Result<(), Unfit> {
        if self.dimensions != 0 && numbers != 0 && numbers != self.dimensions {
            return Err(Unfit::Dimensions { got: numbers, expected: self.dimensions });
        }
        let is_full = self.count().saturating_add(vectors) > self.points_max;
        if is_full { Err(Unfit::Full { rows: self.count() }) } else { Ok(()) }
    }

    /// Notes a vector of so many numbers; one that may lie outside already stays so.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn put(&mut self, place: u64, numbers: usize) -> Result<(), Unfit> {
        if !self.places.contains_key(&place) {
            self.fits(numbers, 1)?;
            self.places.insert(place, State::Waiting);
        }
        self.dimensions = numbers;
        Ok(())
    }

    /// Notes vectors that are on their way outside, before they are.
    pub fn send(&mut self, places: impl Iterator<Item = u64>) {
        for place in places {
            if self.places.insert(place, State::Sent) != Some(State::Sent) {
                self.sent = self.sent.saturating_add(1);
            }
        }
    }

    /// Every place up to one, in order.
    pub fn up_to(&self, last: u64) -> impl Iterator<Item = u64> + '_ {
        self.places.range(..=last).map(|(place, _)| *place)
    }

    /// Notes that nothing of a version lies outside any more, nor will.
    pub fn forget_version(&mut self, version: u64) {
        let gone: Vec<u64> = self
            .places
            .range(place(version, 0)..)
            .map(|(place, _)| *place)
            .take_while(|place| of_place(*place).0 == version)
            .collect();
        gone.into_iter().for_each(|place| self.remove(place));
    }

    /// Drops vectors of versions that are not wanted, unless they may still lie outside.
    pub fn retain(&mut self, wanted: impl Fn(u64) -> bool) {
        self.places.retain(|place, state| *state == State::Sent || wanted(of_place(*place).0));
    }

    /// Notes that nothing lies outside.
    pub fn empty(&mut self) {
        self.places.values_mut().for_each(|state| *state = State::Waiting);
        (self.sent, self.is_filled) = (0, false);
    }

    fn remove(&mut self, place: u64) {
        if self.places.remove(&place) == Some(State::Sent) {
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// What of it may be found, where `found` says, in order, what stands in the index and may be found there.
    #[must_use]
    pub fn sides(&self, found: impl Iterator<Item = u64>) -> Sides {
        let (mut sides, mut found) = (Sides::default(), found.peekable());
        for (place, state) in &self.places {
            while found.next_if(|next| next < place).is_some() {}
            let is_found = found.next_if_eq(place).is_some();
            let side = if is_found && *state == State::Sent { &mut sides.admitted } else { &mut sides.others };
            side.push(*place);
        }
        sides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(places: &[u64]) -> Outline {
        let mut outline = Outline::new(100);
        places.iter().for_each(|place| outline.put(*place, 4).unwrap());
        outline
    }

    #[test]
    fn what_is_not_outside_yet_or_not_in_the_index_is_not_admitted() {
        let mut outline = outline(&[1, 2, 3, 4]);
        outline.send([2, 3, 4].into_iter());
        assert_eq!((outline.count(), outline.sent_count()), (4, 3));
        let sides = outline.sides([0, 1, 2, 4, 9].into_iter());
        assert_eq!(sides, Sides { admitted: vec![2, 4], others: vec![1, 3] });
        assert_eq!(outline.sides([].into_iter()), Sides { admitted: vec![], others: vec![1, 2, 3, 4] });
    }

    #[test]
    fn a_version_goes_when_it_is_known_to_be_gone_outside_and_not_before() {
        let places = [place(1, 0), place(1, 7), place(2, 0), place(3, 0)];
        let mut outline = outline(&places);
        outline.send([places[0], places[1], places[2]].into_iter());
        outline.retain(|version| version == 2);
        assert_eq!(outline.count(), 3, "what never went out is dropped; the rest may lie there");
        outline.forget_version(1);
        assert_eq!((outline.count(), outline.sent_count()), (1, 1));
        assert_eq!(outline.sides(places.into_iter()).admitted, [place(2, 0)]);
        outline.empty();
        assert_eq!((outline.count(), outline.sent_count(), outline.is_filled()), (1, 0, false));
    }

    #[test]
    fn what_has_no_room_or_is_of_another_length_is_not_taken_in() {
        let mut outline = Outline::new(2);
        outline.put(1, 4).unwrap();
        assert_eq!(outline.put(2, 5), Err(Unfit::Dimensions { got: 5, expected: 4 }));
        outline.put(2, 4).unwrap();
        assert_eq!(outline.put(3, 4), Err(Unfit::Full { rows: 2 }));
        outline.put(1, 4).unwrap();
        outline.send([1].into_iter());
        outline.put(1, 4).unwrap();
        assert_eq!(outline.sent_count(), 1, "noted again, it stays outside");
    }
}
