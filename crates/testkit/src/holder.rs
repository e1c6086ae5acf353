//! The conformance suite of keyholders: what every kind promises, run against its real provider.

use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use strongroom_custody::{HolderError, HolderState, Keyholder};
use strongroom_format::{
    Secret32, VaultId,
    context::{Context, Purpose},
};

/// A state of a provider in which it does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The key is switched off.
    Disabled,
    /// The caller has no right to use the key.
    Denied,
    /// The key waits for its deletion.
    PendingDeletion,
    /// The key is gone.
    Deleted,
    /// The provider wants fewer calls.
    Throttled,
    /// Nobody listens at the provider's address.
    Unreachable,
    /// The provider takes the call and does not answer.
    Slow,
}

impl Fault {
    /// All faults, those last from which a key does not come back.
    pub const ALL: [Self; 7] = [
        Self::Disabled,
        Self::Denied,
        Self::Throttled,
        Self::Unreachable,
        Self::Slow,
        Self::PendingDeletion,
        Self::Deleted,
    ];
}

/// A promise that a stand-in for a provider may be known to break, so that it can be left out by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// A wrap opens in its own context only.
    Context,
    /// A changed or shortened wrap does not open.
    Tampering,
    /// What was never wrapped does not open.
    Garbage,
}

/// A real provider, with one key for the suite to use up.
#[async_trait]
pub trait ProviderUnderTest: Send + Sync {
    /// A keyholder that may wrap and unwrap.
    async fn holder(&self) -> Arc<dyn Keyholder>;

    /// Brings the provider into a state, and returns a keyholder for the same key that meets it;
    /// none where this provider has no such state.
    async fn enter(&self, fault: Fault) -> Option<Arc<dyn Keyholder>>;

    /// Ends the state, where it can be ended.
    async fn leave(&self, fault: Fault);

    /// Promises that this stand-in is known to break, each with a comment and a test of what catches it.
    fn broken(&self) -> &[Promise] {
        &[]
    }
}

/// Longest time after which a keyholder gives up on a provider that does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

fn context() -> Context {
    Context { vault: VaultId([7; 16]), dataset: "suite".into(), purpose: Purpose::Read, epoch: 3 }
}

/// Runs every check.
///
/// # Panics
/// At the first promise that is broken.
pub async fn suite(provider: &dyn ProviderUnderTest) {
    let holder = provider.holder().await;
    let blob = round_trip(&*holder).await;
    let kept = |promise| !provider.broken().contains(&promise);
    if kept(Promise::Context) {
        wrong_context(&*holder, &blob).await;
    }
    if kept(Promise::Tampering) {
        tampered(&*holder, &blob).await;
    }
    if kept(Promise::Garbage) {
        garbage(&*holder).await;
    }
    assert_eq!(holder.state().await, HolderState::CanOpen);
    for fault in Fault::ALL {
        let Some(faulty) = provider.enter(fault).await else { continue };
        meets(&*faulty, fault, &blob).await;
        provider.leave(fault).await;
        if !matches!(fault, Fault::Deleted | Fault::PendingDeletion) {
            opens(&*provider.holder().await, &blob, &format!("after {fault:?}")).await;
        }
    }
}

async fn opens(holder: &dyn Keyholder, blob: &[u8], when: &str) {
    match holder.unwrap(&context(), blob).await {
        Ok(reply) => assert_eq!(reply.value.expose(), &[9; 32], "{when}"),
        Err(error) => panic!("{when}: {error}"),
    }
}

async fn round_trip(holder: &dyn Keyholder) -> Vec<u8> {
    let key = Secret32::new([9; 32]);
    let blob = holder.wrap(&context(), &key).await.unwrap_or_else(|e| panic!("wrap: {e}")).value;
    let again = holder.wrap(&context(), &key).await.unwrap_or_else(|e| panic!("wrap again: {e}")).value;
    assert_ne!(blob, again, "two wraps of one key must not be told to be of one key");
    assert!(!blob.windows(8).any(|window| window == [9; 8]), "the wrap shows the key");
    opens(holder, &blob, "round trip").await;
    opens(holder, &again, "second wrap").await;
    blob
}

async fn wrong_context(holder: &dyn Keyholder, blob: &[u8]) {
    let others = [
        Context { vault: VaultId([8; 16]), ..context() },
        Context { dataset: "other".into(), ..context() },
        Context { purpose: Purpose::Write, ..context() },
        Context { epoch: 4, ..context() },
    ];
    for other in others {
        let error = holder.unwrap(&other, blob).await.expect_err("another context opened the wrap");
        assert!(
            matches!(error, HolderError::Tampered | HolderError::WrongContext),
            "another context is told as {error:?}"
        );
    }
}

async fn tampered(holder: &dyn Keyholder, blob: &[u8]) {
    let step = (blob.len() / 24).max(1);
    for position in (0..blob.len()).step_by(step).chain([blob.len() - 1]) {
        let mut changed = blob.to_vec();
        changed[position] ^= 1;
        if let Ok(reply) = holder.unwrap(&context(), &changed).await {
            panic!(
                "byte {position} of a wrap was changed and it opened, to {} bytes",
                reply.value.expose().len()
            );
        }
    }
    for len in [0, 1, blob.len() / 2, blob.len() - 1] {
        assert!(holder.unwrap(&context(), &blob[..len]).await.is_err(), "a wrap cut to {len} bytes opened");
    }
}

async fn garbage(holder: &dyn Keyholder) {
    for len in [1, 32, 1024, 70 << 10] {
        assert!(holder.unwrap(&context(), &vec![0xa5; len]).await.is_err(), "{len} bytes of garbage opened");
    }
}

async fn meets(holder: &dyn Keyholder, fault: Fault, blob: &[u8]) {
    let answer = tokio::time::timeout(PATIENCE, holder.unwrap(&context(), blob)).await;
    let Ok(answer) = answer else { panic!("{fault:?}: no answer in {PATIENCE:?}") };
    let Err(error) = answer else { panic!("{fault:?}: the key was opened all the same") };
    let right = match fault {
        Fault::Disabled => matches!(error, HolderError::Disabled(_)),
        Fault::Denied => matches!(error, HolderError::Denied(_)),
        Fault::PendingDeletion => matches!(error, HolderError::PendingDeletion(_)),
        Fault::Deleted => matches!(error, HolderError::Deleted(_)),
        Fault::Throttled => matches!(error, HolderError::Throttled(_)),
        Fault::Unreachable | Fault::Slow => matches!(error, HolderError::Unreachable(_)),
    };
    assert!(right, "{fault:?} is told as {error:?}");
    let passes = matches!(fault, Fault::Throttled | Fault::Unreachable | Fault::Slow);
    assert_eq!(error.is_passing(), passes, "{fault:?}: {error}");
    let state = tokio::time::timeout(PATIENCE, holder.state()).await.expect("no state in time");
    assert_ne!(state, HolderState::CanOpen, "{fault:?} does not show in the state");
    let told = match fault {
        Fault::Disabled => matches!(state, HolderState::Disabled),
        Fault::PendingDeletion => matches!(state, HolderState::PendingDeletion(_)),
        Fault::Deleted => matches!(state, HolderState::Deleted),
        Fault::Denied => matches!(state, HolderState::Denied(_) | HolderState::Unknown(_)),
        Fault::Unreachable | Fault::Slow => matches!(state, HolderState::Unreachable(_)),
        Fault::Throttled => true,
    };
    assert!(told, "{fault:?} shows in the state as {state}");
}
