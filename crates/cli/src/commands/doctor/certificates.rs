//! Certificates and keys in a directory: until when they are good, and who can read what should be secret.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::pem::parse_x509_pem;

use super::Check;

const DAY_S: i64 = 24 * 60 * 60;
/// From how many days before the end it is time for a new one.
const WARN_DAYS: i64 = 30;

pub(super) fn checks(directory: &Path, now: SystemTime) -> Vec<Check> {
    let subject = format!("certificates in {}", directory.display());
    let files = match files(directory) {
        Ok(files) if files.is_empty() => {
            return vec![Check::fail(subject, "there are none", "`weft certificates` makes them")];
        }
        Ok(files) => files,
        Err(error) => {
            return vec![Check::fail(subject, error.to_string(), "see that the directory can be read")];
        }
    };
    let now_s = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs().cast_signed();
    let mut checks = Vec::new();
    if !directory.join("ca.pem").exists() {
        let advice = "copy ca.pem from where the certificates were made";
        checks.push(Check::fail(subject, "the authority's, ca.pem, is missing", advice));
    }
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".pem") {
            checks.push(certificate(&file, &name, now_s));
        } else {
            checks.extend(key(&file, &name));
        }
    }
    checks
}

fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pem" || extension == "key") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn certificate(file: &Path, name: &str, now_s: i64) -> Check {
    let subject = format!("certificate {name}");
    let ends_s = match validity(file) {
        Ok((begins_s, _)) if begins_s > now_s => {
            let finding = format!("is good only in {} days", (begins_s - now_s) / DAY_S);
            return Check::fail(subject, finding, "see that this machine's clock is right");
        }
        Ok((_, ends_s)) => ends_s,
        Err(reason) => {
            return Check::fail(subject, reason, "`weft certificates --renew` makes a new one");
        }
    };
    let days = (ends_s - now_s).div_euclid(DAY_S);
    let advice = if name == "ca.pem" {
        "a new authority needs new certificates everywhere: `weft certificates` in a new directory"
    } else {
        "`weft certificates --renew` makes a new one"
    };
    match days {
        ..0 => Check::fail(subject, format!("ended {} days ago", -days), advice),
        0..WARN_DAYS => Check::warn(subject, format!("ends in {days} days"), advice),
        WARN_DAYS.. => Check::ok(subject, format!("good for {days} days")),
    }
}

/// From when until when the first certificate of a file is good, in seconds since 1970.
fn validity(file: &Path) -> Result<(i64, i64), String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let (_, pem) = parse_x509_pem(&bytes).map_err(|_| "is not PEM".to_owned())?;
    let certificate = pem.parse_x509().map_err(|_| "is not a certificate".to_owned())?;
    let validity = certificate.validity();
    Ok((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

fn key(file: &Path, name: &str) -> Option<Check> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    let is_open = mode & 0o077 != 0;
    is_open.then(|| {
        let finding = format!("others than its owner can read or change it (mode {:o})", mode & 0o777);
        Check::fail(format!("key {name}"), finding, format!("chmod 600 {}", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Verdict;
    use weft_protocol::certificates::{Authority, Kind, Validity};

    fn check(age_days: i64, expected: Verdict) {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let validity = Validity { from: now, until: now + Duration::from_secs(60 * DAY_S.cast_unsigned()) };
        let authority = Authority::create_or_load(directory.path(), validity).unwrap();
        authority.issue(&"hv1".parse().unwrap(), Kind::Host, &[], validity).unwrap();
        let later = if age_days < 0 {
            now - Duration::from_secs((-age_days * DAY_S).cast_unsigned())
        } else {
            now + Duration::from_secs((age_days * DAY_S).cast_unsigned())
        };
        let checks = checks(directory.path(), later);
        assert_eq!(checks.len(), 2, "{checks:?}");
        assert!(checks.iter().all(|check| check.verdict == expected), "{checks:?}");
    }

    #[test]
    fn a_certificate_is_good_then_about_to_end_then_over() {
        check(1, Verdict::Ok);
        check(45, Verdict::Warn);
        check(61, Verdict::Fail);
        check(-2, Verdict::Fail);
    }

    #[test]
    fn a_key_that_others_can_read_fails() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("hv1.key");
        std::fs::write(&file, "secret").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(key(&file, "hv1.key").map(|check| check.verdict), Some(Verdict::Fail));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key(&file, "hv1.key"), None);
    }
}
