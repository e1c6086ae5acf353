//! Posture: who can hurt the keys and the backups of an organisation, and by which path.
//!
//! In scope: the [`estate`], a model of what AWS was asked and what it answered; [`load`], which reads it from
//! files; [`policy`], policies compiled; [`matching`], their wildcards and variables; [`conditions`], their conditions,
//! three-valued; [`evaluate`], whether a principal may do something; [`facts`], the published ways by which one identity
//! becomes another or does harm; [`graph`], which of these ways lead to a key; [`analysis`], what that is
//! worth against best practices, and how it is told; [`fixes`], the fewest edits that close it.
//!
//! Out of scope: asking AWS, printing, and every key and backup of our own: this crate knows nothing of a vault.
//!
//! Invariant: what was not collected is known as such. Nothing here turns an absent file into an answer.

pub mod analysis;
pub mod conditions;
pub mod estate;
pub mod evaluate;
pub mod facts;
pub mod fixes;
pub mod graph;
pub mod load;
pub mod matching;
pub mod policy;
