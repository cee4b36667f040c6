//! How much memory the daemons take when nothing happens.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;

use crate::daemon::{Controller, certificates, start_agent};
use crate::figure::Figure;
use crate::http::Client;
use crate::namespace::Namespaces;

/// How long they are left alone before they are looked at.
const SETTLE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let directory = tempfile::tempdir()?;
    certificates(directory.path(), &["idle"])?;
    let namespace = Namespaces::new()?;
    let controller = Controller::start(directory.path())?;
    let agent = start_agent(directory.path(), "idle", controller.agents, &namespace)?;
    let (mut client, begun) = (Client::connect(controller.api)?, Instant::now());
    loop {
        let hosts = client.json("GET", "/v2.0/hosts", &Value::Null)?;
        if hosts["hosts"][0]["alive"] == Value::Bool(true) {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "the agent does not connect: {hosts}");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(SETTLE);
    Ok(vec![
        Figure::new("idle/controller_mib", controller.process.resident_mib()?, "MiB").at_most(64.0),
        Figure::new("idle/agent_mib", agent.resident_mib()?, "MiB").at_most(24.0),
    ])
}
