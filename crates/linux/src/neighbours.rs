//! How many neighbours the kernel keeps, of IPv4 and of IPv6: one table each for all network namespaces of the host, so that what
//! one tenant makes it keep may be missing to another, and to the host itself.
//!
//! What the intent tells are permanent entries, which do not count. What counts is what is learned: of the host's own network, and
//! by gateways of those who ask them.

use std::fs;
use std::io;
use std::path::PathBuf;

/// Settings, and the least that each has to be: from the first on the kernel takes entries out that were not heard of for five
/// seconds, and more than the second it never has. Without this they are 512 and 1,024.
const LEAST: [(&str, u32); 2] = [("gc_thresh2", 32_768), ("gc_thresh3", 65_536)];

/// Raises the limits that are lower. Only the first network namespace has them: in another one this does nothing.
pub(crate) fn make_room() -> io::Result<()> {
    for family in ["ipv4", "ipv6"] {
        for (name, least) in LEAST {
            let path: PathBuf = ["/proc/sys/net", family, "neigh/default", name].iter().collect();
            match fs::read_to_string(&path) {
                Ok(text) if text.trim().parse().is_ok_and(|limit: u32| limit < least) => {
                    fs::write(&path, least.to_string())?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
