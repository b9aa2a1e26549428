//! The releases of one tenant, folded from the control journal: which came through, and which is on its way. Pure.
use super::entry::RehearsalFigures;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};

/// Releases whose texts are kept; older ones are in the journal by name alone.
pub const RELEASES_KEPT_MAX: usize = 32;

/// A release that was committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Release {
    /// Names it: a digest of its files.
    pub release: String,
    /// The version answers are stamped with.
    pub version: String,
    /// RFC 3339.
    pub committed_at: String,
    /// What its rehearsal came to; null where there was none: nothing of it could be rehearsed, or nobody was served.
    pub rehearsal: Option<RehearsalFigures>,
}

/// The releases of one tenant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Releases {
    kept: VecDeque<Release>,
    settled: Option<String>,
    on_its_way: Option<String>,
    /// Those of the kept ones that have served everybody once.
    came_through: BTreeSet<String>,
}

impl Releases {
    /// A release was committed: for everybody at once, or to be brought to people in stages.
    pub fn committed(&mut self, release: Release, is_staged: bool) {
        if is_staged {
            self.on_its_way = Some(release.release.clone());
        } else {
            self.on_its_way = None;
            self.settled = Some(release.release.clone());
            self.came_through.insert(release.release.clone());
        }
        if let Some(oldest) = self.outgoing().cloned() {
            self.kept.retain(|kept| *kept != oldest);
            self.came_through.remove(&oldest.release);
        }
        self.kept.push_back(release);
    }

    /// The rollout of a release has ended; one that is not on its way changes nothing.
    pub fn ended(&mut self, release: &str, reached_everybody: bool) {
        if self.on_its_way.as_deref() != Some(release) {
            return;
        }
        self.on_its_way = None;
        if reached_everybody {
            self.came_through.insert(release.to_owned());
            self.settled = Some(release.to_owned());
        }
    }

    /// The one whose texts are kept no longer once another is committed; never the one that came through.
    #[must_use]
    pub fn outgoing(&self) -> Option<&Release> {
        let is_full = self.kept.len() >= RELEASES_KEPT_MAX;
        self.kept.iter().find(|kept| is_full && self.settled.as_deref() != Some(&kept.release))
    }

    /// The last that was committed.
    #[must_use]
    pub fn newest(&self) -> Option<&str> {
        self.kept.back().map(|kept| kept.release.as_str())
    }

    /// The last that came through.
    #[must_use]
    pub fn settled(&self) -> Option<&str> {
        self.settled.as_deref()
    }

    /// True for the one that is on its way.
    #[must_use]
    pub fn is_on_its_way(&self, release: &str) -> bool {
        self.on_its_way.as_deref() == Some(release)
    }

    /// The newest, where it was sent back: the one before serves.
    #[must_use]
    pub fn sent_back(&self) -> Option<&Release> {
        let newest = self.kept.back()?;
        (self.on_its_way.is_none() && self.settled.as_deref() != Some(&newest.release)).then_some(newest)
    }

    /// The last release of a version.
    #[must_use]
    pub fn of_version(&self, version: &str) -> Option<&Release> {
        self.kept.iter().rev().find(|kept| kept.version == version)
    }

    /// Those of the kept ones that have served everybody once, newest first.
    pub fn came_through(&self) -> impl Iterator<Item = &str> {
        let names = self.kept.iter().rev().map(|kept| kept.release.as_str());
        names.filter(|name| self.came_through.contains(*name))
    }

    /// Those whose texts are kept, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &Release> {
        self.kept.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str) -> Release {
        let version = format!("1.0.0-{name}");
        Release { release: name.to_owned(), version, committed_at: String::new(), rehearsal: None }
    }

    #[test]
    fn a_release_comes_through_at_once_or_by_its_rollout() {
        let mut releases = Releases::default();
        releases.committed(release("a"), false);
        assert_eq!((releases.settled(), releases.newest(), releases.sent_back()), (Some("a"), Some("a"), None));
        releases.committed(release("b"), true);
        assert!(releases.is_on_its_way("b") && releases.settled() == Some("a") && releases.sent_back().is_none());
        releases.ended("a", true);
        assert!(releases.is_on_its_way("b"), "another one's end is not its own");
        releases.ended("b", true);
        assert_eq!((releases.settled(), releases.sent_back()), (Some("b"), None));
    }

    #[test]
    fn what_was_sent_back_is_known_until_another_one_comes() {
        let mut releases = Releases::default();
        releases.committed(release("a"), false);
        releases.committed(release("b"), true);
        releases.ended("b", false);
        assert_eq!((releases.settled(), releases.sent_back()), (Some("a"), Some(&release("b"))));
        releases.ended("b", true);
        assert_eq!(releases.settled(), Some("a"), "what went back does not come through by a late word");
        releases.committed(release("c"), true);
        assert_eq!((releases.settled(), releases.sent_back(), releases.is_on_its_way("c")), (Some("a"), None, true));
        releases.committed(release("d"), false);
        releases.ended("c", true);
        assert_eq!(releases.settled(), Some("d"), "nor does one that was overtaken");
    }

    #[test]
    fn the_one_that_serves_is_never_forgotten() {
        let mut releases = Releases::default();
        releases.committed(release("serves"), false);
        for number in 0..3 * RELEASES_KEPT_MAX {
            let outgoing = releases.outgoing().cloned();
            releases.committed(release(&number.to_string()), true);
            assert!(outgoing.is_none_or(|gone| releases.kept().all(|kept| *kept != gone)));
        }
        assert_eq!(releases.kept().count(), RELEASES_KEPT_MAX);
        assert_eq!(releases.of_version("1.0.0-serves"), Some(&release("serves")));
        assert_eq!(releases.of_version("1.0.0-0"), None);
    }
}
