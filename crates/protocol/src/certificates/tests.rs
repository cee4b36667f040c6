use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError as Refusal, RootCertStore};

use super::*;
use crate::tls::{TlsIdentity, peer_host};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

fn validity() -> Validity {
    Validity { from: now() - DAY, until: now() + 3650 * DAY }
}

fn at(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

fn name(text: &str) -> HostName {
    text.parse().unwrap()
}

struct Bench {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::create_or_load(directory.path(), validity()).unwrap();
        Self { directory, authority }
    }

    fn issue(&self, subject: &str, kind: Kind) -> CertificateDer<'static> {
        let issued = self.authority.issue(&name(subject), kind, &[], validity()).unwrap();
        CertificateDer::from_pem_file(issued.certificate).unwrap()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.directory.path().join(AUTHORITY_FILE)).unwrap())
            .unwrap();
        Arc::new(roots)
    }

    fn as_controller(&self, certificate: &CertificateDer<'_>, when: SystemTime) -> Result<(), rustls::Error> {
        let verifier = rustls::client::WebPkiServerVerifier::builder(self.roots()).build().unwrap();
        let name = ServerName::try_from(CONTROLLER_NAME).unwrap();
        verifier.verify_server_cert(certificate, &[], &name, &[], at(when)).map(drop)
    }

    fn as_client(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let verifier = rustls::server::WebPkiClientVerifier::builder(self.roots()).build().unwrap();
        verifier.verify_client_cert(certificate, &[], at(now())).map(drop)
    }
}

#[test]
fn a_controllers_certificate_serves_and_is_no_clients() {
    let bench = Bench::new();
    let certificate = bench.issue("controller", Kind::Controller);
    bench.as_controller(&certificate, now()).unwrap();
    assert!(bench.as_client(&certificate).is_err());
    assert!(peer_host(&[certificate]).is_err());
}

#[test]
fn a_hosts_certificate_is_a_clients_and_never_the_controllers() {
    let bench = Bench::new();
    let certificate = bench.issue("compute-1", Kind::Host);
    bench.as_client(&certificate).unwrap();
    assert!(bench.as_controller(&certificate, now()).is_err());
    assert_eq!(peer_host(&[certificate]), Ok(name("compute-1")));
}

#[test]
fn what_a_host_may_do_alone_keeps_it_from_being_the_controller() {
    // Even if it had got the controller's name into its certificate.
    let bench = Bench::new();
    let mut params = bench.authority.params(&name("compute-1"), Kind::Host, &[]).unwrap();
    params.subject_alt_names.push(SanType::DnsName(CONTROLLER_NAME.try_into().unwrap()));
    (params.not_before, params.not_after) = (validity().from.into(), validity().until.into());
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &bench.authority.issuer).unwrap();
    let refusal = bench.as_controller(certificate.der(), now()).unwrap_err();
    assert!(matches!(
        refusal,
        rustls::Error::InvalidCertificate(Refusal::InvalidPurpose | Refusal::InvalidPurposeContext { .. })
    ));
    assert!(peer_host(&[certificate.der().clone()]).is_err(), "two names are no name");
}

#[test]
fn no_host_is_issued_the_controllers_name_or_a_second_one() {
    let bench = Bench::new();
    let issue = |subject: &str, sans: &[&str]| {
        let sans: Vec<String> = sans.iter().map(ToString::to_string).collect();
        bench.authority.issue(&name(subject), Kind::Host, &sans, validity())
    };
    assert!(issue(CONTROLLER_NAME, &[]).is_err());
    assert!(issue("compute-1", &[CONTROLLER_NAME]).is_err());
    assert!(issue("ca", &[]).is_err());
    issue("compute-1", &["192.0.2.1"]).unwrap();
}

#[test]
fn a_host_that_is_called_like_an_address_is_known_by_it() {
    let certificate = Bench::new().issue("10.0.0.1", Kind::Host);
    assert_eq!(peer_host(&[certificate]), Ok(name("10.0.0.1")));
}

#[test]
fn a_certificate_is_good_from_its_first_day_to_its_last() {
    let bench = Bench::new();
    let certificate = bench.issue("controller", Kind::Controller);
    assert!(bench.as_controller(&certificate, now() - 2 * DAY).is_err());
    bench.as_controller(&certificate, now() + 3649 * DAY).unwrap();
    assert!(bench.as_controller(&certificate, now() + 3651 * DAY).is_err());
}

#[test]
fn an_authority_that_is_loaded_again_is_the_same() {
    let bench = Bench::new();
    let before = bench.issue("compute-1", Kind::Host);
    let again = Authority::create_or_load(bench.directory.path(), validity()).unwrap();
    again.issue(&name("compute-2"), Kind::Host, &[], validity()).unwrap();
    bench.as_client(&before).unwrap();
    let after = CertificateDer::from_pem_file(bench.directory.path().join("compute-2.pem")).unwrap();
    bench.as_client(&after).unwrap();
}

#[test]
fn an_authority_of_which_half_is_missing_is_not_made_anew() {
    let bench = Bench::new();
    fs::remove_file(bench.directory.path().join(AUTHORITY_KEY_FILE)).unwrap();
    assert!(Authority::create_or_load(bench.directory.path(), validity()).is_err());
    assert!(!bench.directory.path().join(AUTHORITY_KEY_FILE).exists());
}

#[test]
fn keys_are_for_their_owner_alone() {
    let bench = Bench::new();
    bench.issue("compute-1", Kind::Host);
    for file in ["ca.key", "compute-1.key"] {
        let mode = fs::metadata(bench.directory.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE_SECRET, "{file}");
    }
}

#[test]
fn what_is_issued_loads_and_what_is_damaged_is_named() {
    let bench = Bench::new();
    bench.issue("compute-1", Kind::Host);
    let identity = TlsIdentity::load(bench.directory.path(), "compute-1").unwrap();
    assert_eq!(identity.host(), Ok(name("compute-1")));
    assert!(!format!("{identity:?}").contains("PRIVATE"));
    fs::write(bench.directory.path().join("compute-1.key"), "nothing").unwrap();
    let error = TlsIdentity::load(bench.directory.path(), "compute-1").unwrap_err();
    assert!(error.to_string().contains("compute-1.key"), "{error}");
}
