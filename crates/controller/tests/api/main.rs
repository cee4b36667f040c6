//! The controller in this process, spoken to over real sockets: what it answers, and for whom nobody has to wait.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod audit;
mod disk;
mod explain;
mod history;
mod http;
mod places;
mod reception;
mod rollback;
mod status;
mod support;
mod transfer;
mod waiting;
mod watch;
