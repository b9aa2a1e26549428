//! TLS of the listeners: version 1.3, HTTP/1.1, one certificate at a time, which is exchanged while connections go on.
use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at the files: by reading them, so that no way to replace a file goes unseen.
pub const LOOK: Duration = Duration::from_secs(2);
/// Bytes of one of these files, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("reading {file}: {cause}; name a readable PEM file in [tls] of config.toml")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        cause: String,
    },
    /// A certificate and a key that cannot be used together, or at all.
    #[error("using the certificate {certificate} with the key {key}: {cause}; write a pair that belongs together")]
    NoPair {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// What is wrong.
        cause: String,
    },
    /// Authorities nobody's certificate can be held against.
    #[error("taking {file} for those who sign clients' certificates: {cause}; write their certificates there, in PEM")]
    NoAuthorities {
        /// The file.
        file: String,
        /// What is wrong.
        cause: String,
    },
    /// The provider offers no TLS 1.3.
    #[error("preparing TLS 1.3: {0}")]
    Provider(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    opened.map_err(|cause| TlsError::Unreadable { file: file.display().to_string(), cause: cause.to_string() })?;
    Ok(bytes)
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |cause: String| TlsError::Unreadable { file: file.display().to_string(), cause };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(|error| unreadable(error.to_string()))?;
    if certificates.is_empty() { Err(unreadable("it holds no certificate".to_owned())) } else { Ok(certificates) }
}

/// What two files say at one moment.
#[derive(Clone, PartialEq, Eq)]
struct Texts {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

/// Where a certificate and its key are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PairFiles {
    /// The certificate and those above it, in PEM, its own first.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// Whether clients show a certificate, and in which file those stand who sign them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Clients {
    /// None is asked for.
    Unasked,
    /// Whoever shows none is served; whoever shows somebody else's is refused.
    Optional(PathBuf),
    /// Whoever shows none is refused.
    Required(PathBuf),
}

impl PairFiles {
    fn texts(&self) -> Result<Texts, TlsError> {
        Ok(Texts { certificate: read(&self.certificate)?, key: read(&self.key)?.into() })
    }

    fn pair(&self, texts: &Texts) -> Result<CertifiedKey, TlsError> {
        let chain = certificates(&self.certificate, &texts.certificate)?;
        let no_pair = |cause: String| TlsError::NoPair {
            certificate: self.certificate.display().to_string(),
            key: self.key.display().to_string(),
            cause,
        };
        let key = PrivateKeyDer::from_pem_slice(&texts.key).map_err(|error| no_pair(error.to_string()))?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| no_pair(error.to_string()))
    }

    /// Reads both; what is given belongs together. Blocking.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(&self) -> Result<CertifiedKey, TlsError> {
        self.pair(&self.texts()?)
    }
}

/// The certificate new connections are shown.
#[derive(Debug)]
struct InForce(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for InForce {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// TLS, ready to be listened with, and the way its certificate is exchanged.
pub struct Listening {
    /// For the listener.
    pub config: ServerConfig,
    /// To be driven beside it.
    pub renewal: Renewal,
}

/// Takes a new certificate from the files when they change.
pub struct Renewal {
    files: PairFiles,
    in_force: Arc<InForce>,
    /// What was read last, good or bad: what is wrong is said once.
    seen: Texts,
}

/// What a look at the files came to.
#[derive(Debug)]
pub enum Looked {
    /// They say what they said before.
    Unchanged,
    /// New connections are shown another certificate from now on.
    Renewed,
    /// What they say cannot be used: the certificate before stays.
    Kept(TlsError),
}

impl Listening {
    /// Reads what is named. Blocking.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn of(files: PairFiles, clients: &Clients) -> Result<Self, TlsError> {
        let seen = files.texts()?;
        let in_force = Arc::new(InForce(ArcSwap::from_pointee(files.pair(&seen)?)));
        let config = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        let resolver = Arc::clone(&in_force) as Arc<dyn ResolvesServerCert>;
        let config = match verifier(clients)? {
            None => config.with_no_client_auth().with_cert_resolver(resolver),
            Some(verifier) => {
                let mut config = config.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
                // a resumed session would bring back a certificate that has expired since
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                config
            }
        };
        Ok(Self { config, renewal: Renewal { files, in_force, seen } })
    }
}

/// What clients' certificates are held against.
fn verifier(clients: &Clients) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let against = |file: &Path| {
        let roots = Arc::new(authorities(file)?);
        Ok::<_, TlsError>(WebPkiClientVerifier::builder_with_provider(roots, provider()))
    };
    let (file, verifier) = match clients {
        Clients::Unasked => return Ok(None),
        Clients::Optional(file) => (file, against(file)?.allow_unauthenticated()),
        Clients::Required(file) => (file, against(file)?),
    };
    verifier.build().map(|verifier| Some(verifier as _)).map_err(|error| no_authorities(file, error.to_string()))
}

fn no_authorities(file: &Path, cause: String) -> TlsError {
    TlsError::NoAuthorities { file: file.display().to_string(), cause }
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, &read(file)?)? {
        roots.add(certificate).map_err(|error| no_authorities(file, error.to_string()))?;
    }
    Ok(roots)
}

impl Renewal {
    /// The gateway's own certificate, as new connections are shown it, in DER.
    #[must_use]
    pub fn leaf(&self) -> Option<Vec<u8>> {
        self.in_force.0.load().cert.first().map(|leaf| leaf.as_ref().to_vec())
    }

    /// Looks at the files once. Blocking.
    #[must_use]
    pub fn look(&mut self) -> Looked {
        let texts = match self.files.texts() {
            Ok(texts) if texts == self.seen => return Looked::Unchanged,
            Ok(texts) => texts,
            Err(error) => return Looked::Kept(error),
        };
        self.seen = texts;
        match self.files.pair(&self.seen) {
            Ok(pair) => {
                self.in_force.0.store(Arc::new(pair));
                Looked::Renewed
            }
            Err(error) => Looked::Kept(error),
        }
    }
}

#[cfg(test)]
mod tests;
