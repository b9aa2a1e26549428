//! The control plane: the rooms that govern tenants by message. Only the registry hands addresses out.
pub mod registry;
