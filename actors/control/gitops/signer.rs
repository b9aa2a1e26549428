//! The platform's own signer: it signs the policies of tenants that are created over HTTP, whose files this house writes.
use bailiwick_policy::commit::{SIGNED, SIGNERS, signature_of};
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::signature::{NAMESPACE, SignatureRefusal, private_key_from_seed, public_line, sign};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Under this name the platform stands in `allowed_signers`.
pub const PLATFORM_PRINCIPAL: &str = "platform@bailiwick";

/// A signing key of the node.
#[derive(Clone)]
pub struct PlatformSigner(Arc<SecretString>);

impl std::fmt::Debug for PlatformSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlatformSigner")
    }
}

impl PlatformSigner {
    /// The signer of this seed.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        Self(Arc::new(SecretString::from(private_key_from_seed(**seed, PLATFORM_PRINCIPAL))))
    }

    /// Adds the list of signers, with this one and these people in it, and a signature beside every policy.
    ///
    /// # Errors
    /// [`SignatureRefusal`] where the crypto provider refuses.
    pub fn sign_folder(&self, tenant: &str, people: &[String], texts: &mut FileTexts) -> Result<(), SignatureRefusal> {
        let line = public_line(self.0.expose_secret())?;
        let people: String = people.iter().map(|person| format!("{person}\n")).collect();
        let list = format!(
            "# bailiwick: tenant={tenant} serial=1\n# Who may sign the policies of this tenant: ssh-keygen(1), ALLOWED SIGNERS. The first line is the node this tenant was\n\
             # created on; add the people who decide, sign this file and let the line go.\n\
             {PLATFORM_PRINCIPAL} namespaces=\"{NAMESPACE}\" {line}\n{people}"
        );
        texts.insert(SIGNERS.to_owned(), list);
        for file in SIGNED {
            let signature = sign(self.0.expose_secret(), texts.get(file).map_or(&[][..], |text| text.as_bytes()))?;
            texts.insert(signature_of(file), signature);
        }
        Ok(())
    }
}
