//! Drivers for the Linux host: netlink in, netlink out.
