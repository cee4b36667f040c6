//! What controller and agent say to each other.
