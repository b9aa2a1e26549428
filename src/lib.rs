#![doc = include_str!("ARCHITECTURE.md")]
pub mod boot;
pub mod cli;
pub mod config;
pub mod console;
pub mod gateway;
pub mod shutdown;
