//! The certificates of a lab: an authority of its own, good for as long as a lab may be.

use std::path::Path;
use std::time::{Duration, SystemTime};

use weft_net::HostName;
use weft_protocol::certificates::{Authority, Kind, Validity};

use crate::LabError;
use crate::directory::CONTROLLER;
use crate::progress::{Change, Counter, Tell};

/// Clocks of one machine agree; an hour is for whoever sets its clock back.
const BEFORE: Duration = Duration::from_secs(3600);
const AFTER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Makes the certificates that are not there: the controller's and those of the hosts.
///
/// Agents know the controller by the name that every controller has, so no address is in its certificate.
pub(crate) fn ensure(directory: &Path, hosts: &[String], tell: &mut Tell<'_>) -> Result<(), LabError> {
    let mut counter = Counter::new(tell, hosts.len() + 1);
    let now = SystemTime::now();
    let validity = Validity { from: now - BEFORE, until: now + AFTER };
    let authority =
        Authority::create_or_load(directory, validity).map_err(|error| failed("authority", &error))?;
    let hosts = hosts.iter().map(|host| (host.as_str(), Kind::Host));
    for (name, kind) in hosts.chain([(CONTROLLER, Kind::Controller)]) {
        let files = ["pem", "key"].map(|extension| directory.join(format!("{name}.{extension}")));
        let mut change = Change::Kept;
        if !files.iter().all(|file| file.is_file()) {
            let host_name: HostName = name.parse().map_err(|error| failed(name, &error))?;
            authority.issue(&host_name, kind, &[], validity).map_err(|error| failed(name, &error))?;
            change = Change::Made;
        }
        counter.next(format!("certificate {name}"), change);
    }
    Ok(())
}

fn failed(name: &str, error: &dyn std::error::Error) -> LabError {
    let reason = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    LabError::System {
        what: format!("certificate {name} cannot be made"),
        source: std::io::Error::other(reason),
    }
}
