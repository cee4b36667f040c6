//! Where neighbours connect to: for one speaker, or for several that share the addresses.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};

use super::keys::Keys;
use super::socket;
use crate::speaker::Md5Key;

/// How long nothing is accepted after the kernel had nothing to give: the one that waits would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on some addresses; on none, nobody ever comes.
#[derive(Debug, Default)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    keys: Keys,
    /// Nothing is accepted until then: the kernel could not just now.
    accepting_from: Option<tokio::time::Instant>,
}

/// A connection that a neighbour has made.
#[derive(Debug)]
pub struct Accepted {
    pub(super) stream: TcpStream,
    /// Its address.
    pub remote: IpAddr,
    /// It should be signed, if it is a neighbour's with a key, and may not be.
    pub(super) is_unverified: bool,
}

impl Listener {
    /// Listens on these addresses; of IPv6, not for IPv4 too.
    ///
    /// # Errors
    /// When one of them cannot be listened on; says which.
    pub fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let listen = |address: &SocketAddr| {
            let listened = socket::listen(*address);
            listened.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
        };
        let sockets = addresses.iter().map(listen).collect::<io::Result<_>>()?;
        Ok(Self { sockets, ..Self::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// Whose packets must be signed from now on, and with which keys (RFC 2385), if that has changed; what could not be set is tried
    /// again once it is time.
    pub fn set_md5_keys(&mut self, wanted: Option<BTreeMap<IpNet, Md5Key>>, now: Instant) {
        let Self { sockets, keys, .. } = self;
        keys.update(wanted, now, |prefix, key| {
            sockets.iter().try_for_each(|listener| {
                // A listener is of one address family alone.
                let is_of = listener.local_addr()?.is_ipv4() == prefix.addr().is_ipv4();
                if is_of { socket::set_md5_key(listener, prefix, key) } else { Ok(()) }
            })
        });
    }

    /// When [`Listener::set_md5_keys`] is to be asked at the latest.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Instant> {
        self.keys.retry_at()
    }

    /// Waits for the next connection. When the kernel has none to give (too many are open, or it went again), goes on after a pause.
    /// Whoever stops waiting has lost nothing.
    pub async fn accept(&mut self) -> Accepted {
        loop {
            if let Some(from) = self.accepting_from {
                tokio::time::sleep_until(from).await;
                self.accepting_from = None;
            }
            match self.next().await {
                Ok((stream, remote)) => {
                    let remote = remote.ip().to_canonical();
                    return Accepted { stream, remote, is_unverified: self.keys.is_unverified(remote) };
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.accepting_from = Some(tokio::time::Instant::now() + ACCEPT_PAUSE);
                }
            }
        }
    }

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            let mut sockets = self.sockets.iter().map(|socket| socket.poll_accept(context));
            sockets.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }
}
