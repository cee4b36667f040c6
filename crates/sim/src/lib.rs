//! The whole system in one process: fake clock, faults, seeds.
