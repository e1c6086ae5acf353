use std::fs;

use super::*;

#[test]
fn extraneous_names_are_those_that_nobody_expects() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        fs::write(place.target().join(name), b"").unwrap();
    }
    let target = place.open_target();
    for _ in 0..2 {
        assert_eq!(target.extraneous(|name| name == b"b").unwrap(), [b"a", b"c"]);
    }
}

#[test]
fn trees_deeper_than_descriptors_last_are_removed() {
    let place = Place::new();
    let target = place.open_target();
    let mut dir = target.clone();
    for _ in 0..1500 {
        let MadeDir::Created(next) = dir.make_dir(&directory(b"d"), Overwrite::Never).unwrap() else {
            panic!("it is new")
        };
        assert!(write_file(&next, &file_entry(b"f", 0), b"", Overwrite::Never));
        dir = next;
    }
    let mut problems = Vec::new();
    assert_eq!(target.remove_tree(b"d", b"/d", &mut problems).unwrap(), 3000);
    assert!(problems.is_empty() && names(&place.target()).is_empty(), "{problems:?}");
}

#[test]
fn wide_trees_and_absent_names() {
    let place = Place::new();
    for n in 0..40 {
        let dir = place.target().join(format!("t/{n}"));
        fs::create_dir_all(&dir).unwrap();
        for m in 0..50 {
            fs::write(dir.join(m.to_string()), b"").unwrap();
        }
    }
    let target = place.open_target();
    let mut problems = Vec::new();
    assert_eq!(target.remove_tree(b"t", b"/t", &mut problems).unwrap(), 2041);
    assert_eq!(target.remove_tree(b"t", b"/t", &mut problems).unwrap(), 0);
    assert!(problems.is_empty());
}
