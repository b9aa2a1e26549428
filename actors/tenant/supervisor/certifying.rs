//! Certificates of erasures that are done, for whoever asked for them.
use super::actor::Supervisor;
use super::audit::unreadable;
use super::lineage::{Derived, DerivedError};
use super::opening::on_derived;
use crate::entry::Entry;
use crate::proofs::certificates::{CERTIFICATE, ErasureCertificate};
use crate::proofs::forms::written;
use crate::proofs::messages::ReadCertificate;
use actix::prelude::*;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_kernel::transparency::certificate;
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_kernel::transparency::tree;
use bailiwick_policy::language::Action;
use std::sync::Arc;

impl Derived {
    /// The certificate of a request that is done; nothing where there is no such request, or it is open.
    fn certificate(&mut self, id: &str, signer: &HeadSigner) -> Result<Option<ErasureCertificate>, DerivedError> {
        self.catch_up()?;
        let Some((asked_at, ended_at)) = self.erasure_of(id)? else { return Ok(None) };
        let journal = self.journal();
        let (Some((_, Entry::ErasureAsked(asked))), Some((_, Entry::ErasureEnded(ended)))) =
            (journal.entry::<Entry>(asked_at)?, journal.entry::<Entry>(ended_at)?)
        else {
            return Ok(None);
        };
        let (before, after) = (asked_at.next().0, Position(ended_at.0).next().0);
        let tiles = self.tiles();
        let said = [
            ("what", "documents".to_owned()),
            ("request", asked.id.clone()),
            ("of", asked.of.as_str().to_owned()),
            ("mark", asked.mark.to_string()),
            ("rule", format!("request, within {} days", asked.within_days)),
            ("asked", rfc3339(asked.at_unix_ms)),
            ("asked_by", asked.key_id.clone()),
            ("erased", rfc3339(ended.at_unix_ms)),
            ("documents", ended.erased.to_string()),
            ("records_before", before.to_string()),
            ("root_before", tree::root(&tiles, before)?.to_string()),
            ("records_after", after.to_string()),
            ("root_after", tree::root(&tiles, after)?.to_string()),
        ];
        let lines = said.map(|(key, value)| (key.to_owned(), value)).into();
        let certificate = certificate::sign(signer, lines).map_err(|error| DerivedError::Tree(error.to_string()))?;
        let consistency = Some(written(&tree::prove_consistency(&tiles, after, before)?));
        Ok(Some(ErasureCertificate {
            format: CERTIFICATE.to_owned(),
            certificate,
            verifier_key: signer.verifier_key(),
            consistency,
        }))
    }
}

impl Handler<ReadCertificate> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadCertificate, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &read.principal, &format!("certificate of {}", read.id));
        let derived = self.opened.as_ref().map(|opened| Arc::clone(&opened.derived));
        let signer = self.parts.signer.clone();
        actix::spawn(async move {
            let outcome: Outcome<ErasureCertificate> = async {
                permitted.await?;
                let id = read.id;
                let made =
                    on_derived(derived.ok_or_else(Rejection::lost)?, move |derived| derived.certificate(&id, &signer));
                let made = made.await.map_err(|reason| unreadable(&reason))?;
                made.ok_or_else(|| {
                    Rejection::new(Code::NotFound, "there is no request for erasure of that id that is done")
                })
            }
            .await;
            read.reply.answer(outcome);
        });
    }
}
