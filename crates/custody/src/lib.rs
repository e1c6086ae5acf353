//! Custody: keyholders, policies, and the one function through which every wrapped key is made or opened.
//!
//! In scope: the grammar of policies, the kinds of keyholders, [`Custody`], which wraps keys under a policy and
//! unwraps them again, the [`ceremony`] by which key material is split among custodians, and the rights that
//! providers should give ([`hardening`]).
//!
//! Out of scope: where wrapped keys are stored, who may ask for them, and how a person is asked for a secret.
//!
//! Invariant: wrapping by `file`, `passphrase` and `age` needs public data only, and by a provider the right to
//! encrypt only, so that a host that can read nothing can open a new epoch. Unwrapping needs the secret. A
//! `pkcs11` key wraps and unwraps on its token.
//!
//! Invariant: a [`Keyholder`] is called in one place only, [`Custody::key_use`], which tells an
//! [`Observer`] before and after. An observer that cannot record a key use stops it.

pub mod ceremony;
pub mod compare;
pub mod custody;
pub mod hardening;
pub mod holder;
pub mod holders;
pub mod observer;
pub mod policy;
pub mod quorum;
pub mod reason;
pub mod review;
pub mod secrets;

mod opening;
mod seats;
mod shares;

pub use custody::{Custody, CustodyError, DEFAULT_LEASE, Failure, Product, Retry, Work};
pub use holder::{
    Answer, Effort, HolderError, HolderState, Keyholder, Operation, Reply, Switch, SwitchError,
};
pub use observer::{CountingObserver, KeyUse, Observer, Outcome, Refusal, Unobserved};
pub use policy::PolicyError;
pub use reason::{Reason, ReasonCode};
pub use secrets::{NobodyThere, PassphraseSource, Prompts, Secrets};
