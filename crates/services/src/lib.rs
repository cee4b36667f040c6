//! What tenants may ask for: the catalogue of resources, the checks of a change, and its compilation.
