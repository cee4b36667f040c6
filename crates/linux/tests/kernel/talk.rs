//! Words that are said in one network namespace and heard, or not, in another.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::common::run;

/// For what must arrive.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// For what must not.
pub(crate) const LONG_ENOUGH: Duration = Duration::from_millis(300);
pub(crate) const PORT: u16 = 7007;

/// Runs something in a network namespace.
pub(crate) fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let file = std::fs::File::open(format!("/run/netns/{namespace}")).unwrap();
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// A socket that hears what is sent to an address in a namespace.
pub(crate) fn ear(namespace: &str, address: &str) -> UdpSocket {
    let address = SocketAddr::new(address.parse().unwrap(), PORT);
    inside(namespace, || UdpSocket::bind(address).unwrap())
}

/// Sends a word; whether it can be sent at all does not matter.
pub(crate) fn say(namespace: &str, to: &str, word: &str) {
    let to = SocketAddr::new(to.parse().unwrap(), PORT);
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let _unreachable = inside(namespace, || UdpSocket::bind(any).unwrap().send_to(word.as_bytes(), to));
}

pub(crate) fn hears(ear: &UdpSocket, within: Duration) -> Option<String> {
    ear.set_read_timeout(Some(within)).unwrap();
    let mut buffer = [0; 2000];
    match ear.recv(&mut buffer) {
        Ok(length) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
        Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The first word over links that were just made, said again while it is not heard: the kernel drops what is sent over a link
/// that it has not told of as running yet.
pub(crate) fn first_word(ear: &UdpSocket, say: impl Fn()) -> Option<String> {
    (0..5).find_map(|_| {
        say();
        hears(ear, SOON / 2)
    })
}

/// Says a word and answers whether it arrived.
pub(crate) fn arrives(from: &str, to: &str, ear: &UdpSocket, within: Duration) -> bool {
    say(from, to, "hello");
    hears(ear, within).is_some()
}

/// Says a word to everybody on a link.
pub(crate) fn shout(namespace: &str, link: &str, word: &str) {
    run(&format!("ip -n {namespace} route replace 255.255.255.255/32 dev {link}"));
    inside(namespace, || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(word.as_bytes(), ("255.255.255.255", PORT)).unwrap();
    });
}
