//! What an encoder does beside matrix products, one pass over the numbers each: candle has the same as several passes, and its
//! error function number by number. Plain loops that the compiler turns into the widest instructions this processor has.
use candle_core::{CpuStorage, Error, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result};
use pulp::Arch;

/// Sums and maxima are taken side by side, so that the processor can do as many at once.
const LANES: usize = 16;

/// Adds a bias to every row and takes the result through GELU with the exact error function (Hendrycks and Gimpel 2016).
#[derive(Debug)]
pub(super) struct BiasGelu;

/// Adds a bias to every row.
#[derive(Debug)]
pub(super) struct Bias;

/// Adds to every row its row of another matrix and a bias, then normalises it (Ba et al. 2016). The third argument is
/// bias, scale and shift, one below the other.
#[derive(Debug)]
pub(super) struct AddNormalise {
    /// What is added to the variance.
    pub(super) epsilon: f32,
}

/// Exchanges the numbers of every row, times a factor, for their shares by softmax.
#[derive(Debug)]
pub(super) struct Softmax {
    /// The factor: one over the root of a head's width.
    pub(super) scale: f32,
}

impl InplaceOp2 for BiasGelu {
    fn name(&self) -> &'static str {
        "bias-gelu"
    }

    fn cpu_fwd(&self, rows: &mut CpuStorage, rows_at: &Layout, bias: &CpuStorage, bias_at: &Layout) -> Result<()> {
        let (rows, bias) = (numbers_mut(rows, rows_at)?, numbers(bias, bias_at)?);
        Arch::new().dispatch(|| {
            for row in rows.chunks_exact_mut(bias.len().max(1)) {
                for (number, bias) in row.iter_mut().zip(bias) {
                    *number = gelu(*number + bias);
                }
            }
        });
        Ok(())
    }
}

impl InplaceOp2 for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn cpu_fwd(&self, rows: &mut CpuStorage, rows_at: &Layout, bias: &CpuStorage, bias_at: &Layout) -> Result<()> {
        let (rows, bias) = (numbers_mut(rows, rows_at)?, numbers(bias, bias_at)?);
        Arch::new().dispatch(|| {
            for row in rows.chunks_exact_mut(bias.len().max(1)) {
                for (number, bias) in row.iter_mut().zip(bias) {
                    *number += bias;
                }
            }
        });
        Ok(())
    }
}

impl InplaceOp3 for AddNormalise {
    fn name(&self) -> &'static str {
        "add-normalise"
    }

    fn cpu_fwd(
        &self,
        rows: &mut CpuStorage,
        rows_at: &Layout,
        added: &CpuStorage,
        added_at: &Layout,
        weights: &CpuStorage,
        weights_at: &Layout,
    ) -> Result<()> {
        let (rows, added) = (numbers_mut(rows, rows_at)?, numbers(added, added_at)?);
        let weights = numbers(weights, weights_at)?;
        let width = weights.len() / 3;
        let (bias, weights) = weights.split_at(width);
        let (scale, shift) = weights.split_at(width);
        let epsilon = self.epsilon;
        Arch::new().dispatch(|| {
            for (row, added) in rows.chunks_exact_mut(width.max(1)).zip(added.chunks_exact(width.max(1))) {
                for ((number, added), bias) in row.iter_mut().zip(added).zip(bias) {
                    *number += added + bias;
                }
                normalise(row, scale, shift, epsilon);
            }
        });
        Ok(())
    }
}

impl InplaceOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, rows: &mut CpuStorage, rows_at: &Layout) -> Result<()> {
        let width = rows_at.dims().last().copied().unwrap_or(1).max(1);
        let rows = numbers_mut(rows, rows_at)?;
        let scale = self.scale;
        Arch::new().dispatch(|| {
            for row in rows.chunks_exact_mut(width) {
                softmax(row, scale);
            }
        });
        Ok(())
    }
}

fn numbers<'a>(storage: &'a CpuStorage, at: &Layout) -> Result<&'a [f32]> {
    let (start, end) = at.contiguous_offsets().ok_or_else(scattered)?;
    storage.as_slice::<f32>()?.get(start..end).ok_or_else(scattered)
}

fn numbers_mut<'a>(storage: &'a mut CpuStorage, at: &Layout) -> Result<&'a mut [f32]> {
    let (start, end) = at.contiguous_offsets().ok_or_else(scattered)?;
    let CpuStorage::F32(numbers) = storage else { return Err(scattered()) };
    numbers.get_mut(start..end).ok_or_else(scattered)
}

fn scattered() -> Error {
    Error::Msg(String::from("the numbers do not lie one after the other as 32-bit floats"))
}

#[inline(always)]
fn lanes_of(row: &[f32], begin: f32, fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [begin; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = fold(*lane, *number);
        }
    }
    for (lane, number) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, *number);
    }
    lanes.into_iter().reduce(&fold).unwrap_or(begin)
}

#[inline(always)]
fn total(row: &[f32]) -> f32 {
    lanes_of(row, 0.0, |sum, number| sum + number)
}

#[inline(always)]
fn normalise(row: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) {
    #[expect(clippy::cast_precision_loss, reason = "a row has some thousand numbers at most")]
    let width = row.len() as f32;
    let mean = total(row) / width;
    for number in row.iter_mut() {
        *number -= mean;
    }
    let mut squares = [0.0_f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (sum, number) in squares.iter_mut().zip(chunk) {
            *sum += number * number;
        }
    }
    for (sum, number) in squares.iter_mut().zip(rest) {
        *sum += number * number;
    }
    let factor = 1.0 / (squares.iter().sum::<f32>() / width + epsilon).sqrt();
    for ((number, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
        *number = *number * factor * scale + shift;
    }
}

#[inline(always)]
fn softmax(row: &mut [f32], scale: f32) {
    let greatest = lanes_of(row, f32::NEG_INFINITY, |most, number| if number > most { number } else { most });
    for number in row.iter_mut() {
        *number = exponential((*number - greatest) * scale);
    }
    let share = 1.0 / total(row);
    for number in row.iter_mut() {
        *number *= share;
    }
}

#[inline(always)]
fn gelu(number: f32) -> f32 {
    0.5 * number * (1.0 + error_function(number * std::f32::consts::FRAC_1_SQRT_2))
}

/// erf by formula 7.1.26 of Abramowitz and Stegun, within 1.5e-7 and what rounding adds: one division and one power of e.
#[inline(always)]
fn error_function(number: f32) -> f32 {
    const A: [f32; 5] = [0.254_829_6, -0.284_496_74, 1.421_413_7, -1.453_152, 1.061_405_4];
    let [a1, a2, a3, a4, a5] = A;
    let magnitude = number.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * magnitude);
    let polynomial = t * (a1 + t * (a2 + t * (a3 + t * (a4 + t * a5))));
    (1.0 - polynomial * exponential(-magnitude * magnitude)).copysign(number)
}

/// e to a power that is not positive, within 3e-7 of itself: two to a whole power, times Taylor's series on what is left, which is within
/// half of ln 2. Powers below -87 are taken for -87: nothing is left of them in a sum.
#[inline(always)]
fn exponential(power: f32) -> f32 {
    // adding it leaves a whole number in the last bits
    const ROUNDER: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let power = if power < -87.0 { -87.0 } else { power };
    let rounded = power * std::f32::consts::LOG2_E + ROUNDER;
    let whole = rounded - ROUNDER;
    let rest = power - whole * LN_2_HIGH - whole * LN_2_LOW;
    let series = 1.0
        + rest
            * (1.0
                + rest
                    * (1.0 / 2.0
                        + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest * (1.0 / 120.0 + rest * (1.0 / 720.0))))));
    let exponent = rounded.to_bits().wrapping_sub(ROUNDER.to_bits()).wrapping_add(127) << 23;
    series * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::erf;
    use super::*;

    #[test]
    fn powers_of_e_are_right_to_the_last_bits() {
        for step in 0..=87_000 {
            let power = -(step as f32) / 1_000.0;
            let (ours, exact) = (f64::from(exponential(power)), f64::from(power).exp());
            assert!((ours / exact - 1.0).abs() < 4e-7, "{power}: {ours} {exact}");
        }
        assert!(exponential(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn the_error_function_is_within_its_bound() {
        for step in -4_500..=4_500 {
            let number = step as f32 / 1_000.0;
            let (ours, exact) = (f64::from(error_function(number)), erf(f64::from(number)));
            assert!((ours - exact).abs() < 6e-7, "{number}: {ours} {exact}");
        }
        assert_eq!((error_function(30.0), error_function(-30.0)), (1.0, -1.0));
    }

    #[test]
    fn shares_add_up_and_rows_are_normalised_at_every_width() {
        for width in [1_usize, 2, 15, 16, 17, 33, 384] {
            let mut row: Vec<f32> = (0..width).map(|n| ((n * 7919) % 101) as f32 / 10.0 - 5.0).collect();
            let exact: Vec<f64> = row.iter().map(|number| (f64::from(*number) * 0.5).exp()).collect();
            let sum: f64 = exact.iter().sum();
            let mut shares = row.clone();
            softmax(&mut shares, 0.5);
            for (ours, exact) in shares.iter().zip(&exact) {
                assert!((f64::from(*ours) - exact / sum).abs() < 1e-6, "{width}");
            }
            let mean = row.iter().map(|number| f64::from(*number)).sum::<f64>() / width as f64;
            let variance = row.iter().map(|number| (f64::from(*number) - mean).powi(2)).sum::<f64>() / width as f64;
            let exact: Vec<f64> =
                row.iter().map(|number| (f64::from(*number) - mean) / (variance + 1e-5).sqrt() * 2.0 + 1.0).collect();
            normalise(&mut row, &vec![2.0; width], &vec![1.0; width], 1e-5);
            for (ours, exact) in row.iter().zip(&exact) {
                assert!((f64::from(*ours) - exact).abs() < 1e-4, "{width}: {ours} {exact}");
            }
        }
    }
}
