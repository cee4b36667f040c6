//! The agent of a host: intent in, reconcile loop, status out.
