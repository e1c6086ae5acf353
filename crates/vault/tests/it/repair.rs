//! Repair makes the best of what is left.

use crate::check_support::{Fixture, noise};
use strongroom_testkit::vault::watched;
use strongroom_vault::{
    check::Subset,
    prune::{Limit, PruneOptions},
    repair::{IndexRepair, RepairOptions, SnapshotRepair, repair_index, repair_snapshots},
    snapshots, stats,
};

impl Fixture {
    fn repair_index(&self, dry_run: bool) -> IndexRepair {
        let handle = self.handle();
        watched(|monitor| repair_index(&handle, "host-a", dry_run, monitor)).unwrap()
    }

    fn repair_snapshots(&self, forget: bool, dry_run: bool) -> SnapshotRepair {
        let (handle, keys) = self.vault.reading(&self.vault.vault).unwrap();
        let options = RepairOptions {
            only: Vec::new(),
            read_data: true,
            forget,
            dry_run,
            host: "host-a".into(),
            compression: Default::default(),
            threads: 2,
        };
        let session = self.compaction().session;
        watched(|monitor| repair_snapshots(&handle, &keys, session, &options, monitor)).unwrap()
    }
}

fn two_snapshots() -> Fixture {
    let fixture = Fixture::new();
    fixture.fill();
    fixture.backup();
    fixture.write("later", &noise(200_000, 500));
    fixture.backup();
    fixture
}

#[test]
fn an_index_is_rebuilt_from_nothing() {
    let fixture = two_snapshots();
    let ids: Vec<_> = snapshots::load(&fixture.handle()).unwrap().good.iter().map(|s| s.id).collect();
    let contents: Vec<_> = ids.iter().map(|id| fixture.content(id)).collect();
    fixture.objects("index").iter().for_each(|name| fixture.remove(name));
    std::fs::remove_dir_all(fixture.vault.cache.path()).unwrap();
    assert!(fixture.structure().is_violation());
    let before = fixture.memory.contents();
    let planned = fixture.repair_index(true);
    assert_eq!(fixture.memory.contents(), before);
    let repair = fixture.repair_index(false);
    assert_eq!(repair.packs_added as usize, fixture.objects("packs").len());
    assert_eq!(planned.packs_added, repair.packs_added);
    assert_eq!(fixture.read_data(Subset::All).findings, []);
    for (id, content) in ids.iter().zip(contents) {
        assert_eq!(fixture.content(id), content);
    }
    assert!(fixture.repair_index(false).is_nothing());
    assert_eq!(fixture.objects("sessions"), [""; 0]);
}

#[test]
fn a_damaged_segment_is_replaced() {
    let fixture = two_snapshots();
    let name = fixture.objects("index").swap_remove(0);
    let mut bytes = fixture.bytes(&name);
    bytes[200] ^= 1;
    fixture.set(&name, bytes);
    std::fs::remove_dir_all(fixture.vault.cache.path()).unwrap();
    let repair = fixture.repair_index(false);
    assert_eq!(repair.segments_replaced, std::slice::from_ref(&name));
    assert!(!fixture.objects("index").contains(&name));
    assert_eq!(fixture.read_data(Subset::All).findings, []);
}

#[test]
fn a_missing_pack_leaves_the_index() {
    let fixture = two_snapshots();
    let name = fixture.packs_of(1).swap_remove(0);
    fixture.remove(&name);
    let repair = fixture.repair_index(false);
    assert_eq!(repair.packs_removed.len(), 1);
    let report = fixture.structure();
    assert!(report.findings.iter().all(|finding| finding.object.starts_with("chunk ")));
    // The next backup stores what was lost again, and the old snapshots are whole.
    std::fs::remove_dir_all(fixture.vault.cache.path()).unwrap();
    fixture.backup();
    assert_eq!(fixture.read_data(Subset::All).findings, []);
}

#[test]
fn a_pack_that_does_not_open_is_named_and_left_alone() {
    let fixture = two_snapshots();
    let name = fixture.packs_of(1).swap_remove(0);
    let mut bytes = fixture.bytes(&name);
    let end = bytes.len() - 20;
    bytes[end] ^= 1;
    fixture.set(&name, bytes);
    fixture.objects("index").iter().for_each(|name| fixture.remove(name));
    let repair = fixture.repair_index(false);
    assert_eq!(repair.lost.len(), 1);
    assert_eq!(repair.lost[0].object, name);
    assert!(fixture.objects("packs").contains(&name));
}

#[test]
fn whole_snapshots_are_left_alone() {
    let fixture = two_snapshots();
    let before = fixture.memory.contents();
    let repair = fixture.repair_snapshots(true, false);
    assert!(repair.repaired.is_empty() && repair.unreadable.is_empty());
    assert_eq!(fixture.memory.contents(), before);
}

#[test]
fn what_is_lost_is_left_out_and_listed() {
    for (kind, flip) in [(1, false), (1, true), (2, false), (3, false), (2, true), (3, true)] {
        let fixture = two_snapshots();
        let before = snapshots::load(&fixture.handle()).unwrap().good;
        let contents: Vec<_> = before.iter().map(|stored| fixture.content(&stored.id)).collect();
        let name = fixture.packs_of(kind).pop().unwrap();
        if flip {
            let mut bytes = fixture.bytes(&name);
            bytes[60] ^= 1;
            fixture.set(&name, bytes);
        } else {
            fixture.remove(&name);
        }
        let untouched = fixture.memory.contents();
        let planned = fixture.repair_snapshots(true, true);
        assert_eq!(fixture.memory.contents(), untouched, "a dry run changes nothing");
        let repair = fixture.repair_snapshots(true, false);
        assert!(!repair.repaired.is_empty(), "kind {kind}");
        assert_eq!(planned.repaired.len(), repair.repaired.len());
        let now = snapshots::load(&fixture.handle()).unwrap();
        for repaired in &repair.repaired {
            assert!(repaired.removed && !repaired.lost.is_empty());
            assert!(now.find(&repaired.old.id).is_none());
            let Some(new) = &repaired.new else { continue };
            let new_header = &now.find(new).unwrap().snapshot;
            assert_eq!(new_header.original, Some(repaired.old.id));
            let old = &contents[before.iter().position(|stored| stored.id == repaired.old.id).unwrap()];
            let left = fixture.content(new);
            assert!(left.len() < old.len() || kind != 1);
            for file in &left {
                assert!(old.contains(file), "what is left is as it was: {}", file.0);
            }
            if kind == 1 {
                assert_eq!(old.len() - left.len(), repaired.lost.len());
                assert_eq!(new_header.summary.files as usize, left.len());
            }
        }
        // Nothing that stays builds on what is lost, nor does what comes next.
        std::fs::remove_dir_all(fixture.vault.cache.path()).unwrap();
        let next = fixture.backup().id.unwrap();
        assert_eq!(fixture.content(&next), *contents.last().unwrap());
        let report = fixture.structure();
        assert_eq!(report.affected, [], "kind {kind}, flip {flip}");
        assert_eq!(report.findings, [], "kind {kind}, flip {flip}");
        let tight = PruneOptions { max_unused: Limit::Share(0.0), ..PruneOptions::default() };
        let outcome = fixture.prune_with(&tight).unwrap();
        assert!(outcome.damaged.is_empty());
        assert_eq!(fixture.read_data(Subset::All).findings, []);
        assert_eq!(fixture.scrub().findings, []);
        assert_eq!(fixture.content(&next), *contents.last().unwrap());
    }
}

#[test]
fn without_being_told_to_nothing_is_removed() {
    let fixture = two_snapshots();
    fixture.remove(&fixture.packs_of(1).swap_remove(0));
    let repair = fixture.repair_snapshots(false, false);
    let now = snapshots::load(&fixture.handle()).unwrap();
    for repaired in &repair.repaired {
        assert!(!repaired.removed && now.find(&repaired.old.id).is_some());
        assert!(now.find(&repaired.new.unwrap()).is_some());
    }
}

#[test]
fn statistics_agree_with_each_other() {
    let fixture = two_snapshots();
    let handle = fixture.handle();
    let all = snapshots::load(&handle).unwrap().good;
    let restore = stats::restore_size(&all);
    assert_eq!((restore.snapshots, restore.files), (2, 42 + 43));
    let content: usize =
        all.iter().flat_map(|stored| fixture.content(&stored.id)).map(|(_, content)| content.len()).sum();
    assert_eq!(restore.bytes as usize, content);
    let distinct = watched(|monitor| stats::distinct_size(&handle, &all, 2, monitor)).unwrap();
    let first = watched(|monitor| stats::distinct_size(&handle, &all[..1], 2, monitor)).unwrap();
    assert_eq!(distinct.data.bytes - first.data.bytes, 200_000);
    let stored = stats::stored_size(&handle).unwrap();
    assert_eq!(stored.data.chunks, distinct.data.chunks, "nothing is dead");
    assert_eq!(stored.data.raw_bytes, distinct.data.bytes);
    assert_eq!(stored.meta.raw_bytes, distinct.meta.bytes);
    assert_eq!(stored.refs.raw_bytes, distinct.refs.bytes);
    let in_vault: u64 = ["packs", "index", "snapshots"]
        .iter()
        .flat_map(|kind| fixture.objects(kind))
        .map(|name| fixture.bytes(&name).len() as u64)
        .sum();
    assert_eq!(stored.bytes(), in_vault);
    assert!(stored.dedup_ratio(&restore).unwrap() > 1.8);
    assert!(stored.compression_ratio().unwrap() > 0.9);
    fixture.forget(&[all[1].id]);
    let left = watched(|monitor| stats::distinct_size(&handle, &all[..1], 2, monitor)).unwrap();
    assert_eq!(left, first);
}
