//! A client of Weft's REST API.
