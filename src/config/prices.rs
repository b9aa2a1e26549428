//! The price list of one model in `config.toml`: one price, or several with the days they are valid from.
use bailiwick_kernel::money::NanoUsd;
use bailiwick_tenant::catalog::{Price, PriceList};
use bailiwick_tenant::spend::calendar::{DAY_MS, day_of_date};
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;

const TOKENS_PER_PRICE: u64 = 1_000_000;

/// Price of one model as providers print it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// First day (UTC) on which it is valid, such as `"2026-01-31"`; since ever where absent.
    #[serde(default)]
    pub valid_from: Option<String>,
    /// US dollars per million prompt tokens.
    pub input_usd_per_1m_tokens: NanoUsd,
    /// US dollars per million tokens of the answer; nothing where absent, as for embeddings.
    #[serde(default)]
    pub output_usd_per_1m_tokens: NanoUsd,
}

/// Prices of one model: one, or a list in which each is valid until the next one begins.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ModelPrices {
    /// One price.
    One(ModelPrice),
    /// Several, in any order.
    Several(Vec<ModelPrice>),
}

impl<'de> Deserialize<'de> for ModelPrices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // by shape and not by trial, so that an error names the field that is wrong
        struct Prices;
        impl<'de> de::Visitor<'de> for Prices {
            type Value = ModelPrices;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a price, or a list of prices with valid_from")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ModelPrices, A::Error> {
                ModelPrice::deserialize(MapAccessDeserializer::new(map)).map(ModelPrices::One)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<ModelPrices, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(ModelPrices::Several)
            }
        }
        deserializer.deserialize_any(Prices)
    }
}

impl ModelPrices {
    /// The list as the catalogue takes it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(super) fn list(&self) -> Result<PriceList, String> {
        let prices = match self {
            Self::One(price) => std::slice::from_ref(price),
            Self::Several(prices) => prices,
        };
        let mut by_start = BTreeMap::new();
        for price in prices {
            let (starts, price) = (price.starts_unix_ms()?, price.per_token()?);
            if by_start.insert(starts, price).is_some() {
                return Err(String::from("two prices are valid from the same day; keep one"));
            }
        }
        if by_start.is_empty() {
            return Err(String::from("the list is empty; give a price, or leave the model out"));
        }
        Ok(PriceList::new(by_start))
    }
}

impl ModelPrice {
    fn starts_unix_ms(&self) -> Result<u64, String> {
        let Some(date) = &self.valid_from else { return Ok(0) };
        let day = day_of_date(date).ok_or_else(|| format!("valid_from {date:?} is no day such as \"2026-01-31\""))?;
        Ok(day.saturating_mul(DAY_MS))
    }

    fn per_token(&self) -> Result<Price, String> {
        let price = |what: &str, dollars| per_token(dollars).map_err(|problem| format!("{what} {problem}"));
        Ok(Price {
            input_nano_usd_per_token: price("input", self.input_usd_per_1m_tokens)?,
            output_nano_usd_per_token: price("output", self.output_usd_per_1m_tokens)?,
        })
    }
}

/// The price of one token, exactly, or why it cannot be counted.
fn per_token(per_million: NanoUsd) -> Result<u64, String> {
    if per_million.0.is_multiple_of(TOKENS_PER_PRICE) {
        return Ok(per_million.0 / TOKENS_PER_PRICE);
    }
    Err(format!(
        "of {per_million} dollars per million tokens is finer than a nano-dollar per token; write a multiple of 0.001"
    ))
}
