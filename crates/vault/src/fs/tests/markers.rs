use std::fs;

use super::*;

const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n";

fn marker(filter: &Filter, path: &Path) -> Option<Vec<u8>> {
    let dir = Dir::open_path(path).unwrap();
    let listing = dir.list(&mut ListBuffer::default()).unwrap();
    filter.marker(&dir, &listing).unwrap().map(|marker| marker.name().to_vec())
}

#[test]
fn cache_directories_need_the_signature() {
    let place = Place::new();
    let filter = Filter::builder().exclude_caches().build().unwrap();
    assert_eq!(marker(&filter, &place.source()), None);
    for (content, expected) in [
        (TAG, true),
        (&TAG[..43], true),
        (&TAG[..42], false),
        (b"".as_slice(), false),
        (b"Signature: something else, and long enough for it", false),
    ] {
        fs::write(place.source().join("CACHEDIR.TAG"), content).unwrap();
        assert_eq!(marker(&filter, &place.source()).is_some(), expected, "{content:?}");
    }
    fs::remove_file(place.source().join("CACHEDIR.TAG")).unwrap();
    fs::create_dir(place.source().join("CACHEDIR.TAG")).unwrap();
    assert_eq!(marker(&filter, &place.source()), None);
}

#[test]
fn markers_with_and_without_header() {
    let place = Place::new();
    let filter =
        Filter::builder().exclude_if_present(".nobackup").exclude_if_present(".skip:yes:").build().unwrap();
    fs::write(place.source().join(".skip"), b"no").unwrap();
    assert_eq!(marker(&filter, &place.source()), None);
    fs::write(place.source().join(".skip"), b"yes: really").unwrap();
    assert_eq!(marker(&filter, &place.source()).unwrap(), b".skip");
    fs::write(place.source().join(".nobackup"), b"").unwrap();
    assert_eq!(marker(&filter, &place.source()).unwrap(), b".nobackup");
}

#[test]
fn sizes_and_file_systems() {
    let place = Place::new();
    fs::write(place.source().join("x"), [0; 100]).unwrap();
    let dir = Dir::open_path(&place.source()).unwrap();
    let (file, own) = (dir.stat_child(b"x").unwrap(), dir.stat().unwrap());
    let filter = Filter::builder().exclude_larger_than(100).one_file_system().build().unwrap();
    assert_eq!(filter.decide_size(&file), Decision::Keep);
    assert_eq!(filter.decide_size(&Stat { size: 101, ..file }), Decision::Skip);
    assert_eq!(filter.decide_size(&Stat { size: 4096, ..own }), Decision::Keep);
    assert_eq!(filter.crossing(own.dev, &file), Crossing::Inside);
    assert_eq!(filter.crossing(own.dev + 1, &file), Crossing::Outside);
    assert_eq!(filter.crossing(own.dev + 1, &own), Crossing::MountPoint);
    let filter = Filter::builder().build().unwrap();
    assert_eq!(filter.crossing(own.dev + 1, &own), Crossing::Inside);
}
