//! The tree against another implementation of RFC 6962, and names and bundles against C2SP `tlog-tiles`.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use std::collections::BTreeMap;
use strongroom_ledger::{
    hash::{Edge, FullTile, Hash},
    tile::{TileId, TileKind, decode_bundle, edge_tiles, encode_bundle},
    tree::{Made, ProofError, Tiles, check_consistency, check_inclusion},
};

struct Grown {
    edge: Edge,
    full: BTreeMap<TileId, Vec<Hash>>,
    other: MemoryBackedTree<Sha256, Vec<u8>>,
}

fn grown(size: u64) -> Grown {
    let mut grown = Grown { edge: Edge::default(), full: BTreeMap::new(), other: MemoryBackedTree::new() };
    for index in 0..size {
        let entry = index.to_be_bytes();
        grown.other.push(entry.to_vec());
        grown.edge.push(Hash::of_leaf(&entry), &mut |FullTile { level, index, hashes }| {
            grown.full.insert(TileId { kind: TileKind::Hashes(level), index, width: 256 }, hashes);
        });
    }
    grown
}

impl Grown {
    fn tile(&self, id: TileId) -> &[Hash] {
        match (id.kind, id.is_full()) {
            (TileKind::Hashes(level), false) => &self.edge.levels()[usize::from(level)],
            _ => &self.full[&id],
        }
    }

    fn make<T>(&self, make: impl Fn(&Tiles) -> Result<Made<T>, ProofError>) -> T {
        let mut tiles = Tiles::new(self.edge.size());
        loop {
            match make(&tiles).unwrap() {
                Made::Done(made) => return made,
                Made::Missing(missing) => missing.iter().for_each(|id| tiles.insert(*id, self.tile(*id))),
            }
        }
    }
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.chunks(32).map(|hash| Hash(hash.try_into().unwrap())).collect()
}

#[test]
fn roots_and_proofs_are_those_of_another_implementation() {
    for size in [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 1000, 70_000] {
        let grown = grown(size);
        let root = grown.edge.root();
        assert_eq!(root.0.as_slice(), grown.other.root().as_bytes().as_slice(), "root of {size}");
        for index in [0, 1, size / 3, size / 2, size - 1].into_iter().filter(|index| *index < size) {
            let proof = grown.make(|tiles| tiles.prove_inclusion(index));
            assert_eq!(
                proof,
                hashes(grown.other.prove_inclusion(index as usize).as_bytes()),
                "{index} of {size}"
            );
            let leaf = Hash::of_leaf(&index.to_be_bytes());
            check_inclusion(&proof, size, root, index, leaf).unwrap();
            let other = Hash::of_leaf(b"another");
            assert_eq!(check_inclusion(&proof, size, root, index, other), Err(ProofError::Wrong));
            if size > 2 {
                let elsewhere = (index + 1) % size;
                check_inclusion(&proof, size, root, elsewhere, leaf).unwrap_err();
            }
        }
        for old in [1, size / 3, size / 2, size - 1].into_iter().filter(|old| (1..size).contains(old)) {
            let proof = grown.make(|tiles| tiles.prove_consistency(old));
            let theirs = grown.other.prove_consistency((size - old) as usize);
            assert_eq!(proof, hashes(theirs.as_bytes()), "{old} to {size}");
            let mut edge = Edge::default();
            (0..old).for_each(|index| edge.push(Hash::of_leaf(&index.to_be_bytes()), &mut |_| {}));
            check_consistency(&proof, size, root, old, edge.root()).unwrap();
            check_consistency(&proof, size, root, old, Hash::of_leaf(b"another")).unwrap_err();
        }
    }
}

#[test]
fn an_empty_tree_has_the_root_of_the_standard() {
    assert_eq!(Edge::default().root(), Hash::EMPTY_ROOT);
    check_consistency(&[], 0, Hash::EMPTY_ROOT, 0, Hash::EMPTY_ROOT).unwrap();
}

#[test]
fn names_are_those_of_c2sp_and_not_of_go() {
    let name = |kind, index, width| TileId { kind, index, width }.path();
    assert_eq!(name(TileKind::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(name(TileKind::Hashes(1), 0, 17), "tile/1/000.p/17");
    assert_eq!(name(TileKind::Entries, 273, 112), "tile/entries/273.p/112");
    assert_eq!(name(TileKind::Entries, 1000, 256), "tile/entries/x001/000");
    for wrong in [
        "tile/8/0/000",
        "tile/8/data/000",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/001/000",
        "tile/entries/+01",
        "tile/entries/",
        "tile/data/000",
        "checkpoint",
    ] {
        assert_eq!(TileId::parse(wrong), None, "{wrong}");
    }
}

/// The example in the text of the standard.
#[test]
fn a_tree_of_70_000_has_the_tiles_that_the_standard_says() {
    let names: Vec<_> = edge_tiles(70_000).into_iter().map(TileId::path).collect();
    assert_eq!(names, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    assert_eq!(grown(70_000).full.len(), 273 + 1);
    let names: Vec<_> = edge_tiles(256).into_iter().map(TileId::path).collect();
    assert_eq!(names, ["tile/1/000.p/1"]);
}

proptest! {
    #[test]
    fn names_can_be_read_again(index in 0..1_u64 << 40, width in 1..=256_u16, level in 0..64_u8, entries: bool) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
        let id = TileId { kind, index, width };
        prop_assert_eq!(TileId::parse(&id.path()), Some(id));
    }

    #[test]
    fn what_is_no_name_makes_no_panic(name in "tile/[0-9a-z]{1,7}/[x0-9/.p]{0,12}") {
        if let Some(id) = TileId::parse(&name) {
            prop_assert_eq!(id.path(), name);
        }
    }

    #[test]
    fn bundles_can_be_read_again(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20)) {
        let bytes = encode_bundle(&entries).unwrap();
        let width = entries.len() as u16;
        prop_assert_eq!(decode_bundle(&bytes, width).unwrap(), entries);
        prop_assert!(decode_bundle(&bytes, width + 1).is_err());
        prop_assert!(decode_bundle(&bytes, width - 1).is_err());
        prop_assert!(decode_bundle(&bytes[..bytes.len() - 1], width).is_err());
    }

    #[test]
    fn hostile_proofs_make_no_panic(
        proof in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        size: u64, old: u64, index: u64, bits in 0..64_u32,
    ) {
        let proof: Vec<_> = proof.into_iter().map(Hash).collect();
        let (size, old, index) = (size >> bits, old >> bits, index >> bits);
        let hash = Hash([7; 32]);
        prop_assert!(check_inclusion(&proof, size, hash, index, Hash([8; 32])).is_err());
        if old > 0 && old != size {
            prop_assert!(check_consistency(&proof, size, hash, old, Hash([8; 32])).is_err());
        }
    }
}

#[test]
fn an_entry_that_is_too_long_is_no_part_of_a_bundle() {
    encode_bundle(&[vec![0; 65_536]]).unwrap_err();
    let bytes = encode_bundle(&[vec![1; 65_535]]).unwrap();
    assert_eq!(decode_bundle(&bytes, 1).unwrap()[0].len(), 65_535);
}
