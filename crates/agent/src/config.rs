//! What the agent is told on its command line or by its environment.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use weft_linux::VrfMode;
use weft_net::{Capability, HostName, IfName, L3Encapsulation, NamespaceName};
use weft_protocol::tls::TlsIdentity;

/// Weft's agent: makes this host's data plane what the controller's intent says, and keeps it so.
///
/// It heals the host from its last intent also while no controller can be reached, and after a reboot. When it ends, the
/// data plane stays as it is.
#[derive(Clone, Debug, Parser)]
#[command(name = "weft-agent", version)]
pub struct Config {
    /// What to do, other than to run.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// This host's name: as its certificate says it, and as `binding:host_id` says it.
    #[arg(long, env = "WEFT_AGENT_HOST", value_name = "NAME")]
    pub host: HostName,

    /// A controller's address, `host:port`; several are tried in turn.
    #[arg(
        long,
        env = "WEFT_AGENT_CONTROLLER",
        value_name = "HOST:PORT",
        required = true,
        value_delimiter = ','
    )]
    pub controller: Vec<String>,

    /// Where `<host>.pem`, `<host>.key` and the authority's `ca.pem` are.
    #[arg(long, env = "WEFT_AGENT_TLS_DIRECTORY", value_name = "PATH", default_value = "/etc/weft/tls")]
    pub tls_directory: PathBuf,

    /// Where the last intent is kept.
    #[arg(
        long,
        env = "WEFT_AGENT_STATE_DIRECTORY",
        value_name = "PATH",
        default_value = "/var/lib/weft/agent"
    )]
    pub state_directory: PathBuf,

    /// Where other hosts send what is encapsulated for this one. Without it the host takes part in no overlay.
    #[arg(long, env = "WEFT_AGENT_TUNNEL_ENDPOINT", value_name = "ADDRESS")]
    pub tunnel_endpoint: Option<IpAddr>,

    /// The network namespace of the data plane, as a path; without it the agent's own.
    #[arg(long, env = "WEFT_AGENT_NAMESPACE", value_name = "PATH")]
    pub namespace: Option<PathBuf>,

    /// What begins the names of the network namespaces that the agent makes, so that several agents on one machine keep apart.
    #[arg(long, env = "WEFT_AGENT_NAMESPACE_PREFIX", value_name = "PREFIX", default_value = "")]
    pub namespace_prefix: String,

    /// A physical network that this host reaches, and through which of its interfaces; may be repeated.
    #[arg(
        long = "physical-network",
        env = "WEFT_AGENT_PHYSICAL_NETWORK",
        value_name = "NAME=INTERFACE",
        value_delimiter = ',',
        value_parser = physical_network
    )]
    pub physical_networks: Vec<(String, IfName)>,

    /// As what VRFs are realised: each as a network namespace, which every kernel has, or as a VRF device, which needs a
    /// kernel with `CONFIG_NET_VRF` and settings of the whole host.
    #[arg(long, env = "WEFT_AGENT_VRF", value_name = "SORT", default_value = "namespace")]
    pub vrf: VrfSort,

    /// An interface from which packets with MPLS labels are taken in, where VRFs are devices; may be repeated.
    #[arg(
        long = "mpls-interface",
        env = "WEFT_AGENT_MPLS_INTERFACE",
        value_name = "INTERFACE",
        value_delimiter = ','
    )]
    pub mpls_interfaces: Vec<IfName>,

    /// In what packets that are routed are sent to other hosts, and wanted from them: `vxlan`, or `mpls` where both hosts want it and
    /// have MPLS. The underlay has to carry labelled packets from one host to another.
    #[arg(
        long,
        env = "WEFT_AGENT_L3_ENCAPSULATION",
        value_name = "ENCAPSULATION",
        default_value_t = L3Encapsulation::default()
    )]
    pub l3_encapsulation: L3Encapsulation,

    /// What the host is not to offer although its kernel can do it, as `vlan`; may be repeated.
    #[arg(
        long = "without-capability",
        env = "WEFT_AGENT_WITHOUT_CAPABILITY",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub without_capabilities: Vec<Capability>,

    /// How often the host is looked at in full, in seconds, whatever its events said.
    #[arg(
        long,
        env = "WEFT_AGENT_RESYNC_INTERVAL_S",
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub resync_interval_s: u64,

    /// The form of the log, which goes to standard error. `RUST_LOG` says what is in it.
    #[arg(long, env = "WEFT_AGENT_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// What to do, other than to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Sees whether the agent could run with this configuration, and touches nothing.
    CheckConfig,
}

/// As what VRFs are realised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VrfSort {
    /// Each as a network namespace.
    Namespace,
    /// Each as a VRF device.
    Device,
}

impl From<VrfSort> for VrfMode {
    fn from(sort: VrfSort) -> Self {
        match sort {
            VrfSort::Namespace => Self::Namespace,
            VrfSort::Device => Self::Device,
        }
    }
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

fn physical_network(text: &str) -> Result<(String, IfName), String> {
    match text.split_once('=') {
        Some((name, interface)) if !name.is_empty() => {
            let interface = interface.parse().map_err(|error: weft_net::ParseError| error.to_string())?;
            Ok((name.to_owned(), interface))
        }
        _ => Err("a name, '=' and an interface are needed, as in provider=eth1".to_owned()),
    }
}

impl Config {
    /// Checks what can be checked without touching the data plane.
    ///
    /// # Errors
    /// When the agent could not run so, with the reason.
    pub fn check(&self) -> anyhow::Result<()> {
        for controller in &self.controller {
            let port = controller.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            ensure!(
                port.is_some_and(|port| port > 0),
                "'{controller}' is not an address of the form host:port"
            );
        }
        let identity = TlsIdentity::load(&self.tls_directory, self.host.as_str()).context("the identity")?;
        let named = identity.host()?;
        ensure!(named == self.host, "the certificate is for host '{named}', not for '{}'", self.host);
        ensure!(
            self.tunnel_endpoint
                .is_none_or(|endpoint| !endpoint.is_unspecified() && !endpoint.is_multicast()),
            "a tunnel endpoint is the address of one host"
        );
        if let Some(namespace) = &self.namespace {
            ensure!(namespace.exists(), "there is no network namespace at {}", namespace.display());
        }
        let prefix = &self.namespace_prefix;
        ensure!(
            prefix.is_empty() || prefix.parse::<NamespaceName>().is_ok(),
            "'{prefix}' cannot begin the name of a network namespace"
        );
        let count = self.physical_networks.len();
        ensure!(self.physical_networks().len() == count, "a physical network is named twice");
        Ok(())
    }

    /// The physical networks by name.
    #[must_use]
    pub fn physical_networks(&self) -> BTreeMap<String, IfName> {
        self.physical_networks.iter().cloned().collect()
    }

    /// How often the host is looked at in full.
    #[must_use]
    pub const fn resync_interval(&self) -> Duration {
        Duration::from_secs(self.resync_interval_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::time::SystemTime;
    use weft_protocol::certificates::{Authority, Kind, Validity};

    fn parse(more: &[&str]) -> Result<Config, clap::Error> {
        let least =
            ["weft-agent", "--host", "compute-1", "--controller", "192.0.2.1:7780", "--tls-directory", "/t"];
        Config::try_parse_from(least.iter().chain(more))
    }

    #[test]
    fn every_flag_has_a_variable_of_its_own_name() {
        let command = Config::command();
        for flag in
            command.get_arguments().filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version"))
        {
            let long = flag.get_long().unwrap();
            let variable = format!("WEFT_AGENT_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(flag.get_env().unwrap().to_str(), Some(variable.as_str()));
        }
        command.debug_assert();
    }

    #[test]
    fn controllers_and_physical_networks_may_be_repeated() {
        let config = parse(&[
            "--controller",
            "c2.example:7780",
            "--physical-network",
            "provider=eth1",
            "--physical-network",
            "storage=eth2",
        ])
        .unwrap();
        assert_eq!(config.controller, ["192.0.2.1:7780", "c2.example:7780"]);
        assert_eq!(config.physical_networks()["storage"].as_str(), "eth2");
        assert!(parse(&["--physical-network", "provider"]).is_err());
    }

    #[test]
    fn capabilities_that_are_not_offered_are_named_by_names_that_there_are() {
        let config = parse(&["--without-capability", "vlan,tap", "--without-capability", "vxlan"]).unwrap();
        assert_eq!(config.without_capabilities, [Capability::Vlan, Capability::Tap, Capability::Vxlan]);
        assert!(parse(&["--without-capability", "teleport"]).is_err());
        assert_eq!(config.l3_encapsulation, L3Encapsulation::Vxlan);
        assert!(parse(&["--l3-encapsulation", "gre"]).is_err());
    }

    #[test]
    fn a_certificate_of_another_host_is_found_out_before_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let validity = Validity {
            from: SystemTime::UNIX_EPOCH,
            until: SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
        };
        let authority = Authority::create_or_load(directory.path(), validity).unwrap();
        let issued = authority.issue(&"compute-2".parse().unwrap(), Kind::Host, &[], validity).unwrap();
        let mut config = parse(&["check-config"]).unwrap();
        assert_eq!(config.command, Some(Command::CheckConfig));
        config.tls_directory = directory.path().to_owned();
        assert!(config.check().is_err());
        for (file, extension) in [(issued.certificate, "pem"), (issued.key, "key")] {
            std::fs::copy(file, directory.path().join(format!("compute-1.{extension}"))).unwrap();
        }
        assert!(config.check().unwrap_err().to_string().contains("compute-2"));
        authority.issue(&config.host, Kind::Host, &[], validity).unwrap();
        config.check().unwrap();
    }
}
