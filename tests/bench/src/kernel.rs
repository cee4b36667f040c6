//! The driver, beside a bare loop that sends the kernel as many messages, in one namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt};
use weft_dataplane::{
    Driver, Link, LinkId, LinkKind, Namespace, Neighbour, Object, Route, RouteTo, State, Vrf, VxlanFdb, diff,
};
use weft_linux::{Config, LinuxHost};
use weft_net::{IfName, Mac};

use crate::figure::{Figure, median};
use crate::namespace::{Namespaces, ip, within};

/// The router of a VRF's routes.
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
const ROUNDS: usize = 5;
/// Messages in one `send` of the bare loop that sends many.
const BATCH: usize = 1000;

pub(crate) fn forwarding_entries() -> anyhow::Result<Vec<Figure>> {
    let rates = measure(What::ForwardingEntries)?;
    Ok(vec![
        Figure::new("kernel_fdb", rates.driver, "/s").beside(rates.single, 0.8),
        Figure::new("kernel_fdb/beside_batches", rates.driver, "/s").beside(rates.batched, 0.8),
    ])
}

pub(crate) fn routes() -> anyhow::Result<Vec<Figure>> {
    let rates = measure(What::Routes)?;
    Ok(vec![
        Figure::new("kernel_routes", rates.driver, "/s").beside(rates.single, 0.8),
        Figure::new("kernel_routes/beside_batches", rates.driver, "/s").beside(rates.batched, 0.8),
    ])
}

pub(crate) fn vrf_routes() -> anyhow::Result<Vec<Figure>> {
    let rates = measure(What::VrfRoutes)?;
    Ok(vec![
        Figure::new("kernel_vrf_routes", rates.driver, "/s").beside(rates.single, 0.7),
        Figure::new("kernel_vrf_routes/beside_batches", rates.driver, "/s").beside(rates.batched, 0.7),
    ])
}

/// A bare loop that sends routes into one VRF, one message a `send`.
pub(crate) struct BareVrfRoutes(Ground);

impl BareVrfRoutes {
    pub(crate) fn up() -> anyhow::Result<Self> {
        Ok(Self(Ground::up(What::VrfRoutes)?))
    }

    /// The file of the VRF's namespace.
    pub(crate) fn path(&self) -> String {
        self.0.path()
    }

    /// Sends them all; answers when that began.
    pub(crate) fn send(&self) -> anyhow::Result<Instant> {
        let took = self.0.send_all(1, false)?;
        Ok(Instant::now() - took)
    }

    /// Takes them all away.
    pub(crate) fn take_away(&self) -> anyhow::Result<()> {
        self.0.send_all(BATCH, true).map(drop)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    ForwardingEntries,
    Routes,
    /// By way of another router, in a VRF that is a namespace.
    VrfRoutes,
}

/// Entries a second: by the driver, by one message a `send`, by many messages a `send`.
struct Rates {
    driver: f64,
    single: f64,
    batched: f64,
}

/// A host with what entries need, and a socket for the bare loop.
struct Ground {
    what: What,
    host: LinuxHost,
    base: State,
    place: String,
    device: u32,
    socket: Socket,
    _namespace: Namespaces,
}

impl Ground {
    fn up(what: What) -> anyhow::Result<Self> {
        let namespace = Namespaces::new()?;
        let config = Config {
            namespace: Some(namespace.path().into()),
            namespace_prefix: namespace.prefix(),
            ..Config::default()
        };
        let mut host = LinuxHost::open(config)?;
        let base: State = what.surroundings()?.into_iter().collect();
        apply(&mut host, &base)?;
        let place = match what {
            What::ForwardingEntries | What::Routes => namespace.name().to_owned(),
            What::VrfRoutes => format!("{}vrf-1", namespace.prefix()),
        };
        let device = index(&place, what.device())?;
        let socket = within(&path_of(&place), bare_socket)?;
        Ok(Self { what, host, base, place, device, socket, _namespace: namespace })
    }

    fn path(&self) -> String {
        path_of(&self.place)
    }

    /// Has the bare loop make or delete all entries, so many a `send`; answers how long that took.
    fn send_all(&self, size: usize, delete: bool) -> anyhow::Result<Duration> {
        let make = |number| message(self.device, self.what, number, delete);
        send_all(&self.socket, (self.what.entries(), size), make)
    }
}

fn path_of(namespace: &str) -> String {
    format!("/run/netns/{namespace}")
}

fn measure(what: What) -> anyhow::Result<Rates> {
    let mut ground = Ground::up(what)?;
    let base = ground.base.clone();
    let want: State = base.iter().map(|(_, object)| object.clone()).chain(objects(what)).collect();
    let (mut driver, mut single, mut batched) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        driver.push(apply(&mut ground.host, &want)?);
        apply(&mut ground.host, &base)?;
        for (size, times) in [(1, &mut single), (BATCH, &mut batched)] {
            times.push(ground.send_all(size, false)?);
            ground.send_all(BATCH, true)?;
            ground.host.resync();
            ground.host.observe()?;
        }
    }
    let rate = |mut times: Vec<Duration>| f64::from(what.entries()) / median(&mut times).as_secs_f64();
    Ok(Rates { driver: rate(driver), single: rate(single), batched: rate(batched) })
}

fn apply(host: &mut LinuxHost, want: &State) -> anyhow::Result<Duration> {
    let plan = diff(host.observe()?, want);
    let begun = Instant::now();
    let outcomes = host.apply(&plan);
    let took = begun.elapsed();
    outcomes.into_iter().collect::<Result<(), _>>()?;
    Ok(took)
}

pub(crate) fn index(namespace: &str, device: &str) -> anyhow::Result<u32> {
    let text = ip(&["-n", namespace, "-o", "link", "show", device])?;
    Ok(text.split(':').next().unwrap_or_default().trim().parse()?)
}

// ---- the objects ----

impl What {
    const fn entries(self) -> u32 {
        match self {
            Self::ForwardingEntries | Self::Routes => 20_000,
            Self::VrfRoutes => 100_000,
        }
    }

    fn surroundings(self) -> anyhow::Result<Vec<Object>> {
        if self != Self::VrfRoutes {
            return Ok(vec![link("vx1", vxlan(1)?)?, link("up0", LinkKind::Tap)?]);
        }
        let (name, mac) = ("vrf-1".parse()?, mac(1));
        let mark = |text: &str| text.parse();
        let id = LinkId { namespace: Namespace::Vrf(name), name: "vx1".parse()? };
        let LinkKind::Vxlan { vni, local, port, .. } = vxlan(1)? else { return Ok(Vec::new()) };
        let kind = LinkKind::Vxlan { vni, local, port, mac: Some(mac) };
        Ok(vec![
            Object::Vrf(Vrf { name, mark: mark("weft.bench.vrf")?, table: 1001 }),
            Object::Link(Link { id: id.clone(), mark: mark("weft.bench.vx1")?, mtu: 1450, up: true, kind }),
            Object::Neighbour(Neighbour { link: id, address: ROUTER.into(), mac }),
        ])
    }

    const fn device(self) -> &'static str {
        match self {
            Self::ForwardingEntries | Self::VrfRoutes => "vx1",
            Self::Routes => "up0",
        }
    }
}

pub(crate) fn vxlan(vni: u32) -> anyhow::Result<LinkKind> {
    Ok(LinkKind::Vxlan {
        vni: vni.try_into()?,
        local: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 4789,
        mac: None,
    })
}

pub(crate) fn link(name: &str, kind: LinkKind) -> anyhow::Result<Object> {
    let mark = format!("weft.bench.{name}").parse()?;
    Ok(Object::Link(Link { id: LinkId::on_host(name.parse()?), mark, mtu: 1450, up: true, kind }))
}

fn octets(number: u32) -> [u8; 3] {
    let [_, a, b, c] = number.to_be_bytes();
    [a, b, c]
}

fn mac(number: u32) -> Mac {
    let [a, b, c] = octets(number);
    Mac::new([2, 0, 0, a, b, c])
}

/// A forwarding entry of `vx1`.
pub(crate) fn forwarding_entry(number: u32) -> anyhow::Result<Object> {
    let link = LinkId::on_host("vx1".parse::<IfName>()?);
    let destination = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    Ok(Object::VxlanFdb(VxlanFdb { link, mac: mac(number), destination, vni: None }))
}

fn objects(what: What) -> impl Iterator<Item = Object> {
    (0..what.entries()).filter_map(move |number| match what {
        What::ForwardingEntries => forwarding_entry(number).ok(),
        What::Routes => {
            let [a, b, c] = octets(number);
            let destination = ipnet::Ipv4Net::new(Ipv4Addr::new(10, a, b, c), 32).ok()?.into();
            let to = RouteTo::link("up0".parse().ok()?, None);
            Some(Object::Route(Route { namespace: Namespace::Host, table: 254, destination, to }))
        }
        What::VrfRoutes => {
            let [a, b, c] = octets(number);
            let destination = ipnet::Ipv4Net::new(Ipv4Addr::new(10, a, b, c), 32).ok()?.into();
            let to = RouteTo::link("vx1".parse().ok()?, Some(ROUTER.into()));
            let namespace = Namespace::Vrf("vrf-1".parse().ok()?);
            Some(Object::Route(Route { namespace, table: 254, destination, to }))
        }
    })
}

// ---- the bare loop ----

fn bare_socket() -> anyhow::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.set_cap_ack(true)?;
    setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20))?;
    Ok(socket)
}

/// One message: 5 is request and acknowledge, 0x500 create and replace.
fn message(device: u32, what: What, number: u32, delete: bool) -> Vec<u8> {
    let attribute = |kind: u16, payload: &[u8]| {
        let mut bytes = (4 + payload.len() as u16).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let (kind, body): (u16, Vec<u8>) = match what {
        What::ForwardingEntries => {
            let mut fixed = vec![7, 0, 0, 0];
            fixed.extend_from_slice(&device.to_ne_bytes());
            fixed.extend_from_slice(&[0x42, 0, 2, 0]);
            let address = attribute(2, &mac(number).octets());
            (if delete { 29 } else { 28 }, [fixed, address, attribute(1, &[192, 0, 2, 1])].concat())
        }
        What::Routes => {
            let [a, b, c] = octets(number);
            let fixed = vec![2, 32, 0, 0, 254, 217, if delete { 255 } else { 253 }, 1, 0, 0, 0, 0];
            let destination = attribute(1, &[10, a, b, c]);
            (if delete { 25 } else { 24 }, [fixed, destination, attribute(4, &device.to_ne_bytes())].concat())
        }
        What::VrfRoutes => {
            let [a, b, c] = octets(number);
            // On the link, whatever addresses that has.
            let fixed = vec![2, 32, 0, 0, 254, 217, if delete { 255 } else { 0 }, 1, 4, 0, 0, 0];
            let via = [10_u16.to_ne_bytes().to_vec(), ROUTER.octets().to_vec()].concat();
            let parts = [
                fixed,
                attribute(1, &[10, a, b, c]),
                attribute(4, &device.to_ne_bytes()),
                attribute(18, &via),
            ];
            (if delete { 25 } else { 24 }, parts.concat())
        }
    };
    let flags: u16 = if delete { 5 } else { 0x505 };
    let mut bytes = (16 + body.len() as u32).to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&number.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&body);
    bytes
}

/// Sends so many messages, `size` a send, and waits for each one's acknowledgement.
fn send_all(
    socket: &Socket,
    (count, size): (u32, usize),
    make: impl Fn(u32) -> Vec<u8>,
) -> anyhow::Result<Duration> {
    let messages: Vec<Vec<u8>> = (0..count).map(make).collect();
    let batches: Vec<(usize, Vec<u8>)> =
        messages.chunks(size).map(|part| (part.len(), part.concat())).collect();
    let mut buffer = Vec::with_capacity(64 * 1024);
    let begun = Instant::now();
    for (count, batch) in batches {
        socket.send(&batch, 0)?;
        for _ in 0..count {
            buffer.clear();
            socket.recv(&mut buffer, 0)?;
            let code = buffer.get(16..20).context("an answer that is too short")?;
            ensure!(code == [0; 4], "the kernel refuses: {code:?}");
        }
    }
    Ok(begun.elapsed())
}
