//! When to try again, and when to stop.
//!
//! The retries of `object_store` are switched off, since they hide two things that matter here:
//! whether a conditional PUT may have taken effect before it was repeated, and which credentials
//! signed the request (a repeated request must be signed anew).

use super::credentials::AwsCredentials;
use super::error::StoreError;
use std::time::Duration;
use strongroom_format::entropy::{Entropy, SystemEntropy};
use tokio::time::Instant;

/// How long a store that cannot be reached, or is too busy, is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most attempts, the first one included.
    pub attempts: u32,
    /// No attempt starts later than this after the first.
    pub window: Duration,
    /// The shortest pause.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 20,
            window: Duration::from_secs(120),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// One attempt only.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            attempts: 1,
            window: Duration::ZERO,
            first_pause: Duration::ZERO,
            longest_pause: Duration::ZERO,
        }
    }
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Whether another attempt may succeed.
    pub(super) retry: bool,
    /// Whether the attempt may have taken effect.
    pub(super) ambiguous: bool,
    /// Whether the credentials have expired.
    pub(super) expired: bool,
}

impl Failure {
    /// A failure that no other attempt changes.
    pub(super) const fn last(error: StoreError) -> Self {
        Self { error, retry: false, ambiguous: false, expired: false }
    }
}

/// The attempts at one operation.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    policy: RetryPolicy,
    credentials: Option<&'a AwsCredentials>,
    started: Instant,
    made: u32,
    pause: Duration,
    renewed: bool,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(policy: RetryPolicy, credentials: Option<&'a AwsCredentials>) -> Self {
        let pause = policy.first_pause;
        Self { policy, credentials, started: Instant::now(), made: 0, pause, renewed: false }
    }

    /// Waits until the next attempt is due.
    ///
    /// # Errors
    /// The failure's own error, where there is to be no other attempt.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<(), StoreError> {
        self.made += 1;
        if failure.expired
            && !self.renewed
            && let Some(credentials) = self.credentials
        {
            self.renewed = true;
            credentials.forget().await;
            return Ok(());
        }
        self.pause = next_pause(self.policy, self.pause, random_fraction());
        let late = self.started.elapsed() + self.pause > self.policy.window;
        if !failure.retry || self.made >= self.policy.attempts || late {
            return Err(failure.error.after(self.made));
        }
        tokio::time::sleep(self.pause).await;
        Ok(())
    }
}

/// Decorrelated jitter: between the first pause and three times the last one.
fn next_pause(policy: RetryPolicy, last: Duration, fraction: f64) -> Duration {
    let spread = (last * 3).saturating_sub(policy.first_pause);
    (policy.first_pause + spread.mul_f64(fraction)).min(policy.longest_pause)
}

fn random_fraction() -> f64 {
    f64::from(u32::from_le_bytes(SystemEntropy.array())) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{At, Operation};

    fn failure(retry: bool) -> Failure {
        let at = At { operation: Operation::Get, name: "a".into(), store: "s3://b".into() };
        let error =
            StoreError::Unreachable { at: Box::new(at), attempts: 1, reason: "refused".into(), source: None };
        Failure { error, retry, ambiguous: false, expired: false }
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let policy = RetryPolicy::default();
        let mut pause = policy.first_pause;
        for _ in 0..20 {
            let next = next_pause(policy, pause, 1.0);
            assert!(next >= pause && next <= policy.longest_pause);
            pause = next;
        }
        assert_eq!(pause, policy.longest_pause);
        assert_eq!(next_pause(policy, pause, 0.0), policy.first_pause);
    }

    #[tokio::test]
    async fn attempts_and_time_are_bounded() {
        let policy = RetryPolicy {
            attempts: 4,
            window: Duration::from_millis(200),
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(20),
        };
        let mut attempts = Attempts::new(policy, None);
        for _ in 0..3 {
            attempts.after(failure(true)).await.unwrap();
        }
        let error = attempts.after(failure(true)).await.unwrap_err();
        assert!(error.to_string().contains("after 4 attempts"), "{error}");

        let mut attempts = Attempts::new(RetryPolicy { attempts: u32::MAX, ..policy }, None);
        while attempts.after(failure(true)).await.is_ok() {}
        assert!(attempts.made > 4 && attempts.started.elapsed() > policy.window / 2);
    }

    #[tokio::test]
    async fn a_refusal_is_not_repeated() {
        assert!(Attempts::new(RetryPolicy::default(), None).after(failure(false)).await.is_err());
    }
}
