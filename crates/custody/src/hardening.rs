//! The least rights that the roles of a vault need at each kind of provider, as text for people to apply.
//!
//! Nothing here talks to a provider.

#[cfg(feature = "aws-kms")]
pub mod aws_kms;
pub mod transit;
