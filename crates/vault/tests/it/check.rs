//! Each kind of damage gives its finding.

use crate::check_support::{Fixture, noise};
use std::collections::BTreeSet;
use strongroom_format::Damage;
use strongroom_vault::check::{Defect, Report, Subset};

fn filled() -> Fixture {
    let fixture = Fixture::new();
    fixture.fill();
    fixture.backup();
    fixture
}

fn objects(report: &Report) -> BTreeSet<&str> {
    report.findings.iter().map(|finding| finding.object.as_str()).collect()
}

fn paths(report: &Report) -> BTreeSet<String> {
    let paths = report.affected.iter().flat_map(|affected| &affected.paths);
    paths.map(|path| String::from_utf8_lossy(&path.path).into_owned()).collect()
}

#[test]
fn a_fresh_vault_has_no_findings() {
    let fixture = filled();
    fixture.write("d1/later", b"later");
    fixture.backup();
    for report in [fixture.scrub(), fixture.structure(), fixture.read_data(Subset::All)] {
        assert_eq!(report.findings, []);
        assert!(!report.is_violation());
        assert_eq!(report.orphans.packs, 0);
    }
    let report = fixture.read_data(Subset::All);
    assert_eq!(report.counts.packs as usize, fixture.objects("packs").len());
    assert_eq!(report.counts.objects_hashed, report.counts.packs);
    assert_eq!(report.counts.chunks_verified, report.counts.chunks_needed);
    assert!(report.counts.bytes_verified > 3 << 20);
    assert_eq!(report.counts.snapshots, 2);
    // Without any cache the answer is the same.
    std::fs::remove_dir_all(fixture.vault.cache.path()).unwrap();
    assert_eq!(fixture.structure().findings, []);
}

#[test]
fn an_empty_vault_has_no_findings() {
    let fixture = Fixture::new();
    assert_eq!(fixture.scrub().findings, []);
    assert_eq!(fixture.structure().findings, []);
    assert_eq!(fixture.read_data(Subset::All).findings, []);
}

#[test]
fn parts_of_the_content_together_are_all_of_it() {
    let fixture = filled();
    let total = fixture.objects("packs").len() as u64;
    let read: u64 = (1..=4).map(|n| fixture.read_data(Subset::Part { n, of: 4 }).counts.objects_hashed).sum();
    assert_eq!(read, total);
    assert_eq!(fixture.read_data(Subset::Share(1.0)).counts.objects_hashed, total);
    let half = fixture.read_data(Subset::Share(0.5)).counts;
    assert!(half.objects_hashed < total && half.bytes_hashed * 2 >= half.stored_bytes);
    assert_eq!(fixture.read_data(Subset::Bytes(1)).counts.objects_hashed, 1);
}

#[test]
fn a_flipped_bit_in_content_is_found_with_its_file() {
    let fixture = filled();
    let name = fixture.packs_of(1).swap_remove(0);
    let mut bytes = fixture.bytes(&name);
    bytes[2000] ^= 0x10;
    fixture.set(&name, bytes);

    let scrub = fixture.scrub();
    assert_eq!(objects(&scrub), BTreeSet::from([name.as_str()]));
    assert!(scrub.is_violation());
    assert!(!fixture.structure().is_violation(), "the structure does not look into packs");

    let report = fixture.read_data(Subset::All);
    assert_eq!(objects(&report), BTreeSet::from([name.as_str()]));
    let damages: Vec<_> = report.findings.iter().map(|finding| &finding.defect).collect();
    assert!(
        damages.iter().any(|d| matches!(d, Defect::Damaged(e) if e.damage == Damage::Hash)),
        "{damages:?}"
    );
    assert!(
        damages.iter().any(|d| matches!(d, Defect::Damaged(e) if e.damage == Damage::Seal)),
        "{damages:?}"
    );
    assert_eq!(report.affected.len(), 1);
    assert!(report.affected_by(&report.findings[0]).next().is_some());
    let paths = paths(&report);
    let root = fixture.root().to_str().unwrap();
    assert!(!paths.is_empty() && paths.iter().all(|path| path.starts_with(root)), "{paths:?}");
    assert!(paths.len() < 42, "only what lies in the damaged group");
}

#[test]
fn a_flipped_bit_in_the_padding_or_directory_is_found() {
    let fixture = filled();
    let name = fixture.packs_of(1).swap_remove(0);
    let original = fixture.bytes(&name);
    for at in [original.len() - 3, original.len() - 40] {
        let mut bytes = original.clone();
        bytes[at] ^= 1;
        fixture.set(&name, bytes);
        assert_eq!(objects(&fixture.scrub()), BTreeSet::from([name.as_str()]));
        let report = fixture.read_data(Subset::All);
        assert_eq!(objects(&report), BTreeSet::from([name.as_str()]));
        assert!(report.affected.is_empty(), "every group can still be read");
    }
}

#[test]
fn a_truncated_pack_is_found_by_its_length() {
    let fixture = filled();
    let name = fixture.packs_of(1).swap_remove(0);
    let mut bytes = fixture.bytes(&name);
    let expected = bytes.len() as u64;
    bytes.truncate(bytes.len() / 2);
    let found = bytes.len() as u64;
    fixture.set(&name, bytes);
    let report = fixture.structure();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].object, name);
    assert_eq!(report.findings[0].defect, Defect::Length { expected, found });
    assert_eq!(report.affected.len(), 1, "the snapshot is named without a read key");
    assert!(report.affected[0].paths.is_empty(), "paths are not");
    assert!(!paths(&fixture.read_data(Subset::All)).is_empty());
    assert_eq!(objects(&fixture.scrub()), BTreeSet::from([name.as_str()]));
}

#[test]
fn a_deleted_pack_of_each_kind_is_found() {
    for kind in [1, 2, 3] {
        let fixture = filled();
        let name = fixture.packs_of(kind).swap_remove(0);
        fixture.remove(&name);
        let report = fixture.structure();
        assert_eq!(report.findings[0].object, name);
        assert_eq!(report.findings[0].defect, Defect::Missing);
        assert_eq!(report.affected.len(), 1);
        assert_eq!(report.affected[0].objects, BTreeSet::from([name.clone()]));
        let paths = paths(&fixture.read_data(Subset::All));
        assert!(!paths.is_empty());
        assert_eq!(fixture.scrub().findings, [], "nobody can tell without a key");
    }
}

#[test]
fn two_swapped_packs_are_found() {
    let fixture = filled();
    let packs = fixture.packs_of(1);
    let (a, b) = (&packs[0], &packs[1]);
    let (bytes_a, bytes_b) = (fixture.bytes(a), fixture.bytes(b));
    fixture.set(a, bytes_b);
    fixture.set(b, bytes_a);
    let expected = BTreeSet::from([a.as_str(), b.as_str()]);
    assert_eq!(objects(&fixture.scrub()), expected);
    assert_eq!(objects(&fixture.read_data(Subset::All)), expected);
}

#[test]
fn foreign_objects_are_found() {
    let fixture = filled();
    let pack = fixture.packs_of(1).swap_remove(0);
    let folder = &pack[..pack.rfind('/').unwrap()];
    let stranger = format!("{folder}/notes.txt");
    fixture.add(&stranger, b"hello");
    let misplaced = format!("{}/00/{}", &folder[..folder.rfind('/').unwrap()], "ab".repeat(32));
    fixture.add(&misplaced, b"hello");
    let expected = BTreeSet::from([stranger.as_str(), misplaced.as_str()]);
    for report in [fixture.scrub(), fixture.structure()] {
        assert_eq!(objects(&report), expected);
        assert!(report.findings.iter().all(|finding| finding.defect == Defect::Foreign));
    }
}

#[test]
fn a_pack_of_another_vault_is_an_orphan_and_no_damage() {
    let (fixture, other) = (filled(), filled());
    let foreign = other.packs_of(1).swap_remove(0);
    let hash = &foreign[foreign.rfind('/').unwrap() + 1..];
    let own = fixture.packs_of(1).swap_remove(0);
    let base = &own[..own.find("/packs/").unwrap()];
    fixture.add(&format!("{base}/packs/{}/{hash}", &hash[..2]), &other.bytes(&foreign));
    let report = fixture.structure();
    assert_eq!(report.findings, []);
    assert_eq!(report.orphans.packs, 1);
}

#[test]
fn damaged_segments_and_snapshots_are_found() {
    for kind in ["index", "snapshots"] {
        let fixture = filled();
        fixture.write("more", &noise(100_000, 77));
        fixture.backup();
        let name = fixture.objects(kind).swap_remove(0);
        let mut bytes = fixture.bytes(&name);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fixture.set(&name, bytes);
        std::fs::remove_dir_all(fixture.vault.cache.path()).unwrap();
        let report = fixture.structure();
        assert!(objects(&report).contains(name.as_str()), "{report:?}");
        assert!(objects(&fixture.scrub()).contains(name.as_str()));
        if kind == "index" {
            assert!(report.findings.iter().any(|f| matches!(f.defect, Defect::MissingChunk { .. })));
            assert!(!report.affected.is_empty());
        }
    }
}

#[test]
fn the_bytes_of_one_snapshot_under_the_name_of_another_are_found() {
    let fixture = filled();
    fixture.write("more", b"more");
    fixture.backup();
    let names = fixture.objects("snapshots");
    let bytes = fixture.bytes(&names[0]);
    fixture.set(&names[1], bytes);
    assert_eq!(objects(&fixture.structure()), BTreeSet::from([names[1].as_str()]));
}
