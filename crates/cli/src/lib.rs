//! The command line, weft.
