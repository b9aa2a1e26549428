//! `[tls]`: the certificate the gateway shows, and whether clients have to show one of their own. Without it the gateway
//! speaks plain HTTP.
use crate::gateway::tls::{Clients, PairFiles};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// TLS of the gateway: version 1.3 and nothing older.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// File with the certificate and those above it, in PEM, the gateway's own first. Read again when it changes.
    pub certificate: PathBuf,
    /// File with the certificate's private key, in PEM, for its owner's eyes. Read again when it changes.
    pub key: PathBuf,
    /// File with the certificates that sign those of clients, in PEM. Read at the start; clients show none where absent.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// What a client without a certificate is told, where `client_ca` is there.
    #[serde(default)]
    pub client_certificates: Option<ClientCertificates>,
}

/// What a client without a certificate is told. One that shows a certificate of somebody else is refused either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// The connection is refused.
    #[default]
    Required,
    /// It is served like before: a certificate is no credential.
    Optional,
}

impl Tls {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.client_certificates.is_some() && self.client_ca.is_none() {
            return Err(
                "client_certificates says nothing without client_ca; name the file of who signs them".to_owned()
            );
        }
        Ok(())
    }

    /// Where the certificate and its key are read.
    #[must_use]
    pub fn pair(&self) -> PairFiles {
        PairFiles { certificate: self.certificate.clone(), key: self.key.clone() }
    }

    /// Whether clients show a certificate.
    #[must_use]
    pub fn clients(&self) -> Clients {
        match (&self.client_ca, self.client_certificates.unwrap_or_default()) {
            (None, _) => Clients::Unasked,
            (Some(file), ClientCertificates::Required) => Clients::Required(file.clone()),
            (Some(file), ClientCertificates::Optional) => Clients::Optional(file.clone()),
        }
    }
}
