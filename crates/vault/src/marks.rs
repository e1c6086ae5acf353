//! Bitmaps over the positions of an index: what stands in for sets of ids `[V-7.1]`.

use crate::index::{Index, Location};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A bitmap that many threads set bits of.
#[derive(Debug, Default)]
pub(crate) struct Bits(Vec<AtomicU64>);

impl Bits {
    pub(crate) fn new(len: usize) -> Self {
        Self((0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets a bit; whether it was clear.
    pub(crate) fn set(&self, position: usize) -> bool {
        let bit = 1 << (position % 64);
        self.0.get(position / 64).is_some_and(|word| word.fetch_or(bit, Relaxed) & bit == 0)
    }

    pub(crate) fn clear(&self, position: usize) {
        if let Some(word) = self.0.get(position / 64) {
            word.fetch_and(!(1 << (position % 64)), Relaxed);
        }
    }

    pub(crate) fn get(&self, position: usize) -> bool {
        self.0.get(position / 64).is_some_and(|word| word.load(Relaxed) >> (position % 64) & 1 == 1)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.load(Relaxed).count_ones())).sum()
    }
}

/// One bit for each entry of an index.
#[derive(Debug)]
pub(crate) struct Marks(Vec<Bits>);

impl Marks {
    pub(crate) fn new(index: &Index) -> Self {
        Self(index.runs().iter().map(|run| Bits::new(run.entry_count())).collect())
    }

    /// Marks an entry; whether it was not marked before.
    pub(crate) fn set(&self, place: &Location) -> bool {
        self.0.get(place.run as usize).is_some_and(|bits| bits.set(place.position as usize))
    }

    pub(crate) fn clear(&self, place: &Location) {
        if let Some(bits) = self.0.get(place.run as usize) {
            bits.clear(place.position as usize);
        }
    }

    pub(crate) fn get(&self, place: &Location) -> bool {
        self.is_set(place.run as usize, place.position as usize)
    }

    pub(crate) fn is_set(&self, run: usize, position: usize) -> bool {
        self.0.get(run).is_some_and(|bits| bits.get(position))
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(Bits::count).sum()
    }
}
