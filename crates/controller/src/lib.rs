//! The controller of a site: the REST API, the model's store, and what each agent is sent.
//!
//! Never here: the kernel, netlink, what a resource means (that is `weft-services`).
//!
//! ```text
//!  REST ── api ── Site::transact ──> services (pure) ──> store ══ durable ══> 201
//!                                                          │ watch
//!                                        agents::Distribution (pure): who has to know what
//!                                                          │ fragments, encoded once
//!  agents ══ gRPC, mutual TLS ══ agents::server <──────────┘
//! ```

pub mod agents;
pub mod api;
pub mod bgp;
pub mod checkpoint;
pub mod config;
pub mod head;
pub mod note;
pub mod site;

mod metrics;
