//! The directories above the snapshots: `ids`, `snapshots` (by time), `hosts`, `tags`.

use crate::catalog::Known;
use fuser::{FileAttr, FileType, INodeNo};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use strongroom_format::RefsId;

/// The name of the link to the newest snapshot of a directory.
const LATEST: &[u8] = b"latest";

/// What stands at the top.
#[derive(Debug)]
pub(super) enum Node {
    /// A directory of names.
    Directory(BTreeMap<Vec<u8>, usize>),
    /// A link to a name beside it.
    Link(Vec<u8>),
    /// The root of a snapshot.
    Snapshot(usize),
}

impl Node {
    pub(super) fn snapshot(&self) -> Option<usize> {
        match self {
            Self::Snapshot(nth) => Some(*nth),
            _ => None,
        }
    }

    pub(super) fn target(&self) -> Option<&[u8]> {
        match self {
            Self::Link(target) => Some(target),
            _ => None,
        }
    }
}

/// The directories above the snapshots.
#[derive(Debug)]
pub struct Top {
    nodes: Vec<Node>,
    /// Root and time of each snapshot.
    snapshots: Vec<(RefsId, SystemTime)>,
    owner: (u32, u32),
    made: SystemTime,
}

/// A name that may stand in a directory: hosts and tags may hold anything.
fn safe(name: &str) -> Vec<u8> {
    let escaped = name.replace('%', "%25").replace('/', "%2F").replace('\0', "%00");
    match escaped.as_str() {
        "" => b"%".to_vec(),
        "." | ".." | "latest" => format!("%{escaped}").into_bytes(),
        _ => escaped.into_bytes(),
    }
}

impl Top {
    /// The directories for these snapshots, which are sorted by time.
    #[must_use]
    pub fn new(snapshots: &[&Known], zone: &TimeZone) -> Self {
        let system_time = |known: &Known| {
            let since = Duration::try_from(known.time.as_duration()).unwrap_or_default();
            UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
        };
        let mut top = Self {
            nodes: vec![Node::Directory(BTreeMap::new())],
            snapshots: snapshots.iter().map(|known| (known.snapshot.root, system_time(known))).collect(),
            owner: (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
            made: SystemTime::now(),
        };
        let [ids, times, hosts, tags] =
            ["ids", "snapshots", "hosts", "tags"].map(|name| top.directory(0, name.into()));
        for (nth, known) in snapshots.iter().enumerate() {
            let mut id = known.id.to_hex();
            if snapshots.iter().filter(|other| other.short() == known.short()).count() == 1 {
                id = known.short();
            }
            top.add(ids, id.clone().into_bytes(), Node::Snapshot(nth));
            let time = known.time.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S").to_string();
            top.add_by_time(times, &time, &id, nth);
            let host = top.directory(hosts, safe(&known.snapshot.host));
            top.add_by_time(host, &time, &id, nth);
            for tag in &known.snapshot.tags {
                let tag = top.directory(tags, safe(tag));
                top.add_by_time(tag, &time, &id, nth);
            }
        }
        top
    }

    fn add(&mut self, directory: usize, name: Vec<u8>, node: Node) -> usize {
        let nth = self.nodes.len();
        if let Some(Node::Directory(children)) = self.nodes.get_mut(directory) {
            children.insert(name, nth);
        }
        self.nodes.push(node);
        nth
    }

    /// The directory of this name, made where it is not there yet.
    fn directory(&mut self, parent: usize, name: Vec<u8>) -> usize {
        match self.child(parent, &name) {
            Some(child) => child,
            None => self.add(parent, name, Node::Directory(BTreeMap::new())),
        }
    }

    fn add_by_time(&mut self, directory: usize, time: &str, id: &str, snapshot: usize) {
        let name = match self.child(directory, time.as_bytes()) {
            None => time.to_owned(),
            Some(_) => format!("{time}-{id}"),
        };
        self.add(directory, name.clone().into_bytes(), Node::Snapshot(snapshot));
        // They come in the order of time: the last one is the newest.
        match self.child(directory, LATEST) {
            Some(link) => self.nodes[link] = Node::Link(name.into_bytes()),
            None => {
                self.add(directory, LATEST.to_vec(), Node::Link(name.into_bytes()));
            }
        }
    }

    pub(super) fn get(&self, nth: usize) -> Option<&Node> {
        self.nodes.get(nth)
    }

    pub(super) fn root(&self, snapshot: usize) -> Option<RefsId> {
        self.snapshots.get(snapshot).map(|(root, _)| *root)
    }

    pub(super) fn child(&self, directory: usize, name: &[u8]) -> Option<usize> {
        match self.nodes.get(directory)? {
            Node::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    pub(super) fn children(&self, directory: usize) -> impl Iterator<Item = (&[u8], usize)> {
        let children = match self.nodes.get(directory) {
            Some(Node::Directory(children)) => Some(children),
            _ => None,
        };
        children.into_iter().flatten().map(|(name, nth)| (name.as_slice(), *nth))
    }

    pub(super) fn attributes(&self, nth: usize) -> Option<FileAttr> {
        let node = self.nodes.get(nth)?;
        let (kind, size, perm, time) = match node {
            Node::Directory(_) => (FileType::Directory, 0, 0o555, self.made),
            Node::Link(target) => (FileType::Symlink, target.len() as u64, 0o777, self.made),
            Node::Snapshot(nth) => (FileType::Directory, 0, 0o555, self.snapshots.get(*nth)?.1),
        };
        Some(FileAttr {
            ino: INodeNo(nth as u64 + 1),
            size,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: if kind == FileType::Directory { 2 } else { 1 },
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::snapshot::{Snapshot, Summary};
    use strongroom_format::{ChunkId, ObjectHash};

    fn known(id: u8, second: i64, host: &str, tags: &[&str]) -> Known {
        let time = jiff::Timestamp::from_second(second).unwrap();
        let snapshot = Snapshot {
            time: time.to_string(),
            host: host.into(),
            user: "u".into(),
            paths: Vec::new(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            root: ChunkId([id; 32]),
            parent: None,
            original: None,
            program: "p".into(),
            summary: Summary::default(),
        };
        Known { id: ObjectHash([id; 32]), epoch: 1, time, snapshot }
    }

    fn path(top: &Top, path: &[&str]) -> Option<usize> {
        path.iter().try_fold(0, |at, name| top.child(at, name.as_bytes()))
    }

    #[test]
    fn snapshots_stand_under_ids_times_hosts_and_tags() {
        let list =
            [known(1, 0, "host-a", &["x/y", ".."]), known(2, 0, "host-a", &[]), known(3, 60, "host-b", &[])];
        let top = Top::new(&list.iter().collect::<Vec<_>>(), &TimeZone::UTC);
        let snapshot = |names: &[&str]| top.get(path(&top, names).unwrap()).unwrap().snapshot();
        assert_eq!(snapshot(&["ids", "02020202"]), Some(1));
        assert_eq!(snapshot(&["snapshots", "1970-01-01T00:00:00"]), Some(0));
        assert_eq!(snapshot(&["snapshots", "1970-01-01T00:00:00-02020202"]), Some(1));
        assert_eq!(snapshot(&["hosts", "host-b", "1970-01-01T00:01:00"]), Some(2));
        assert_eq!(snapshot(&["tags", "x%2Fy", "1970-01-01T00:00:00"]), Some(0));
        assert!(path(&top, &["tags", "%.."]).is_some());
        let latest = top.get(path(&top, &["snapshots", "latest"]).unwrap()).unwrap();
        assert_eq!(latest.target(), Some(&b"1970-01-01T00:01:00"[..]));
        assert_eq!(top.children(0).count(), 4);
    }
}
