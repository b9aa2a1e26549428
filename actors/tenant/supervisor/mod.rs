//! Purpose: owns one tenant: its rooms, its state, its snapshots; admits turns and clears answers.
//! Owns: the tenant's belongings, the incarnation of its rooms, the restart budget.
//! Sends to: retrieval (`Turn<Admitted>`), budget (passed-through calls), the asker (cleared turns).
//! Never: another tenant, HTTP, the registry.
//! Invariants: POL1 (only a cleared turn answers), ISO1 (one tenant's belongings), JRN2 (durable before answered).
pub mod doors;
pub mod messages;
