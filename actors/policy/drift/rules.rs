//! How far the outcomes of two periods lie apart, and whether chance explains it.
//!
//! The test is the likelihood ratio (G) over how questions ended, neighbouring cells put together until each is expected five
//! times in the smaller period, with Williams' correction for small numbers. Questions of one day resemble each other: G is
//! divided by what it would come to with days that differ as these do, and held against F with the degrees of freedom that
//! follow from how unevenly they differ (Rao and Scott's second-order correction, days being the clusters). The distance is
//! Jensen and Shannon's, both periods weighing alike, less what it would be expected to be without any difference: its bias
//! grows with the cells and falls with the numbers.
use super::sample::{Cells, as_f64};
use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

/// Periods that are alike are taken for different this often, at most.
pub const LEVEL: f64 = 0.005;
/// Questions each period has at least, to be compared at all.
pub const QUESTIONS_MIN: u64 = 30;
/// How often each cell is expected in the smaller period, at least.
const EXPECTED_MIN: f64 = 5.0;

/// What the comparison of two periods came to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Drift {
    /// The distance, 0 to 1, where the difference is significant; 0 where it is not.
    pub score: f64,
    /// The distance without its bias, 0 to 1, significant or not.
    pub distance: f64,
    /// How probable a difference like this is where nothing has changed; nothing where there is too little to say so.
    pub p_value: Option<f64>,
    /// Questions of the days that were judged.
    pub recent: u64,
    /// Questions of the days before.
    pub reference: u64,
    /// How much days of one period differ among themselves, 1 being chance alone.
    pub dispersion: f64,
}

impl Drift {
    /// True where chance does not explain the difference, at [`LEVEL`].
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.p_value.is_some_and(|probability| probability <= LEVEL)
    }
}

/// Compares two periods, day by day.
#[must_use]
pub fn drift(recent: &[Cells], reference: &[Cells]) -> Drift {
    let (recent_total, reference_total) = (total(recent), total(reference));
    let none = Drift {
        score: 0.0,
        distance: 0.0,
        p_value: None,
        recent: recent_total,
        reference: reference_total,
        dispersion: 1.0,
    };
    if recent_total.min(reference_total) < QUESTIONS_MIN {
        return none;
    }
    let bounds = pooled(recent, reference);
    let (now, before) = (by_day(recent, &bounds), by_day(reference, &bounds));
    let chance = Chance::of(&now, &before);
    let (now, before) = (sum(&now), sum(&before));
    if chance.freedom < 1.0 {
        return Drift { p_value: Some(1.0), ..none };
    }
    let p_value = chance.probability(g_statistic(&now, &before));
    let dispersion = chance.trace / chance.freedom;
    let distance = distance(&now, &before, dispersion);
    let judged = Drift { distance, p_value: Some(p_value), dispersion, ..none };
    Drift { score: if judged.is_significant() { distance } else { 0.0 }, ..judged }
}

fn total(days: &[Cells]) -> u64 {
    days.iter().map(Cells::total).sum()
}

/// Where groups of cells end, decided by both periods together, so that the grouping knows nothing of their difference.
fn pooled(recent: &[Cells], reference: &[Cells]) -> Vec<usize> {
    let both = recent.iter().chain(reference);
    let smaller = as_f64(total(recent).min(total(reference)));
    let whole = as_f64(total(recent).saturating_add(total(reference)));
    let mut counts = Cells::default().0.map(u64::from);
    for cells in both {
        for (count, more) in counts.iter_mut().zip(cells.0) {
            *count = count.saturating_add(u64::from(more));
        }
    }
    let (mut bounds, mut open) = (Vec::new(), 0.0);
    for (cell, count) in counts.iter().enumerate() {
        open += as_f64(*count) * smaller / whole;
        if open >= EXPECTED_MIN {
            bounds.push(cell);
            open = 0.0;
        }
    }
    // what is left joins the last group
    if let Some(last) = bounds.last_mut() {
        *last = counts.len().saturating_sub(1);
    }
    bounds
}

/// Counts of each day by group.
fn by_day(days: &[Cells], bounds: &[usize]) -> Vec<Vec<f64>> {
    let grouped = |cells: &Cells| {
        let mut from = 0;
        let mut groups = Vec::with_capacity(bounds.len());
        for bound in bounds {
            let group = cells.0.iter().skip(from).take(bound + 1 - from);
            groups.push(group.map(|count| f64::from(*count)).sum());
            from = bound + 1;
        }
        groups
    };
    days.iter().map(grouped).filter(|groups: &Vec<f64>| groups.iter().sum::<f64>() > 0.0).collect()
}

fn sum(days: &[Vec<f64>]) -> Vec<f64> {
    let mut sums = vec![0.0; days.first().map_or(0, Vec::len)];
    for day in days {
        sums.iter_mut().zip(day).for_each(|(sum, count)| *sum += count);
    }
    sums
}

/// What the statistic comes to by chance.
struct Chance {
    /// Groups less one: the degrees of freedom where days differ by chance alone.
    freedom: f64,
    /// What it comes to on average; never below [`Chance::freedom`].
    trace: f64,
    /// The degrees of freedom that follow from how unevenly groups differ between days.
    effective: f64,
    /// Those its average was estimated with; nothing where no period has two days.
    of_days: f64,
}

/// How the groups of one period differ between its days: covariances of one question, over the expected shares.
struct Between {
    trace: f64,
    /// Days less one.
    freedom: f64,
    covariances: Vec<Vec<f64>>,
}

impl Between {
    fn of(days: &[Vec<f64>], shares: &[f64]) -> Self {
        let sums = sum(days);
        let whole: f64 = sums.iter().sum();
        let freedom = as_f64(u64::try_from(days.len().saturating_sub(1)).unwrap_or(0));
        let mut covariances = vec![vec![0.0; sums.len()]; sums.len()];
        for day in days {
            let of_day: f64 = day.iter().sum();
            let residuals: Vec<f64> = day.iter().zip(&sums).map(|(count, sum)| count - of_day * sum / whole).collect();
            for (row, one) in covariances.iter_mut().zip(&residuals) {
                row.iter_mut().zip(&residuals).for_each(|(cell, other)| *cell += one * other);
            }
        }
        let scale = if freedom < 1.0 { 0.0 } else { (freedom + 1.0) / freedom / whole };
        for (row, one) in covariances.iter_mut().zip(shares) {
            row.iter_mut().zip(shares).for_each(|(cell, other)| *cell *= scale / (one * other).sqrt());
        }
        let trace = covariances.iter().enumerate().filter_map(|(at, row)| row.get(at)).sum();
        Self { trace, freedom, covariances }
    }
}

impl Chance {
    fn of(now: &[Vec<f64>], before: &[Vec<f64>]) -> Self {
        let (of_now, of_before) = (sum(now), sum(before));
        let (count_now, count_before) = (of_now.iter().sum::<f64>(), of_before.iter().sum::<f64>());
        let whole = count_now + count_before;
        let shares: Vec<f64> = of_now.iter().zip(&of_before).map(|(now, before)| (now + before) / whole).collect();
        let freedom = as_f64(u64::try_from(shares.len().saturating_sub(1)).unwrap_or(0));
        let (days_now, days_before) = (Between::of(now, &shares), Between::of(before, &shares));
        let independent = Self { freedom, trace: freedom, effective: freedom, of_days: 0.0 };
        if days_now.freedom < 1.0 || days_before.freedom < 1.0 {
            return independent;
        }
        // the smaller period weighs more: its mean is the less certain one
        let (weight_now, weight_before) = (count_before / whole, count_now / whole);
        let trace = weight_now * days_now.trace + weight_before * days_before.trace;
        let squares: f64 = days_now
            .covariances
            .iter()
            .flatten()
            .zip(days_before.covariances.iter().flatten())
            .map(|(now, before)| (weight_now * now + weight_before * before).powi(2))
            .sum();
        let uncertain = (weight_now * days_now.trace).powi(2) / days_now.freedom
            + (weight_before * days_before.trace).powi(2) / days_before.freedom;
        if trace <= 0.0 || uncertain <= 0.0 {
            return independent;
        }
        let of_days = trace.powi(2) / uncertain;
        // the sum of squares of an estimated matrix exceeds that of the true one by its own noise
        let shrunk =
            of_days.powi(2) / ((of_days - 1.0).max(1.0) * (of_days + 2.0)) * (squares - trace.powi(2) / of_days);
        let effective = if shrunk > 0.0 { (trace.powi(2) / shrunk).clamp(1.0, freedom.max(1.0)) } else { freedom };
        Self { freedom, trace: trace.max(freedom), effective, of_days }
    }

    /// How probable a statistic this large is. One where it cannot be reckoned.
    fn probability(&self, statistic: f64) -> f64 {
        let tail = if self.of_days < 1.0 {
            ChiSquared::new(self.freedom).map(|chance| chance.sf(statistic)).ok()
        } else {
            let chance = FisherSnedecor::new(self.effective, self.effective * self.of_days);
            chance.map(|chance| chance.sf(statistic / self.trace)).ok()
        };
        tail.filter(|tail| tail.is_finite()).unwrap_or(1.0)
    }
}

/// The likelihood ratio of two rows of counts, corrected for small numbers.
fn g_statistic(now: &[f64], before: &[f64]) -> f64 {
    let (of_now, of_before) = (now.iter().sum::<f64>(), before.iter().sum::<f64>());
    let whole = of_now + of_before;
    let (mut ratio, mut columns) = (0.0, 0.0);
    for (now, before) in now.iter().zip(before) {
        let column = now + before;
        columns += whole / column;
        for (count, of_row) in [(now, of_now), (before, of_before)] {
            if *count > 0.0 {
                ratio += count * (count * whole / (of_row * column)).ln();
            }
        }
    }
    let freedom = as_f64(u64::try_from(now.len().saturating_sub(1)).unwrap_or(1));
    let rows = whole / of_now + whole / of_before;
    2.0 * ratio / (1.0 + (rows - 1.0) * (columns - 1.0) / (6.0 * whole * freedom))
}

/// Jensen and Shannon's distance (the root of their divergence in bits) less its bias.
fn distance(now: &[f64], before: &[f64], dispersion: f64) -> f64 {
    let (of_now, of_before) = (now.iter().sum::<f64>(), before.iter().sum::<f64>());
    let part = |share: f64, middle: f64| if share > 0.0 { share * (share / middle).log2() / 2.0 } else { 0.0 };
    let divergence: f64 = now
        .iter()
        .zip(before)
        .map(|(now, before)| {
            let (now, before) = (now / of_now, before / of_before);
            let middle = f64::midpoint(now, before);
            part(now, middle) + part(before, middle)
        })
        .sum();
    let freedom = as_f64(u64::try_from(now.len().saturating_sub(1)).unwrap_or(0));
    // one eighth of what Pearson's distance of two samples is expected to be
    let bias = dispersion * freedom * (of_now.recip() + of_before.recip()) / (8.0 * std::f64::consts::LN_2);
    (divergence - bias).clamp(0.0, 1.0).sqrt()
}
