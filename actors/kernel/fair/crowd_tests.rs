//! Lanes that send more than can be served at once, and those that are served beside them.
use super::rules::{Fair, Granted};
use super::tests::{ANY_WAIT, COST_MAX, limits, limits_beside_crowds, simulate, weight};

#[test]
fn a_lane_is_crowded_where_more_wait_than_are_served() {
    let mut fair = Fair::new(limits(1, 10));
    for lane in [1, 1, 2] {
        fair.arrive(lane, weight(1), ANY_WAIT).unwrap();
    }
    let next = |fair: &mut Fair<usize>| {
        let granted = fair.grant().unwrap();
        let answer = (granted.key(), granted.is_crowded());
        fair.give_back(granted, 1);
        answer
    };
    assert_eq!([next(&mut fair), next(&mut fair), next(&mut fair)], [(1, true), (2, false), (1, false)]);
}

#[test]
fn the_gap_stays_within_its_bound_with_slots_beside_those_of_crowded_lanes() {
    for slots in [1, 2, 3] {
        (0..3).for_each(|seed| simulate(limits_beside_crowds(slots, COST_MAX / 2), 40 + seed, 500_000));
    }
}

/// A crowded lane has all slots with slices that cost nothing, as nobody expected; meanwhile the other one is served beside
/// it until it stands just below, and once more.
#[test]
fn a_hostile_schedule_comes_near_the_bound_beside_crowds() {
    for slots in [1, 2, 4] {
        let mut fair = Fair::new(limits_beside_crowds(slots, COST_MAX));
        for _ in 0..=slots {
            fair.arrive(0, weight(1), ANY_WAIT).unwrap();
        }
        let crowd: Vec<Granted<usize>> = std::iter::from_fn(|| fair.grant()).collect();
        assert_eq!(crowd.len(), slots);
        for cost in [COST_MAX - 1, COST_MAX] {
            fair.arrive(1, weight(1), ANY_WAIT).unwrap();
            let granted = fair.grant().expect("a slot beside those of the crowd");
            fair.give_back(granted, cost);
        }
        fair.arrive(1, weight(1), ANY_WAIT).unwrap();
        crowd.into_iter().for_each(|granted| fair.give_back(granted, 0));
        let gap = fair.gap();
        assert!(gap.holds() && gap.ratio_ppm() >= 900_000, "{slots} slots: {gap:?}");
    }
}

#[test]
fn a_crowded_lane_keeps_nobody_from_a_slot() {
    let mut fair = Fair::new(limits_beside_crowds(2, 10));
    // so heavy that the first of it is still the next after it was served
    let heavy = 1;
    let arrive = |fair: &mut Fair<usize>, lane| {
        let weight = weight(if lane == heavy { 4 } else { 1 });
        assert!(fair.arrive(lane, weight, ANY_WAIT).is_ok());
    };
    (0..5).for_each(|_| arrive(&mut fair, 0));
    let mut crowd: Vec<Granted<usize>> = std::iter::from_fn(|| fair.grant()).collect();
    assert_eq!(crowd.len(), 2, "a crowd has the slots there are");
    arrive(&mut fair, heavy);
    let one = fair.grant().expect("beside the crowd");
    assert_eq!(one.key(), heavy);
    arrive(&mut fair, heavy);
    assert!(fair.grant().is_none(), "one of a lane at a time");
    arrive(&mut fair, 2);
    let other = fair.grant().expect("beside the crowd, too");
    assert_eq!(other.key(), 2);
    arrive(&mut fair, 3);
    assert!(fair.grant().is_none(), "as many as there are slots");
    fair.give_back(crowd.pop().unwrap(), 10);
    fair.give_back(one, 10);
    let next = fair.grant().expect("one of the slots beside the crowd has come back");
    assert_eq!(next.key(), 3);
    fair.give_back(crowd.pop().unwrap(), 10);
    assert!(fair.grant().is_none(), "those two have the slots there are");
}

#[test]
fn who_would_be_served_beside_a_crowd_is_not_refused_for_a_wait() {
    let mut fair = Fair::new(limits_beside_crowds(1, 1_000));
    for _ in 0..2 {
        fair.arrive(0, weight(1), ANY_WAIT).unwrap();
    }
    let _crowd = fair.grant().unwrap();
    assert!(fair.arrive(1, weight(1), 0).is_ok());
    assert!(fair.arrive(1, weight(1), 0).is_err(), "the second of it waits");
}

#[test]
fn nobody_is_served_beside_those_who_are_no_crowd() {
    let mut fair = Fair::new(limits_beside_crowds(2, 10));
    for lane in 0..2 {
        fair.arrive(lane, weight(1), ANY_WAIT).unwrap();
        assert_eq!(fair.grant().map(|granted| granted.key()), Some(lane));
    }
    fair.arrive(2, weight(1), ANY_WAIT).unwrap();
    assert!(fair.grant().is_none());
}
