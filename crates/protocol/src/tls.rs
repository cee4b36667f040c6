//! Who is who: both ends show a certificate of the same authority, and each checks what the other's says.
//!
//! The controller's says [`CONTROLLER_NAME`] and may only serve; a host's says the host's name and may only be a client.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};
use weft_net::HostName;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The name in every controller's certificate, whatever address it is reached by. No host may have it.
pub const CONTROLLER_NAME: &str = "controller.weft.internal";

/// The authority's certificate in a directory of identities.
pub const AUTHORITY_FILE: &str = "ca.pem";

/// A certificate with its key, and the authority that it and its peers are of.
#[derive(Clone)]
pub struct TlsIdentity {
    certificates_pem: Vec<u8>,
    key_pem: Vec<u8>,
    authority_pem: Vec<u8>,
}

/// An identity that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl TlsIdentity {
    /// Loads `<name>.pem`, `<name>.key` and `ca.pem`, and sees that they are PEM.
    ///
    /// # Errors
    /// When a file cannot be read, or does not hold what it should.
    pub fn load(directory: &Path, name: &str) -> Result<Self, TlsError> {
        let certificates_pem = read(&directory.join(format!("{name}.pem")), is_certificates)?;
        let key_pem = read(&directory.join(format!("{name}.key")), is_key)?;
        let authority_pem = read(&directory.join(AUTHORITY_FILE), is_certificates)?;
        Ok(Self { certificates_pem, key_pem, authority_pem })
    }

    /// What a controller serves with: clients must show a certificate of the authority.
    #[must_use]
    pub fn server_config(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.identity())
            .client_ca_root(Certificate::from_pem(&self.authority_pem))
            .client_auth_optional(false)
    }

    /// What an agent connects with: the server must show a controller's certificate of the authority.
    #[must_use]
    pub fn client_config(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .identity(self.identity())
            .ca_certificate(Certificate::from_pem(&self.authority_pem))
            .domain_name(CONTROLLER_NAME)
    }

    /// The host that the certificate is for.
    ///
    /// # Errors
    /// As [`peer_host`].
    pub fn host(&self) -> Result<HostName, PeerError> {
        let certificates: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(&self.certificates_pem).filter_map(Result::ok).collect();
        peer_host(&certificates)
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificates_pem, &self.key_pem)
    }
}

impl fmt::Debug for TlsIdentity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

fn read(path: &Path, check: fn(&[u8]) -> Result<(), String>) -> Result<Vec<u8>, TlsError> {
    let error = |reason: String| TlsError { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|reason| error(reason.to_string()))?;
    check(&bytes).map_err(error)?;
    Ok(bytes)
}

fn is_certificates(pem: &[u8]) -> Result<(), String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match certificates.map_err(|error| error.to_string())?.first() {
        Some(_) => Ok(()),
        None => Err("there is no certificate in it".to_owned()),
    }
}

fn is_key(pem: &[u8]) -> Result<(), String> {
    PrivateKeyDer::from_pem_slice(pem).map(drop).map_err(|error| error.to_string())
}

/// A certificate that does not say which host it is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate does not name a host: {reason}")]
pub struct PeerError {
    /// Why not.
    pub reason: String,
}

impl PeerError {
    fn new(reason: impl ToString) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// The host that a peer's certificates, the leaf first, are for: the one DNS name in it.
///
/// Only says what the certificate says; that it is the authority's and the peer's, the TLS handshake has seen to.
///
/// # Errors
/// When there is no certificate, not exactly one DNS name in it, or a name that no host may have.
pub fn peer_host(certificates: &[CertificateDer<'_>]) -> Result<HostName, PeerError> {
    let leaf = certificates.first().ok_or_else(|| PeerError::new("none was shown"))?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(PeerError::new)?;
    let names = leaf.subject_alternative_name().map_err(PeerError::new)?;
    let mut names = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    match (names.next(), names.next()) {
        (Some(name), None) if name == CONTROLLER_NAME => {
            Err(PeerError::new(format_args!("'{name}' is the controller's name")))
        }
        (Some(name), None) => name.parse().map_err(PeerError::new),
        (None, _) => Err(PeerError::new("it has no DNS name")),
        (Some(_), Some(_)) => Err(PeerError::new("it has more than one DNS name")),
    }
}
