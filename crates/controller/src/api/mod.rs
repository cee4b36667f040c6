//! The REST API: Neutron v2.0 and resources of the same shape, all from the catalogue.
//!
//! ```text
//! http.rs ── one connection, one request: limits, request id ──> route.rs ──┬─ resources.rs   /v2.0/{collection}[/{id}]
//!                                                                           ├─ tags.rs        /v2.0/…/tags
//!                                                                           ├─ watch.rs       ?watch=true
//!                                                                           ├─ native.rs      /v1/apply, and on to history.rs, rollback.rs,
//!                                                                           │                bgp.rs, explain.rs, status.rs, transfer.rs
//!                                                                           └─ documents.rs   /, /v2.0/, /openapi.json, …
//! ```

mod accept;
mod bgp;
mod changes;
mod disk;
mod documents;
mod explain;
mod history;
mod http;
mod live;
mod native;
mod notices;
mod openapi;
mod percent;
mod resources;
mod respond;
mod rollback;
mod route;
mod status;
mod tags;
mod transfer;
mod url_query;
mod wanted;
mod watch;

pub use http::serve;
pub use notices::Notices;
pub(crate) use notices::SessionNotice;
pub use route::Api;
