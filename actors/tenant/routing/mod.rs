//! Purpose: has one of the held candidates answer: primary, else fallback.
//! Owns: the provider clients this tenant may use, their concurrency, its view of their health.
//! Sends to: the supervisor's exit (`Turn<Answered>`).
//! Never: storage; a provider or model the hold does not name.
//! Invariants: every call was held for; what was used is reported also when the asker hangs up.
pub mod providers;
