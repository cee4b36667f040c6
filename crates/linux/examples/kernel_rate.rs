//! How fast the driver changes and looks at a kernel, beside a bare loop that sends the same messages.
//!
//! `cargo run --release -p weft-linux --example kernel_rate` (as root; in namespaces of its own).

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};
use weft_dataplane::{
    Driver, Link, LinkId, LinkKind, Namespace, NextHop, Object, Route, State, VxlanFdb, diff,
};
use weft_linux::{Config, LinuxHost};
use weft_net::{IfName, Mac};

const ENTRIES: u32 = 20_000;
const ROUNDS: usize = 5;
const BATCH: usize = 1000;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A namespace that goes with the value.
struct Bench(String);

impl Drop for Bench {
    fn drop(&mut self) {
        for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&self.0) {
                let _gone = ip(&format!("netns del {name}"));
            }
        }
    }
}

fn ip(arguments: &str) -> Outcome<()> {
    let status = Command::new("ip").args(arguments.split(' ')).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip {arguments}: {status}").into()) }
}

fn main() -> Outcome<()> {
    let bench = Bench(format!("wk{}.", std::process::id()));
    ip(&format!("netns add {}h", bench.0))?;
    ip(&format!("-n {}h link set lo up", bench.0))?;
    let open = || {
        let namespace = Some(format!("/run/netns/{}h", bench.0).into());
        LinuxHost::open(Config { namespace, namespace_prefix: format!("{}h.", bench.0) })
    };
    let mut host = open()?;
    let base: State = [link("vx1", vxlan(1)?)?, link("up0", LinkKind::Tap)?].into_iter().collect();
    apply(&mut host, &base)?;
    println!("{ENTRIES} entries, median of {ROUNDS}; per second");
    for what in [What::Fdb, What::Routes] {
        rates(&mut host, &bench, &base, what)?;
    }
    looks(&mut host, &base)?;
    drop(host);
    cold_open(&bench, &open)?;
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum What {
    Fdb,
    Routes,
}

fn rates(host: &mut LinuxHost, bench: &Bench, base: &State, what: What) -> Outcome<()> {
    let index = |name: &str| -> Outcome<u32> {
        let text =
            Command::new("ip").args(["-n", &format!("{}h", bench.0), "-o", "link", "show", name]).output()?;
        Ok(String::from_utf8(text.stdout)?.split(':').next().unwrap_or_default().trim().parse()?)
    };
    let device = index(match what {
        What::Fdb => "vx1",
        What::Routes => "up0",
    })?;
    let socket = bare_socket(&bench.0)?;
    let want: State = base.iter().map(|(_, object)| object.clone()).chain(objects(what)).collect();
    let (mut ours, mut single, mut batched) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(apply(host, &want)?);
        apply(host, base)?;
        for (size, times) in [(1, &mut single), (BATCH, &mut batched)] {
            // The driver's event socket would slow the bare loop, and the bare loop is to be bare.
            times.push(bare(&socket, device, what, size)?);
            bare_delete(&socket, device, what)?;
            host.resync();
            host.observe()?;
        }
    }
    let (ours, single, batched) = (rate(ours), rate(single), rate(batched));
    println!(
        "{what:?}: driver {ours:.0}; bare, one a send {single:.0} (ratio {:.2}); bare, {BATCH} a send {batched:.0} (ratio {:.2})",
        ours / single,
        ours / batched
    );
    Ok(())
}

fn rate(mut times: Vec<Duration>) -> f64 {
    times.sort();
    f64::from(ENTRIES) / times[times.len() / 2].as_secs_f64()
}

fn apply(host: &mut LinuxHost, want: &State) -> Outcome<Duration> {
    let plan = diff(host.observe()?, want);
    let start = Instant::now();
    let outcomes = host.apply(&plan);
    let time = start.elapsed();
    outcomes.into_iter().collect::<Result<(), _>>()?;
    Ok(time)
}

fn looks(host: &mut LinuxHost, base: &State) -> Outcome<()> {
    let mut want: State = base.iter().map(|(_, object)| object.clone()).chain(objects(What::Fdb)).collect();
    apply(host, &want)?;
    want.insert(Object::VxlanFdb(entry(0, 99)?));
    let start = Instant::now();
    let have = host.observe()?;
    let observed = start.elapsed();
    let plan = diff(have, &want);
    println!(
        "at {ENTRIES} objects: observe {observed:?}, with diff {:?} ({} step)",
        start.elapsed(),
        plan.steps.len()
    );
    apply(host, base).map(|_| ())
}

/// 200 links in 20 namespaces, and entries up to 10,000 objects.
fn cold_open(bench: &Bench, open: &dyn Fn() -> Result<LinuxHost, weft_linux::OpenError>) -> Outcome<()> {
    let mut host = open()?;
    let mut want = State::default();
    want.insert(link("vx1", vxlan(1)?)?);
    for number in 0..20 {
        want.insert(Object::Namespace(format!("n{number}").parse()?));
        for link_number in 0..10 {
            let namespace = Namespace::Named(format!("n{number}").parse()?);
            let peer = LinkId { namespace, name: format!("eth{link_number}").parse()? };
            let mac = Mac::new([2, 0, 0, 1, number, link_number]);
            want.insert(link(&format!("t{number}-{link_number}"), LinkKind::Veth { peer, peer_mac: mac })?);
        }
    }
    want = want
        .iter()
        .map(|(_, object)| object.clone())
        .chain(objects(What::Fdb).take(10_000 - want.len()))
        .collect();
    apply(&mut host, &want)?;
    drop(host);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut host = open()?;
        let length = host.observe()?.len();
        times.push(start.elapsed());
        assert!(length >= want.len(), "all is seen");
    }
    times.sort();
    println!(
        "cold open of {} objects with 200 veths in 20 namespaces of {}: {:?}",
        want.len(),
        bench.0,
        times[ROUNDS / 2]
    );
    apply(&mut open()?, &State::default()).map(|_| ())
}

fn name(text: &str) -> Outcome<IfName> {
    Ok(text.parse()?)
}

fn vxlan(vni: u32) -> Outcome<LinkKind> {
    Ok(LinkKind::Vxlan { vni: vni.try_into()?, local: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 4789 })
}

fn link(text: &str, kind: LinkKind) -> Outcome<Object> {
    let mark = format!("weft.rate.{text}").parse()?;
    Ok(Object::Link(Link { id: LinkId::on_host(name(text)?), mark, mtu: 1450, up: true, kind }))
}

fn octets(number: u32) -> [u8; 3] {
    let [_, a, b, c] = number.to_be_bytes();
    [a, b, c]
}

fn mac(number: u32) -> Mac {
    let [a, b, c] = octets(number);
    Mac::new([2, 0, 0, a, b, c])
}

fn entry(number: u32, remote: u8) -> Outcome<VxlanFdb> {
    let destination = IpAddr::V4(Ipv4Addr::new(192, 0, 2, remote));
    Ok(VxlanFdb { link: LinkId::on_host(name("vx1")?), mac: mac(number), destination })
}

fn objects(what: What) -> impl Iterator<Item = Object> {
    (0..ENTRIES).filter_map(move |number| match what {
        What::Fdb => entry(number, 1).ok().map(Object::VxlanFdb),
        What::Routes => {
            let [a, b, c] = octets(number);
            let destination = ipnet::Ipv4Net::new(Ipv4Addr::new(10, a, b, c), 32).ok()?.into();
            let next_hop = NextHop { via: None, link: "up0".parse().ok()? };
            Some(Object::Route(Route { namespace: Namespace::Host, table: 254, destination, next_hop }))
        }
    })
}

fn bare_socket(prefix: &str) -> Outcome<Socket> {
    let file = std::fs::File::open(format!("/run/netns/{prefix}h"))?;
    let open = move || -> std::io::Result<Socket> {
        setns(file, CloneFlags::CLONE_NEWNET)?;
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_cap_ack(true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20))?;
        Ok(socket)
    };
    Ok(std::thread::spawn(open).join().map_err(|_| "the thread panicked")??)
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
        What::Fdb => {
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

fn bare(socket: &Socket, device: u32, what: What, size: usize) -> Outcome<Duration> {
    send_all(socket, size, |number| message(device, what, number, false))
}

fn bare_delete(socket: &Socket, device: u32, what: What) -> Outcome<Duration> {
    send_all(socket, BATCH, |number| message(device, what, number, true))
}

/// Sends all messages, `size` a send, and waits for each one's acknowledgement.
fn send_all(socket: &Socket, size: usize, make: impl Fn(u32) -> Vec<u8>) -> Outcome<Duration> {
    let messages: Vec<Vec<u8>> = (0..ENTRIES).map(make).collect();
    let batches: Vec<(usize, Vec<u8>)> =
        messages.chunks(size).map(|part| (part.len(), part.concat())).collect();
    let mut buffer = Vec::with_capacity(64 * 1024);
    let start = Instant::now();
    for (count, batch) in batches {
        socket.send(&batch, 0)?;
        for _ in 0..count {
            buffer.clear();
            socket.recv(&mut buffer, 0)?;
            if buffer.get(16..20) != Some(&[0; 4]) {
                return Err(format!("refused: {:?}", &buffer[..]).into());
            }
        }
    }
    Ok(start.elapsed())
}
