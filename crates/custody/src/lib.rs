//! Custody: keyholders, policies, and the one function through which every wrapped key is made or opened.
//!
//! In scope: the grammar of policies, keyholders of the kinds `file`, `passphrase`, `age` and `aws-kms`, and
//! [`Custody`], which wraps keys under a policy and unwraps them again.
//!
//! Out of scope: where wrapped keys are stored, who may ask for them, and how a person is asked for a secret.
//!
//! Invariant: wrapping needs public data only, or a provider's permission that does not allow to unwrap, so that a
//! host that can read nothing can open a new epoch. Unwrapping needs the secret, or the permission.
//!
//! Invariant: a [`Keyholder`] is called in one place only, [`Custody::key_use`], which tells an
//! [`Observer`] before and after. An observer that cannot record a key use stops it.

pub mod custody;
pub mod holder;
pub mod holders;
pub mod observer;
pub mod policy;
pub mod reason;
pub mod secrets;

pub use custody::{Custody, CustodyError, Failure, Product, Retry, Work};
pub use holder::{
    Answer, Effort, HolderError, HolderState, Keyholder, Operation, Reply, Switch, SwitchError,
};
pub use observer::{CountingObserver, KeyUse, Observer, Outcome, Refusal, Unobserved};
pub use policy::PolicyError;
pub use reason::{Reason, ReasonCode};
pub use secrets::{NobodyThere, PassphraseSource, Prompts, Secrets};
