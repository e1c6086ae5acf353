//! Prune frees what nothing needs, and nothing else.

use crate::check_support::{Fixture, noise};
use std::sync::Arc;
use strongroom_format::{ObjectHash, SystemEntropy, control::Condemnation, names};
use strongroom_testkit::vault::watched;
use strongroom_vault::{
    VaultError,
    check::Subset,
    prune::{self, Limit, PruneOptions},
    session::Session,
    store::Store,
};

const TIGHT: PruneOptions = PruneOptions {
    max_unused: Limit::Share(0.0),
    repack_small: None,
    max_repack: None,
    rewrite_before: None,
    compact: false,
    threads: 2,
};

impl Fixture {
    fn assert_clean(&self) {
        let report = self.read_data(Subset::All);
        assert_eq!(report.findings, []);
        assert_eq!(report.orphans.packs, 0);
        assert_eq!(self.scrub().findings, []);
        assert_eq!(self.objects("condemned"), [""; 0]);
        assert_eq!(self.objects("sessions"), [""; 0]);
    }

    fn stored(&self) -> usize {
        self.objects("packs").iter().map(|name| self.bytes(name).len()).sum()
    }
}

/// Three snapshots that share some content; the contents of each.
/// Snapshots with the files that they must hold: names and contents.
type Expected = Vec<(ObjectHash, Vec<(String, Vec<u8>)>)>;

fn three(fixture: &Fixture) -> Expected {
    let mut all = Vec::new();
    for round in 0..3u64 {
        fixture.write("shared", &noise(1_500_000, 1));
        fixture.write(&format!("own{round}"), &noise(2_700_000, 10 + round));
        for nth in 0..20 {
            fixture
                .write(&format!("d/f{nth}"), &noise(3000, nth + if nth % 2 == 0 { 0 } else { 100 * round }));
        }
        let id = fixture.backup().id.unwrap();
        fixture.delete(&format!("own{round}"));
        all.push((id, fixture.content(&id)));
    }
    all
}

#[test]
fn a_vault_without_anything_dead_is_left_alone() {
    let fixture = Fixture::new();
    three(&fixture);
    let before = fixture.memory.contents();
    let outcome = fixture.prune();
    assert_eq!((outcome.deleted.count, outcome.written.count), (0, 0));
    assert_eq!(fixture.memory.contents(), before);
}

#[test]
fn what_only_forgotten_snapshots_needed_goes_and_the_rest_stays() {
    let unlimited = PruneOptions { max_unused: Limit::Unlimited, ..TIGHT };
    for (options, large) in
        [(TIGHT, false), (TIGHT, true), (PruneOptions::default(), true), (unlimited, false)]
    {
        let fixture = if large { Fixture::with_large_packs() } else { Fixture::new() };
        let all = three(&fixture);
        let before = fixture.stored();
        fixture.forget(&[all[0].0, all[1].0]);
        let handle = fixture.handle();
        let plan = watched(|monitor| prune::plan(&handle, &options, monitor)).unwrap();
        let freed = plan.summary().freed_bytes;
        assert!(!large || plan.summary().repacked.count > 0, "{:?}", plan.summary());
        assert!(freed > 500_000, "{:?}", plan.summary());
        let outcome = watched(|monitor| plan.execute(None, monitor)).unwrap();
        assert!(outcome.waiting.is_none() && outcome.damaged.is_empty());
        fixture.assert_clean();
        assert_eq!(fixture.content(&all[2].0), all[2].1);
        let gone = before - fixture.stored();
        assert!(gone.abs_diff(freed as usize) < 200_000, "{gone} bytes are gone and {freed} were announced");
        // A second prune finds nothing to do.
        let again = fixture.prune_with(&options).unwrap();
        assert_eq!((again.deleted.count, again.written.count), (0, 0));
        // And the next backup builds on what was moved.
        fixture.write("shared", &noise(1_500_000, 1));
        fixture.backup();
        fixture.assert_clean();
    }
}

#[test]
fn without_any_snapshot_nothing_is_left() {
    let fixture = Fixture::new();
    let all = three(&fixture);
    fixture.forget(&all.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    fixture.prune();
    assert_eq!(fixture.objects("packs"), [""; 0]);
    assert_eq!(fixture.objects("index"), [""; 0]);
    fixture.assert_clean();
    fixture.backup();
    fixture.assert_clean();
}

#[test]
fn a_plan_writes_nothing() {
    let fixture = Fixture::new();
    let all = three(&fixture);
    fixture.forget(&[all[0].0]);
    let before = fixture.memory.contents();
    let handle = fixture.handle();
    watched(|monitor| prune::plan(&handle, &TIGHT, monitor)).unwrap();
    assert_eq!(fixture.memory.contents(), before);
}

#[test]
fn small_packs_are_joined_when_asked() {
    let fixture = Fixture::new();
    let mut last = None;
    for round in 0..5 {
        fixture.write(&format!("f{round}"), &noise(10_000, round));
        last = fixture.backup().id;
    }
    let content = fixture.content(&last.unwrap());
    let before = fixture.objects("packs").len();
    fixture.prune_with(&PruneOptions { repack_small: Some(200_000), ..PruneOptions::default() }).unwrap();
    assert!(fixture.objects("packs").len() < before / 2);
    assert_eq!(fixture.content(&last.unwrap()), content);
    fixture.assert_clean();
}

#[test]
fn many_small_segments_become_one() {
    let fixture = Fixture::new();
    let mut last = None;
    for round in 0..20 {
        fixture.write("f", &noise(100, round));
        last = fixture.backup().id;
    }
    assert!(fixture.objects("index").len() >= 16);
    fixture.prune();
    assert_eq!(fixture.objects("index").len(), 1);
    fixture.content(&last.unwrap());
    fixture.assert_clean();
}

#[test]
fn compaction_rewrites_groups_that_are_half_dead() {
    let fixture = Fixture::with_large_packs();
    for nth in 0..200 {
        fixture.write(&format!("f{nth:03}"), &noise(5000, nth));
    }
    let first = fixture.backup().id.unwrap();
    for nth in 0..200 {
        if nth % 4 != 0 {
            fixture.delete(&format!("f{nth:03}"));
        }
    }
    let second = fixture.backup().id.unwrap();
    let content = fixture.content(&second);
    fixture.forget(&[first]);
    let whole = fixture.prune_with(&TIGHT).unwrap();
    let before = fixture.stored();
    assert!(before > 700_000, "groups move whole: {whole:?}");

    let handle = fixture.handle();
    let compaction = fixture.compaction();
    let options = PruneOptions { compact: true, ..TIGHT };
    let outcome =
        watched(|monitor| prune::plan(&handle, &options, monitor)?.execute(Some(&compaction), monitor))
            .unwrap();
    assert!(outcome.waiting.is_none());
    assert!(fixture.stored() < before / 2, "{} of {before}", fixture.stored());
    assert_eq!(fixture.content(&second), content);
    fixture.assert_clean();
}

#[test]
fn while_a_backup_runs_nothing_that_it_may_build_on_is_deleted() {
    let fixture = Fixture::with_large_packs();
    let all = three(&fixture);
    fixture.forget(&[all[0].0]);
    let handle = fixture.handle();
    let session = Session::start(&handle, "host-b", false).unwrap();
    let packs: Vec<_> = fixture.objects("packs");
    let outcome = fixture.prune_with(&TIGHT).unwrap();
    let waiting = outcome.waiting.expect("it waits");
    assert_eq!(waiting.sessions[0].marker.as_ref().unwrap().host, "host-b");
    assert!(waiting.packs.count > 0);
    assert_eq!(outcome.deleted.count, 0);
    let now = fixture.objects("packs");
    assert!(packs.iter().all(|pack| now.contains(pack)));
    assert_eq!(fixture.objects("condemned").len(), 1);
    for (id, content) in &all[1..] {
        assert_eq!(&fixture.content(id), content);
    }
    assert_eq!(fixture.structure().findings, []);
    // Again, as long as it runs.
    let again = fixture.prune_with(&TIGHT).unwrap();
    assert_eq!(again.waiting.expect("it still waits").packs, waiting.packs);
    assert_eq!((again.deleted.count, again.written.count), (0, 0));

    session.end();
    let outcome = fixture.prune_with(&TIGHT).unwrap();
    assert_eq!(outcome.deleted, waiting.packs);
    assert!(outcome.waiting.is_none());
    fixture.assert_clean();
    for (id, content) in &all[1..] {
        assert_eq!(&fixture.content(id), content);
    }
}

#[test]
fn a_snapshot_that_needs_condemned_packs_after_all_keeps_them() {
    let fixture = Fixture::with_large_packs();
    let all = three(&fixture);
    let header = fixture.objects("snapshots");
    let handle = fixture.handle();
    let first = header.iter().find(|name| names::parse_snapshot(name).unwrap().1 == all[0].0).unwrap();
    let bytes = fixture.bytes(first);
    fixture.forget(&[all[0].0]);
    let session = Session::start(&handle, "host-b", false).unwrap();
    assert!(fixture.prune_with(&TIGHT).unwrap().waiting.is_some());
    // The running backup finds that everything is stored already, and ends.
    fixture.add(first, &bytes);
    session.end();
    let outcome = fixture.prune_with(&TIGHT).unwrap();
    assert!(outcome.rescued > 0);
    for (id, content) in &all {
        assert_eq!(&fixture.content(id), content);
    }
    fixture.prune_with(&TIGHT).unwrap();
    for (id, content) in &all {
        assert_eq!(&fixture.content(id), content);
    }
    fixture.assert_clean();
}

#[test]
fn a_snapshot_that_appears_between_plan_and_deletion_keeps_what_it_needs() {
    let fixture = Fixture::with_large_packs();
    let all = three(&fixture);
    let handle = fixture.handle();
    let first = handle.names.snapshots();
    let first = fixture
        .objects("snapshots")
        .into_iter()
        .find(|name| name.starts_with(&first) && names::parse_snapshot(name).unwrap().1 == all[0].0)
        .unwrap();
    let bytes = fixture.bytes(&first);
    fixture.forget(&[all[0].0, all[1].0]);
    let plan = watched(|monitor| prune::plan(&handle, &TIGHT, monitor)).unwrap();
    fixture.add(&first, &bytes);
    let outcome = watched(|monitor| plan.execute(None, monitor)).unwrap();
    assert!(outcome.rescued > 0 && outcome.deleted.count > 0, "{outcome:?}");
    assert_eq!(fixture.content(&all[0].0), all[0].1);
    assert_eq!(fixture.content(&all[2].0), all[2].1);
    fixture.assert_clean();
}

#[test]
fn packs_of_a_running_backup_are_no_orphans() {
    let fixture = Fixture::new();
    let all = three(&fixture);
    let handle = fixture.handle();
    let session = Session::start(&handle, "host-b", false).unwrap();
    let other = Fixture::new();
    other.fill();
    other.backup();
    let own = fixture.packs_of(1).swap_remove(0);
    let foreign = other.packs_of(1).swap_remove(0);
    let hash = &foreign[foreign.rfind('/').unwrap() + 1..];
    let name = format!("{}/packs/{}/{hash}", &own[..own.find("/packs/").unwrap()], &hash[..2]);
    fixture.add(&name, &other.bytes(&foreign));
    let before = fixture.memory.contents();
    let outcome = fixture.prune_with(&TIGHT).unwrap();
    assert!(outcome.waiting.is_none());
    assert_eq!(fixture.memory.contents(), before);
    session.end();
    assert_eq!(fixture.prune_with(&TIGHT).unwrap().deleted.count, 1);
    assert!(!fixture.objects("packs").contains(&name));
    assert_eq!(fixture.content(&all[0].0), all[0].1);
    fixture.assert_clean();
}

#[test]
fn markers_of_dead_backups_hold_nothing_up_and_are_removed() {
    let fixture = Fixture::new();
    let all = three(&fixture);
    let handle = fixture.handle();
    let session = Session::start(&handle, "host-b", false).unwrap();
    let marker = fixture.objects("sessions").swap_remove(0);
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25);
    assert!(fixture.memory.set_modified(&marker, long_ago));
    fixture.forget(&[all[0].0]);
    assert!(fixture.prune_with(&TIGHT).unwrap().deleted.count > 0);
    assert_eq!(fixture.objects("sessions"), [""; 0]);
    session.end();
    fixture.assert_clean();
}

#[test]
fn damage_that_hides_what_is_needed_stops_prune() {
    for kind in ["snapshots", "index", "refs", "data"] {
        let fixture = Fixture::new();
        let all = three(&fixture);
        fixture.forget(&[all[0].0]);
        let name = match kind {
            "refs" => fixture.packs_of(3).pop().unwrap(),
            "data" => fixture.packs_of(1).pop().unwrap(),
            kind => fixture.objects(kind).pop().unwrap(),
        };
        let mut bytes = fixture.bytes(&name);
        bytes.truncate(60);
        fixture.set(&name, bytes);
        std::fs::remove_dir_all(fixture.vault.cache.path()).unwrap();
        let before = fixture.memory.contents();
        let result = fixture.prune_with(&TIGHT);
        // The last pack of a kind may happen to be dead; then there is nothing in the way.
        if let Err(error) = result {
            assert!(matches!(error, VaultError::PruneStopped { .. }), "{kind}: {error}");
            assert!(error.is_integrity() || kind == "index", "{kind}: {error}");
            assert_eq!(fixture.memory.contents(), before);
        } else {
            assert!(kind == "refs" || kind == "data", "{kind} damage did not stop prune");
        }
    }
}

#[test]
fn a_damaged_pack_is_not_moved() {
    let fixture = Fixture::with_large_packs();
    let all = three(&fixture);
    fixture.forget(&[all[0].0, all[1].0]);
    let handle = fixture.handle();
    let plan = watched(|monitor| prune::plan(&handle, &TIGHT, monitor)).unwrap();
    assert!(plan.summary().repacked.count > 0);
    for name in fixture.packs_of(1) {
        let mut bytes = fixture.bytes(&name);
        let end = bytes.len() - 30;
        bytes[end] ^= 1;
        fixture.set(&name, bytes);
    }
    let outcome = watched(|monitor| plan.execute(None, monitor)).unwrap();
    assert!(!outcome.damaged.is_empty());
    let packs = fixture.objects("packs");
    assert!(outcome.damaged.iter().all(|(name, _)| packs.contains(name)));
    assert_eq!(fixture.content(&all[2].0), all[2].1);
}

#[test]
fn who_may_not_delete_is_told_before_anything_changes() {
    let fixture = Fixture::new();
    let all = three(&fixture);
    fixture.forget(&[all[0].0]);
    let store: Arc<dyn Store> = Arc::new(strongroom_testkit::store::NoDeleteStore::new(Arc::clone(
        &fixture.memory,
    )
        as Arc<dyn Store>));
    let vault = fixture.vault.through(store).unwrap();
    let handle = fixture.vault.writing(&vault).unwrap();
    let packs = fixture.objects("packs");
    let result = watched(|monitor| prune::plan(&handle, &TIGHT, monitor)?.execute(None, monitor));
    assert!(matches!(result, Err(VaultError::MayNotDelete { .. })), "{result:?}");
    assert_eq!(fixture.objects("packs"), packs);
    assert_eq!(fixture.objects("condemned"), [""; 0]);
    fixture.prune_with(&TIGHT).unwrap();
    fixture.assert_clean();
}

#[test]
fn of_two_prunes_at_once_one_gives_way() {
    let fixture = Fixture::with_large_packs();
    let all = three(&fixture);
    fixture.forget(&[all[0].0, all[1].0]);
    let handle = fixture.handle();
    let late = watched(|monitor| prune::plan(&handle, &TIGHT, monitor)).unwrap();
    fixture.prune_with(&TIGHT).unwrap();
    let result = watched(|monitor| late.execute(None, monitor));
    assert!(matches!(result, Err(VaultError::Disturbed)), "{result:?}");
    assert_eq!(fixture.content(&all[2].0), all[2].1);
    fixture.prune_with(&TIGHT).unwrap();
    fixture.assert_clean();

    // One that has only condemned so far is seen, too.
    fixture.write("own", &noise(300_000, 50));
    let extra = fixture.backup().id.unwrap();
    fixture.forget(&[extra]);
    let handle = fixture.handle();
    let plan = watched(|monitor| prune::plan(&handle, &TIGHT, monitor)).unwrap();
    let other = Condemnation { time: String::new(), packs: Vec::new() };
    let bytes = other.seal(&handle.owner, &handle.keys, &mut SystemEntropy);
    fixture.add(&handle.names.condemnation(&ObjectHash::of(&bytes)), &bytes);
    assert!(matches!(watched(|monitor| plan.execute(None, monitor)), Err(VaultError::Disturbed)));
    fixture.prune_with(&TIGHT).unwrap();
    fixture.assert_clean();
    assert_eq!(fixture.content(&all[2].0), all[2].1);
}

#[test]
fn a_chunk_that_lies_in_two_packs_is_kept_once() {
    let fixture = Fixture::new();
    fixture.write("same", &noise(400_000, 5));
    let first = fixture.backup().id.unwrap();
    // A second host that does not see the first one's index stores everything again.
    let hidden: Vec<_> =
        fixture.objects("index").into_iter().map(|name| (name.clone(), fixture.bytes(&name))).collect();
    hidden.iter().for_each(|(name, _)| fixture.remove(name));
    let snapshots: Vec<_> =
        fixture.objects("snapshots").into_iter().map(|name| (name.clone(), fixture.bytes(&name))).collect();
    snapshots.iter().for_each(|(name, _)| fixture.remove(name));
    std::fs::remove_dir_all(fixture.vault.cache.path()).unwrap();
    let second = fixture.backup().id.unwrap();
    hidden.iter().chain(&snapshots).for_each(|(name, bytes)| fixture.add(name, bytes));
    let before = fixture.stored();
    let content = fixture.content(&first);
    assert!(before > 800_000);
    fixture.prune_with(&TIGHT).unwrap();
    assert!(fixture.stored() < before * 6 / 10);
    assert_eq!(fixture.content(&first), content);
    assert_eq!(fixture.content(&second), content);
    fixture.assert_clean();
}
