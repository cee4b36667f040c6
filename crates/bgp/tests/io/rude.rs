//! A neighbour made by hand: it says what a test wants, in bytes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use weft_bgp::wire::{
    Attributes, Capability, Codec, Destination, Family, Message, Open, Payload, PeerKind, Route, encode,
    pack_announcements, pack_withdrawals,
};
use weft_net::Asn;

/// Routes in one go.
const CHUNK: u32 = 1000;

pub(crate) struct Rude {
    stream: TcpStream,
    codec: Codec,
}

fn routes(range: Range<u32>) -> Vec<Route> {
    let destination = |number: u32| {
        let prefix = format!("{}/32", Ipv4Addr::from(0x3000_0000 + number));
        Destination::Ipv4(prefix.parse().expect("a prefix"))
    };
    range
        .map(|number| Route { path_id: None, destination: destination(number), payload: Payload::None })
        .collect()
}

fn announcement(codec: &Codec, range: Range<u32>, med: u32) -> Vec<u8> {
    let mut attributes = Attributes::new(IpAddr::from([192, 0, 2, 3]).into());
    attributes.local_pref = Some(100);
    attributes.multi_exit_disc = Some(med);
    let messages = pack_announcements(Family::Ipv4Unicast, &attributes, routes(range), codec);
    messages.expect("attributes are short").concat()
}

/// A message's type and body; nothing, if the connection ends.
async fn message(from: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 19];
    from.read_exact(&mut header).await?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[16], header[17]])) - header.len()];
    from.read_exact(&mut body).await?;
    Ok((header[18], body))
}

/// The code and subcode of the NOTIFICATION that comes, if one does before the connection ends.
async fn notification(from: &mut (impl AsyncReadExt + Unpin)) -> Option<[u8; 2]> {
    loop {
        let (kind, body) = message(from).await.ok()?;
        if kind == 3 {
            return Some([body[0], body[1]]);
        }
    }
}

impl Rude {
    /// A connection on which nothing was said.
    pub(crate) async fn connect(from: IpAddr, to: SocketAddr) -> Self {
        let begin = Instant::now();
        loop {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind(SocketAddr::new(from, 0)).expect("an address of the loopback");
            match socket.connect(to).await {
                Ok(stream) => {
                    return Self {
                        stream,
                        codec: Codec { four_octet_as: true, ..Codec::new(PeerKind::Internal) },
                    };
                }
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(10), "{error}"),
            }
        }
    }

    /// A session; tried again while the other rests.
    pub(crate) async fn open(from: IpAddr, to: SocketAddr) -> Self {
        let begin = Instant::now();
        loop {
            let mut rude = Self::connect(from, to).await;
            if rude.handshake().await.is_ok() {
                return rude;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "no session");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn handshake(&mut self) -> std::io::Result<()> {
        let capabilities = vec![
            Capability::Multiprotocol(Family::Ipv4Unicast.raw()),
            Capability::FourOctetAs(Asn::new(65_000)),
        ];
        let open =
            Open { my_as: 65_000, hold_time_s: 0, router_id: Ipv4Addr::new(10, 0, 0, 3), capabilities };
        self.send(&Message::Open(open)).await?;
        self.send(&Message::Keepalive).await?;
        for expected in [1, 4] {
            if message(&mut self.stream).await?.0 != expected {
                return Err(std::io::ErrorKind::ConnectionRefused.into());
            }
        }
        Ok(())
    }

    async fn send(&mut self, message: &Message) -> std::io::Result<()> {
        self.stream.write_all(&encode(message, &self.codec)).await
    }

    pub(crate) async fn keepalive(&mut self) {
        self.send(&Message::Keepalive).await.expect("the session lives");
    }

    /// Announces routes, each time with other attributes.
    pub(crate) async fn announce(&mut self, range: Range<u32>, med: u32) {
        let bytes = announcement(&self.codec, range, med);
        self.stream.write_all(&bytes).await.expect("the session lives");
    }

    pub(crate) async fn withdraw(&mut self, range: Range<u32>) {
        let bytes = pack_withdrawals(Family::Ipv4Unicast, routes(range), &self.codec).concat();
        self.stream.write_all(&bytes).await.expect("the session lives");
    }

    /// Announces up to so many routes, until the connection is closed, whatever it is told meanwhile; answers the code and subcode
    /// of the NOTIFICATION that it was told (RFC 4271 §4.5), if it was.
    pub(crate) async fn announce_if_it_goes(mut self, count: u32) -> Option<[u8; 2]> {
        let codec = self.codec;
        let (mut from, mut to) = self.stream.split();
        let telling = async {
            for first in (0..count).step_by(CHUNK as usize) {
                if to.write_all(&announcement(&codec, first..first + CHUNK, 0)).await.is_err() {
                    return;
                }
            }
        };
        let ((), told) = tokio::join!(telling, notification(&mut from));
        told
    }

    /// Waits until the other side has said OPEN.
    pub(crate) async fn until_opened(&mut self) {
        assert_eq!(message(&mut self.stream).await.expect("the connection lives").0, 1);
    }

    /// Waits until the other side has closed.
    pub(crate) async fn until_closed(&mut self) {
        // A reset says so as well.
        let _last = notification(&mut self.stream).await;
    }

    pub(crate) async fn half_a_message(&mut self) {
        let bytes = encode(&Message::Keepalive, &self.codec);
        // The other side may have closed already.
        let _lost = self.stream.write_all(&bytes[..10]).await;
    }

    /// Closes at once: what is on the way is lost.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("a socket");
    }
}
