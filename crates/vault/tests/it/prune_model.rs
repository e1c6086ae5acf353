//! Prune against a model of what each snapshot must hold, and at every point where it may crash.

use crate::check_support::{Fixture, noise};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use strongroom_format::ObjectHash;
use strongroom_testkit::{store::CrashStore, vault::watched};
use strongroom_vault::{
    check::Subset,
    prune::{self, Limit, PruneOptions},
    session::Session,
    snapshots,
};

type Content = Vec<(String, Vec<u8>)>;

#[derive(Debug, Clone)]
enum Step {
    Write { file: u8, seed: u8, len: u32 },
    Delete { file: u8 },
    Backup,
    Forget { nth: u8 },
    Retag { nth: u8 },
    Prune { options: PruneOptions },
    Compact,
    PruneDuringBackup,
    LoseCache,
}

fn options() -> impl Strategy<Value = PruneOptions> {
    let limit = prop_oneof![
        Just(Limit::Share(0.0)),
        Just(Limit::Share(0.05)),
        Just(Limit::Bytes(50_000)),
        Just(Limit::Unlimited)
    ];
    let small = prop_oneof![Just(None), Just(Some(100_000)), Just(Some(10_000_000))];
    let most = prop_oneof![Just(None), Just(Some(200_000))];
    (limit, small, most).prop_map(|(max_unused, repack_small, max_repack)| PruneOptions {
        max_unused,
        repack_small,
        max_repack,
        ..PruneOptions::default()
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        // Few seeds: the same content comes and goes in several files.
        6 => (0u8..8, 0u8..5, prop_oneof![Just(0u32), 1u32..2000, 50_000u32..300_000, 900_000u32..1_800_000])
            .prop_map(|(file, seed, len)| Step::Write { file, seed, len }),
        2 => (0u8..8).prop_map(|file| Step::Delete { file }),
        5 => Just(Step::Backup),
        3 => any::<u8>().prop_map(|nth| Step::Forget { nth }),
        1 => any::<u8>().prop_map(|nth| Step::Retag { nth }),
        3 => options().prop_map(|options| Step::Prune { options }),
        1 => Just(Step::Compact),
        2 => Just(Step::PruneDuringBackup),
        1 => Just(Step::LoseCache),
    ]
}

fn pick(model: &BTreeMap<ObjectHash, Content>, nth: u8) -> Option<ObjectHash> {
    model.keys().nth(usize::from(nth) % model.len().max(1)).copied()
}

fn assert_holds(fixture: &Fixture, model: &BTreeMap<ObjectHash, Content>) {
    let listed = snapshots::load(&fixture.handle()).unwrap();
    assert!(listed.damaged.is_empty());
    assert_eq!(listed.good.len(), model.len());
    for (id, content) in model {
        assert_eq!(&fixture.content(id), content);
    }
    assert_eq!(fixture.read_data(Subset::All).findings, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_snapshot_keeps_its_content(large in any::<bool>(), steps in prop::collection::vec(step(), 1..40)) {
        let fixture = if large { Fixture::with_large_packs() } else { Fixture::new() };
        let mut files = BTreeMap::from([("keep".to_owned(), b"keep".to_vec())]);
        fixture.write("keep", b"keep");
        let mut model: BTreeMap<ObjectHash, Content> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Write { file, seed, len } => {
                    let name = format!("d{}/f{file}", file % 3);
                    let content = noise(len as usize, u64::from(seed));
                    fixture.write(&name, &content);
                    files.insert(name, content);
                }
                Step::Delete { file } => {
                    let name = format!("d{}/f{file}", file % 3);
                    if files.remove(&name).is_some() {
                        fixture.delete(&name);
                    }
                }
                Step::Backup => {
                    let id = fixture.backup().id.unwrap();
                    model.insert(id, files.clone().into_iter().collect());
                }
                Step::Forget { nth } => {
                    if let Some(id) = pick(&model, nth) {
                        fixture.forget(&[id]);
                        model.remove(&id);
                    }
                }
                Step::Retag { nth } => {
                    if let Some(id) = pick(&model, nth) {
                        let add = |tags: &mut Vec<String>| tags.push(format!("t{}", tags.len()));
                        let new = snapshots::retag(&fixture.handle(), "host-a", &[id], &add).unwrap()[0].new;
                        let content = model.remove(&id).unwrap();
                        model.insert(new, content);
                    }
                }
                Step::Prune { options } => {
                    let outcome = fixture.prune_with(&options).unwrap();
                    prop_assert!(outcome.waiting.is_none());
                    prop_assert!(outcome.damaged.is_empty());
                    prop_assert_eq!(fixture.objects("condemned").len(), 0);
                    assert_holds(&fixture, &model);
                }
                Step::Compact => {
                    let handle = fixture.handle();
                    let options = PruneOptions { max_unused: Limit::Share(0.0), compact: true, ..Default::default() };
                    let compaction = fixture.compaction();
                    watched(|monitor| prune::plan(&handle, &options, monitor)?.execute(Some(&compaction), monitor)).unwrap();
                    assert_holds(&fixture, &model);
                }
                Step::PruneDuringBackup => {
                    let handle = fixture.handle();
                    let session = Session::start(&handle, "host-b", false).unwrap();
                    // What was condemned before this backup started does not concern it.
                    let nothing_condemned = fixture.objects("condemned").is_empty();
                    let before = fixture.objects("packs");
                    let options = PruneOptions { max_unused: Limit::Share(0.0), ..Default::default() };
                    fixture.prune_with(&options).unwrap();
                    let now = fixture.objects("packs");
                    prop_assert!(!nothing_condemned || before.iter().all(|pack| now.contains(pack)));
                    let id = fixture.backup().id.unwrap();
                    model.insert(id, files.clone().into_iter().collect());
                    session.end();
                    assert_holds(&fixture, &model);
                }
                Step::LoseCache => {
                    // Where it was lost before and nothing has made it again, there is nothing to lose.
                    let _ = std::fs::remove_dir_all(fixture.vault.cache.path());
                }
            }
        }
        assert_holds(&fixture, &model);
    }
}

/// Makes a vault of which `forget` has left a lot to prune; the contents of what remains.
fn ready_to_prune() -> (Fixture, BTreeMap<ObjectHash, Content>) {
    let fixture = Fixture::with_large_packs();
    let mut model = BTreeMap::new();
    let mut dead = Vec::new();
    for round in 0..4u64 {
        fixture.write("own", &noise(1_200_000, round));
        fixture.write("shared", &noise(1_200_000, 100));
        for nth in 0..10 {
            fixture.write(&format!("d/f{nth}"), &noise(9000, nth * (round % 2)));
        }
        let id = fixture.backup().id.unwrap();
        if round % 2 == 0 {
            dead.push(id);
        } else {
            model.insert(id, fixture.content(&id));
        }
    }
    fixture.forget(&dead);
    (fixture, model)
}

const TIGHT: PruneOptions = PruneOptions {
    max_unused: Limit::Share(0.0),
    repack_small: Some(100_000),
    max_repack: None,
    rewrite_before: None,
    compact: false,
    threads: 2,
};

/// Prunes through a recording store, and takes the state after each change for what a crash left behind.
fn sweep(fixture: &mut Fixture, model: &BTreeMap<ObjectHash, Content>, prepare: &dyn Fn(&Fixture)) {
    let store = Arc::new(CrashStore::starting_from(&fixture.memory));
    let vault = fixture.vault.through(Arc::clone(&store) as _).unwrap();
    let handle = fixture.handle_of(&vault);
    let plan = watched(|monitor| prune::plan(&handle, &TIGHT, monitor)).unwrap();
    let summary = plan.summary().clone();
    watched(|monitor| plan.execute(None, monitor)).unwrap();
    assert!(summary.repacked.count > 0 || summary.condemned.count > 0, "{summary:?}");
    assert!(store.len() > 10, "there was something to do");
    for count in 0..=store.len() {
        fixture.memory = fixture.vault.runtime.block_on(store.after(count));
        fixture.vault.vault = fixture.vault.through(Arc::clone(&fixture.memory) as _).unwrap();
        assert_eq!(fixture.structure().findings, [], "after {count} changes");
        for (id, content) in model {
            assert_eq!(&fixture.content(id), content, "after {count} changes");
        }
        // A backup after the crash builds on what is there.
        prepare(fixture);
        let outcome = fixture.prune_with(&TIGHT).unwrap();
        assert!(outcome.waiting.is_none());
        assert_holds_some(fixture, model);
        let report = fixture.structure();
        assert_eq!(report.orphans.packs, 0, "after {count} changes");
        assert_eq!(fixture.objects("condemned"), [""; 0]);
        assert_eq!(fixture.objects("sessions"), [""; 0]);
        let settled = fixture.memory.contents();
        fixture.prune_with(&TIGHT).unwrap();
        assert_eq!(fixture.memory.contents(), settled, "one prune is enough after {count} changes");
    }
}

fn assert_holds_some(fixture: &Fixture, model: &BTreeMap<ObjectHash, Content>) {
    for (id, content) in model {
        assert_eq!(&fixture.content(id), content);
    }
    assert_eq!(fixture.read_data(Subset::All).findings, []);
}

#[test]
fn after_a_crash_at_any_point_every_snapshot_is_whole_and_the_next_prune_cleans_up() {
    let (mut fixture, model) = ready_to_prune();
    sweep(&mut fixture, &model, &|_| ());
}

#[test]
fn a_backup_between_a_crash_and_the_next_prune_is_whole() {
    let (mut fixture, model) = ready_to_prune();
    sweep(&mut fixture, &model, &|fixture| {
        // The content of the first, forgotten snapshot: all of it is dead or condemned.
        fixture.write("own", &noise(1_200_000, 0));
        let id = fixture.backup().id.unwrap();
        let content = fixture.content(&id);
        let own = content.iter().find(|(name, _)| name == "own").unwrap();
        assert_eq!(own.1, noise(1_200_000, 0));
        fixture.prune_with(&TIGHT).unwrap();
        assert_eq!(fixture.content(&id), content);
    });
}

#[test]
fn a_crash_of_the_prune_that_finishes_an_earlier_one_is_harmless() {
    let (mut fixture, model) = ready_to_prune();
    let handle = fixture.handle();
    let session = Session::start(&handle, "host-b", false).unwrap();
    assert!(fixture.prune_with(&TIGHT).unwrap().waiting.is_some());
    session.end();
    sweep(&mut fixture, &model, &|_| ());
}
