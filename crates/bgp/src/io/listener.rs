//! Where neighbours connect to: for one speaker, or for several that share the addresses.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};

use super::socket;

/// Listens on some addresses; on none, nobody ever comes.
#[derive(Debug, Default)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    md5_keys: Vec<(IpNet, String)>,
}

/// A connection that a neighbour has made.
#[derive(Debug)]
pub struct Accepted {
    pub(super) stream: TcpStream,
    /// Its address.
    pub remote: IpAddr,
}

impl Listener {
    /// Listens on these addresses; of IPv6, not for IPv4 too.
    ///
    /// # Errors
    /// When one of them cannot be listened on.
    pub fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let sockets = addresses.iter().map(|address| socket::listen(*address)).collect::<io::Result<_>>()?;
        Ok(Self { sockets, md5_keys: Vec::new() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// Whose packets must be signed from now on, and with which keys (RFC 2385).
    pub fn set_md5_keys(&mut self, keys: Vec<(IpNet, String)>) {
        if keys == self.md5_keys {
            return;
        }
        let gone = self.md5_keys.iter().filter(|(prefix, _)| !keys.iter().any(|(other, _)| other == prefix));
        let gone = gone.map(|(prefix, _)| (*prefix, ""));
        for (prefix, key) in gone.chain(keys.iter().map(|(prefix, key)| (*prefix, key.as_str()))) {
            for listener in &self.sockets {
                if let Err(error) = socket::set_md5_key(listener, prefix, key) {
                    tracing::error!(%prefix, %error, "packets to a listener cannot be verified");
                }
            }
        }
        self.md5_keys = keys;
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// When the kernel has none to give: too many are open, or it went again.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let (stream, remote) = poll_fn(|context| {
            let mut sockets = self.sockets.iter().map(|socket| socket.poll_accept(context));
            sockets.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await?;
        Ok(Accepted { stream, remote: remote.ip().to_canonical() })
    }
}
