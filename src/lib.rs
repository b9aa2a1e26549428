//! The edge: command line, gateway, console and the composition root. Decides nothing.
pub mod config;
pub mod gateway;
