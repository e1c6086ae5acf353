//! Listing, removing and retagging snapshots.

use crate::check_support::Fixture;
use strongroom_format::ObjectHash;
use strongroom_vault::{VaultError, snapshots};

#[test]
fn snapshots_are_listed_by_time_and_damaged_ones_beside_them() {
    let fixture = Fixture::new();
    fixture.write("a", b"one");
    let first = fixture.backup();
    fixture.write("a", b"two and more");
    let second = fixture.backup();
    let third = fixture.backup();
    let listed = snapshots::load(&fixture.handle()).unwrap();
    let ids: Vec<_> = listed.good.iter().map(|stored| stored.id).collect();
    assert_eq!(ids, [first.id.unwrap(), second.id.unwrap(), third.id.unwrap()]);
    assert_eq!(listed.good[1].snapshot, second.snapshot);
    assert!(listed.damaged.is_empty());

    let name = &listed.good[1].object;
    let mut bytes = fixture.bytes(name);
    bytes[100] ^= 1;
    fixture.set(name, bytes);
    let listed = snapshots::load(&fixture.handle()).unwrap();
    assert_eq!(listed.good.len(), 2);
    assert_eq!(&listed.damaged[0].object, name);
    assert!(listed.damaged[0].error.is_integrity());
    // A damaged snapshot can be removed.
    fixture.forget(&[second.id.unwrap()]);
    let listed = snapshots::load(&fixture.handle()).unwrap();
    assert_eq!((listed.good.len(), listed.damaged.len()), (2, 0));
}

#[test]
fn nothing_is_removed_where_one_of_them_is_not_there() {
    let fixture = Fixture::new();
    fixture.write("a", b"one");
    let id = fixture.backup().id.unwrap();
    let result = snapshots::remove(&fixture.handle(), &[id, ObjectHash([7; 32])]);
    assert!(matches!(result, Err(VaultError::NoSnapshot { .. })));
    assert_eq!(snapshots::load(&fixture.handle()).unwrap().good.len(), 1);
}

#[test]
fn changed_tags_make_a_new_snapshot_that_remembers_the_first() {
    let fixture = Fixture::new();
    fixture.write("a", b"one");
    let first = fixture.backup().id.unwrap();
    let handle = fixture.handle();
    let add = |tag: &'static str| move |tags: &mut Vec<String>| tags.push(tag.to_owned());
    let replaced = snapshots::retag(&handle, "host-a", &[first, first], &add("gold")).unwrap();
    assert_eq!(replaced.len(), 1);
    let second = snapshots::retag(&handle, "host-a", &[replaced[0].new], &add("blue")).unwrap()[0].new;
    let listed = snapshots::load(&handle).unwrap();
    assert_eq!(listed.good.len(), 1);
    let stored = listed.find(&second).unwrap();
    assert_eq!(stored.snapshot.tags, ["blue", "gold"]);
    assert_eq!(stored.snapshot.original, Some(first));
    // What changes nothing writes nothing.
    assert!(snapshots::retag(&handle, "host-a", &[second], &add("gold")).unwrap().is_empty());
    assert!(fixture.objects("sessions").is_empty());
    assert!(!fixture.structure().is_violation());
}
