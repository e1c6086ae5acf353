//! Each test is an attempt to write or remove outside the target.

use std::{fs, io, os::unix::fs::symlink as make_link};

use super::*;

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let place = Place::new();
    let target = place.open_target();
    fs::create_dir(place.target().join("d")).unwrap();
    let mut problems = Vec::new();
    for name in [&b".."[..], b".", b"", b"/", b"../outside/x", b"d/x", b"/etc", b"x\0y", &[b'x'; 5000]] {
        let refused = |result: io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name:?}");
        };
        let (file, link) = (file_entry(name, 0), symlink(name, Path::new("x")));
        refused(target.create_file(&file, Overwrite::Always).map(drop));
        refused(target.make_dir(&directory(name), Overwrite::Always).map(drop));
        refused(target.create_node(&link, Overwrite::Always, b"", &mut problems).map(drop));
        refused(target.hard_link(&file, &target, b"d", Overwrite::Always).map(drop));
        refused(target.hard_link(&file_entry(b"x", 0), &target, name, Overwrite::Always).map(drop));
        refused(target.apply_to_existing(&file, b"", &mut problems));
        refused(target.open_dir(name).map(drop));
        refused(target.stat_child(name).map(drop));
        refused(target.remove_tree(name, b"", &mut problems).map(drop));
    }
    assert_eq!(names(&place.target()), [b"d"]);
    place.assert_outside_untouched();
}

#[test]
fn a_link_in_place_of_a_directory_is_replaced_or_kept_but_not_followed() {
    for overwrite in [Overwrite::Always, Overwrite::IfChanged] {
        let place = Place::new();
        make_link(place.outside(), place.target().join("d")).unwrap();
        let target = place.open_target();
        assert!(target.open_dir(b"d").is_err());
        let MadeDir::Created(dir) = target.make_dir(&directory(b"d"), overwrite).unwrap() else {
            panic!("the link was not replaced")
        };
        assert!(write_file(&dir, &file_entry(b"precious", 1), b"x", Overwrite::Always));
        assert!(place.target().join("d").symlink_metadata().unwrap().is_dir());
        place.assert_outside_untouched();
    }
    let place = Place::new();
    make_link(place.outside(), place.target().join("d")).unwrap();
    let made = place.open_target().make_dir(&directory(b"d"), Overwrite::Never).unwrap();
    assert!(matches!(made, MadeDir::Kept));
    place.assert_outside_untouched();
}

#[test]
fn a_link_that_is_swapped_in_after_a_directory_was_opened_changes_nothing() {
    let place = Place::new();
    let target = place.open_target();
    let MadeDir::Created(dir) = target.make_dir(&directory(b"d"), Overwrite::Always).unwrap() else {
        panic!("it is new")
    };
    fs::rename(place.target().join("d"), place.target().join("moved")).unwrap();
    make_link(place.outside(), place.target().join("d")).unwrap();
    assert!(write_file(&dir, &file_entry(b"precious", 1), b"x", Overwrite::Always));
    let mut problems = Vec::new();
    let kept = Entry { mode: 0o700, ..directory(b"d") };
    dir.apply_attributes(&kept, b"/d", &mut problems).unwrap();
    assert_eq!(names(&place.target().join("moved")), [b"precious"]);
    let mode = std::os::unix::fs::MetadataExt::mode(&place.outside().metadata().unwrap());
    assert_eq!(mode & 0o777, 0o777, "the attributes went to the link's target");
    place.assert_outside_untouched();
}

#[test]
fn a_link_in_place_of_a_file_is_replaced_and_its_target_stays() {
    let place = Place::new();
    for (name, to) in [("a", "precious"), ("b", "made-through-a-dangling-link")] {
        make_link(place.outside().join(to), place.target().join(name)).unwrap();
    }
    let target = place.open_target();
    for name in [b"a", b"b"] {
        assert!(!write_file(&target, &file_entry(name, 1), b"x", Overwrite::Never));
        assert!(write_file(&target, &file_entry(name, 1), b"x", Overwrite::Always));
        assert_eq!(target.stat_child(name).unwrap().kind, FileKind::File);
    }
    assert_eq!(names(&place.target()), [b"a", b"b"], "temporary names are left");
    place.assert_outside_untouched();
}

#[test]
fn a_hard_link_to_a_file_outside_is_replaced_and_never_written_through() {
    let place = Place::new();
    fs::hard_link(place.outside().join("precious"), place.target().join("x")).unwrap();
    let before = fs::metadata(place.outside().join("precious")).unwrap();
    let target = place.open_target();
    let entry = Entry { mode: 0o4777, ..file_entry(b"x", 1) };
    assert!(target.apply_to_existing(&entry, b"/x", &mut Vec::new()).is_err());
    assert!(write_file(&target, &entry, b"x", Overwrite::Always));
    let after = fs::metadata(place.outside().join("precious")).unwrap();
    assert_eq!(before.permissions(), after.permissions());
    place.assert_outside_untouched();
}

#[test]
fn attributes_of_a_kept_entry_never_go_through_a_link() {
    let place = Place::new();
    make_link(place.outside().join("precious"), place.target().join("x")).unwrap();
    let before = fs::metadata(place.outside().join("precious")).unwrap();
    let target = place.open_target();
    let mut problems = Vec::new();
    assert!(target.apply_to_existing(&file_entry(b"x", 8), b"/x", &mut problems).is_err());
    let entry = symlink(b"x", &place.outside().join("precious"));
    target.apply_to_existing(&entry, b"/x", &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(target.stat_child(b"x").unwrap().mtime, entry.mtime);
    let after = fs::metadata(place.outside().join("precious")).unwrap();
    assert_eq!(
        (before.modified().unwrap(), before.permissions()),
        (after.modified().unwrap(), after.permissions())
    );
}

#[test]
fn removal_does_not_follow_links() {
    let place = Place::new();
    fs::create_dir_all(place.target().join("d/e")).unwrap();
    make_link(place.outside(), place.target().join("d/e/link")).unwrap();
    make_link(place.outside(), place.target().join("link")).unwrap();
    let target = place.open_target();
    let mut problems = Vec::new();
    assert_eq!(target.remove_tree(b"d", b"/d", &mut problems).unwrap(), 3);
    assert_eq!(target.remove_tree(b"link", b"/link", &mut problems).unwrap(), 1);
    assert!(problems.is_empty() && names(&place.target()).is_empty());
    place.assert_outside_untouched();
}

/// One thread swaps a directory for a link and back while another restores into it.
#[test]
fn swapping_links_in_all_the_time_never_gets_a_write_outside() {
    let place = Place::new();
    let target = place.open_target();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (d, aside, link) =
                (place.target().join("d"), place.target().join("aside"), place.target().join("link"));
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = make_link(place.outside(), &link);
                let _ = fs::rename(&d, &aside);
                let _ = fs::rename(&link, &d);
                let _ = fs::remove_file(&d);
                let _ = fs::rename(&aside, &d);
                let _ = fs::remove_dir_all(&aside);
            }
        });
        let mut problems = Vec::new();
        for _ in 0..500 {
            let entry = directory(b"d");
            if let Ok(MadeDir::Created(dir) | MadeDir::Existing(dir)) =
                target.make_dir(&entry, Overwrite::Always)
            {
                let file = file_entry(b"precious", 4);
                if let Ok(Some(made)) = dir.create_file(&file, Overwrite::Always) {
                    let _ = made.write_all_at(b"evil", 0);
                    let _ = made.finish(&file, b"", &mut problems);
                }
                let _ = dir.apply_attributes(&entry, b"", &mut problems);
            }
            let _ = target.remove_tree(b"d", b"", &mut problems);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    place.assert_outside_untouched();
}
