//! Decoders take memory in proportion to the bytes that they are given, whatever those announce `[V-9]`.

#![expect(unsafe_code, reason = "counting allocations needs a global allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use strongroom_format::{
    DatasetId, Secret32, VaultId,
    group::{Encoding, GroupOpener, GroupSpan, Owner, group_key},
    keyring::Keyring,
    keys::{ChunkKind, WriteKeys},
    pack::PackDirectory,
    segment,
    tree::{self, RefsNode},
    wire::Writer,
};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes in use at once during `work`, beyond those before it.
fn peak(work: impl FnOnce()) -> usize {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed) - before
}

/// Runs `decode`, which must refuse `bytes`.
fn refuses(what: &str, bytes: &[u8], decode: impl FnOnce(&[u8]) -> bool) {
    let mut refused = false;
    let used = peak(|| refused = !decode(bytes));
    assert!(refused, "{what} was not refused");
    let allowed = bytes.len() * 32 + (16 << 10);
    assert!(used <= allowed, "{what}: {used} bytes of memory for {} bytes", bytes.len());
}

fn page(flags: u8, rest: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut page = vec![1, 1, flags, 1, b'f', 0, 0, 0, 0, 0];
    page.put_varint(u64::MAX);
    page.put_varint(1);
    rest(&mut page);
    page
}

/// One test, so that no other allocates meanwhile.
#[test]
fn what_is_announced_costs_nothing_before_it_is_there() {
    let meta = |bytes: &[u8]| tree::decode_meta_page(bytes).is_ok();
    refuses("data ranges", &page(4, |page| page.put_varint(8 << 20)), meta);
    refuses(
        "some data ranges",
        &{
            let mut page = page(4, |page| page.put_varint(8 << 20));
            page.extend([1; 4000]);
            page
        },
        meta,
    );
    refuses("attributes", &page(1, |page| page.put_varint(4096)), meta);
    refuses(
        "an attribute",
        &page(1, |page| {
            page.extend([1, 1, b'a']);
            page.put_varint(1 << 20);
        }),
        meta,
    );
    let mut name = vec![1, 2, 0];
    name.put_varint(4096);
    refuses("a name", &name, meta);
    let mut link = vec![1, 3, 0, 1, b'l', 0, 0, 0, 0, 0];
    link.put_varint(65_536);
    refuses("a link target", &link, meta);

    let mut list = vec![1, 2];
    list.put_varint(524_288);
    refuses("ids", &list, |bytes| RefsNode::decode(bytes).is_ok());

    let directory = |bytes: &[u8]| PackDirectory::decode(bytes).is_ok();
    let mut keys = vec![3];
    keys.put_varint(4096);
    refuses("key records", &keys, directory);
    let mut groups = vec![3, 0];
    groups.put_varint(65_536);
    refuses("groups", &groups, directory);
    let mut chunks = vec![3, 1, 2];
    chunks.extend([9; 32]);
    chunks.push(1);
    chunks.put_u16(0);
    chunks.put_u32(0);
    chunks.put_u32(40);
    chunks.put_u32(16);
    chunks.push(0);
    chunks.put_varint(65_536);
    refuses("chunks", &chunks, directory);

    let owner = Owner { vault: VaultId([1; 16]), dataset: DatasetId([2; 16]) };
    let write_keys = WriteKeys::new(&Secret32::new([3; 32]));
    let mut frame = [b"SRIX\x01\0\0\0".as_slice(), &[1; 16], &[2; 16], &[0; 4]].concat();
    let mut body = vec![0xff; 4];
    write_keys.document_key(&[4; 32], "strongroom v1 index segment").seal(0, &frame, &mut body);
    frame.extend([4; 32]);
    frame.extend(body);
    refuses("content of a frame", &frame, |bytes| segment::open(bytes, &owner, &write_keys).is_ok());

    let keyring = b"SRKR\x01\0\0\0\xff\xff\xff\xff{}";
    refuses("a keyring", keyring, |bytes| Keyring::decode(bytes, &owner.vault).is_ok());

    // A bomb: a frame of zeros, said to be shorter than it is. No more than announced is taken.
    let zeros = vec![0; 16 << 20];
    let mut stored = zstd::bulk::compress(&zeros, 3).unwrap();
    drop(zeros);
    let key = group_key(&Secret32::new([6; 32]), &[7; 32]);
    let raw_len = 1 << 20;
    let mut aad = [[1; 16].as_slice(), &[2; 16], &[1, 1]].concat();
    aad.put_u32(0);
    aad.put_u32(stored.len() as u32 + 16);
    aad.put_u32(raw_len);
    key.seal(0, &aad, &mut stored);
    let stored_len = stored.len() as u32;
    let span = GroupSpan { key: 0, number: 0, offset: 40, stored_len, raw_len, encoding: Encoding::Zstd };
    let mut opener = GroupOpener::new();
    let mut refused = false;
    let used = peak(|| {
        let mut raw = Vec::new();
        refused = opener.open(&key, &owner, ChunkKind::Data, &span, &mut stored, &mut raw).is_err();
    });
    assert!(refused);
    assert!(used <= raw_len as usize + (64 << 10), "a bomb took {used} bytes");
}
