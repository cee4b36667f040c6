//! FRR's daemons in one namespace: zebra, which has the kernel's routes, bgpd, and staticd.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Group, User};

use crate::process::{Process, ask, until};
use crate::witness::Witness;

const PROGRAMS: &str = "/usr/lib/frr";
const START: Duration = Duration::from_secs(10);

/// A zebra, and a bgpd while that runs.
#[derive(Debug)]
pub struct FrrDaemons {
    namespace: String,
    logs: PathBuf,
    bgpd: Option<Process>,
    staticd: Option<Process>,
    _zebra: Process,
    _witness: Option<Witness>,
    // Last, so that the daemons still have their sockets when they end.
    _directories: Directories,
}

/// `/etc/frr/NS` and `/run/frr/NS`.
#[derive(Debug)]
struct Directories(String);

impl Directories {
    fn new(namespace: &str) -> Self {
        let user = User::from_name("frr").ok().flatten().expect("frr is installed: scripts/install test");
        let group = Group::from_name("frr").ok().flatten().expect("frr has a group");
        let made = Self(namespace.to_owned());
        for path in made.paths() {
            fs::create_dir_all(&path).expect("one is root");
            chown(&path, Some(user.uid.as_raw()), Some(group.gid.as_raw())).expect("one is root");
        }
        // Or PAM is asked who one is, which is not everywhere.
        let nobody_asked = Path::new("/etc/frr").join(&made.0).join("vtysh.conf");
        fs::write(nobody_asked, "username root nopassword\n").expect("one is root");
        made
    }

    fn paths(&self) -> [PathBuf; 2] {
        ["/etc/frr", "/run/frr"].map(|parent| Path::new(parent).join(&self.0))
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        for path in self.paths() {
            if let Err(error) = fs::remove_dir_all(&path) {
                eprintln!("{} is not gone: {error}", path.display());
            }
        }
    }
}

impl FrrDaemons {
    /// Starts a zebra in a namespace, with these lines of configuration. Each UPDATE that is sent from there is verified at the end.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn start(namespace: &str, logs: &Path, configuration: &str) -> Self {
        Self::start_heard_by(Some(Witness::start(namespace)), namespace, logs, configuration)
    }

    pub(crate) fn start_heard_by(
        witness: Option<Witness>,
        namespace: &str,
        logs: &Path,
        configuration: &str,
    ) -> Self {
        let directories = Directories::new(namespace);
        let zebra = start_daemon(namespace, logs, "zebra", &format!("hostname {namespace}\n{configuration}"));
        let socket = Path::new("/run/frr").join(namespace).join("zserv.api");
        until("zebra listens", START, || socket.exists());
        let (namespace, logs) = (namespace.to_owned(), logs.to_owned());
        Self {
            namespace,
            logs,
            bgpd: None,
            staticd: None,
            _zebra: zebra,
            _witness: witness,
            _directories: directories,
        }
    }

    /// Starts a bgpd with this configuration.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_bgpd(&mut self, configuration: &str) {
        self.bgpd = Some(start_daemon(&self.namespace, &self.logs, "bgpd", configuration));
        until("bgpd answers", START, || self.vtysh(&["show bgp summary"]).is_ok());
    }

    /// Starts a staticd with this route: zebra by itself has none that somebody has written down.
    ///
    /// # Panics
    /// When it does not take the route: one with labels not before it has heard of zebra that the kernel has MPLS.
    pub fn start_staticd(&mut self, route: &str) {
        self.staticd = Some(start_daemon(&self.namespace, &self.logs, "staticd", ""));
        let has_taken = || self.vtysh(&["configure terminal", route]).is_ok_and(|said| !said.contains('%'));
        until("staticd takes a route", START, has_taken);
    }

    /// Ends bgpd without a goodbye, as a crash does.
    pub fn kill_bgpd(&mut self) {
        if let Some(bgpd) = self.bgpd.take() {
            bgpd.kill();
        }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The process of bgpd.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub const fn bgpd(&self) -> &Process {
        self.bgpd.as_ref().expect("it runs")
    }

    /// Runs a command of `vtysh`; answers what it says.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn show(&self, command: &str) -> String {
        self.show_all(&[command])
    }

    /// Runs several commands of `vtysh` at once; answers what it says, one answer after the other.
    ///
    /// # Panics
    /// When one is refused.
    #[must_use]
    pub fn show_all(&self, commands: &[&str]) -> String {
        self.vtysh(commands).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Changes the configuration by these lines.
    ///
    /// # Panics
    /// When one is refused.
    pub fn configure(&self, lines: &[&str]) {
        let commands: Vec<&str> = ["configure terminal"].into_iter().chain(lines.iter().copied()).collect();
        let said = self.vtysh(&commands).unwrap_or_else(|error| panic!("{error}"));
        assert!(!said.contains('%'), "{lines:?}: {said}");
    }

    /// Whether a session is established.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.vtysh(&["show bgp neighbors json"])
            .is_ok_and(|text| text.contains("\"bgpState\":\"Established\""))
    }

    fn vtysh(&self, commands: &[&str]) -> Result<String, String> {
        let mut arguments = vec!["-N", &self.namespace];
        arguments.extend(commands.iter().flat_map(|command| ["-c", command]));
        ask(&self.namespace, "vtysh", &arguments)
    }
}

fn start_daemon(namespace: &str, logs: &Path, daemon: &str, configuration: &str) -> Process {
    let file = format!("/etc/frr/{namespace}/{daemon}.conf");
    fs::write(&file, configuration).expect("a configuration can be written");
    let pid = format!("/run/frr/{namespace}/{daemon}.pid");
    let arguments = ["-N", namespace, "-f", &file, "-i", &pid, "--log", "stdout", "--log-level", "debugging"];
    let more: &[&str] = if daemon == "bgpd" { &["-p", "179"] } else { &[] };
    let program = format!("{PROGRAMS}/{daemon}");
    let log = logs.join(format!("{namespace}-{daemon}.log"));
    Process::start(namespace, &program, arguments.iter().chain(more), &log)
}
