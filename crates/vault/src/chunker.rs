//! Content-defined chunking with `MinCDC`, seeded from the write key `[V-5.2]`.

use crate::handle::Layout;
use mincdc::{Cdc, MinCdcHash4};
use strongroom_format::keys::WriteKeys;

/// Finds the cuts of one dataset.
#[derive(Debug, Clone, Copy)]
pub struct Chunker {
    min: usize,
    max: usize,
    hash: MinCdcHash4,
}

impl Chunker {
    /// The chunker of a dataset.
    #[must_use]
    pub fn new(keys: &WriteKeys, layout: &Layout) -> Self {
        let (multiplier, addend) = keys.chunker_seed();
        Self {
            min: layout.chunk_min,
            max: layout.chunk_max,
            hash: MinCdcHash4::with_params(multiplier | 1, addend),
        }
    }

    /// How many bytes must follow a chunk's start before its end can be found, unless the content ends.
    #[must_use]
    pub fn lookahead(&self) -> usize {
        self.max
    }

    /// Length of the first chunk of `content`, which holds [`Chunker::lookahead`] bytes or all that is left.
    #[must_use]
    pub fn first_len(&self, content: &[u8]) -> usize {
        if content.len() <= self.min {
            return content.len();
        }
        let window = &content[..content.len().min(self.max)];
        let start = self.min.saturating_sub(self.hash.window_size());
        start + self.hash.best_splitpoint(&window[start..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use strongroom_format::Secret32;

    fn cuts(chunker: &Chunker, content: &[u8]) -> Vec<usize> {
        let mut cuts = Vec::new();
        let mut at = 0;
        while at < content.len() {
            at += chunker.first_len(&content[at..]);
            cuts.push(at);
        }
        cuts
    }

    fn chunker() -> Chunker {
        let layout = Layout { chunk_min: 64, chunk_max: 448, pack_size: 1 << 20 };
        Chunker::new(&WriteKeys::new(&Secret32::new([7; 32])), &layout)
    }

    /// The vectors of the format `[V-13]`, which were made by the words of `[V-5.2]`.
    #[test]
    fn cuts_are_those_of_the_test_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/cut.json");
        let vectors: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let vectors = vectors.as_array().unwrap();
        assert!(!vectors.is_empty());
        let hex = |value: &serde_json::Value| -> Vec<u8> {
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            value.as_str().unwrap().as_bytes().chunks(2).map(byte).collect()
        };
        for vector in vectors {
            let (given, expected) = (&vector["in"], &vector["out"]);
            let keys = WriteKeys::new(&Secret32::from_slice(&hex(&given["write_key"])).unwrap());
            let len = |name| given[name].as_u64().unwrap() as usize;
            let layout = Layout { chunk_min: len("chunk_min"), chunk_max: len("chunk_max"), pack_size: 1 };
            let content = hex(&given["content"]);
            let mut lengths = Vec::new();
            let mut rest = content.as_slice();
            while !rest.is_empty() {
                let len = Chunker::new(&keys, &layout).first_len(rest);
                lengths.push(len);
                rest = &rest[len..];
            }
            assert_eq!(serde_json::json!(lengths), expected["lengths"], "{}", vector["name"]);
        }
    }

    proptest! {
        #[test]
        fn chunks_cover_the_content_within_bounds(content in proptest::collection::vec(any::<u8>(), 0..8192)) {
            let cuts = cuts(&chunker(), &content);
            prop_assert_eq!(cuts.last().copied().unwrap_or(0), content.len());
            let mut start = 0;
            for (nth, cut) in cuts.iter().enumerate() {
                let len = cut - start;
                prop_assert!(len > 0 && len <= 448);
                prop_assert!(len >= 64 || nth + 1 == cuts.len());
                start = *cut;
            }
        }

        #[test]
        fn cuts_find_back_after_an_insertion(
            content in proptest::collection::vec(any::<u8>(), 16384..32768),
            inserted in proptest::collection::vec(any::<u8>(), 1..64),
        ) {
            let mut changed = inserted.clone();
            changed.extend_from_slice(&content);
            let before = cuts(&chunker(), &content);
            let after: std::collections::HashSet<_> =
                cuts(&chunker(), &changed).into_iter().filter_map(|cut| cut.checked_sub(inserted.len())).collect();
            prop_assert!(before.iter().any(|cut| *cut < content.len() && after.contains(cut)));
        }
    }
}
