//! A new release on its way to all of one tenant's conversations (specification 4, "canary deployment"), judged inside the
//! tenant by how its own turns end. `rules.rs` judges; this is the place where the turns' many tasks note their endings.
pub mod rules;
#[cfg(test)]
mod tests;

use crate::service_level::SharedWatch;
use crate::slo::SharedService;
use actix::{Message, Recipient};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::mail::offer;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::flags::ServiceLevel;
use bailiwick_policy::rollout::{Arm, Event, Moment, Step};
use bailiwick_policy::schema::RolloutSettings;
use rules::{Course, Drawn, Ending, QualityStanding, RolloutView, Standing, Weighed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// To the supervisor, from a turn that has ended: this must stand in the journal.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct KeepStanding(pub Standing);

/// To the supervisor, from a turn whose answer was measured: this must stand in the journal.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct KeepQuality(pub Weighed);

/// The rollout of one tenant, shared by its turns; mostly there is none.
#[derive(Debug)]
pub struct SharedRollout {
    course: Mutex<Option<Course>>,
    clock: SharedClock,
    watch: Arc<SharedWatch>,
    service: Arc<SharedService>,
}

impl SharedRollout {
    /// No rollout.
    #[must_use]
    pub fn new(clock: SharedClock, watch: Arc<SharedWatch>, service: Arc<SharedService>) -> Self {
        Self { course: Mutex::new(None), clock, watch, service }
    }

    /// Where the rollout of a policy begins, unless one of the same release stands already.
    #[must_use]
    pub fn begins(&self, policy: &PolicySnapshot, standing: Option<&Standing>) -> Option<Standing> {
        let control = policy.control.as_ref()?;
        let is_known = self.lock().as_ref().is_some_and(|course| course.release() == policy.release)
            || standing.is_some_and(|standing| standing.release == policy.release);
        (!is_known).then(|| Course::beginning(&policy.release, &settings_of(control), self.clock.now_unix_ms()))
    }

    /// Follows the rollout of a policy from where it stands, or none.
    pub fn follow(&self, policy: &PolicySnapshot, standing: Option<Standing>, quality: Option<QualityStanding>) {
        let mut course = self.lock();
        let Some(control) = &policy.control else { return *course = None };
        if course.as_ref().is_some_and(|course| course.release() == policy.release) {
            return;
        }
        *course = standing
            .filter(|standing| standing.release == policy.release)
            .map(|standing| Course::at(standing, &settings_of(control)).knowing(quality));
    }

    /// The policy that serves a conversation, with what it was given while there is a rollout. Without one it is the newest,
    /// and the one that came through where nothing is known of the conversation.
    #[must_use]
    pub fn serve(
        &self,
        newest: &Arc<PolicySnapshot>,
        conversation: Option<&str>,
    ) -> (Arc<PolicySnapshot>, Option<Drawn>) {
        let course = self.lock();
        let drawn = conversation.and_then(|conversation| course.as_ref().map(|course| course.draw(conversation)));
        match drawn {
            Some(Drawn { arm: Arm::Canary, .. }) => (Arc::clone(newest), drawn),
            _ => (newest.settled(), drawn),
        }
    }

    /// Somebody sends the release back, or takes it for everybody.
    pub fn steer(&self, event: Event) -> Option<(Step, Option<Standing>)> {
        let moment = self.moment();
        self.lock().as_mut().map(|course| course.steer(event, moment))
    }

    /// What stands in the journal now; how the rollout has ended with it, where it has.
    pub fn is_kept(&self, standing: &Standing) -> Option<Step> {
        let mut course = self.lock();
        let course = course.as_mut()?;
        if course.is_kept(standing) { course.end() } else { None }
    }

    /// The release whose rollout has ended, and how.
    #[must_use]
    pub fn ended(&self) -> Option<(String, Step)> {
        self.lock().as_ref().and_then(|course| Some((course.release().to_owned(), course.end()?)))
    }

    /// What it looks like from outside.
    #[must_use]
    pub fn view(&self) -> Option<RolloutView> {
        let moment = self.moment();
        self.lock().as_ref().map(|course| course.view(moment))
    }

    fn note(&self, drawn: Drawn, ending: Ending) -> Option<Standing> {
        let moment = self.moment();
        self.lock().as_mut().and_then(|course| course.note(drawn, ending, moment))
    }

    fn measure(&self, drawn: Drawn, is_poor: bool) -> Option<Weighed> {
        let moment = self.moment();
        self.lock().as_mut().and_then(|course| course.measure(drawn, is_poor, moment))
    }

    /// Nothing advances while the tenant's service level is breached, or its error budget is used up.
    fn moment(&self) -> Moment {
        let unix_ms = self.clock.now_unix_ms();
        let is_frozen = self.watch.view().state == ServiceLevel::Breached || self.service.is_frozen(unix_ms);
        Moment { unix_ms, is_frozen }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Course>> {
        // a panic under the lock leaves a course that is at worst behind: the journal holds what counts
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the release that came through wants the next one brought to everybody.
fn settings_of(control: &PolicySnapshot) -> RolloutSettings {
    control.governance.rollout.clone().unwrap_or_default()
}

/// A turn's duty to say how it ended for the release that served it. One that is dropped without a word was lost.
pub struct Exposure {
    rollout: Arc<SharedRollout>,
    drawn: Option<Drawn>,
    keeper: Recipient<KeepStanding>,
    weigher: Recipient<KeepQuality>,
}

impl std::fmt::Debug for Exposure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exposure({:?})", self.drawn)
    }
}

impl Exposure {
    /// A duty that begins with what the turn was given.
    #[must_use]
    pub fn new(
        rollout: Arc<SharedRollout>,
        drawn: Drawn,
        keeper: Recipient<KeepStanding>,
        weigher: Recipient<KeepQuality>,
    ) -> Self {
        Self { rollout, drawn: Some(drawn), keeper, weigher }
    }

    /// Says what the answer it is about to end with is worth.
    pub(crate) fn measure(&self, is_poor: bool) {
        if let Some(weighed) = self.drawn.and_then(|drawn| self.rollout.measure(drawn, is_poor)) {
            // as below
            let _busy = offer(&self.weigher, KeepQuality(weighed));
        }
    }

    /// Says how it ended; what is said first stands.
    pub(crate) fn end(&mut self, ending: Ending) {
        if let Some(standing) = self.drawn.take().and_then(|drawn| self.rollout.note(drawn, ending)) {
            // a supervisor that is busy is told again with the next block of requests
            let _busy = offer(&self.keeper, KeepStanding(standing));
        }
    }
}

impl Drop for Exposure {
    fn drop(&mut self) {
        self.end(Ending::Refused(Code::Lost));
    }
}
