//! Purpose: knows who exists, who may knock, and hands out handles.
//! Owns: the directory, credentials' digests, generations, the supervisors' addresses.
//! Sends to: supervisors (adopt, close), the policy service, observability.
//! Never: document content; an address to anybody but as a handle of one right.
//! Invariants: unknown and refused tenants answer alike; an old generation's handle fails closed.
pub mod handles;
pub mod messages;
