//! One durable, versioned, watched model.
