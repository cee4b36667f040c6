//! A workload as a virtual machine is: somebody else makes its tap and owns what is behind it; an agent adopts the tap.

use serde_json::{Value, json};

use crate::{Bench, run, try_run};

/// A namespace behind a veth whose other end is the tap of a port. It goes with the value.
pub struct Vm {
    /// Its node: `host1.VNF1`.
    pub node: String,
    /// Its port.
    pub port: String,
    namespace: String,
    gateways: Vec<String>,
}

/// What a virtual machine is made by.
pub struct VmSpec<'a> {
    /// Whose it is.
    pub project: &'a str,
    /// The network that it is on.
    pub network: &'a str,
    /// The host that it runs on.
    pub host: &'a str,
    /// What it is called.
    pub name: &'a str,
    /// Its addresses with the lengths of their prefixes.
    pub addresses: &'a [&'a str],
    /// Its gateways, one to a family.
    pub gateways: &'a [&'a str],
    /// Whether others have its addresses as well.
    pub anycast: bool,
}

impl Vm {
    /// Makes its port, its tap and what is behind it.
    ///
    /// # Panics
    /// When the API or the kernel refuses.
    #[must_use]
    pub fn start(bench: &Bench, spec: &VmSpec<'_>) -> Self {
        let address = |address: &&str| json!({"ip_address": address.split('/').next()});
        let fixed_ips: Vec<Value> = spec.addresses.iter().map(address).collect();
        let port = json!({"network_id": spec.network, "name": spec.name, "project_id": spec.project,
            "anycast": spec.anycast, "fixed_ips": fixed_ips, "binding:host_id": spec.host});
        let made = bench.http().create("ports", &json!({ "port": port }));
        let text = |name: &str| made[name].as_str().expect("a port has it").to_owned();
        let (port, mac) = (text("id"), text("mac_address"));
        let node = format!("{}.{}", spec.host, spec.name);
        let namespace = bench.namespace(&node);
        let gateways = spec.gateways.iter().map(|gateway| (*gateway).to_owned()).collect();
        // What an interrupted test left.
        let _ = try_run(&format!("ip netns del {namespace}"));
        run(&format!("ip netns add {namespace}"));
        let vm = Self { node, port, namespace, gateways };
        run(&format!(
            "ip -n {} link add tap{} type veth peer name eth0 address {mac} netns {}",
            bench.namespace(spec.host),
            &vm.port[..11],
            vm.namespace
        ));
        run(&format!("ip -n {} link set tap{} up", bench.namespace(spec.host), &vm.port[..11]));
        run(&format!("ip -n {} link set lo up", vm.namespace));
        for address in spec.addresses {
            let lasting = if address.contains(':') { "nodad" } else { "" };
            run(&format!("ip -n {} address add {address} dev eth0 {lasting}", vm.namespace));
        }
        vm.set_keep();
        vm.join();
        vm
    }

    /// Has IPv6 addresses outlive the link's being down, as a machine's own configuration does.
    fn set_keep(&self) {
        let setting = "net.ipv6.conf.eth0.keep_addr_on_down=1";
        run(&format!("ip netns exec {} sysctl -qw {setting}", self.namespace));
    }

    /// Gives its vNIC a carrier.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn join(&self) {
        run(&format!("ip -n {} link set eth0 up", self.namespace));
        for gateway in &self.gateways {
            run(&format!("ip -n {} route replace default via {gateway} dev eth0 onlink", self.namespace));
        }
    }

    /// Takes the carrier from its vNIC.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn cut(&self) {
        run(&format!("ip -n {} link set eth0 down", self.namespace));
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // Its links go with it.
        if let Err(error) = try_run(&format!("ip netns del {}", self.namespace)) {
            eprintln!("{} is not gone: {error}", self.namespace);
        }
    }
}
