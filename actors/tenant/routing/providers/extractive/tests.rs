//! Tables and properties of the embedded provider's rules, and the provider itself through its trait.
mod answers;
mod provider;
mod rarity;
mod reading;
