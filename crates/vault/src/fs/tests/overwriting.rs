use std::{fs, os::unix::fs::symlink as make_link};

use super::*;

fn content(place: &Place, name: &str) -> Vec<u8> {
    fs::read(place.target().join(name)).unwrap()
}

#[test]
fn each_mode_replaces_what_it_says() {
    let base = file_entry(b"x", 3);
    let at = |secs| Timestamp { secs, ..base.mtime };
    let older = Entry { mtime: at(1), ..base.clone() };
    let newer = Entry { mtime: at(2_000_000_000), ..base.clone() };
    for (overwrite, entry, content_of_new, replaced) in [
        (Overwrite::Never, &newer, b"new!".as_slice(), false),
        (Overwrite::Always, &base, b"new", true),
        (Overwrite::IfChanged, &base, b"new", false),
        (Overwrite::IfChanged, &base, b"new!", true),
        (Overwrite::IfChanged, &older, b"new", true),
        (Overwrite::IfNewer, &base, b"new!", false),
        (Overwrite::IfNewer, &older, b"new!", false),
        (Overwrite::IfNewer, &newer, b"new", true),
    ] {
        let place = Place::new();
        let target = place.open_target();
        assert!(write_file(&target, &base, b"old", Overwrite::Never));
        let size = content_of_new.len() as u64;
        let entry = Entry { kind: file_entry(b"x", size).kind, ..entry.clone() };
        assert_eq!(
            write_file(&target, &entry, content_of_new, overwrite),
            replaced,
            "{overwrite:?} {entry:?}"
        );
        assert_eq!(content(&place, "x"), if replaced { content_of_new } else { b"old" });
        assert_eq!(names(&place.target()), [b"x"]);
    }
}

#[test]
fn the_old_file_stays_until_the_new_one_is_whole() {
    let place = Place::new();
    let target = place.open_target();
    let entry = file_entry(b"x", 3);
    assert!(write_file(&target, &entry, b"old", Overwrite::Never));
    let file = target.create_file(&entry, Overwrite::Always).unwrap().unwrap();
    file.write_all_at(b"ne", 0).unwrap();
    assert_eq!(content(&place, "x"), b"old");
    drop(file);
    assert_eq!(content(&place, "x"), b"old");
    assert_eq!(names(&place.target()), [b"x"], "the unfinished file is left");
    let unfinished = target.create_file(&file_entry(b"y", 3), Overwrite::Always).unwrap().unwrap();
    drop(unfinished);
    assert_eq!(names(&place.target()), [b"x"]);
}

#[test]
fn a_directory_gives_way_only_when_it_is_empty() {
    let place = Place::new();
    let target = place.open_target();
    for name in ["empty", "full", "full/inner"] {
        fs::create_dir(place.target().join(name)).unwrap();
    }
    assert!(write_file(&target, &file_entry(b"empty", 1), b"x", Overwrite::Always));
    assert!(target.create_file(&file_entry(b"full", 1), Overwrite::Always).is_err());
    let link = symlink(b"full", Path::new("x"));
    assert!(target.create_node(&link, Overwrite::Always, b"", &mut Vec::new()).is_err());
    assert_eq!(names(&place.target().join("full")), [b"inner"]);
}

#[test]
fn nodes_and_links_replace_what_is_there() {
    let place = Place::new();
    let target = place.open_target();
    let mut problems = Vec::new();
    fs::write(place.target().join("f"), b"file").unwrap();
    let link = symlink(b"f", Path::new("elsewhere"));
    assert_eq!(target.create_node(&link, Overwrite::Never, b"", &mut problems).unwrap(), Outcome::Kept);
    assert_eq!(target.create_node(&link, Overwrite::Always, b"", &mut problems).unwrap(), Outcome::Created);
    assert_eq!(fs::read_link(place.target().join("f")).unwrap(), Path::new("elsewhere"));
    let fifo = entry_of(b"f", EntryKind::Fifo);
    assert_eq!(
        target.create_node(&fifo, Overwrite::IfChanged, b"", &mut problems).unwrap(),
        Outcome::Created
    );
    assert_eq!(target.stat_child(b"f").unwrap().kind, FileKind::Fifo);
    assert!(write_file(&target, &file_entry(b"a", 1), b"a", Overwrite::Always));
    for _ in 0..2 {
        let entry = file_entry(b"f", 1);
        assert_eq!(target.hard_link(&entry, &target, b"a", Overwrite::Always).unwrap(), Outcome::Created);
        assert!(target.stat_child(b"f").unwrap().same_inode(&target.stat_child(b"a").unwrap()));
    }
    assert_eq!(names(&place.target()), [b"a", b"f"]);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn a_link_to_a_directory_as_the_target_itself_is_the_users_choice() {
    let place = Place::new();
    make_link(place.target(), place.source().join("link")).unwrap();
    let target = TargetDir::create_root(&place.source().join("link/new/deep")).unwrap();
    assert!(write_file(&target, &file_entry(b"x", 1), b"x", Overwrite::Never));
    assert_eq!(content(&place, "new/deep/x"), b"x");
}
