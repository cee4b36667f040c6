//! Whoever writes to a host's kernel is overheard: what `ip monitor` and `bridge monitor` tell between two marks.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Bench, run, until};

/// How long an event may take to be told of.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// An address that nobody has: our mark in the stream of forwarding entries.
const MARK: &str = "02:00:5e:ff:ff:01";
/// A change of `lo` is our mark in the stream of links: its queue gets a length, which it has no use for.
const MARK_LENGTH: u32 = 997;
/// What is printed of it.
const LOOPBACK: &str = "link/loopback";

/// Two programs that print what changes in a host's namespace.
pub struct Monitor {
    host: String,
    links: (Child, PathBuf),
    entries: (Child, PathBuf),
}

impl Monitor {
    /// Begins to listen: when this returns, everything that follows is heard.
    ///
    /// # Panics
    /// When the programs cannot be started.
    #[must_use]
    pub fn start(bench: &Bench, host: &str) -> Self {
        let begin = |program: &str, what: &[&str]| {
            let path = bench.lab().state_directory().join(format!("monitor-{host}-{program}"));
            let file = File::create(&path).expect("a file can be made");
            let mut command = Command::new(program);
            command.args(["-n", &bench.namespace(host), "monitor"]).args(what);
            let child = command.stdout(file).stderr(Stdio::null()).spawn();
            (child.expect("a program can be started"), path)
        };
        let links = begin("ip", &["link", "address", "route"]);
        let entries = begin("bridge", &["fdb"]);
        let monitor = Self { host: host.to_owned(), links, entries };
        // Until the first mark is heard it is set again and again, since nothing tells when a program listens.
        until("the monitors listen", TOLD_WITHIN, || {
            monitor.mark(bench);
            monitor.unmark(bench);
            (monitor.heard(&monitor.links.1, LOOPBACK) && monitor.heard(&monitor.entries.1, MARK))
                .then_some(())
        });
        monitor
    }

    fn mark(&self, bench: &Bench) {
        bench.ip(&self.host, &format!("link set lo txqueuelen {MARK_LENGTH}"));
        bench.bridge(&self.host, &format!("fdb add {MARK} dev underlay0 self permanent"));
    }

    fn unmark(&self, bench: &Bench) {
        bench.ip(&self.host, "link set lo txqueuelen 1000");
        bench.bridge(&self.host, &format!("fdb del {MARK} dev underlay0 self permanent"));
    }

    fn heard(&self, path: &PathBuf, what: &str) -> bool {
        fs::read_to_string(path).unwrap_or_default().contains(what)
    }

    /// Ends; answers the lines that somebody else caused: none if nobody wrote. Learned addresses are the traffic's.
    ///
    /// # Panics
    /// When what was overheard cannot be read.
    #[must_use]
    pub fn end(self, bench: &Bench) -> Vec<String> {
        let marks = |path: &PathBuf, what: &str| {
            fs::read_to_string(path).expect("what was heard can be read").matches(what).count()
        };
        let (links, entries) = (marks(&self.links.1, LOOPBACK), marks(&self.entries.1, MARK));
        self.mark(bench);
        self.unmark(bench);
        // A mark at the end is heard after all that came before it.
        until("the last mark is heard", TOLD_WITHIN, || {
            let now = (marks(&self.links.1, LOOPBACK), marks(&self.entries.1, MARK));
            (now.0 > links + 1 && now.1 > entries + 1).then_some(())
        });
        let text = [&self.links.1, &self.entries.1]
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .concat();
        let is_foreign = |line: &&str| {
            let own = line.contains(": lo: ")
                || line.contains(LOOPBACK)
                || line.contains("altname weft-lab.")
                || line.contains(MARK);
            let learned =
                !line.contains("static") && !line.contains("permanent") && line.contains(" master ");
            !own && !learned && !line.trim().is_empty()
        };
        text.lines().filter(is_foreign).map(str::to_owned).collect()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        for child in [&mut self.links.0, &mut self.entries.0] {
            // It listens for ever.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program that prints how the IPv4 routes of a namespace change.
pub struct RouteMonitor {
    namespace: String,
    child: Child,
    path: PathBuf,
}

/// A destination that nobody has: our mark in the stream of routes.
const MARK_ROUTE: &str = "192.0.2.254";

impl RouteMonitor {
    /// Begins to listen: when this returns, everything that follows is heard.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn start(bench: &Bench, namespace: &str) -> Self {
        let path = bench.lab().state_directory().join(format!("routes-{namespace}"));
        let file = File::create(&path).expect("a file can be made");
        let mut command = Command::new("ip");
        command.args(["-4", "-n", namespace, "monitor", "route"]).stdout(file).stderr(Stdio::null());
        let child = command.spawn().expect("a program can be started");
        let monitor = Self { namespace: namespace.to_owned(), child, path };
        until("the monitor listens", TOLD_WITHIN, || (monitor.mark() > 0).then_some(()));
        monitor
    }

    /// Marks the stream; answers how many marks have been heard before.
    fn mark(&self) -> usize {
        let heard = self.marks();
        for verb in ["add", "del"] {
            run(&format!("ip -n {} route {verb} blackhole {MARK_ROUTE}", self.namespace));
        }
        heard
    }

    fn marks(&self) -> usize {
        fs::read_to_string(&self.path).unwrap_or_default().matches(MARK_ROUTE).count()
    }

    /// Ends; answers what has changed: a route that went is `Deleted`.
    ///
    /// # Panics
    /// When what was overheard cannot be read.
    #[must_use]
    pub fn end(self) -> Vec<String> {
        let heard = self.mark();
        // Each mark is heard twice, and after all that came before it.
        until("the last mark is heard", TOLD_WITHIN, || (self.marks() >= heard + 2).then_some(()));
        let text = fs::read_to_string(&self.path).expect("what was heard can be read");
        text.lines().filter(|line| !line.contains(MARK_ROUTE)).map(str::to_owned).collect()
    }
}

impl Drop for RouteMonitor {
    fn drop(&mut self) {
        // It listens for ever.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
