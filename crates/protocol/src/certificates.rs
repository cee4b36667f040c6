//! A small authority of our own: makes the certificates with which controllers and agents know each other.
//!
//! ```text
//! directory/  ca.pem  ca.key      the authority; the key never leaves it
//!             <name>.pem .key     a controller's or a host's, with `ca.pem` all that it needs
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use weft_net::HostName;

use crate::tls::{AUTHORITY_FILE, CONTROLLER_NAME};

const AUTHORITY_KEY_FILE: &str = "ca.key";
const MODE_PUBLIC: u32 = 0o644;
const MODE_SECRET: u32 = 0o600;

/// From when until when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before this.
    pub from: SystemTime,
    /// Not after this.
    pub until: SystemTime,
}

/// What a certificate is for. One kind cannot pass for the other: the other's use is not in it, nor the other's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Serves agents, under [`CONTROLLER_NAME`] and the further names it is given.
    Controller,
    /// Connects to a controller as the host of its name.
    Host,
}

/// Where an issued certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM, readable by its owner alone.
    pub key: PathBuf,
}

/// A certificate that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is asked for, or found, is not a certificate that could be.
    #[error("{what}: {reason}")]
    Invalid {
        /// Of what.
        what: String,
        /// Why not.
        reason: String,
    },
}

/// Makes certificates, with the key of the authority in its directory.
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Loads the authority in this directory; makes directory and authority if there is none.
    ///
    /// # Errors
    /// When files cannot be read or written, are not what they should be, or only one of the two is there.
    pub fn create_or_load(directory: &Path, validity: Validity) -> Result<Self, CertificateError> {
        fs::create_dir_all(directory).map_err(|source| file_error(directory, source))?;
        let key_path = directory.join(AUTHORITY_KEY_FILE);
        let certificate_path = directory.join(AUTHORITY_FILE);
        if !key_path.exists() && !certificate_path.exists() {
            create(&key_path, &certificate_path, validity)?;
        }
        let read = |path: &Path| fs::read_to_string(path).map_err(|source| file_error(path, source));
        let key =
            KeyPair::from_pem(&read(&key_path)?).map_err(|error| invalid(&key_path.display(), error))?;
        let issuer = Issuer::from_ca_cert_pem(&read(&certificate_path)?, key)
            .map_err(|error| invalid(&certificate_path.display(), error))?;
        Ok(Self { directory: directory.to_owned(), issuer })
    }

    /// Makes a key (ECDSA, P-256) and a certificate, as `<name>.pem` and `<name>.key` in place of what may be there.
    ///
    /// `sans` are further names: DNS names and IP addresses of a controller, IP addresses of a host.
    ///
    /// # Errors
    /// When a name cannot be used for this kind, or the files cannot be written.
    pub fn issue(
        &self,
        name: &HostName,
        kind: Kind,
        sans: &[String],
        validity: Validity,
    ) -> Result<Issued, CertificateError> {
        let mut params = self.params(name, kind, sans)?;
        (params.not_before, params.not_after) = (validity.from.into(), validity.until.into());
        let key = KeyPair::generate().map_err(|error| invalid(name, error))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| invalid(name, error))?;
        let issued = Issued {
            certificate: self.directory.join(format!("{name}.pem")),
            key: self.directory.join(format!("{name}.key")),
        };
        write(&issued.key, &key.serialize_pem(), MODE_SECRET)?;
        write(&issued.certificate, &certificate.pem(), MODE_PUBLIC)?;
        Ok(issued)
    }

    fn params(
        &self,
        name: &HostName,
        kind: Kind,
        sans: &[String],
    ) -> Result<CertificateParams, CertificateError> {
        if self.directory.join(format!("{name}.pem")) == self.directory.join(AUTHORITY_FILE) {
            return Err(invalid(name, "is the authority's own name"));
        }
        let (first, usage) = match kind {
            Kind::Controller => (CONTROLLER_NAME, ExtendedKeyUsagePurpose::ServerAuth),
            Kind::Host if name.as_str() == CONTROLLER_NAME => {
                return Err(invalid(name, "is the controller's name"));
            }
            Kind::Host if sans.iter().any(|san| san.parse::<IpAddr>().is_err()) => {
                return Err(invalid(name, "a host's certificate has one name, and besides only addresses"));
            }
            Kind::Host => (name.as_str(), ExtendedKeyUsagePurpose::ClientAuth),
        };
        let names: Vec<String> = std::iter::once(first.to_owned()).chain(sans.iter().cloned()).collect();
        let mut params = CertificateParams::new(names).map_err(|error| invalid(name, error))?;
        if kind == Kind::Host {
            // A host may be called by something that looks like an address; its name is a DNS name all the same.
            let dns = first.try_into().map_err(|error| invalid(name, error))?;
            params.subject_alt_names[0] = SanType::DnsName(dns);
        }
        params.distinguished_name = common_name(name.as_str());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        Ok(params)
    }
}

impl std::fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("directory", &self.directory).finish_non_exhaustive()
    }
}

fn create(key_path: &Path, certificate_path: &Path, validity: Validity) -> Result<(), CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("Weft authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (validity.from.into(), validity.until.into());
    let key = KeyPair::generate().map_err(|error| invalid(&"authority", error))?;
    let certificate = params.self_signed(&key).map_err(|error| invalid(&"authority", error))?;
    write(key_path, &key.serialize_pem(), MODE_SECRET)?;
    write(certificate_path, &certificate.pem(), MODE_PUBLIC)
}

fn common_name(name: &str) -> DistinguishedName {
    // RFC 5280, upper bound of a common name: 64 characters. It is for people to read; what counts is the DNS name.
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished_name
}

fn file_error(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::File { path: path.to_owned(), source }
}

fn invalid(what: &dyn std::fmt::Display, reason: impl ToString) -> CertificateError {
    CertificateError::Invalid { what: what.to_string(), reason: reason.to_string() }
}

/// Writes a file whole or not at all, in place of what may be there.
fn write(path: &Path, content: &str, mode: u32) -> Result<(), CertificateError> {
    let beside = path.with_added_extension("new");
    let try_write = || -> io::Result<()> {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    try_write().map_err(|source| file_error(path, source))
}

#[cfg(test)]
mod tests;
