//! Whole speakers with each other: sessions, routes, restarts, limits.

mod convergence;
mod instances;
mod network;
mod restart;
mod segments;
mod sessions;
mod transit;
mod views;
