//! Old copies go when nothing keeps them. Blocks.
use super::errors::BackupError;
use super::rules::{Series, may_go};
use super::target::{Point, Target};
use super::views::PruneView;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_policy::retention::Rules;
use std::collections::{BTreeMap, BTreeSet};

/// The rules of every tenant there is, by its key in hexadecimal.
pub(super) type RulesOfTenants = BTreeMap<String, Rules>;

/// Removes every series that nothing keeps, and every point that is left with nothing. What is destroyed goes first.
pub(super) fn prune(
    target: &Target,
    rules: &RulesOfTenants,
    destroyed: &BTreeSet<String>,
    control: TenantKey,
    now_unix_ms: u64,
) -> Result<PruneView, BackupError> {
    let mut view = PruneView::default();
    let points: Vec<Point> =
        target.points()?.into_iter().map(|number| target.point(number)).collect::<Result<_, _>>()?;
    for tenant in target.tenants()?.iter().filter(|tenant| destroyed.contains(*tenant)) {
        target.destroy(tenant)?;
        view.removed.push(format!("all of {}: the tenant is destroyed", name_of(&points, tenant)));
    }
    let control = control.to_hex();
    let mut left: BTreeSet<(String, u64)> = BTreeSet::new();
    for (tenant, series) in series_of(&points) {
        let Some(mut keys) = target.keys_of(&tenant)? else { continue };
        for series in series {
            if series.number < keys.oldest_series {
                continue;
            }
            // the control plane's copies go with the last point that needs them
            let decided = if tenant == control { Ok(()) } else { may_go(&series, rules.get(&tenant), now_unix_ms) };
            let is_first = series.number == keys.oldest_series;
            match decided {
                Ok(()) if tenant != control && is_first => {
                    // told before it goes: what is missing because its time was over is no loss
                    keys.oldest_series = next_series(&points, &tenant, series.number);
                    target.keep_keys(&tenant, &keys)?;
                    target.remove_series(&tenant, series.number)?;
                    let name = name_of(&points, &tenant);
                    view.removed.push(format!("series {} of {name}: its time is over", series.number));
                }
                Ok(()) => {
                    if tenant != control {
                        left.insert((tenant.clone(), series.number));
                    }
                }
                Err(reason) => {
                    if !series.is_current {
                        view.kept.push(format!("series {} of {}: {reason}", series.number, name_of(&points, &tenant)));
                    }
                    left.insert((tenant.clone(), series.number));
                }
            }
        }
    }
    let newest = points.last().map(|point| point.number);
    let mut needed = BTreeSet::new();
    for point in &points {
        let has_any = point.parts.iter().any(|part| left.contains(&(part.tenant.clone(), part.series)));
        if has_any || Some(point.number) == newest {
            needed.extend(point.parts.iter().filter(|part| part.tenant == control).map(|part| part.series));
        } else {
            target.remove_point(point.number)?;
            view.removed.push(format!("point {}: nothing of it is left", point.number));
        }
    }
    if let Some(mut keys) = target.keys_of(&control)? {
        let oldest = needed.first().copied().unwrap_or(keys.oldest_series);
        let over: BTreeSet<u64> = points
            .iter()
            .flat_map(|point| &point.parts)
            .filter(|part| part.tenant == control && part.series >= keys.oldest_series && part.series < oldest)
            .map(|part| part.series)
            .collect();
        if !over.is_empty() {
            keys.oldest_series = oldest;
            target.keep_keys(&control, &keys)?;
            over.into_iter().try_for_each(|series| target.remove_series(&control, series))?;
        }
    }
    Ok(view)
}

fn name_of(points: &[Point], tenant: &str) -> String {
    let named = points.iter().rev().flat_map(|point| &point.parts).find(|part| part.tenant == tenant);
    named.and_then(|part| part.name.clone()).unwrap_or_else(|| tenant.to_owned())
}

fn next_series(points: &[Point], tenant: &str, after: u64) -> u64 {
    let series = points.iter().flat_map(|point| &point.parts).filter(|part| part.tenant == tenant);
    series.map(|part| part.series).filter(|series| *series > after).min().unwrap_or(after.saturating_add(1))
}

/// The series of every tenant, oldest first.
fn series_of(points: &[Point]) -> BTreeMap<String, Vec<Series>> {
    let mut found: BTreeMap<String, BTreeMap<u64, Series>> = BTreeMap::new();
    for point in points {
        for part in &point.parts {
            let series = found.entry(part.tenant.clone()).or_default().entry(part.series);
            let series = series.or_insert(Series { number: part.series, newest_unix_ms: 0, is_current: false });
            series.newest_unix_ms = series.newest_unix_ms.max(point.at_unix_ms);
        }
    }
    if let Some(newest) = points.last() {
        for part in &newest.parts {
            if let Some(series) = found.get_mut(&part.tenant).and_then(|of| of.get_mut(&part.series)) {
                series.is_current = true;
            }
        }
    }
    found.into_iter().map(|(tenant, series)| (tenant, series.into_values().collect())).collect()
}
