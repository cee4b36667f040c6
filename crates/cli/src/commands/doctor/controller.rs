//! The controller and, through its eyes, the hosts.

use weft_client::{Client, Error, HostStatus};

use super::Check;
use crate::bindings;
use crate::quarantine::{self, Awaited};

pub(super) async fn checks(client: &Client) -> Vec<Check> {
    let mut checks = vec![match client.health().await {
        Ok(()) => Check::ok("controller", format!("answers at {}", client.url())),
        Err(error) => {
            let advice = "start weft-controller, or say where it is by --url or WEFT_URL";
            return vec![Check::fail("controller", first_cause(&error), advice)];
        }
    }];
    checks.push(match client.ready().await {
        Ok(()) => Check::ok("readiness", "the controller serves"),
        Err(error) => Check::fail(
            "readiness",
            error.to_string(),
            "see the controller's log: journalctl -u weft-controller",
        ),
    });
    checks.push(version(client).await);
    match client.status().await {
        Ok(status) if status.hosts.is_empty() => {
            let advice = "make a certificate for each by `weft certificates`, and start weft-agent there";
            checks.push(Check::warn("hosts", "there are none yet", advice));
        }
        Ok(status) => {
            checks.extend(status.hosts.iter().map(host));
            let of_controller = status.software_version.as_deref();
            checks.extend(status.hosts.iter().filter_map(|host| agent(host, of_controller)));
            checks.extend(quarantine::awaited(&status).into_iter().map(waiting));
        }
        Err(error) => checks.push(Check::fail("hosts", error.to_string(), "see the controller's log")),
    }
    checks.extend(failed_bindings(client).await);
    checks
}

/// An agent that is of another version than the controller.
fn agent(host: &HostStatus, of_controller: Option<&str>) -> Option<Check> {
    let (own, of_controller) = (host.software_version.as_deref()?, of_controller?);
    (host.alive && own != of_controller).then(|| {
        let finding = format!("is {own}, the controller is {of_controller}");
        Check::warn(format!("agent of {}", host.name), finding, "install the same version of both")
    })
}

/// What cannot be used again before a host has confirmed that it is gone there.
fn waiting(awaited: Awaited) -> Check {
    let Awaited { host, is_alive, finding } = awaited;
    if is_alive {
        return Check::ok("quarantine", format!("{finding}, which is alive"));
    }
    let advice = format!(
        "it ends when {host} is back; if it is gone for good, delete its ports and then `weft delete host {host}`"
    );
    Check::warn("quarantine", finding, advice)
}

async fn failed_bindings(client: &Client) -> Vec<Check> {
    let failed = match bindings::failed(client).await {
        Ok(failed) => failed,
        Err(error) => return vec![Check::warn("ports", error.to_string(), "see the controller's log")],
    };
    let check = |one: &bindings::FailedBinding| {
        let advice = format!("mend that, or bind it elsewhere: `weft set port {} --host HOST`", one.port);
        Check::warn(format!("port {}", one.port), one.finding(), advice)
    };
    failed.iter().map(check).collect()
}

fn first_cause(error: &Error) -> String {
    match error {
        Error::Unreachable { url, .. } => format!("nobody answers at {url}"),
        other => other.to_string(),
    }
}

async fn version(client: &Client) -> Check {
    let own = env!("CARGO_PKG_VERSION");
    match client.version().await {
        Ok(version) if version.software == own => Check::ok("version", format!("both are {own}")),
        Ok(version) => Check::warn(
            "version",
            format!("the controller is {}, this program is {own}", version.software),
            "install the same version of both: the older one does not know all of the other's",
        ),
        Err(error) => Check::warn("version", error.to_string(), "is this the address of a weft-controller?"),
    }
}

fn host(host: &HostStatus) -> Check {
    let subject = format!("host {}", host.name);
    if !host.alive {
        let advice = format!("is weft-agent running there? on {}: systemctl status weft-agent", host.name);
        return Check::fail(subject, "its agent is not connected", advice);
    }
    if host.at_rest {
        return Check::ok(subject, "alive and at rest");
    }
    let reasons: Vec<&str> = host.not_done.iter().filter_map(|one| one.reason.as_deref()).take(3).collect();
    let behind = host.behind.filter(|behind| *behind > 0).map(|behind| format!(", {behind} behind"));
    let because = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    let finding =
        format!("not at rest{}, {} not done{because}", behind.unwrap_or_default(), host.not_done.len());
    if host.steps_failed > 0 {
        let advice = format!("`weft status` says what failed, `weft explain {}` who asked for it", host.name);
        Check::fail(subject, finding, advice)
    } else {
        Check::warn(subject, finding, "it is on its way; `weft status --wait` waits for it")
    }
}
