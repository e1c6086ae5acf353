//! Texts that repeat are kept once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

const SHARDS: usize = 64;

/// Hands out one shared copy of each text, from any thread.
pub(crate) struct Interner {
    shards: [Mutex<HashSet<Arc<str>>>; SHARDS],
}

impl Interner {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    pub(crate) fn keep(&self, text: &str) -> Arc<str> {
        // Any spread will do: it only keeps threads out of each other's way.
        let shard = text
            .bytes()
            .rev()
            .take(8)
            .fold(text.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)))
            % SHARDS;
        // A panic in another thread leaves a set that is whole: insertion is its last step.
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = shard.get(text) {
            return Arc::clone(kept);
        }
        let kept: Arc<str> = text.into();
        shard.insert(Arc::clone(&kept));
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_their_memory() {
        let interner = Interner::new();
        assert!(Arc::ptr_eq(&interner.keep("a"), &interner.keep("a")));
        assert_ne!(interner.keep("a"), interner.keep("b"));
    }
}
