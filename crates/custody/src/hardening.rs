//! The least rights that the roles of a vault need at each kind of provider, as text for people to apply.
//!
//! Nothing here talks to a provider.

pub mod transit;
