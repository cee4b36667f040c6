//! Frames as they are on a link, with their VLAN tags.
//!
//! The kernel keeps a frame's outermost tag beside its bytes; here it is put where it is on a wire.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, socket,
};

use crate::talk::inside;

/// `ETH_P_8021Q`.
const TAGGED: [u8; 2] = [0x81, 0];
/// `TP_STATUS_VLAN_VALID`.
const HAS_TAG: u32 = 1 << 4;

/// Asks for the tag beside each frame.
#[expect(unsafe_code, reason = "nix has no safe wrapper for PACKET_AUXDATA")]
fn ask_for_tags(socket: &OwnedFd) {
    let yes: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&yes)).unwrap();
    // SAFETY: the kernel reads an integer of this size from a live address.
    let code = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_AUXDATA,
            std::ptr::from_ref(&yes).cast(),
            size,
        )
    };
    assert_eq!(code, 0, "{}", std::io::Error::last_os_error());
}

/// Hears all frames in a namespace, from its making on.
pub(crate) struct Capture(OwnedFd);

/// A frame without its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The index of the link on which it was.
    pub(crate) link: usize,
    /// VLAN identifiers, the outermost first.
    pub(crate) vlans: Vec<u16>,
    /// The type of what it carries, and all that follows.
    pub(crate) rest: Vec<u8>,
}

impl Capture {
    pub(crate) fn begin(namespace: &str) -> Self {
        inside(namespace, || {
            let (kind, flags) = (SockType::Raw, SockFlag::SOCK_NONBLOCK);
            let socket = socket(AddressFamily::Packet, kind, flags, SockProtocol::EthAll).unwrap();
            ask_for_tags(&socket);
            Self(socket)
        })
    }

    /// The frames that were heard since the last time.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut bytes = [0; 4000];
        let mut space = nix::cmsg_space!([u8; 20]);
        loop {
            let mut into = [IoSliceMut::new(&mut bytes)];
            let Ok(heard) =
                recvmsg::<LinkAddr>(self.0.as_raw_fd(), &mut into, Some(&mut space), MsgFlags::empty())
            else {
                return frames;
            };
            let (length, link) = (heard.bytes, heard.address.map_or(0, |address| address.ifindex()));
            let outermost = heard.cmsgs().unwrap().find_map(|message| tag_beside(&message));
            frames.push(frame(link, outermost, &bytes[..length]));
        }
    }
}

/// The tag in `struct tpacket_auxdata`.
fn tag_beside(message: &ControlMessageOwned) -> Option<u16> {
    let ControlMessageOwned::Unknown(message) = message else { return None };
    let status = u32::from_ne_bytes(message.data_bytes.get(..4)?.try_into().unwrap());
    let tag = u16::from_ne_bytes(message.data_bytes.get(16..18)?.try_into().unwrap());
    (status & HAS_TAG != 0).then_some(tag)
}

fn frame(link: usize, outermost: Option<u16>, bytes: &[u8]) -> Frame {
    let mut vlans: Vec<u16> = outermost.into_iter().collect();
    // After the two addresses.
    let mut rest = &bytes[12..];
    while rest[..2] == TAGGED {
        vlans.push(u16::from_be_bytes([rest[2], rest[3]]));
        rest = &rest[4..];
    }
    // The upper four bits are a priority.
    Frame { link, vlans: vlans.iter().map(|tag| tag & 0xfff).collect(), rest: rest.to_vec() }
}
