//! The control plane: the rooms that govern tenants by message. Only the registry hands addresses out.
pub mod cost;
pub mod gitops;
pub mod house;
pub mod identity;
pub mod kms;
pub mod model_catalog;
pub mod observability;
pub mod plane;
#[cfg(test)]
mod plane_tests;
pub mod policy_service;
pub mod policy_watchdog;
pub mod registry;
pub mod slo;
