//! The control plane: the rooms that govern tenants by message. Only the registry hands addresses out.
pub mod audit;
pub mod backup;
pub mod compliance;
pub mod cost;
pub mod drift;
pub mod gitops;
pub mod house;
pub mod identity;
pub mod key_watch;
pub mod kms;
pub mod migration;
pub mod model_catalog;
pub mod observability;
pub mod plane;
#[cfg(test)]
mod plane_tests;
pub mod policy_service;
pub mod policy_watchdog;
pub mod publishing;
pub mod registry;
pub mod schedule;
pub mod slo;
