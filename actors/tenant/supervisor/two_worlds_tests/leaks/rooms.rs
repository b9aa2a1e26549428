//! Faults between rooms and supervisors that run: addresses that were mixed up, state that two tenants share, and a fate
//! in common.
use super::super::super::actor::Supervisor;
use super::super::super::fixtures::{Provoke, Tenant};
use super::super::super::rules::Phase;
use super::super::world::{Fault, Rewire, World};
use super::{Leak, leak};
use crate::budget::{BudgetParts, BudgetRoom};
use crate::cache::CacheRoom;
use crate::cache::messages::{AdoptCache, CacheParts};
use crate::retrieval::messages::Passivate;
use crate::retrieval::{RetrievalParts, RetrievalRoom};
use actix::prelude::*;
use bailiwick_kernel::clock::Clock;
use bailiwick_kernel::mail::{post_certain, post_certain_to};
use bailiwick_kernel::obituary::Obituary;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(in super::super) const LEAKS: &[Leak] = &[
    leak("one_latency_window", "latencies of two tenants are kept together", Fault::Rooms(one_latency_window)),
    leak("one_service_level", "a neighbour's turns count for A's service level", Fault::Rooms(one_service_level)),
    leak("one_error_budget", "a neighbour's turns count for A's error budget", Fault::Rooms(one_error_budget)),
    leak(
        "refusals_recorded_elsewhere",
        "a neighbour's refusals are recorded and counted as A's",
        Fault::Rooms(one_way_out),
    ),
    leak("mailbox_depth_of_all", "the live tree counts a neighbour's turns", Fault::Rooms(one_whereabouts)),
    leak("derived_state_of_another", "lineage, counts and spend are a neighbour's", Fault::Rooms(anothers_derived)),
    leak(
        "answers_in_anothers_journal",
        "a neighbour's answers are recorded in A's journal",
        Fault::Rooms(answers_in_a),
    ),
    leak("holds_in_anothers_journal", "a neighbour's holds are recorded in A's journal", Fault::Rooms(holds_in_a)),
    leak("one_budget", "a neighbour's calls are paid from A's budget", Fault::Rooms(one_budget)),
    leak(
        "approval_misaddressed",
        "a neighbour's approvals and ceilings come to A's budget",
        Fault::Rooms(approvals_to_a),
    ),
    leak(
        "documents_misaddressed",
        "a neighbour's documents and searches come to A's retrieval",
        Fault::Rooms(documents_to_a),
    ),
    leak("one_document_shelf", "a neighbour's documents stand on A's shelf", Fault::Rooms(one_shelf)),
    leak("door_of_another", "a neighbour was given A's door for questions", Fault::Rooms(door_of_a)),
    leak("figures_of_another", "A's figures are read from a neighbour's budget", Fault::Rooms(figures_of_b)),
    leak("cache_emptied_by_another", "a policy adopted by a neighbour empties A's cache", Fault::Mishap(empty_cache)),
    leak("policy_to_the_wrong_tenant", "a neighbour's policy is pushed to A as well", Fault::Mishap(wrong_policy)),
    leak("rooms_rebuilt_together", "a panic of a neighbour rebuilds A's rooms", Fault::Mishap(rebuilt_together)),
    leak("restarts_counted_together", "restarts of all tenants are one count", Fault::Mishap(restarts_together)),
    leak("fault_of_another", "the last fault of a neighbour is shown as A's", Fault::Mishap(fault_of_another)),
    leak("quarantined_together", "a neighbour's panic quarantines A", Fault::Mishap(quarantined_together)),
    leak("fenced_by_another", "a neighbour's restart takes A's journal from it", Fault::Mishap(fenced)),
    leak(
        "index_closed_for_another",
        "A's index is closed when a neighbour needs room",
        Fault::Mishap(closed_for_another),
    ),
    leak(
        "guard_swapped_under_load",
        "the snapshot of a neighbour decides while A's is in force",
        Fault::Mishap(swapped_snapshot),
    ),
];

pub(super) const INVISIBLE: &[Leak] =
    &[leak("snapshot_pushed_again", "A's own snapshot is put in its own place", Fault::Rooms(same_snapshot))];

fn rewire(tenant: &Tenant, change: impl FnOnce(&mut Supervisor) + Send + 'static) {
    post_certain(&tenant.address, Rewire(Box::new(change)));
}

/// Takes something out of A and puts it into B.
fn share<T: Send + 'static>(
    world: &World,
    take: impl FnOnce(&mut Supervisor) -> T + Send + 'static,
    put: impl FnOnce(&mut Supervisor, T, Addr<Supervisor>) + Send + 'static,
) {
    let Some(b) = world.neighbours.b() else { return };
    let to = b.address.clone();
    let home = to.clone();
    rewire(&world.a, move |a| {
        let taken = take(a);
        post_certain(&to, Rewire(Box::new(move |b: &mut Supervisor| put(b, taken, home))));
    });
}

fn one_latency_window(world: &World) {
    share(world, |a| Arc::clone(&a.latencies), |b, latencies, _| b.latencies = latencies);
}

fn one_service_level(world: &World) {
    share(
        world,
        |a| Arc::clone(&a.watch),
        |b, watch, _| {
            let (records, _nobody_reads) = tokio::sync::mpsc::channel(1);
            let (tenant, happened) = (b.parts.belongings.cipher.tenant(), b.parts.happened.clone());
            b.sideways = crate::supervisor::sideways::Sideways::new(
                tenant,
                records,
                happened,
                Arc::clone(&b.parts.clock),
                watch,
                Arc::clone(&b.service),
            );
        },
    );
}

fn one_error_budget(world: &World) {
    share(
        world,
        |a| Arc::clone(&a.service),
        |b, service, _| {
            let (records, _nobody_reads) = tokio::sync::mpsc::channel(1);
            let (tenant, happened) = (b.parts.belongings.cipher.tenant(), b.parts.happened.clone());
            let (clock, watch) = (Arc::clone(&b.parts.clock), Arc::clone(&b.watch));
            b.sideways = crate::supervisor::sideways::Sideways::new(tenant, records, happened, clock, watch, service);
        },
    );
}

fn one_way_out(world: &World) {
    share(world, |a| a.sideways.clone(), |b, sideways, _| b.sideways = sideways);
}

fn one_whereabouts(world: &World) {
    share(world, |a| Arc::clone(&a.whereabouts), |b, whereabouts, _| b.whereabouts = whereabouts);
}

fn anothers_derived(world: &World) {
    let Some(b) = world.neighbours.b() else { return };
    let to = world.a.address.clone();
    rewire(&b, move |b| {
        let Some(derived) = b.opened.as_ref().map(|opened| Arc::clone(&opened.derived)) else { return };
        post_certain(
            &to,
            Rewire(Box::new(move |a: &mut Supervisor| {
                if let Some(opened) = &mut a.opened {
                    opened.derived = derived;
                }
            })),
        );
    });
}

fn answers_in_a(world: &World) {
    share(
        world,
        |a| a.opened.as_ref().map(|opened| opened.belongings.journal.clone()),
        |b, journal, _| {
            if let (Some(opened), Some(journal)) = (&mut b.opened, journal) {
                opened.belongings.journal = journal;
            }
        },
    );
}

/// A death notice nobody acts upon: it is of no incarnation.
fn unnoticed(supervisor: &Addr<Supervisor>) -> Obituary {
    Obituary::new("cache", 0, supervisor.clone().recipient())
}

/// B's calls go through a cache that hands them to this budget.
fn pay_from(b: &mut Supervisor, budget: &Addr<BudgetRoom>, home: &Addr<Supervisor>) {
    let Some(rooms) = &mut b.rooms else { return };
    let cache = CacheRoom::new(CacheParts {
        policy: Arc::clone(&b.policy),
        egress: Arc::clone(&b.egress),
        cipher: b.parts.belongings.cipher.clone(),
        shared: None,
        clock: Arc::clone(&b.parts.clock),
        next: budget.clone().recipient(),
        exit: home.clone().recipient(),
        obituary: unnoticed(home),
    });
    // the former one stays, for its end would be noticed
    std::mem::forget(std::mem::replace(&mut rooms.cache, cache.start()));
}

fn holds_in_a(world: &World) {
    share(
        world,
        |a| a.opened.as_ref().map(|opened| opened.belongings.journal.clone()),
        |b, journal, home| {
            let (Some(opened), Some(rooms), Some(journal)) = (&b.opened, &b.rooms, journal) else { return };
            let budget = BudgetRoom::start(BudgetParts {
                journal,
                ledger: opened.fold.ledger.clone(),
                accounts: opened.fold.accounts.clone(),
                policy: Arc::clone(&b.policy),
                catalog: Arc::clone(&b.parts.catalog),
                clock: Arc::clone(&b.parts.clock),
                next: rooms.routing.clone().recipient(),
                obituary: unnoticed(&home),
            });
            pay_from(b, &budget, &home);
        },
    );
}

fn one_budget(world: &World) {
    share(
        world,
        |a| a.rooms.as_ref().map(|rooms| rooms.budget.clone()),
        |b, budget, home| {
            if let Some(budget) = budget {
                pay_from(b, &budget, &home);
            }
        },
    );
}

fn approvals_to_a(world: &World) {
    share(
        world,
        |a| a.rooms.as_ref().map(|rooms| rooms.budget.clone()),
        |b, budget, _| {
            if let (Some(rooms), Some(budget)) = (&mut b.rooms, budget) {
                std::mem::forget(std::mem::replace(&mut rooms.budget, budget));
            }
        },
    );
}

fn figures_of_b(world: &World) {
    let Some(b) = world.neighbours.b() else { return };
    let to = world.a.address.clone();
    rewire(&b, move |b| {
        let Some(budget) = b.rooms.as_ref().map(|rooms| rooms.budget.clone()) else { return };
        post_certain(
            &to,
            Rewire(Box::new(move |a: &mut Supervisor| {
                if let Some(rooms) = &mut a.rooms {
                    std::mem::forget(std::mem::replace(&mut rooms.budget, budget));
                }
            })),
        );
    });
}

fn documents_to_a(world: &World) {
    share(
        world,
        |a| a.rooms.as_ref().map(|rooms| rooms.retrieval.clone()),
        |b, retrieval, _| {
            if let (Some(rooms), Some(retrieval)) = (&mut b.rooms, retrieval) {
                std::mem::forget(std::mem::replace(&mut rooms.retrieval, retrieval));
            }
        },
    );
}

fn one_shelf(world: &World) {
    share(
        world,
        |a| a.parts.belongings.cipher.clone(),
        |b, cipher, home| {
            let (Some(opened), Some(rooms)) = (&b.opened, &mut b.rooms) else { return };
            let mut belongings = opened.belongings.clone();
            belongings.cipher = cipher;
            let retrieval = RetrievalRoom::start(RetrievalParts {
                belongings,
                policy: Arc::clone(&b.policy),
                egress: Arc::clone(&b.egress),
                clock: Arc::clone(&b.parts.clock),
                sandbox: b.parts.sandbox.clone(),
                lanes: b.parts.pools.lanes(b.parts.belongings.cipher.tenant()),
                erasures: b.parts.erasures.clone(),
                owes_erasure: false,
                distrust: Arc::default(),
                vector_stores: b.parts.vector_stores.clone(),
                next: rooms.cache.clone().recipient(),
                search_exit: home.clone().recipient(),
                embedding: home.clone().recipient(),
                obituary: unnoticed(&home),
            });
            std::mem::forget(std::mem::replace(&mut rooms.retrieval, retrieval));
        },
    );
}

fn door_of_a(world: &World) {
    let doors = world.a.doors.clone();
    world.neighbours.replace_b(move |b| b.doors = doors);
}

fn same_snapshot(world: &World) {
    rewire(&world.a, |a| a.policy = Arc::clone(&a.parts.policy));
}

/// True once for everything that has happened since.
fn has_happened(counter: &AtomicU64) -> bool {
    counter.swap(0, Ordering::SeqCst) > 0
}

fn empty_cache(world: &World) {
    if has_happened(&world.street.changes) {
        rewire(&world.a, |a| {
            if let Some(rooms) = &a.rooms {
                post_certain(&rooms.cache, AdoptCache(Arc::clone(&a.policy)));
            }
        });
    }
}

fn wrong_policy(world: &World) {
    if has_happened(&world.street.changes) {
        let (reply, _nobody_waits) = bailiwick_kernel::mail::ReplySlot::pair();
        let policy = world.neighbours.life.policy_of_b();
        post_certain_to(&world.a.doors.adopt, crate::supervisor::messages::AdoptPolicy { policy, reply });
    }
}

fn rebuilt_together(world: &World) {
    if has_happened(&world.street.panics) {
        post_certain(&world.a.address, Provoke("routing"));
    }
}

fn restarts_together(world: &World) {
    if has_happened(&world.street.panics) {
        let now = world.clock.now_unix_ms();
        rewire(&world.a, move |a| {
            let _verdict_of_nobody = a.restarts.died(now);
        });
    }
}

fn fault_of_another(world: &World) {
    if has_happened(&world.street.panics) {
        rewire(&world.a, |a| a.last_fault = Some("routing: it panicked".into()));
    }
}

fn quarantined_together(world: &World) {
    if has_happened(&world.street.panics) {
        rewire(&world.a, |a| a.phase = Phase::Quarantined("a room died too often".into()));
    }
}

fn fenced(world: &World) {
    if has_happened(&world.street.panics) {
        world.a.usurp();
    }
}

fn closed_for_another(world: &World) {
    if has_happened(&world.street.requests) {
        rewire(&world.a, |a| {
            if let Some(rooms) = &a.rooms {
                post_certain(&rooms.retrieval, Passivate);
            }
        });
    }
}

fn swapped_snapshot(world: &World) {
    if has_happened(&world.street.changes) {
        let policy = world.neighbours.life.policy_of_b();
        rewire(&world.a, move |a| a.policy = policy);
    }
}
