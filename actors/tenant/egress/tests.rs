//! Borders alone: who may depart, who is recalled, and when other rules are acknowledged.
use super::fixtures::{here, sovereignty};
use super::*;
use bailiwick_kernel::outcome::Code;
use std::task::{Context, Poll, Waker};

fn poll<F: Future>(future: &mut std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn both_policies_must_allow_a_region() {
    let (wide, narrow) = (sovereignty(&["eu-*", "us-*"], &[]), sovereignty(&["eu-*"], &["eu-north-1"]));
    let egress = Egress::new(&here(), &wide);
    assert!(egress.may_send(&wide, "us-east-1").is_ok());
    assert_eq!(
        egress.may_send(&narrow, "us-east-1").unwrap_err().code,
        Code::SovereigntyViolation,
        "admitted under it"
    );
    egress.adopt(&narrow);
    assert_eq!(egress.may_send(&wide, "us-east-1").unwrap_err().code, Code::SovereigntyViolation, "in force now");
    assert_eq!(egress.depart(&wide, "us-east-1").unwrap_err().code, Code::SovereigntyViolation);
    assert!(egress.may_send(&wide, "eu-west-1").is_ok());
    for unknown in ["", "eu-*", "*", "EU-WEST-1", "eu-north-1"] {
        assert!(egress.may_send(&wide, unknown).is_err(), "{unknown:?}");
        assert!(egress.depart(&wide, unknown).is_err(), "{unknown:?}");
    }
    assert!(egress.under_way.borrow().is_empty(), "what does not depart is not under way");
    egress.adopt(&sovereignty(&["us-*"], &[]));
    assert!(egress.clear_here(Flow::Store).is_err(), "this node is in eu-west-1");
}

#[test]
fn other_rules_wait_for_what_is_under_way_to_where_they_forbid() {
    let wide = sovereignty(&["eu-*", "us-*"], &[]);
    let egress = Egress::new(&here(), &wide);
    let (one, other) = (egress.depart(&wide, "us-east-1").unwrap(), egress.depart(&wide, "us-east-1").unwrap());
    let mut near = egress.depart(&wide, "eu-west-1").unwrap();
    let mut recalled = egress.depart(&wide, "us-west-2").unwrap();
    egress.adopt(&sovereignty(&["eu-*"], &[]));
    let settled = egress.settled();
    let mut settled = std::pin::pin!(settled);
    assert!(poll(&mut settled).is_pending());
    {
        let withdrawn = recalled.withdrawn();
        let Poll::Ready(why) = poll(&mut std::pin::pin!(withdrawn)) else { panic!("it was not told") };
        assert!(why.code == Code::SovereigntyViolation && why.detail.contains("us-west-2"), "{why}");
    }
    drop((one, recalled));
    assert!(poll(&mut settled).is_pending(), "one is still under way");
    drop(other);
    assert!(poll(&mut settled).is_ready());
    assert!(poll(&mut std::pin::pin!(near.withdrawn())).is_pending(), "what is allowed goes on");
    egress.adopt(&sovereignty(&[], &[]));
    assert!(poll(&mut std::pin::pin!(near.withdrawn())).is_ready());
    let settled = egress.settled();
    let mut settled = std::pin::pin!(settled);
    assert!(poll(&mut settled).is_pending());
    egress.adopt(&wide);
    assert!(poll(&mut settled).is_ready(), "they allow again what has not ended");
}

#[test]
fn a_tenant_is_kept_where_its_lists_say() {
    let node = |name| Region::named(name).unwrap();
    let rules = sovereignty(&["eu-*"], &["eu-north-*"]);
    assert_eq!(clear_to_keep(&rules, &node("eu-west-1")).unwrap().region().as_str(), "eu-west-1");
    for elsewhere in ["eu-north-1", "us-east-1", "local"] {
        let refusal = clear_to_keep(&rules, &node(elsewhere)).unwrap_err();
        assert_eq!(refusal.code, Code::SovereigntyViolation);
        for word in [elsewhere, "data-sovereignty.yaml", "config.toml"] {
            assert!(refusal.detail.contains(word), "{word}: {}", refusal.detail);
        }
    }
}
