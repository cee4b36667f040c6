//! Tests of the core resources.
