//! TAP devices: the one kind of link that netlink cannot make.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use weft_net::IfName;

const TUNSETPERSIST: libc::c_ulong = 0x4004_54cb;
const TUNSETIFINDEX: libc::c_ulong = 0x4004_54da;
/// `TUNSETIFF` is declared with an `int`, and reads a `struct ifreq`.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
/// Fail if a device of this name exists, instead of attaching to it: it would be somebody else's.
const IFF_TUN_EXCL: libc::c_short = 0x8000_u16.cast_signed();

/// A TAP device that ends with this value, unless it is kept.
pub(crate) struct Tap(File);

impl Tap {
    /// Makes one in the calling thread's network namespace.
    pub(crate) fn create(name: IfName, index: u32) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
        set_device(&file, name, index)?;
        Ok(Self(file))
    }

    /// Lets it live on without us.
    pub(crate) fn keep(self) -> io::Result<()> {
        #[expect(unsafe_code, reason = "nix has no safe wrapper for TUNSETPERSIST")]
        // SAFETY: the descriptor is open for the whole call, and the argument is a plain number.
        unsafe {
            Errno::result(libc::ioctl(self.0.as_raw_fd(), TUNSETPERSIST, 1))?;
        }
        Ok(())
    }
}

fn set_device(file: &File, name: IfName, index: u32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "nix has no safe wrapper for TUNSETIFF and TUNSETIFINDEX")]
    // SAFETY: `ifreq` is plain data for which all zeros is a value; both arguments outlive their calls, and the kernel
    // reads and writes no more than a `c_uint` and an `ifreq` behind them.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(name.as_str().bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags =
            libc::IFF_TAP as libc::c_short | libc::IFF_NO_PI as libc::c_short | IFF_TUN_EXCL;
        Errno::result(libc::ioctl(file.as_raw_fd(), TUNSETIFINDEX, &raw const index))?;
        Errno::result(libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request))?;
    }
    Ok(())
}
