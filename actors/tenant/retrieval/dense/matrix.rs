//! The vectors of one tenant's passages in memory, a byte a number, and the exact search in them. Pure.
//!
//! A row's numbers are rounded to 255 steps of its own. How far that moves it is known for each row, so that the scan says
//! between which two figures every row's true similarity lies; only rows that could be among the best are compared with
//! their vectors as they were embedded. What is found is therefore what comparing all of them would find.
use std::collections::HashMap;

/// Products added up side by side, so that the processor can do as many at once.
const LANES: usize = 16;
/// Steps from zero to the greatest number of a row.
const ROW_STEPS: f32 = 127.0;
/// Steps from zero to the greatest number of a question, at most.
const QUESTION_STEPS_MAX: f64 = 8_191.0;
/// Rows compared with their own vectors, at most: those the scan holds for nearest.
const COMPARED_MAX: usize = 2_048;
/// What rounding takes from a sum of single precision.
const ROUNDING: f32 = 1e-5;

/// Why a vector is not taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// Another model's: it shares no directions with the others.
    #[error(
        "the model gave {got} numbers for a passage where it gave {expected} before; another model answers under its name"
    )]
    Dimensions {
        /// Numbers it has.
        got: usize,
        /// Numbers the others have.
        expected: usize,
    },
    /// No room is left.
    #[error(
        "{rows} passages are kept by their meaning, as many as have room; those that came later are found by their words alone"
    )]
    Full {
        /// Rows kept.
        rows: usize,
    },
}

/// The rows of one tenant.
#[derive(Debug)]
pub struct Matrix {
    bytes_max: usize,
    dimensions: usize,
    codes: Vec<i8>,
    /// What one step of each row is worth.
    steps: Vec<f32>,
    /// How far each row lies from its vector.
    errors: Vec<f32>,
    places: Vec<u64>,
    rows: HashMap<u64, u32>,
    generation: u64,
}

/// A row with its similarity.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Near {
    /// Which row.
    pub row: u32,
    /// Cosine of the angle to the question.
    pub similarity: f32,
}

struct Question<'a> {
    numbers: &'a [f32],
    codes: Vec<i16>,
    step: f32,
    error: f32,
}

impl Matrix {
    /// An empty one of at most so many bytes of codes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            dimensions: 0,
            codes: Vec::new(),
            steps: Vec::new(),
            errors: Vec::new(),
            places: Vec::new(),
            rows: HashMap::new(),
            generation: 0,
        }
    }

    /// Rows it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Counts its changes: what was reckoned of its rows holds for one of them only.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The row of a place.
    #[must_use]
    pub fn row(&self, place: u64) -> Option<u32> {
        self.rows.get(&place).copied()
    }

    /// The place of a row.
    #[must_use]
    pub fn place(&self, row: u32) -> Option<u64> {
        self.places.get(usize::try_from(row).ok()?).copied()
    }

    /// Takes out every row whose place is not wanted any more.
    pub fn retain(&mut self, wanted: impl Fn(u64) -> bool) {
        let gone: Vec<u64> = self.places.iter().copied().filter(|place| !wanted(*place)).collect();
        gone.into_iter().for_each(|place| self.remove(place));
    }

    /// Numbers of a row; 0 where there is none.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Whether vectors of so many numbers would be taken in.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn fits(&self, numbers: usize, rows: usize) -> Result<(), Unfit> {
        if self.dimensions != 0 && numbers != 0 && numbers != self.dimensions {
            return Err(Unfit::Dimensions { got: numbers, expected: self.dimensions });
        }
        let bytes = self.count().saturating_add(rows).saturating_mul(numbers);
        if bytes > self.bytes_max { Err(Unfit::Full { rows: self.count() }) } else { Ok(()) }
    }

    /// Takes in the vector of a place, in the stead of the one it had. Vectors are of length 1.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn put(&mut self, place: u64, vector: &[f32]) -> Result<(), Unfit> {
        self.remove(place);
        self.fits(vector.len(), 1)?;
        let most = vector.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let step = if most > 0.0 { most / ROW_STEPS } else { 1.0 };
        let mut apart = 0.0_f32;
        for number in vector {
            #[expect(clippy::cast_possible_truncation, reason = "at most 127 steps either way")]
            let code = (number / step).round().clamp(-ROW_STEPS, ROW_STEPS) as i8;
            self.codes.push(code);
            apart += (number - f32::from(code) * step).powi(2);
        }
        let Ok(row) = u32::try_from(self.places.len()) else { return Err(Unfit::Full { rows: self.count() }) };
        self.dimensions = vector.len();
        self.steps.push(step);
        self.errors.push(apart.sqrt() + ROUNDING);
        self.places.push(place);
        self.rows.insert(place, row);
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }

    /// Takes a place out; its row is the last one's from then on.
    pub fn remove(&mut self, place: u64) {
        let Some(row) = self.rows.remove(&place) else { return };
        let Ok(at) = usize::try_from(row) else { return };
        let (from, last) = (at.saturating_mul(self.dimensions), self.places.len().saturating_sub(1));
        let tail = self.codes.split_off(last.saturating_mul(self.dimensions));
        if at != last
            && let Some(row) = self.codes.get_mut(from..from.saturating_add(self.dimensions))
        {
            row.copy_from_slice(&tail);
        }
        self.steps.swap_remove(at);
        self.errors.swap_remove(at);
        self.places.swap_remove(at);
        if let Some(moved) = self.places.get(at) {
            self.rows.insert(*moved, row);
        }
        if self.places.is_empty() {
            self.dimensions = 0;
        }
        self.generation = self.generation.wrapping_add(1);
    }

    /// The nearest admitted rows, nearest first, equal ones in the order of their places. `exactly` gives a row's vector as it
    /// was embedded; a row without one is not found.
    ///
    /// # Errors
    /// Those of `exactly`.
    pub fn nearest<E>(
        &self,
        question: &[f32],
        admitted: &[bool],
        most: usize,
        exactly: impl FnMut(u32) -> Result<Option<Vec<f32>>, E>,
    ) -> Result<Vec<Near>, E> {
        if most == 0 || question.len() != self.dimensions {
            return Ok(Vec::new());
        }
        let question = Question::of(question);
        self.compared(&question, self.scan(&question, admitted, most), most, exactly)
    }

    /// The rows that could be among the nearest.
    fn scan(&self, question: &Question<'_>, admitted: &[bool], most: usize) -> Vec<u32> {
        let mut seen: Vec<(f32, f32, u32)> = Vec::with_capacity(self.count());
        let rows = self.codes.chunks_exact(self.dimensions.max(1)).zip(self.steps.iter().zip(&self.errors));
        for ((row, (codes, (step, error))), admitted) in (0_u32..).zip(rows).zip(admitted) {
            if !admitted {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "what is lost is within what rounding is reckoned to take")]
            let similarity = dot(codes, &question.codes) as f32 * step * question.step;
            let apart = error + question.error * (1.0 + error) + ROUNDING;
            seen.push((similarity - apart, similarity + apart, row));
        }
        if seen.len() > most {
            let (_, worst, _) = seen.select_nth_unstable_by(most - 1, |one, other| other.0.total_cmp(&one.0));
            let needed = worst.0;
            seen.retain(|(_, at_best, _)| *at_best >= needed);
        }
        if seen.len() > COMPARED_MAX.max(most) {
            seen.select_nth_unstable_by(COMPARED_MAX.max(most), |one, other| other.1.total_cmp(&one.1));
            seen.truncate(COMPARED_MAX.max(most));
        }
        seen.into_iter().map(|(_, _, row)| row).collect()
    }

    fn compared<E>(
        &self,
        question: &Question<'_>,
        rows: Vec<u32>,
        most: usize,
        mut exactly: impl FnMut(u32) -> Result<Option<Vec<f32>>, E>,
    ) -> Result<Vec<Near>, E> {
        let mut near = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(vector) = exactly(row)?.filter(|vector| vector.len() == question.numbers.len()) {
                near.push(Near { row, similarity: exact(question.numbers, &vector) });
            }
        }
        near.sort_by(|one, other| {
            other.similarity.total_cmp(&one.similarity).then_with(|| self.place(one.row).cmp(&self.place(other.row)))
        });
        near.truncate(most);
        Ok(near)
    }
}

impl<'a> Question<'a> {
    fn of(numbers: &'a [f32]) -> Self {
        // so that the greatest sum of products there can be stays within 32 bits
        #[expect(clippy::cast_precision_loss, reason = "dimensions of a vector")]
        let room = f64::from(i32::MAX) / (f64::from(ROW_STEPS) * numbers.len().max(1) as f64);
        #[expect(clippy::cast_possible_truncation, reason = "a figure below 8,192")]
        let steps = QUESTION_STEPS_MAX.min(room.floor()) as f32;
        let most = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let step = if most > 0.0 { most / steps } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, reason = "at most 8,191 steps either way")]
        let codes: Vec<i16> = numbers.iter().map(|number| (number / step).round() as i16).collect();
        let apart: f32 =
            numbers.iter().zip(&codes).map(|(number, code)| (number - f32::from(*code) * step).powi(2)).sum();
        Self { numbers, codes, step, error: apart.sqrt() }
    }
}

/// The sum of products of codes; whole numbers add up in any order, so the compiler takes as many at once as it can.
fn dot(row: &[i8], question: &[i16]) -> i32 {
    row.iter().zip(question).map(|(code, other)| i32::from(*code) * i32::from(*other)).sum()
}

/// The sum of products as they were embedded.
pub fn exact(one: &[f32], other: &[f32]) -> f32 {
    let (ours, theirs) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = ours.remainder().iter().zip(theirs.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0_f32; LANES];
    for (ours, theirs) in ours.zip(theirs) {
        for (sum, (a, b)) in sums.iter_mut().zip(ours.iter().zip(theirs)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
#[path = "matrix_tests.rs"]
mod tests;
