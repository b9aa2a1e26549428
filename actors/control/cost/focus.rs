//! Costs in the columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification: every mandatory column, those of
//! its conditional ones that there is something to say in, and three of our own with the prescribed prefix `x_`.
//!
//! One row is one day, tenant, domain, use case, user, key and model. The house has one price list and grants no
//! discounts, so billed, effective, list and contracted cost are the same amount. Unit prices are left out: a row holds
//! tokens of prompts and of answers, which have different ones.
use bailiwick_tenant::spend::calendar::{date_of_day, day_of_date, month_of_day};
use bailiwick_tenant::spend::view::{Dimension, RECONCILED, SpendRow, UNNAMED, UNRECONCILED};
use serde::Serialize;
use serde_json::{Map, Value};

/// What a row must be told apart by.
pub const GROUP_BY: [Dimension; 8] = Dimension::ALL;

/// What was consumed and is priced.
const TOKENS: &str = "Tokens";

/// One row; the names of the fields are the columns.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Charge<'a> {
    billed_cost: String,
    billing_account_id: &'a str,
    billing_account_name: &'a str,
    billing_account_type: &'static str,
    billing_currency: &'static str,
    billing_period_end: String,
    billing_period_start: String,
    charge_category: &'static str,
    charge_class: &'static str,
    charge_description: String,
    charge_frequency: &'static str,
    charge_period_end: String,
    charge_period_start: String,
    consumed_quantity: Option<u64>,
    consumed_unit: Option<&'static str>,
    contracted_cost: String,
    effective_cost: String,
    invoice_issuer_name: &'a str,
    list_cost: String,
    pricing_category: Option<&'static str>,
    pricing_quantity: Option<u64>,
    pricing_unit: Option<&'static str>,
    provider_name: &'a str,
    publisher_name: &'a str,
    region_id: &'static str,
    resource_id: &'a str,
    service_category: &'static str,
    service_name: &'static str,
    service_subcategory: &'static str,
    sku_id: Option<String>,
    tags: String,
    #[serde(rename = "x_CompletionTokens")]
    completion_tokens: u64,
    #[serde(rename = "x_PromptTokens")]
    prompt_tokens: u64,
    #[serde(rename = "x_Turns")]
    turns: u64,
}

/// The rows of a report that is grouped by [`GROUP_BY`], as CSV with a head.
///
/// # Errors
/// [`csv::Error`], which writing to memory does not give.
pub fn csv(rows: &[SpendRow]) -> Result<Vec<u8>, csv::Error> {
    let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    table.write_record(COLUMNS)?;
    for row in rows {
        table.serialize(charge(row))?;
    }
    table.into_inner().map_err(|error| error.into_error().into())
}

/// The columns, in the order they are written; there even where there is no row.
pub const COLUMNS: [&str; 34] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "Tags",
    "x_CompletionTokens",
    "x_PromptTokens",
    "x_Turns",
];

fn charge(row: &SpendRow) -> Charge<'_> {
    let named = |dimension| row.name(dimension).unwrap_or(UNNAMED);
    let (tenant, provider, model) = (named(Dimension::Tenant), named(Dimension::Provider), named(Dimension::Model));
    let day = day_of_date(named(Dimension::Day)).unwrap_or_default();
    let month = month_of_day(day);
    let midnight = |day| format!("{}T00:00:00Z", date_of_day(day));
    let (spent, cost) = (row.spent, row.spent.cost_usd.to_string());
    // what a crash may have spent is no measured use: an adjustment without quantities
    let adjustment = match provider {
        UNRECONCILED => Some("held when the process ended, counted as spent until reconciled"),
        RECONCILED => Some("charged beyond the recorded answers, by the providers' statements"),
        _ => None,
    };
    let is_usage = adjustment.is_none();
    let tokens = is_usage.then(|| spent.prompt_tokens.saturating_add(spent.completion_tokens));
    Charge {
        billed_cost: cost.clone(),
        billing_account_id: tenant,
        billing_account_name: tenant,
        billing_account_type: "Tenant",
        billing_currency: "USD",
        billing_period_end: midnight(month.end),
        billing_period_start: midnight(month.start),
        charge_category: if is_usage { "Usage" } else { "Adjustment" },
        charge_class: "",
        charge_description: adjustment
            .map_or_else(|| format!("{} calls of {provider}/{model}", spent.turns), str::to_owned),
        charge_frequency: if is_usage { "Usage-Based" } else { "One-Time" },
        charge_period_end: midnight(day.saturating_add(1)),
        charge_period_start: midnight(day),
        consumed_quantity: tokens,
        consumed_unit: is_usage.then_some(TOKENS),
        contracted_cost: cost.clone(),
        effective_cost: cost.clone(),
        invoice_issuer_name: provider,
        list_cost: cost,
        pricing_category: is_usage.then_some("Standard"),
        pricing_quantity: tokens,
        pricing_unit: is_usage.then_some(TOKENS),
        provider_name: provider,
        publisher_name: provider,
        region_id: "",
        resource_id: model,
        service_category: "AI and Machine Learning",
        service_name: "Language model inference",
        service_subcategory: "Generative AI",
        sku_id: is_usage.then(|| format!("{provider}/{model}")),
        tags: tags(row),
        completion_tokens: spent.completion_tokens,
        prompt_tokens: spent.prompt_tokens,
        turns: spent.turns,
    }
}

/// Whom the charge is for, as tags of the provider's own scheme.
fn tags(row: &SpendRow) -> String {
    let dimensions = [Dimension::Domain, Dimension::Usecase, Dimension::User, Dimension::Key];
    let named = dimensions.into_iter().filter_map(|dimension| {
        let name = row.name(dimension).filter(|name| *name != UNNAMED)?;
        Some((format!("bailiwick/{}", dimension.as_str()), Value::from(name)))
    });
    Value::from(named.collect::<Map<_, _>>()).to_string()
}
