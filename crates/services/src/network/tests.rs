//! Tests of networks, subnets and ports.
