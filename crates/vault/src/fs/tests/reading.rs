use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use super::*;

#[test]
fn listings_are_sorted_by_bytes_and_complete() {
    let place = Place::new();
    let mut expected: Vec<Vec<u8>> = (0..3000).map(|n| format!("file-{n}").into_bytes()).collect();
    expected.extend([b"\xff\xfe".to_vec(), "é".into(), b"\n".to_vec(), b".hidden".to_vec()]);
    for name in &expected {
        fs::write(place.source().join(OsStr::from_bytes(name)), b"12345").unwrap();
    }
    expected.sort();
    let dir = Dir::open_path(&place.source()).unwrap();
    let mut buffer = ListBuffer::default();
    for _ in 0..2 {
        let listing = dir.list(&mut buffer).unwrap();
        assert!(listing.failed.is_empty());
        assert_eq!(listing.entries.iter().map(|e| e.name.clone()).collect::<Vec<_>>(), expected);
        assert!(listing.entries.iter().all(|e| e.stat.size == 5 && e.stat.kind == FileKind::File));
        assert!(listing.get(b"\xff\xfe").is_some() && listing.get(b"absent").is_none());
    }
}

#[test]
fn one_directory_can_be_listed_by_many_threads() {
    let place = Place::new();
    for n in 0..2000 {
        fs::write(place.source().join(n.to_string()), b"").unwrap();
    }
    let dir = Dir::open_path(&place.source()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(dir.list(&mut ListBuffer::default()).unwrap().entries.len(), 2000);
                }
            });
        }
    });
}

#[test]
fn links_are_never_followed_below_the_root() {
    let place = Place::new();
    symlink(place.outside(), place.source().join("dir")).unwrap();
    symlink(place.outside().join("precious"), place.source().join("file")).unwrap();
    let dir = Dir::open_path(&place.source()).unwrap();
    let listing = dir.list(&mut ListBuffer::default()).unwrap();
    assert!(listing.entries.iter().all(|e| e.stat.kind == FileKind::Symlink));
    assert!(dir.open_child(b"dir").is_err());
    assert!(dir.open_file(b"file", &listing.get(b"file").unwrap().stat).is_err());
    assert_eq!(dir.read_link(b"dir").unwrap(), place.outside().as_os_str().as_bytes());
    // The root itself is the user's choice.
    assert!(Dir::open_path(&place.source().join("dir")).is_ok());
}

#[test]
fn a_pipe_in_place_of_a_file_neither_blocks_nor_passes_for_one() {
    let place = Place::new();
    let path = place.source().join("x");
    fs::write(&path, b"").unwrap();
    let dir = Dir::open_path(&place.source()).unwrap();
    let stat = dir.stat_child(b"x").unwrap();
    fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(&dir, "x", Mode::RWXU).unwrap();
    assert_eq!(dir.open_file(b"x", &stat).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_replaced_file_is_read_with_its_own_attributes() {
    let place = Place::new();
    fs::write(place.source().join("x"), b"old").unwrap();
    let dir = Dir::open_path(&place.source()).unwrap();
    let listed = dir.stat_child(b"x").unwrap();
    fs::write(place.source().join("y"), b"newer").unwrap();
    fs::rename(place.source().join("y"), place.source().join("x")).unwrap();
    let file = dir.open_file(b"x", &listed).unwrap();
    assert!(!file.stat().same_inode(&listed));
    assert_eq!(file.stat().size, 5);
    let mut buffer = [0; 16];
    assert_eq!(file.read_full_at(&mut buffer, 0).unwrap(), 5);
    assert_eq!(&buffer[..5], b"newer");
    assert_eq!(file.stat_now().unwrap(), *file.stat());
}

#[test]
fn data_ranges_of_holes_only_data_only_and_both() {
    let place = Place::new();
    let dir = Dir::open_path(&place.source()).unwrap();
    let make = |name: &str, size: u64, data: &[u64]| {
        let file = fs::File::create(place.source().join(name)).unwrap();
        file.set_len(size).unwrap();
        for offset in data {
            std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], *offset).unwrap();
        }
        let stat = dir.stat_child(name.as_bytes()).unwrap();
        dir.open_file(name.as_bytes(), &stat).unwrap().data_ranges(size).unwrap()
    };
    assert_eq!(make("empty", 0, &[]), None);
    assert_eq!(make("full", 8192, &[0, 4096]), None);
    assert_eq!(make("hole", 1 << 20, &[]), Some(vec![]));
    let ranges = make("both", 1 << 20, &[65536, 524_288]).unwrap();
    assert_eq!(ranges, [(65536, 4096), (524_288, 4096)]);
    // A hole at the end that is no multiple of a block.
    assert_eq!(make("tail", (1 << 20) + 7, &[0]), Some(vec![(0, 4096)]));
}

#[test]
fn paths_of_more_than_4096_bytes() {
    let place = Place::new();
    let name = "d".repeat(200);
    let mut path = place.source();
    for _ in 0..50 {
        path.push(&name);
    }
    assert!(path.as_os_str().len() > 8192);
    let root = TargetDir::create_root(&path).unwrap();
    assert!(write_file(&root, &file_entry(b"deep", 4), b"deep", Overwrite::Never));
    let dir = Dir::open_path(&path).unwrap();
    assert_eq!(dir.stat_child(b"deep").unwrap().size, 4);
    // A run of slashes where the path is cut.
    let mut slashes = b"/".repeat(5000);
    slashes.extend_from_slice(path.as_os_str().as_bytes());
    assert!(Dir::open_path(Path::new(OsStr::from_bytes(&slashes))).is_ok());
    assert!(Dir::open_path(Path::new(&"/".repeat(9000))).is_ok());
    let mut problems = Vec::new();
    let removed = place_target(&place).remove_tree(name.as_bytes(), b"/", &mut problems).unwrap();
    assert_eq!((removed, problems.len()), (51, 0), "{problems:?}");
}

fn place_target(place: &Place) -> TargetDir {
    TargetDir::create_root(&place.source()).unwrap()
}

#[test]
fn extended_attributes_of_any_number_and_size() {
    let place = Place::new();
    let path = place.source().join("x");
    let file = fs::File::create(&path).unwrap();
    let mut expected = Vec::new();
    // Names of more than 512 bytes and a value of more than 256, within the one block that ext4 gives them.
    for n in 0..25 {
        let (name, value) = (format!("user.a-rather-long-name-{n:02}"), vec![n; usize::from(n / 24) * 1500]);
        rustix::fs::fsetxattr(&file, &name, &value, rustix::fs::XattrFlags::empty()).unwrap();
        expected.push((name.into_bytes(), value));
    }
    let dir = Dir::open_path(&place.source()).unwrap();
    let stat = dir.stat_child(b"x").unwrap();
    let xattrs = dir.open_file(b"x", &stat).unwrap().xattrs().unwrap();
    assert_eq!(xattrs.attributes, expected);
    assert!(xattrs.failed.is_empty());
    assert_eq!(dir.xattrs_of(b"x").unwrap().attributes, expected);
    assert!(dir.xattrs().unwrap().attributes.is_empty());
}

#[test]
fn file_systems_without_attributes_have_none() {
    let dir = Dir::open_path(Path::new("/proc/self")).unwrap();
    let stat = dir.stat_child(b"status").unwrap();
    assert!(dir.open_file(b"status", &stat).unwrap().xattrs().unwrap().attributes.is_empty());
}
