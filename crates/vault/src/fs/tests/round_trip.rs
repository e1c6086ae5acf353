use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, symlink},
    },
    process::Command,
};

use rustix::fs::{AtFlags, CWD, FileType, Timespec, Timestamps, XattrFlags};
use strongroom_format::tree::LinkId;

use super::*;

/// Everything that backup sees below a directory, with the content of files.
type Seen = Vec<(Vec<u8>, Entry, Vec<u8>)>;

/// Reads a tree as backup does.
fn read_tree(dir: &Dir, prefix: &[u8], seen: &mut Seen) {
    let listing = dir.list(&mut ListBuffer::default()).unwrap();
    assert!(listing.failed.is_empty());
    for Listed { name, stat } in listing.entries {
        let path = [prefix, b"/", &*name].concat();
        let mut content = Vec::new();
        let (kind, xattrs) = match stat.kind {
            FileKind::File => {
                let file = dir.open_file(&name, &stat).unwrap();
                content = vec![0; stat.size as usize];
                assert_eq!(file.read_full_at(&mut content, 0).unwrap(), content.len());
                let kind = EntryKind::File {
                    size: stat.size,
                    content: Content::Chunks(0),
                    data_ranges: file.data_ranges(stat.size).unwrap(),
                };
                (kind, file.xattrs().unwrap())
            }
            FileKind::Symlink => {
                let target = dir.read_link(&name).unwrap();
                (EntryKind::Symlink { target }, dir.xattrs_of(&name).unwrap())
            }
            FileKind::Directory => (EntryKind::Directory, dir.open_child(&name).unwrap().xattrs().unwrap()),
            _ => (stat.entry_kind().unwrap(), dir.xattrs_of(&name).unwrap()),
        };
        assert!(xattrs.failed.is_empty());
        seen.push((path.clone(), entry_from(name.clone(), &stat, kind, xattrs.attributes), content));
        if stat.kind == FileKind::Directory {
            read_tree(&dir.open_child(&name).unwrap(), &path, seen);
        }
    }
}

fn read_path(path: &Path) -> Seen {
    let mut seen = Vec::new();
    read_tree(&Dir::open_path(path).unwrap(), b"", &mut seen);
    seen
}

/// Writes a tree as restore does.
fn write_tree(root: &TargetDir, seen: &Seen, overwrite: Overwrite) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut dirs: Vec<(Vec<u8>, TargetDir, Option<Entry>)> = vec![(Vec::new(), root.clone(), None)];
    let mut links: Vec<(LinkId, TargetDir, Vec<u8>)> = Vec::new();
    for (path, entry, content) in seen {
        let parent = &path[..path.len() - entry.name.len() - 1];
        let dir = dirs.iter().find(|(path, ..)| path == parent).unwrap().1.clone();
        if let Some(link) = entry.hard_link {
            if let Some((_, from, name)) = links.iter().find(|(id, ..)| *id == link) {
                dir.hard_link(entry, from, name, overwrite).unwrap();
                continue;
            }
            links.push((link, dir.clone(), entry.name.clone()));
        }
        match &entry.kind {
            EntryKind::Directory => match dir.make_dir(entry, overwrite).unwrap() {
                MadeDir::Created(made) | MadeDir::Existing(made) => {
                    dirs.push((path.clone(), made, Some(entry.clone())));
                }
                MadeDir::Kept => panic!("something was in the way of {path:?}"),
            },
            EntryKind::File { size, data_ranges, .. } => {
                let Some(file) = dir.create_file(entry, overwrite).unwrap() else { continue };
                for (offset, len) in data_ranges.as_deref().unwrap_or(&[(0, *size)]) {
                    file.write_all_at(&content[*offset as usize..][..*len as usize], *offset).unwrap();
                }
                file.finish(entry, path, &mut problems).unwrap();
            }
            _ => {
                dir.create_node(entry, overwrite, path, &mut problems).unwrap();
            }
        }
    }
    for (path, dir, entry) in dirs.iter().rev() {
        if let Some(entry) = entry {
            dir.apply_attributes(entry, path, &mut problems).unwrap();
        }
    }
    problems
}

/// Link ids are those of the source; only who shares them matters.
fn normalised(mut seen: Seen) -> Seen {
    let mut ids = Vec::new();
    for (_, entry, _) in &mut seen {
        if let Some(link) = &mut entry.hard_link {
            let at = ids.iter().position(|id| id == link).unwrap_or_else(|| {
                ids.push(*link);
                ids.len() - 1
            });
            *link = LinkId { device: 0, inode: at as u64 };
        }
    }
    seen
}

fn set_mtime(path: &Path, secs: i64, nanos: i64) {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos as _ };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    rustix::fs::chmod(path, Mode::from_raw_mode(mode)).unwrap();
}

fn set_acl(path: &Path, specification: &str) -> bool {
    Command::new("setfacl")
        .args(["-m", specification])
        .arg(path)
        .status()
        .is_ok_and(|status| status.success())
}

/// One of everything; what needs root is made only by root.
fn populate(source: &Path) {
    let at = |name: &str| source.join(name);
    fs::create_dir_all(at("a/b/c")).unwrap();
    fs::write(at("a/plain"), b"content").unwrap();
    fs::write(at("a/empty"), b"").unwrap();
    fs::write(at("a/readonly"), b"r").unwrap();
    let no_attributes = XattrFlags::empty();
    rustix::fs::setxattr(at("a/readonly"), "user.note", b"\0\xff", no_attributes).unwrap();
    chmod(&at("a/readonly"), 0o400);
    fs::write(at("a/setuid"), b"s").unwrap();
    chmod(&at("a/setuid"), 0o6755);
    fs::write(at("a/none"), b"n").unwrap();
    chmod(&at("a/none"), 0);
    chmod(&at("a/b"), 0o1777);
    chmod(&at("a/b/c"), 0o2750);
    fs::write(source.join(std::ffi::OsStr::from_bytes(b"\xff\xfe\n name")), b"bytes").unwrap();
    symlink("../nowhere\\", at("a/link")).unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"\xff"), at("a/link-bytes")).unwrap();
    fs::hard_link(at("a/plain"), at("a/b/plain-too")).unwrap();
    fs::hard_link(at("a/link"), at("link-too")).unwrap();
    fs::write(at("ancient"), b"a").unwrap();
    set_mtime(&at("ancient"), -12345, 987_654_321);
    set_mtime(&at("a/link"), -1, 1);
    let sparse = fs::File::create(at("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    sparse.write_all_at(&[1; 8192], 1 << 20).unwrap();
    fs::File::create(at("hole")).unwrap().set_len(1 << 20).unwrap();
    rustix::fs::mkfifoat(CWD, at("fifo"), Mode::from_raw_mode(0o640)).unwrap();
    rustix::fs::mknodat(CWD, at("socket"), FileType::Socket, Mode::from_raw_mode(0o600), 0).unwrap();
    rustix::fs::setxattr(at("a"), "user.directory", b"d", no_attributes).unwrap();
    if set_acl(&at("a/plain"), "u:12:rw,g:34:r") {
        assert!(set_acl(&at("a/b"), "d:u:12:rwx,u:12:x"));
    }
    if is_root() {
        fs::write(at("owned"), b"o").unwrap();
        std::os::unix::fs::chown(at("owned"), Some(1234), Some(5678)).unwrap();
        chmod(&at("owned"), 0o4711);
        // cap_net_raw, permitted: a change of owner would clear it.
        let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        rustix::fs::setxattr(at("owned"), "security.capability", &capability, no_attributes).unwrap();
        rustix::fs::lsetxattr(at("a/link-bytes"), "trusted.link", b"t", no_attributes).unwrap();
        rustix::fs::setxattr(at("fifo"), "trusted.fifo", b"t", no_attributes).unwrap();
        std::os::unix::fs::lchown(at("a/link-bytes"), Some(1), Some(2)).unwrap();
        std::os::unix::fs::chown(at("fifo"), Some(3), Some(4)).unwrap();
        let device = rustix::fs::makedev(511, 300_000);
        rustix::fs::mknodat(CWD, at("char"), FileType::CharacterDevice, Mode::RUSR, device).unwrap();
        rustix::fs::mknodat(CWD, at("block"), FileType::BlockDevice, Mode::RUSR, device).unwrap();
    }
    set_mtime(&at("a/b"), 7, 8);
    set_mtime(&at("a"), 9, 10);
}

fn assert_same(one: Seen, other: Seen) {
    let (one, other) = (normalised(one), normalised(other));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(
            (&one.0.escape_ascii().to_string(), &one.1),
            (&other.0.escape_ascii().to_string(), &other.1)
        );
        assert!(one.2 == other.2, "the content of {}", one.0.escape_ascii());
    }
    assert_eq!(one.len(), other.len());
}

#[test]
fn every_kind_of_entry_comes_back_as_it_was() {
    let place = Place::new();
    populate(&place.source());
    let seen = read_path(&place.source());
    assert!(seen.len() >= 19);
    let problems = write_tree(&place.open_target(), &seen, Overwrite::Never);
    assert!(problems.is_empty(), "{problems:?}");
    assert_same(seen, read_path(&place.target()));
}

#[test]
fn a_second_restore_over_the_first_changes_nothing() {
    for overwrite in [Overwrite::Always, Overwrite::IfChanged, Overwrite::IfNewer] {
        let place = Place::new();
        populate(&place.source());
        let seen = read_path(&place.source());
        let target = place.open_target();
        assert!(write_tree(&target, &seen, overwrite).is_empty());
        let problems = write_tree(&target, &seen, overwrite);
        assert!(problems.is_empty(), "{problems:?}");
        assert_same(seen, read_path(&place.target()));
    }
}

#[test]
fn entries_do_not_keep_acls_that_the_target_hands_down() {
    let place = Place::new();
    if !set_acl(&place.target(), "d:u:99:rwx,d:g:88:rwx") {
        return;
    }
    populate(&place.source());
    let seen = read_path(&place.source());
    let problems = write_tree(&place.open_target(), &seen, Overwrite::Always);
    assert!(problems.is_empty(), "{problems:?}");
    assert_same(seen, read_path(&place.target()));
}

#[test]
fn a_group_that_the_directory_hands_down_is_put_right() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    std::os::unix::fs::chown(place.target(), None, Some(4321)).unwrap();
    chmod(&place.target(), 0o2755);
    let target = place.open_target();
    for name in [b"first", b"other"] {
        assert!(write_file(&target, &file_entry(name, 1), b"x", Overwrite::Never));
        let stat = target.stat_child(name).unwrap();
        assert_eq!((stat.gid, stat.mode), (0, 0o644));
    }
}

#[test]
fn an_existing_directory_gets_the_attributes_of_the_entry_alone() {
    let place = Place::new();
    fs::create_dir(place.target().join("d")).unwrap();
    rustix::fs::setxattr(place.target().join("d"), "user.old", b"o", XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(place.target().join("d"), "user.both", b"o", XattrFlags::empty()).unwrap();
    let mut entry = directory(b"d");
    entry.xattrs = vec![(b"user.both".to_vec(), b"n".to_vec()), (b"user.new".to_vec(), b"n".to_vec())];
    let MadeDir::Existing(dir) = place.open_target().make_dir(&entry, Overwrite::Always).unwrap() else {
        panic!("it exists")
    };
    let mut problems = Vec::new();
    dir.apply_attributes(&entry, b"/d", &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(read_path(&place.target())[0].1, entry);
}

#[test]
fn holes_take_no_space() {
    let place = Place::new();
    let target = place.open_target();
    let entry = file_entry(b"sparse", 64 << 20);
    let file = target.create_file(&entry, Overwrite::Never).unwrap().unwrap();
    file.write_all_at(&[1; 4096], 32 << 20).unwrap();
    assert!(file.write_all_at(&[1; 2], (64 << 20) - 1).is_err());
    assert!(file.write_all_at(&[1; 2], u64::MAX).is_err());
    file.finish(&entry, b"/", &mut Vec::new()).unwrap();
    let stat = target.stat_child(b"sparse").unwrap();
    assert_eq!(stat.size, 64 << 20);
    assert!(stat.maybe_sparse() && stat.blocks < 1024, "{stat:?}");
}
