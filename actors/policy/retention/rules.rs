//! What keeps and what ends objects, and which of it applies to one of them.
use super::DataType;
use super::algebra::{Decision, Duty, End, Keeper, Verdict};
use super::holds::{LegalHold, Selects};
use crate::regimes;
use crate::schema::Sovereignty;
use serde::Serialize;

const MS_PER_DAY: u64 = 86_400_000;

/// One stored object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Its id.
    pub id: &'a str,
    /// The name of its data type.
    pub data_type: &'a str,
    /// Its domain.
    pub domain: &'a str,
    /// Users it is about.
    pub subjects: &'a [String],
    /// When it was stored.
    pub stored_unix_ms: u64,
}

/// What kind of rule says something about an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroundKind {
    /// A least time.
    Minimum,
    /// A legal hold.
    Hold,
    /// A longest time.
    Maximum,
    /// A request for erasure.
    Request,
}

/// Why an object is kept, or has to go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Ground {
    /// The kind of rule.
    pub kind: GroundKind,
    /// The rule's name: a key, a regime, the id of a hold or a request.
    pub name: String,
    /// Its legal basis.
    pub basis: String,
}

/// Objects of a type are kept at least so long. 0 days keep nothing, whatever the clock does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Minimum {
    /// Of which type.
    pub data_type: DataType,
    /// Days from its storage on.
    pub days: u32,
    /// Why.
    pub ground: Ground,
}

/// Objects of a type are kept at most so long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Maximum {
    /// Of which type.
    pub data_type: DataType,
    /// Days from its storage on.
    pub days: u32,
    /// Why.
    pub ground: Ground,
}

/// Some objects are kept until the hold is released.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Which.
    pub selects: Selects,
    /// From this instant on, inclusive.
    pub since_unix_ms: u64,
    /// Up to this instant, exclusive; without end where absent.
    pub released_unix_ms: Option<u64>,
    /// Why.
    pub ground: Ground,
}

/// Somebody asked for the erasure of some objects, of those that were stored by then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Which.
    pub selects: Selects,
    /// When.
    pub made_unix_ms: u64,
    /// Days within which it is due.
    pub within_days: u32,
    /// Why.
    pub ground: Ground,
}

/// Everything that says how long objects are kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Least times.
    pub minimums: Vec<Minimum>,
    /// Longest times.
    pub maximums: Vec<Maximum>,
    /// Legal holds.
    pub holds: Vec<Hold>,
    /// Requests for erasure.
    pub requests: Vec<Request>,
}

/// An object of a type no minimum speaks of: without one, any age would do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no retention is set for data of type {0:?}: it stays")]
pub struct UnknownType(pub String);

impl Rules {
    /// What a tenant's files say: the minimums and the maximum of `data-sovereignty.yaml`, those of its regimes, and the
    /// legal holds of `governance.yaml`.
    #[must_use]
    pub fn of(sovereignty: &Sovereignty, holds: &[LegalHold]) -> Self {
        let retention = &sovereignty.retention;
        let own = [
            (DataType::Logs, "logs_days", retention.logs_days),
            (DataType::Data, "data_days", retention.data_days),
            (DataType::Backups, "backups_days", retention.backups_days),
        ];
        let ground = |kind, name: &str, basis: String| Ground { kind, name: name.to_owned(), basis };
        let asked = own.map(|(data_type, key, days)| {
            let basis = format!("data-sovereignty.yaml asks for {days} days");
            Minimum { data_type, days, ground: ground(GroundKind::Minimum, key, basis) }
        });
        let by_law = regimes::minimums(&sovereignty.compliance).map(|(data_type, days, name, because)| Minimum {
            data_type,
            days,
            ground: ground(GroundKind::Minimum, name, because.to_owned()),
        });
        let maximums = retention.data_days_max.map(|days| Maximum {
            data_type: DataType::Data,
            days,
            ground: ground(
                GroundKind::Maximum,
                "data_days_max",
                format!("data-sovereignty.yaml allows for {days} days"),
            ),
        });
        Self {
            minimums: asked.into_iter().chain(by_law).collect(),
            maximums: maximums.into_iter().collect(),
            holds: holds.iter().map(LegalHold::as_rule).collect(),
            requests: Vec::new(),
        }
    }

    /// The first legal hold that is in force and selects an object. What is held may not be replaced either, which is no
    /// matter of time.
    #[must_use]
    pub fn hold_on(&self, record: &Record<'_>, now_unix_ms: u64) -> Option<&Hold> {
        self.holds.iter().find(|hold| {
            let is_released = hold.released_unix_ms.is_some_and(|released| released <= now_unix_ms);
            hold.since_unix_ms <= now_unix_ms && !is_released && hold.selects.has(record)
        })
    }

    /// Whether anything ever has to go.
    #[must_use]
    pub fn end_anything(&self) -> bool {
        !self.maximums.is_empty() || !self.requests.is_empty()
    }

    /// The first instant, from now on, at which an object has to go and nothing keeps it; `None` where there is none.
    ///
    /// # Errors
    /// [`UnknownType`]: such an object stays.
    pub fn due_unix_ms(&self, record: &Record<'_>, now_unix_ms: u64) -> Result<Option<u64>, UnknownType> {
        let mut at_unix_ms = now_unix_ms;
        loop {
            let verdict = self.verdict(record, at_unix_ms)?;
            if matches!(verdict.decision(), Decision::MustErase(_)) {
                return Ok(Some(at_unix_ms));
            }
            match verdict.next_unix_ms() {
                Some(next_unix_ms) => at_unix_ms = next_unix_ms,
                None => return Ok(None),
            }
        }
    }

    /// The first instant at which an object of this type that is stored from now on may have to go; `None` where none ever
    /// has to.
    #[must_use]
    pub fn newcomer_due_unix_ms(&self, data_type: &str, now_unix_ms: u64) -> Option<u64> {
        // what a hold selects goes later, and a request is about what was stored before it
        let newcomer = Record { id: "", data_type, domain: "", subjects: &[], stored_unix_ms: now_unix_ms };
        self.due_unix_ms(&newcomer, now_unix_ms).ok()?
    }

    /// Decides about an object at an instant.
    ///
    ///
    /// # Errors
    /// [`UnknownType`]: such an object stays.
    pub fn verdict<'r>(&'r self, record: &Record<'_>, now_unix_ms: u64) -> Result<Verdict<'r>, UnknownType> {
        let unknown = || UnknownType(record.data_type.to_owned());
        let data_type = DataType::named(record.data_type).ok_or_else(unknown)?;
        if !self.minimums.iter().any(|minimum| minimum.data_type == data_type) {
            return Err(unknown());
        }
        let after =
            |from_unix_ms: u64, days: u32| from_unix_ms.saturating_add(u64::from(days).saturating_mul(MS_PER_DAY));
        let minimums = self.minimums.iter().filter(|minimum| minimum.data_type == data_type && minimum.days > 0);
        let minimums = minimums.map(|minimum| Keeper {
            from_unix_ms: 0,
            end: End::At(after(record.stored_unix_ms, minimum.days)),
            ground: &minimum.ground,
        });
        let holds = self.holds.iter().filter(|hold| hold.selects.has(record)).map(|hold| Keeper {
            from_unix_ms: hold.since_unix_ms,
            end: hold.released_unix_ms.map_or(End::Open, End::At),
            ground: &hold.ground,
        });
        let maximums = self.maximums.iter().filter(|maximum| maximum.data_type == data_type).map(|maximum| {
            let by_unix_ms = after(record.stored_unix_ms, maximum.days);
            Duty { known_unix_ms: 0, from_unix_ms: by_unix_ms, by_unix_ms, ground: &maximum.ground }
        });
        let is_about =
            |request: &&Request| request.made_unix_ms >= record.stored_unix_ms && request.selects.has(record);
        let requests = self.requests.iter().filter(is_about).map(|request| Duty {
            known_unix_ms: request.made_unix_ms,
            from_unix_ms: request.made_unix_ms,
            by_unix_ms: after(request.made_unix_ms, request.within_days),
            ground: &request.ground,
        });
        let keepers: Vec<_> = minimums.chain(holds).collect();
        let duties: Vec<_> = maximums.chain(requests).collect();
        Ok(Verdict::of(record.id, &keepers, &duties, now_unix_ms))
    }
}
