//! The controller's configuration: flags, each also as an environment variable.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// The controller of a site.
#[derive(Clone, Debug, Parser)]
#[command(name = "weft-controller", version, about)]
pub struct Config {
    /// Where the REST API listens. Without identity only a loopback address is taken.
    #[arg(long, env = "WEFT_CONTROLLER_LISTEN", default_value = "127.0.0.1:9696")]
    pub listen: SocketAddr,
    /// Where agents connect to, by gRPC over mutual TLS.
    #[arg(long, env = "WEFT_CONTROLLER_AGENTS_LISTEN", default_value = "127.0.0.1:9697")]
    pub agents_listen: SocketAddr,
    /// Where the controller's certificate is: controller.pem, controller.key, ca.pem (see `weft certificates`).
    #[arg(long, env = "WEFT_CONTROLLER_TLS_DIRECTORY", default_value = "/etc/weft/tls")]
    pub tls_directory: PathBuf,
    /// The name of the controller's certificate.
    #[arg(long, env = "WEFT_CONTROLLER_TLS_NAME", default_value = "controller")]
    pub tls_name: String,
    /// Where the store is.
    #[arg(long, env = "WEFT_CONTROLLER_STATE_DIRECTORY", default_value = "/var/lib/weft/controller")]
    pub state_directory: PathBuf,
    /// How logs are written.
    #[arg(long, env = "WEFT_CONTROLLER_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Where BGP neighbours may connect to, such as 192.0.2.10:179; may be given more than once. Without, we connect to them.
    #[arg(long, env = "WEFT_CONTROLLER_BGP_LISTEN", value_delimiter = ',')]
    pub bgp_listen: Vec<SocketAddr>,
    /// The BGP identifier; without, a number that this store alone has.
    #[arg(long, env = "WEFT_CONTROLLER_BGP_ROUTER_ID")]
    pub bgp_router_id: Option<Ipv4Addr>,
    /// How long routes of BGP neighbours are awaited after a start before others are told and what hosts had from an earlier life is
    /// given up, in seconds.
    #[arg(long, env = "WEFT_CONTROLLER_BGP_DEFERRAL_S", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=4095))]
    pub bgp_deferral_s: u16,
    /// How many revisions of history are kept for rollback, watches and agents that come back.
    #[arg(long, env = "WEFT_CONTROLLER_HISTORY_REVISIONS", default_value_t = 100_000)]
    pub history_revisions: u64,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// What flags alone cannot say.
    ///
    /// # Errors
    /// The flag and the rule that it breaks.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.listen.ip().is_loopback(),
            "--listen {}: the API has no authentication yet, so it only listens on a loopback address",
            self.listen
        );
        anyhow::ensure!(self.history_revisions >= 1000, "--history-revisions: at least 1000 are needed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Config {
        Config::parse_from([&["weft-controller"], arguments].concat())
    }

    #[test]
    fn without_identity_the_api_listens_on_loopback_and_nowhere_else() {
        assert!(config(&[]).check().is_ok());
        assert!(config(&["--listen", "[::1]:9696"]).check().is_ok());
        for address in ["0.0.0.0:9696", "192.0.2.1:9696", "[::]:9696"] {
            let error = config(&["--listen", address]).check().unwrap_err().to_string();
            assert!(error.contains("--listen"), "{error}");
        }
    }
}
