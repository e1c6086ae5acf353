//! What restore does without root's rights. Credentials belong to a thread, so root can try.

use rustix::process::{Gid, Uid};

use super::*;

const NOBODY: u32 = 65_534;

fn as_nobody<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    if !is_root() {
        return None;
    }
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            run()
        });
        Some(thread.join().unwrap())
    })
}

fn own(entry: Entry) -> Entry {
    Entry { uid: NOBODY, gid: NOBODY, ..entry }
}

fn open_place(place: &Place) {
    let everyone = Mode::from_raw_mode(0o777);
    rustix::fs::chmod(place.root.path(), everyone).unwrap();
    rustix::fs::chmod(place.target(), everyone).unwrap();
}

#[test]
fn owners_that_cannot_be_set_are_said_once_and_lend_no_rights() {
    let place = Place::new();
    open_place(&place);
    as_nobody(|| {
        let target = TargetDir::create_root(&place.target()).unwrap();
        let mut problems = Vec::new();
        for name in [b"a", b"b", b"c"] {
            let entry = Entry { uid: 0, gid: 0, mode: 0o755, ..file_entry(name, 0) };
            let file = target.create_file(&entry, Overwrite::Never).unwrap().unwrap();
            file.finish(&entry, name, &mut problems).unwrap();
            let stat = target.stat_child(name).unwrap();
            assert_eq!((stat.mode, stat.mtime), (0o755, entry.mtime));
        }
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].to_string(), "cannot set the owner of `a`");
        assert_eq!(target.ownership().owners_refused(), 3);

        let entry = Entry { uid: 0, gid: 0, mode: 0o6755, ..file_entry(b"setuid", 0) };
        let file = target.create_file(&entry, Overwrite::Never).unwrap().unwrap();
        file.finish(&entry, b"setuid", &mut problems).unwrap();
        assert_eq!(target.stat_child(b"setuid").unwrap().mode, 0o755);
        assert_eq!(problems.len(), 2);
    });
}

#[test]
fn read_only_files_get_their_user_attributes() {
    let place = Place::new();
    open_place(&place);
    as_nobody(|| {
        let target = TargetDir::create_root(&place.target()).unwrap();
        let mut problems = Vec::new();
        let entry = own(Entry {
            mode: 0o444,
            xattrs: vec![(b"user.a".to_vec(), b"1".to_vec())],
            ..file_entry(b"x", 0)
        });
        let file = target.create_file(&entry, Overwrite::Never).unwrap().unwrap();
        file.finish(&entry, b"x", &mut problems).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(target.stat_child(b"x").unwrap().mode, 0o444);
        let dir = Dir::open_path(&place.target()).unwrap();
        assert_eq!(dir.xattrs_of(b"x").unwrap().attributes, entry.xattrs);
    });
}

#[test]
fn attributes_that_need_rights_are_said_once() {
    let place = Place::new();
    open_place(&place);
    as_nobody(|| {
        let target = TargetDir::create_root(&place.target()).unwrap();
        let mut problems = Vec::new();
        for name in [b"a", b"b"] {
            let xattrs = vec![(b"trusted.x".to_vec(), b"1".to_vec())];
            let entry = own(Entry { xattrs, ..file_entry(name, 0) });
            let file = target.create_file(&entry, Overwrite::Never).unwrap().unwrap();
            file.finish(&entry, name, &mut problems).unwrap();
        }
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(target.ownership().attributes_refused()[&b"trusted.x"[..]], 2);
    });
}

#[test]
fn devices_are_refused_and_leave_nothing() {
    let place = Place::new();
    open_place(&place);
    as_nobody(|| {
        let target = TargetDir::create_root(&place.target()).unwrap();
        let device = own(entry_of(b"dev", EntryKind::CharDevice { major: 1, minor: 3 }));
        let error = target.create_node(&device, Overwrite::Always, b"/dev", &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(names(&place.target()).is_empty());
    });
}

#[test]
fn others_files_are_read_without_permission_to_keep_their_access_time() {
    let place = Place::new();
    open_place(&place);
    rustix::fs::chmod(place.source(), Mode::from_raw_mode(0o755)).unwrap();
    std::fs::write(place.source().join("x"), b"root's").unwrap();
    as_nobody(|| {
        let dir = Dir::open_path(&place.source()).unwrap();
        // A wrong owner makes it try `O_NOATIME`, which the kernel refuses.
        let stat = Stat { uid: NOBODY, ..dir.stat_child(b"x").unwrap() };
        for _ in 0..2 {
            let file = dir.open_file(b"x", &stat).unwrap();
            assert_eq!(file.read_full_at(&mut [0; 8], 0).unwrap(), 6);
        }
    });
}
