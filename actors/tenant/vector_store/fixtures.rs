//! A collection in memory, for tests of the rooms: it searches as it is asked, or as it is told to.
use super::declared::{Collection, Pending, Point, VectorStore, VectorStores};
use super::rules::{Filter, Hit};
use super::{Tally, TenantVectorStores};
use bailiwick_policy::sovereignty::Region;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What it holds, what it was asked, and how it answers.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Points by number; nothing where it is not there.
    pub(crate) points: Option<BTreeMap<u64, Vec<f32>>>,
    /// It refuses everything.
    pub(crate) is_down: bool,
    /// It answers no search.
    pub(crate) is_mute: bool,
    /// It answers every search so.
    pub(crate) says: Option<Vec<Hit>>,
    /// It takes so many points, and then no more.
    pub(crate) takes: Option<usize>,
    /// The filters of each search.
    pub(crate) asked: Vec<Vec<Filter>>,
    /// Points of each request that brought some.
    pub(crate) brought: Vec<Vec<u64>>,
    /// Requests of every kind.
    pub(crate) requests: usize,
    /// Times it was made, and deleted.
    pub(crate) made: usize,
    pub(crate) deleted: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    held: Mutex<Held>,
}

const DOWN: &str = "it is down";

impl Memory {
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    /// Numbers of its points.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.held().points.iter().flatten().map(|(id, _)| *id).collect()
    }

    fn heard(&self) -> Result<MutexGuard<'_, Held>, String> {
        let mut held = self.held();
        held.requests += 1;
        if held.is_down { Err(DOWN.to_owned()) } else { Ok(held) }
    }

    /// The stores of one tenant, with this as its namespace.
    pub(crate) fn stores(self: &Arc<Self>, namespace: &str, region: &str) -> TenantVectorStores {
        let store = VectorStore {
            namespace: namespace.to_owned(),
            region: Region::named(region).unwrap(),
            tenant: "one".to_owned(),
            timeout: Duration::from_millis(20),
            under_tls12: self.clone(),
            under_tls13: self.clone(),
        };
        VectorStores::new(vec![store]).of("one")
    }
}

impl TenantVectorStores {
    /// What became of searches and of points.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        Tally::counts(&self.tally).into_iter().collect()
    }
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum()
}

impl Collection for Memory {
    fn make(&self, _dimensions: usize) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut held = self.heard()?;
            if held.points.is_some() {
                return Err("it is there".to_owned());
            }
            held.points = Some(BTreeMap::new());
            held.made += 1;
            Ok(())
        })
    }

    fn delete(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut held = self.heard()?;
            held.points = None;
            held.deleted += 1;
            Ok(())
        })
    }

    fn count(&self) -> Pending<'_, Option<u64>> {
        Box::pin(async move { Ok(self.heard()?.points.as_ref().map(|points| points.len() as u64)) })
    }

    fn put<'a>(&'a self, points: &'a [Point]) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut held = self.heard()?;
            if let Some(takes) = held.takes {
                held.takes = Some(takes.checked_sub(points.len()).ok_or("it is full")?);
            }
            let there = held.points.as_mut().ok_or("it is not there")?;
            there.extend(points.iter().map(|point| (point.id, point.vector.clone())));
            held.brought.push(points.iter().map(|point| point.id).collect());
            Ok(())
        })
    }

    fn take_out<'a>(&'a self, ids: &'a [u64]) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut held = self.heard()?;
            let there = held.points.as_mut().ok_or("it is not there")?;
            there.retain(|id, _| !ids.contains(id));
            Ok(())
        })
    }

    fn nearest<'a>(&'a self, vector: &'a [f32], filters: &'a [Filter], most: usize) -> Pending<'a, Vec<Hit>> {
        Box::pin(async move {
            let is_mute = {
                let mut held = self.heard()?;
                held.asked.push(filters.to_vec());
                held.is_mute
            };
            if is_mute {
                std::future::pending::<()>().await;
            }
            let held = self.held();
            if let Some(says) = &held.says {
                return Ok(says.clone());
            }
            let there = held.points.as_ref().ok_or("it is not there")?;
            let mut hits = Vec::new();
            for filter in filters {
                let passes = |id: &u64| match filter {
                    Filter::These(ids) => ids.contains(id),
                    Filter::AllBut(ids) => !ids.contains(id),
                };
                let found = there.iter().filter(|(id, _)| passes(id));
                let mut found: Vec<Hit> =
                    found.map(|(id, other)| Hit { id: Some(*id), score: cosine(vector, other) }).collect();
                found.sort_by(|one, other| other.score.total_cmp(&one.score));
                hits.extend(found.into_iter().take(most));
            }
            Ok(hits)
        })
    }
}
