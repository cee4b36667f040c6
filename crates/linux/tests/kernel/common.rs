//! A host of its own for each test: a network namespace, and all that is made in its name, which goes with the value.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use weft_dataplane::{
    BridgePort, Driver, Key, Link, LinkId, LinkKind, Namespace, Object, Plan, PortRole, State, diff,
};
use weft_linux::{Config, LinuxHost, VrfMode, Waker, Woken};

pub(crate) struct Bench {
    prefix: String,
    mode: VrfMode,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(VrfMode::default())
    }

    /// With hosts whose VRFs are of this sort.
    pub(crate) fn with(mode: VrfMode) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { prefix: format!("wt{}-{number}.", std::process::id()), mode }
    }

    /// Makes the namespace of a host; `host` names it within this bench.
    pub(crate) fn add_host(&self, host: &str) {
        run(&format!("ip netns add {}", self.host(host)));
        run(&format!("ip -n {} link set lo up", self.host(host)));
    }

    pub(crate) fn host(&self, host: &str) -> String {
        format!("{}{host}", self.prefix)
    }

    /// The file name of a named namespace of a host.
    pub(crate) fn named(&self, host: &str, name: &str) -> String {
        format!("{}{host}.{name}", self.prefix)
    }

    pub(crate) fn open(&self, host: &str) -> LinuxHost {
        self.open_as(host, self.mode)
    }

    /// With VRFs of a sort that may be another one than before.
    pub(crate) fn open_as(&self, host: &str, vrf: VrfMode) -> LinuxHost {
        LinuxHost::open(Config {
            namespace: Some(format!("/run/netns/{}", self.host(host)).into()),
            namespace_prefix: format!("{}.", self.host(host)),
            vrf,
            mpls_interfaces: ["up0".parse().unwrap()].into(),
        })
        .unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if name.starts_with(&self.prefix) {
                let _gone_already = try_run(&format!("ip netns del {name}"));
            }
        }
    }
}

/// Runs a command that must succeed; answers what it printed.
pub(crate) fn run(command: &str) -> String {
    try_run(command).unwrap_or_else(|error| panic!("'{command}': {error}"))
}

pub(crate) fn try_run(command: &str) -> Result<String, String> {
    let mut words = command.split_whitespace();
    let output =
        Command::new(words.next().unwrap()).args(words).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Leads a host to a state in a few turns: what waits for the other end of a veth is made once that is seen.
pub(crate) fn reach(host: &mut LinuxHost, want: &State) {
    for _ in 0..4 {
        let plan = plan(host, want);
        if plan.is_at_rest() {
            assert_eq!(plan.waiting, [], "{:?}", host.observe().unwrap());
            return;
        }
        let outcomes = host.apply(&plan);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?} of\n{plan}");
    }
    panic!("no rest:\n{}", plan(host, want));
}

/// Leads a host to a state for which the kernel may not be ready: what it refuses is tried again.
pub(crate) fn await_rest(host: &mut LinuxHost, want: &State) {
    for _ in 0..100 {
        let plan = plan(host, want);
        if plan.is_at_rest() && plan.waiting.is_empty() {
            return;
        }
        if host.apply(&plan).iter().any(Result::is_err) {
            host.wait(Duration::from_millis(100), &Waker::new().unwrap()).unwrap();
        }
    }
    panic!("no rest:\n{}", plan(host, want));
}

pub(crate) fn plan(host: &mut LinuxHost, want: &State) -> Plan {
    diff(host.observe().unwrap(), want)
}

/// Waits until the plan to `want` is as `expected` says.
pub(crate) fn await_plan(host: &mut LinuxHost, want: &State, expected: impl Fn(&Plan) -> bool) -> Plan {
    let waker = Waker::new().unwrap();
    loop {
        let plan = plan(host, want);
        if expected(&plan) {
            return plan;
        }
        assert_eq!(host.wait(Duration::from_secs(10), &waker).unwrap(), Woken::Kernel, "still:\n{plan}");
    }
}

pub(crate) fn state(objects: impl IntoIterator<Item = Object>) -> State {
    objects.into_iter().collect()
}

/// What is there of ours.
pub(crate) fn ours(host: &mut LinuxHost) -> Vec<Key> {
    let state = host.observe().unwrap();
    state.iter().filter(|(_, object)| !object.is_foreign()).map(|(key, _)| key.clone()).collect()
}

pub(crate) fn on(namespace: &str, name: &str) -> LinkId {
    LinkId { namespace: Namespace::Named(namespace.parse().unwrap()), name: name.parse().unwrap() }
}

pub(crate) fn here(name: &str) -> LinkId {
    LinkId::on_host(name.parse().unwrap())
}

pub(crate) fn link(id: LinkId, mtu: u32, kind: LinkKind) -> Object {
    let mark = format!("weft.test.{}", id.name).parse().unwrap();
    Object::Link(Link { id, mark, mtu, up: true, kind })
}

pub(crate) fn bridge(name: &str) -> Object {
    link(here(name), 1500, LinkKind::Bridge)
}

pub(crate) fn vxlan(name: &str, vni: u32, local: &str) -> Object {
    let kind = LinkKind::Vxlan {
        vni: vni.try_into().unwrap(),
        local: local.parse().unwrap(),
        port: 4789,
        mac: None,
    };
    link(here(name), 1400, kind)
}

pub(crate) fn veth(name: &str, peer: LinkId, mac: &str) -> Object {
    link(here(name), 1400, LinkKind::Veth { peer, peer_mac: mac.parse().unwrap() })
}

pub(crate) fn vlan(name: &str, parent: &str, vlan_id: u16, mtu: u32) -> Object {
    link(here(name), mtu, LinkKind::Vlan { parent: parent.parse().unwrap(), vlan_id })
}

pub(crate) fn tap(name: &str) -> Object {
    link(here(name), 1500, LinkKind::Tap)
}

pub(crate) fn port(name: &str, bridge: &str, role: PortRole) -> Object {
    Object::BridgePort(BridgePort { link: here(name), bridge: bridge.parse().unwrap(), role, adoption: None })
}

pub(crate) fn address(link: LinkId, address: &str) -> Object {
    Object::Address(link, address.parse().unwrap())
}
