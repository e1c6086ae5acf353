//! Refs nodes and meta pages.

use super::{Add, Repeatable, Vector, appended, bad, changed, good};
use crate::hex::hex;
use serde_json::json;
use strongroom_format::{
    ChunkId, Entropy,
    tree::{self, Content, Entry, EntryKind, LinkId, RefsNode, Timestamp},
    wire::Writer,
};

pub(super) fn make(add: &mut Add<'_>) {
    add("refs-node.json", refs_nodes());
    add("meta-page.json", meta_pages());
}

fn id(what: &str) -> ChunkId {
    ChunkId(Repeatable::new(what).array())
}

fn refs_nodes() -> Vec<Vector> {
    let ok = |name: &str, node: &RefsNode| good(name, "refs node", json!({ "bytes": hex(&node.encode()) }));
    let fault = |name: &str, damage: &str, bytes: &[u8]| {
        bad(name, "refs node", damage, json!({ "bytes": hex(bytes) }))
    };
    let page = RefsNode::Page {
        meta: id("meta"),
        directories: vec![id("directory")],
        lists: vec![id("list 1"), id("list 2")],
        chunks: vec![id("chunk 1"), id("chunk 2"), id("chunk 1")],
    };
    let empty = RefsNode::Page { meta: id("meta"), directories: vec![], lists: vec![], chunks: vec![] };
    let bytes = page.encode();
    let mut many = vec![1, 2];
    many.put_varint(524_289);
    vec![
        ok("page", &page),
        ok("page of an empty directory", &empty),
        ok("list", &RefsNode::List { chunks: (0..130).map(|n| id(&format!("chunk {n}"))).collect() }),
        ok("list of nothing", &RefsNode::List { chunks: vec![] }),
        ok("fan", &RefsNode::Fan { pages: vec![id("page 1"), id("page 2")] }),
        fault("nothing", "truncated", b""),
        fault("version 2", "version", &changed(&bytes, 0, 2)),
        fault("node 4", "field", &changed(&bytes, 1, 4)),
        fault("one byte short", "truncated", &bytes[..bytes.len() - 1]),
        fault("a byte too many", "trailing", &appended(&bytes, &[0])),
        fault(
            "more ids than there are",
            "truncated",
            &[&[1, 2, 2], id("chunk").as_bytes().as_slice()].concat(),
        ),
        fault("more ids than the limit", "limit", &many),
        fault("a count that is not the shortest", "field", &[1, 2, 0x80, 0]),
    ]
}

fn plain(name: &[u8], kind: EntryKind) -> Entry {
    Entry {
        name: name.to_vec(),
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        mtime: Timestamp { secs: 1_767_225_600, nanos: 123_456_789 },
        hard_link: None,
        xattrs: vec![],
    }
}

fn file(size: u64, content: Content, data_ranges: Option<Vec<(u64, u64)>>) -> EntryKind {
    EntryKind::File { size, content, data_ranges }
}

fn page(entries: &[Entry]) -> Vec<u8> {
    let mut page = tree::meta_page();
    entries.iter().for_each(|entry| entry.encode_into(&mut page));
    page
}

fn all_kinds() -> Vec<Entry> {
    let small = || file(11, Content::Chunks(1), None);
    vec![
        plain(b"a file", small()),
        plain(b"block", EntryKind::BlockDevice { major: 8, minor: u32::MAX }),
        plain(b"character", EntryKind::CharDevice { major: 1, minor: 3 }),
        Entry { mode: 0o1777, ..plain(b"directory", EntryKind::Directory) },
        plain(b"empty", file(0, Content::Chunks(0), None)),
        Entry { hard_link: Some(LinkId { device: u64::MAX, inode: 42 }), ..plain(b"hard link", small()) },
        plain(b"hole only", file(1 << 40, Content::Chunks(0), Some(vec![]))),
        plain(b"large", file(200_000_000, Content::Lists(7), None)),
        Entry {
            uid: u32::MAX,
            gid: 0,
            mode: 0,
            mtime: Timestamp { secs: i64::MIN, nanos: 999_999_999 },
            ..plain(b"old", small())
        },
        plain(b"pipe", EntryKind::Fifo),
        plain(b"socket", EntryKind::Socket),
        plain(
            b"sparse",
            file(1_000_000, Content::Chunks(2), Some(vec![(4096, 8192), (65536, 1), (999_999, 1)])),
        ),
        plain(b"symbolic link", EntryKind::Symlink { target: b"../\xff\n".to_vec() }),
        plain(b"\xc3\xbc\xff\n", small()),
    ]
}

fn with_attributes() -> Entry {
    let xattrs = vec![
        (b"system.posix_acl_access".to_vec(), Repeatable::bytes("acl", 44)),
        (b"user.empty".to_vec(), vec![]),
        (b"user.mime".to_vec(), b"text/plain".to_vec()),
    ];
    Entry { xattrs, ..plain(b"attributes", EntryKind::Directory) }
}

fn meta_pages() -> Vec<Vector> {
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let ok = |name: &str, entries: &[Entry]| good(name, "meta page", input(&page(entries)));
    let fault = |name: &str, damage: &str, bytes: &[u8]| bad(name, "meta page", damage, input(bytes));
    let of = |entry: Entry| page(&[entry]);
    let directory = of(plain(b"d", EntryKind::Directory));
    let long = vec![b'x'; 4097];
    let named = |name: &[u8]| of(plain(name, EntryKind::Directory));
    let mut many_attributes = changed(&directory, 2, 1);
    many_attributes.put_varint(4097);
    let mut large_value = changed(&directory, 2, 1);
    large_value.extend([1, 1, b'a']);
    large_value.put_varint((1 << 20) + 1);
    vec![
        ok("no entries", &[]),
        ok("every kind of entry", &all_kinds()),
        ok("attributes", &[with_attributes()]),
        ok("name of 4,096 bytes", &[plain(&long[..4096], EntryKind::Fifo)]),
        fault("nothing", "truncated", b""),
        fault("version 2", "version", &changed(&directory, 0, 2)),
        fault("kind 0", "field", &changed(&directory, 1, 0)),
        fault("kind 8", "field", &changed(&directory, 1, 8)),
        fault(
            "flag 16 of a file",
            "field",
            &changed(&of(plain(b"f", file(0, Content::Chunks(0), None))), 2, 16),
        ),
        fault("flag 4 of a directory", "field", &changed(&directory, 2, 4)),
        fault("empty name", "field", &named(b"")),
        fault("name `.`", "field", &named(b".")),
        fault("name `..`", "field", &named(b"..")),
        fault("name with a slash", "field", &named(b"a/b")),
        fault("name with a zero byte", "field", &named(b"a\0")),
        fault("name of 4,097 bytes", "limit", &named(&long)),
        fault(
            "names out of order",
            "field",
            &page(&[plain(b"b", EntryKind::Directory), plain(b"a", EntryKind::Directory)]),
        ),
        fault(
            "a name twice",
            "field",
            &page(&[plain(b"a", EntryKind::Directory), plain(b"a", EntryKind::Fifo)]),
        ),
        fault("mode 0o10000", "limit", &of(Entry { mode: 0o10000, ..plain(b"d", EntryKind::Directory) })),
        fault(
            "a thousand million nanoseconds",
            "limit",
            &of(Entry {
                mtime: Timestamp { secs: 0, nanos: 1_000_000_000 },
                ..plain(b"d", EntryKind::Directory)
            }),
        ),
        fault(
            "data range beyond the end",
            "field",
            &of(plain(b"f", file(10, Content::Chunks(1), Some(vec![(8, 3)])))),
        ),
        fault("data range beyond 2^64", "field", &{
            let mut page = of(plain(b"f", file(u64::MAX, Content::Chunks(1), Some(vec![]))));
            page.pop();
            page.put_varint(1);
            page.put_varint(1);
            page.put_varint(u64::MAX);
            page
        }),
        fault("link target of 65,537 bytes", "limit", &{
            let mut page = changed(&directory, 1, 3);
            page.put_varint(65_537);
            page
        }),
        fault("4,097 attributes", "limit", &many_attributes),
        fault("attribute of 1 MiB and a byte", "limit", &large_value),
        fault("one byte short", "truncated", &directory[..directory.len() - 1]),
    ]
}
