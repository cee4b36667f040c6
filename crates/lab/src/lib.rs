//! Many hosts on one machine, each in a network namespace.
