//! What a host should look like: objects, state, diff, plan, and the trait of what carries a plan out.
