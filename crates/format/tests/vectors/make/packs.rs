//! Groups, packs, their directories, index segments.

use super::{
    Add, Repeatable, Vector, appended, bad, changed, dataset, documents, flipped, good, owner, secret,
    under_write_key, vault, with, write_keys,
};
use crate::hex::hex;
use serde_json::{Value, json};
use strongroom_format::{
    Entropy, ObjectHash,
    group::{Encoding, GroupChunk, group_key},
    keys::{ChunkKind, EpochPrivateKey, SealedFor},
    pack::{FinishedPack, KeyRecord, PackBuilder},
    segment::{self, IndexedPack},
    wire::Writer,
};

pub(super) fn make(add: &mut Add<'_>) {
    add("group.json", groups());
    add("pack-directory.json", directories());
    add("pack.json", packs());
    add("index-segment.json", segments());
}

/// Two chunks that compress well.
fn chunks() -> [Vec<u8>; 2] {
    [b"strongroom ".repeat(20), b"room ".repeat(9)]
}

/// A group as [V-5.4] says, made without the code under test.
fn group(encoding: Encoding, encoded: &[u8], raw_len: usize, number: u32) -> Vec<u8> {
    let mut aad = [vault().as_bytes().as_slice(), dataset().as_bytes(), &[1, encoding as u8]].concat();
    aad.put_u32(number);
    aad.put_u32(encoded.len() as u32 + 16);
    aad.put_u32(raw_len as u32);
    let key = group_key(&secret("session key"), &Repeatable::new("salt of a pack").array());
    let mut sealed = encoded.to_vec();
    key.seal(number.into(), &aad, &mut sealed);
    sealed
}

fn compressed(raw: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(raw, 3).expect("compression")
}

/// Whether the frame is of the most basic kind: raw blocks, so that a compressor's version does not matter.
fn stored_frame(raw: &[u8]) -> Vec<u8> {
    // RFC 8878: magic, single segment with a content size of one byte, one last raw block.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, raw.len() as u8];
    let block = (raw.len() as u32) << 3 | 1;
    frame.extend_from_slice(&block.to_le_bytes()[..3]);
    frame.extend_from_slice(raw);
    frame
}

fn groups() -> Vec<Vector> {
    let raw = chunks().concat();
    let short = &raw[..200];
    let input = |bytes: &[u8], encoding: Encoding, number: u32, raw_len: usize| {
        json!({
            "bytes": hex(bytes), "secret": hex(secret("session key").expose()),
            "salt": hex(&Repeatable::bytes("salt of a pack", 32)), "vault": vault(), "dataset": dataset(),
            "chunk_kind": 1, "encoding": encoding as u8, "number": number, "raw_len": raw_len,
        })
    };
    let stored = group(Encoding::Raw, &raw, raw.len(), 7);
    let plain = input(&stored, Encoding::Raw, 7, raw.len());
    let frame = stored_frame(short);
    let zstd = |frame: &[u8], raw_len: usize| {
        input(&group(Encoding::Zstd, frame, raw_len, 7), Encoding::Zstd, 7, raw_len)
    };
    let fault =
        |name: &str, field: &str, value: Value| bad(name, "group", "seal", with(plain.clone(), field, value));
    let damaged = |name: &str, input: Value| bad(name, "group", "compression", input);
    vec![
        good("raw", "group", plain.clone()),
        good("zstd, a raw block", "group", zstd(&frame, 200)),
        good("zstd, a compressed block", "group", zstd(&compressed_vector(), raw.len())),
        good("nothing", "group", input(&group(Encoding::Raw, b"", 0, 0), Encoding::Raw, 0, 0)),
        fault("another number", "number", 8.into()),
        fault("another kind of chunks", "chunk_kind", 2.into()),
        fault("another encoding", "encoding", 1.into()),
        fault("another length", "raw_len", (raw.len() - 1).into()),
        fault("another vault", "vault", hex(&[1; 16]).into()),
        fault("another dataset", "dataset", hex(&[1; 16]).into()),
        fault("another salt", "salt", hex(&[1; 32]).into()),
        fault("another session key", "secret", hex(&[1; 32]).into()),
        fault("a changed byte", "bytes", hex(&flipped(&stored, 0)).into()),
        fault("a changed tag", "bytes", hex(&flipped(&stored, stored.len() - 1)).into()),
        fault("one byte short", "bytes", hex(&stored[..stored.len() - 1]).into()),
        damaged(
            "raw, longer than its chunks",
            input(&group(Encoding::Raw, short, 199, 7), Encoding::Raw, 7, 199),
        ),
        damaged(
            "raw, shorter than its chunks",
            input(&group(Encoding::Raw, short, 201, 7), Encoding::Raw, 7, 201),
        ),
        damaged("zstd, longer than its chunks", zstd(&frame, 199)),
        damaged("zstd, shorter than its chunks", zstd(&frame, 201)),
        damaged("zstd, a cut frame", zstd(&frame[..100], 200)),
        damaged("zstd, no frame", zstd(short, 200)),
        bad(
            "raw length above the limit",
            "group",
            "limit",
            with(plain.clone(), "raw_len", ((17 << 20) + 1).into()),
        ),
    ]
}

/// The chunks in one frame as a compressor made it once; later versions of it may make others.
fn compressed_vector() -> Vec<u8> {
    let frame = data_encoding::HEXLOWER.decode(COMPRESSED.as_bytes()).expect("hex");
    assert_eq!(
        zstd::bulk::decompress(&frame, 4096).expect("a frame"),
        chunks().concat(),
        "today's frame is {}",
        hex(&compressed(&chunks().concat()))
    );
    frame
}

const COMPRESSED: &str = "28b52ffd600900bd0000587374726f6e67726f6f6d2003005105b246004e53c50b";

fn session_key_record() -> KeyRecord {
    let to = SealedFor { vault: vault(), dataset: dataset(), epoch: 3 };
    let key = EpochPrivateKey::from_secret(secret("read key")).public();
    let sealed =
        key.seal_session_key(&secret("session key"), &to, &mut Repeatable::new("sealed session key"));
    KeyRecord::Session { salt: Repeatable::new("salt of a pack").array(), epoch: 3, sealed: Box::new(sealed) }
}

fn pack() -> FinishedPack {
    let keys = write_keys();
    let mut pack =
        PackBuilder::new(owner(), ChunkKind::Data, session_key_record(), &secret("session key"), Vec::new());
    let [first, second] = chunks();
    let chunk = |content: &[u8]| GroupChunk {
        id: keys.chunk_id(ChunkKind::Data, content),
        len: content.len() as u32,
    };
    let both = vec![chunk(&first), chunk(&second)];
    pack.seal_group(Encoding::Zstd, &compressed_vector(), both);
    pack.seal_group(Encoding::Raw, b"third", vec![chunk(b"third")]);
    pack.finish(&keys, &mut Repeatable::new("pack"))
}

fn refs_pack() -> FinishedPack {
    let keys = write_keys();
    let salt = Repeatable::new("salt of a refs pack").array();
    let mut pack = PackBuilder::new(
        owner(),
        ChunkKind::Refs,
        KeyRecord::Write { salt },
        &keys.refs_secret(),
        Vec::new(),
    );
    let node = [1, 2, 0];
    let id = keys.chunk_id(ChunkKind::Refs, &node);
    pack.seal_group(Encoding::Raw, &node, vec![GroupChunk { id, len: 3 }]);
    pack.finish(&keys, &mut Repeatable::new("refs pack"))
}

fn moved_pack() -> FinishedPack {
    let from = pack();
    let mut moved = PackBuilder::for_moved(owner(), ChunkKind::Data, Vec::new());
    let record = &from.directory.groups[1];
    let start = record.span.offset as usize;
    let stored = &from.bytes[start..start + record.span.stored_len as usize];
    moved.move_group(&from.directory.keys[0], record, stored);
    moved.finish(&write_keys(), &mut Repeatable::new("moved pack"))
}

/// A directory by hand: a kind, key records of the second form, and groups.
fn raw_directory(kind: u8, keys: usize, groups: &[(u16, u32, u32, u8, &[u32])]) -> Vec<u8> {
    let mut out = vec![kind];
    out.put_varint(keys as u64);
    for _ in 0..keys {
        out.push(2);
        out.extend([9; 32]);
    }
    out.put_varint(groups.len() as u64);
    for (key, offset, stored_len, encoding, lens) in groups {
        out.put_u16(*key);
        out.put_u32(0);
        out.put_u32(*offset);
        out.put_u32(*stored_len);
        out.push(*encoding);
        out.put_varint(lens.len() as u64);
        for len in *lens {
            out.extend([5; 32]);
            out.put_varint(u64::from(*len));
        }
    }
    out
}

fn directories() -> Vec<Vector> {
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let ok = |name: &str, bytes: &[u8]| good(name, "pack directory", input(bytes));
    let fault = |name: &str, damage: &str, bytes: &[u8]| bad(name, "pack directory", damage, input(bytes));
    let of_data = pack().directory.encode();
    let simple = raw_directory(3, 1, &[(0, 40, 21, 0, &[5])]);
    let mut unknown_record = simple.clone();
    unknown_record[2] = 3;
    let mut of_session = vec![3, 1];
    session_key_record().encode_into(&mut of_session);
    of_session.push(0);
    let mut many_keys = vec![3];
    many_keys.put_varint(4097);
    let mut many_groups = raw_directory(3, 1, &[]);
    many_groups.pop();
    many_groups.put_varint(65_537);
    let mut many_chunks = raw_directory(3, 1, &[(0, 40, 21, 0, &[])]);
    many_chunks.pop();
    many_chunks.put_varint(65_537);
    let large = (16 << 20) + 1;
    let full = 16 << 20;
    vec![
        ok("data", &of_data),
        ok("refs", &simple),
        ok("moved group", &moved_pack().directory.encode()),
        ok("no groups", &raw_directory(3, 1, &[])),
        ok("a gap between groups", &raw_directory(3, 1, &[(0, 40, 21, 0, &[5]), (0, 100, 21, 1, &[5])])),
        fault("nothing", "truncated", b""),
        fault("one byte short", "truncated", &simple[..simple.len() - 1]),
        fault("a byte too many", "trailing", &appended(&simple, &[0])),
        fault("kind 0", "field", &changed(&simple, 0, 0)),
        fault("kind 4", "field", &changed(&simple, 0, 4)),
        fault("key record 3", "field", &unknown_record),
        fault("data under the write key", "field", &changed(&simple, 0, 1)),
        fault("refs under a session key", "field", &of_session),
        fault("4,097 key records", "limit", &many_keys),
        fault("65,537 groups", "limit", &many_groups),
        fault("65,537 chunks", "limit", &many_chunks),
        fault("a key that is not there", "field", &raw_directory(3, 1, &[(1, 40, 21, 0, &[5])])),
        fault("encoding 2", "field", &raw_directory(3, 1, &[(0, 40, 21, 2, &[5])])),
        fault("a group in the header", "field", &raw_directory(3, 1, &[(0, 39, 21, 0, &[5])])),
        fault(
            "groups that overlap",
            "field",
            &raw_directory(3, 1, &[(0, 40, 21, 0, &[5]), (0, 60, 21, 0, &[5])]),
        ),
        fault(
            "groups out of order",
            "field",
            &raw_directory(3, 1, &[(0, 100, 21, 0, &[5]), (0, 40, 21, 0, &[5])]),
        ),
        fault("a group beyond 2^32", "field", &raw_directory(3, 1, &[(0, u32::MAX, 21, 0, &[5])])),
        fault("a group shorter than a tag", "limit", &raw_directory(3, 1, &[(0, 40, 15, 0, &[5])])),
        fault(
            "a group longer than the limit",
            "limit",
            &raw_directory(3, 1, &[(0, 40, (17 << 20) + 65, 0, &[5])]),
        ),
        fault("a chunk above 16 MiB", "limit", &raw_directory(3, 1, &[(0, 40, 21, 0, &[large])])),
        fault("chunks above 17 MiB", "limit", &raw_directory(3, 1, &[(0, 40, 21, 0, &[full, full])])),
    ]
}

/// The bytes of a pack, its directory replaced by another one, or sealed with another header.
fn with_directory(header: &[u8], pack: &FinishedPack, directory: &[u8]) -> Vec<u8> {
    let start = strongroom_format::seal::padded_len(pack.directory.groups_end());
    let salt: [u8; 32] = Repeatable::new("salt of a directory").array();
    let mut sealed = directory.to_vec();
    write_keys().document_key(&salt, "strongroom v1 pack directory").seal(0, header, &mut sealed);
    let mut out = [header, &pack.bytes[40..start], &salt, &sealed].concat();
    out.put_u32(sealed.len() as u32 + 32);
    out.extend_from_slice(b"KPRS");
    out
}

fn packs() -> Vec<Vector> {
    let data = pack();
    let bytes = &data.bytes;
    let (header, end) = (&bytes[..40], bytes.len());
    let fault = |name: &str, damage: &str, bytes: &[u8]| bad(name, "pack", damage, under_write_key(bytes));
    let trailer = |len: u32| {
        let mut changed = bytes.clone();
        changed[end - 8..end - 4].copy_from_slice(&len.to_le_bytes());
        changed
    };
    let beyond = {
        let mut directory = data.directory.clone();
        directory.groups[1].span.offset = 512 - 20;
        directory.encode()
    };
    let refs_header = changed(header, 5, 3);
    let start = strongroom_format::seal::padded_len(data.directory.groups_end());
    vec![
        good("data", "pack", under_write_key(bytes)),
        good("refs", "pack", under_write_key(&refs_pack().bytes)),
        good("moved group", "pack", under_write_key(&moved_pack().bytes)),
        good(
            "no groups",
            "pack",
            under_write_key(
                &PackBuilder::for_moved(owner(), ChunkKind::Meta, Vec::new())
                    .finish(&write_keys(), &mut Repeatable::new("empty pack"))
                    .bytes,
            ),
        ),
        fault("nothing", "truncated", b""),
        fault("one byte short", "magic", &bytes[..end - 1]),
        fault("another magic", "magic", &changed(bytes, 0, b'X')),
        fault("another magic at the end", "magic", &changed(bytes, end - 1, b'X')),
        fault("version 2", "version", &changed(bytes, 4, 2)),
        fault("kind 0", "field", &changed(bytes, 5, 0)),
        fault("a reserved byte", "field", &changed(bytes, 6, 1)),
        fault("another vault's", "foreign", &flipped(bytes, 8)),
        fault("another dataset's", "foreign", &flipped(bytes, 24)),
        fault("another kind in the header", "seal", &changed(bytes, 5, 2)),
        fault("a changed salt", "seal", &flipped(bytes, start)),
        fault("a changed directory", "seal", &flipped(bytes, start + 32)),
        fault("a changed tag", "seal", &flipped(bytes, end - 9)),
        fault("directory longer than the pack", "field", &trailer(end as u32 - 47)),
        fault("directory shorter than salt and tag", "field", &trailer(47)),
        fault("directory above the limit", "limit", &trailer((64 << 20) + 1)),
        bad(
            "another write key",
            "pack",
            "seal",
            with(under_write_key(bytes), "write_key", hex(&[1; 32]).into()),
        ),
        fault(
            "the directory of another kind",
            "field",
            &with_directory(&refs_header, &data, &data.directory.encode()),
        ),
        fault("a group in the directory", "field", &with_directory(header, &data, &beyond)),
    ]
}

fn indexed(pack: FinishedPack) -> IndexedPack {
    IndexedPack { hash: pack.hash, len: pack.bytes.len() as u64, directory: pack.directory }
}

fn segments() -> Vec<Vector> {
    let packs = [indexed(pack()), indexed(refs_pack()), indexed(moved_pack())];
    let seal = |packs: &[IndexedPack]| {
        segment::seal(packs, &owner(), &write_keys(), &mut Repeatable::new("segment"))
    };
    let bytes = seal(&packs[1..2]);
    let fault = |name: &str, damage: &str, content: &[u8]| {
        bad(name, "index segment", damage, under_write_key(&documents::segment(content)))
    };
    let pack = |len: u64, directory: &[u8]| {
        let mut content = ObjectHash(Repeatable::new("hash").array()).as_bytes().to_vec();
        content.put_u64(len);
        content.put_blob(directory);
        content
    };
    let directory = packs[1].directory.encode();
    let mut long = pack(1000, &[]);
    long.pop();
    long.put_varint((64 << 20) + 1);
    let mut vectors = vec![
        good("three packs", "index segment", under_write_key(&seal(&packs))),
        good("no packs", "index segment", under_write_key(&seal(&[]))),
        fault("a cut hash", "truncated", &[7; 31]),
        fault("a cut directory", "truncated", &{
            let whole = pack(1000, &directory);
            whole[..whole.len() - 1].to_vec()
        }),
        fault("a pack above 512 MiB", "limit", &pack((512 << 20) + 1, &directory)),
        fault("a directory above 64 MiB", "limit", &long),
        fault("a group behind the pack's end", "field", &pack(41, &directory)),
        fault("a byte behind a directory", "trailing", &pack(1000, &appended(&directory, &[0]))),
    ];
    vectors.extend(documents::frame_faults(
        "index segment",
        b"SRIX",
        "strongroom v1 index segment",
        0,
        &bytes,
    ));
    vectors
}
