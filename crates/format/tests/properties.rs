//! What is encoded decodes to the same; what is not does not panic.

use proptest::{collection::vec, option, prelude::*, sample::Index};
use std::collections::BTreeMap;
use strongroom_format::{
    ChunkId, Damage, DatasetId, ObjectHash, Secret32, SessionId, SystemEntropy, VaultId,
    context::{Context, Purpose},
    control::{Condemnation, SessionMarker},
    epoch::Epoch,
    group::{Encoding, GroupChunk, GroupOpener, GroupSpan, Owner, group_key},
    keyring::{Keyring, PolicyTree, VaultDocument, Wrap, WrappedKey},
    keys::{ChunkKind, EpochPrivateKey, EpochPublicKey, SEALED_SECRET_LEN, SealedFor, WriteKeys},
    names::{self, DatasetNames},
    pack::{self, GroupRecord, KeyRecord, PackBuilder, PackDirectory},
    seal::padded_len,
    segment::{self, IndexedPack},
    snapshot::{Snapshot, Summary, escape_path, unescape_path},
    tree::{self, Content, Entry, EntryKind, LinkId, RefsNode, Timestamp},
    wire::{Reader, Writer},
};

fn owner() -> Owner {
    Owner { vault: VaultId([1; 16]), dataset: DatasetId([2; 16]) }
}

fn write_keys() -> WriteKeys {
    WriteKeys::new(&Secret32::new([3; 32]))
}

fn chunk_id() -> impl Strategy<Value = ChunkId> {
    any::<[u8; 32]>().prop_map(ChunkId)
}

fn hash() -> impl Strategy<Value = ObjectHash> {
    any::<[u8; 32]>().prop_map(ObjectHash)
}

fn refs_node() -> impl Strategy<Value = RefsNode> {
    let ids = || vec(chunk_id(), 0..20);
    prop_oneof![
        (chunk_id(), ids(), ids(), ids()).prop_map(|(meta, directories, lists, chunks)| {
            RefsNode::Page { meta, directories, lists, chunks }
        }),
        ids().prop_map(|chunks| RefsNode::List { chunks }),
        ids().prop_map(|pages| RefsNode::Fan { pages }),
    ]
}

fn data_ranges() -> impl Strategy<Value = Vec<(u64, u64)>> {
    vec((0..1u64 << 40, 0..1u64 << 40), 0..5).prop_map(|steps| {
        let mut end = 0;
        let range = |(gap, len)| {
            let offset = end + gap;
            end = offset + len;
            (offset, len)
        };
        steps.into_iter().map(range).collect()
    })
}

fn entry_kind() -> impl Strategy<Value = EntryKind> {
    let content = prop_oneof![any::<u32>().prop_map(Content::Chunks), any::<u32>().prop_map(Content::Lists)];
    let file = (1u64 << 50.., content, option::of(data_ranges()));
    prop_oneof![
        file.prop_map(|(size, content, data_ranges)| EntryKind::File { size, content, data_ranges }),
        Just(EntryKind::Directory),
        vec(any::<u8>(), 0..50).prop_map(|target| EntryKind::Symlink { target }),
        Just(EntryKind::Fifo),
        Just(EntryKind::Socket),
        any::<(u32, u32)>().prop_map(|(major, minor)| EntryKind::CharDevice { major, minor }),
        any::<(u32, u32)>().prop_map(|(major, minor)| EntryKind::BlockDevice { major, minor }),
    ]
}

prop_compose! {
    fn entry()(
        name in vec(any::<u8>(), 1..30).prop_filter("a name", |name| tree::valid_name(name)),
        kind in entry_kind(),
        mode in 0..=0o7777u16,
        (uid, gid, secs) in any::<(u32, u32, i64)>(),
        nanos in 0..1_000_000_000u32,
        link in option::of(any::<(u64, u64)>()),
        xattrs in vec((vec(any::<u8>(), 0..10), vec(any::<u8>(), 0..10)), 0..4),
    ) -> Entry {
        let hard_link = link.map(|(device, inode)| LinkId { device, inode });
        Entry { name, kind, mode, uid, gid, mtime: Timestamp { secs, nanos }, hard_link, xattrs }
    }
}

fn meta_page() -> impl Strategy<Value = Vec<Entry>> {
    vec(entry(), 0..12).prop_map(|entries| {
        let by_name: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        by_name.into_values().collect()
    })
}

fn encode_page(entries: &[Entry]) -> Vec<u8> {
    let mut page = tree::meta_page();
    entries.iter().for_each(|entry| entry.encode_into(&mut page));
    page
}

fn key_record(kind: ChunkKind) -> BoxedStrategy<KeyRecord> {
    if kind == ChunkKind::Refs {
        any::<[u8; 32]>().prop_map(|salt| KeyRecord::Write { salt }).boxed()
    } else {
        let record = (any::<[u8; 32]>(), any::<u32>(), any::<u8>());
        record
            .prop_map(|(salt, epoch, byte)| KeyRecord::Session {
                salt,
                epoch,
                sealed: Box::new([byte; SEALED_SECRET_LEN]),
            })
            .boxed()
    }
}

fn chunk_kind() -> impl Strategy<Value = ChunkKind> {
    prop::sample::select(ChunkKind::ALL.to_vec())
}

fn directory() -> impl Strategy<Value = PackDirectory> {
    let chunks = || vec((chunk_id(), 0..=1u32 << 20), 0..6);
    let group = move || (any::<Index>(), any::<u32>(), 0..100u32, 16..1000u32, any::<bool>(), chunks());
    chunk_kind()
        .prop_flat_map(move |kind| (Just(kind), vec(key_record(kind), 1..4), vec(group(), 0..6)))
        .prop_map(|(kind, keys, groups)| {
            let mut end = 40;
            let record = |(key, number, gap, stored_len, zstd, chunks): (Index, _, u32, _, _, Vec<_>)| {
                let chunks: Vec<_> = chunks.into_iter().map(|(id, len)| GroupChunk { id, len }).collect();
                let span = GroupSpan {
                    key: key.index(keys.len()) as u16,
                    number,
                    offset: end + gap,
                    stored_len,
                    raw_len: chunks.iter().map(|chunk| chunk.len).sum(),
                    encoding: if zstd { Encoding::Zstd } else { Encoding::Raw },
                };
                end = span.offset + stored_len;
                GroupRecord { span, chunks }
            };
            let groups = groups.into_iter().map(record).collect();
            PackDirectory { kind, keys, groups }
        })
}

prop_compose! {
    fn snapshot()(
        (time, host, user, program) in any::<(String, String, String, String)>(),
        paths in vec(any::<Vec<u8>>(), 0..4),
        tags in vec(any::<String>(), 0..4),
        root in chunk_id(),
        (parent, original) in (option::of(hash()), option::of(hash())),
        (files, bytes, problems) in any::<(u64, u64, u64)>(),
    ) -> Snapshot {
        let paths = paths.iter().map(|path| escape_path(path)).collect();
        let summary = Summary { files, bytes, problems, ..Summary::default() };
        Snapshot { time, host, user, paths, tags, root, parent, original, program, summary }
    }
}

/// Bytes, some of them changed, cut or added to.
fn mutate(mut bytes: Vec<u8>, changes: &[(Index, u8)], cut: Option<Index>, more: &[u8]) -> Vec<u8> {
    for (at, byte) in changes {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len() + 1));
    }
    bytes.extend_from_slice(more);
    bytes
}

fn mutation() -> impl Strategy<Value = (Vec<(Index, u8)>, Option<Index>, Vec<u8>)> {
    (vec(any::<(Index, u8)>(), 0..4), option::of(any::<Index>()), vec(any::<u8>(), 0..4))
}

/// Every decoder, on the same bytes.
fn decode_all(bytes: &[u8]) {
    let (owner, keys) = (owner(), write_keys());
    let _ = RefsNode::decode(bytes);
    let _ = tree::decode_meta_page(bytes);
    let _ = PackDirectory::decode(bytes);
    let _ = pack::open_pack_directory(&keys, &owner, bytes);
    let _ = pack::open_directory(&keys, bytes, &owner, bytes);
    let _ = pack::read_header(bytes);
    let _ = segment::open(bytes, &owner, &keys);
    let _ = Snapshot::open(bytes, &owner, &keys);
    let _ = Condemnation::open(bytes, &owner, &keys);
    let _ = SessionMarker::open(bytes, &owner, &keys);
    let _ = VaultDocument::decode(bytes);
    let _ = Keyring::decode(bytes, &owner.vault);
    let _ = EpochPublicKey::from_bytes(bytes);
    if let Ok(epoch) = Epoch::decode(bytes, &owner) {
        let _ = epoch.verify(bytes, &keys, 1, 0);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = unescape_path(&text);
    let _ = (names::parse_epoch(&text), names::parse_snapshot(&text), names::parse_session(&text));
    let _ = (names::hash_of(&text), names::parse_u32(&text));
}

/// A frame around any content, as somebody with the write key could make it.
fn framed(magic: &[u8; 4], info: &'static str, body: &[u8]) -> Vec<u8> {
    let owner = owner();
    let mut out =
        [magic.as_slice(), &[1, 0, 0, 0], owner.vault.as_bytes(), owner.dataset.as_bytes()].concat();
    out.put_u32(0);
    let mut sealed = body.to_vec();
    write_keys().document_key(&[4; 32], info).seal(0, &out, &mut sealed);
    out.extend([4; 32]);
    out.extend(sealed);
    out
}

fn headed(magic: &[u8; 4], json: &[u8]) -> Vec<u8> {
    let mut bytes = [magic.as_slice(), &[1, 0, 0, 0]].concat();
    bytes.put_u32(json.len() as u32);
    bytes.extend_from_slice(json);
    bytes
}

proptest! {
    #[test]
    fn numbers(value in any::<u64>(), signed in any::<i64>(), blob in any::<Vec<u8>>()) {
        let mut out = Vec::new();
        out.put_varint(value);
        out.put_varint_signed(signed);
        out.put_blob(&blob);
        let mut r = Reader::new("numbers", &out);
        prop_assert_eq!(r.varint().unwrap(), value);
        prop_assert_eq!(r.varint_signed().unwrap(), signed);
        prop_assert_eq!(r.blob("blob", blob.len()).unwrap(), blob.as_slice());
        r.finish().unwrap();
    }

    /// Each number has one form: what decodes encodes to the same bytes.
    #[test]
    fn varints_have_one_form(bytes in vec(any::<u8>(), 0..12)) {
        let mut r = Reader::new("varint", &bytes);
        if let Ok(value) = r.varint() {
            let mut again = Vec::new();
            again.put_varint(value);
            prop_assert_eq!(again.as_slice(), &bytes[..bytes.len() - r.remaining()]);
        }
    }

    #[test]
    fn refs_nodes(node in refs_node()) {
        prop_assert_eq!(RefsNode::decode(&node.encode()), Ok(node));
    }

    #[test]
    fn refs_nodes_have_one_form(bytes in vec(any::<u8>(), 0..80), node in refs_node(), mutation in mutation()) {
        let (changes, cut, more) = mutation;
        for bytes in [bytes, mutate(node.encode(), &changes, cut, &more)] {
            if let Ok(node) = RefsNode::decode(&bytes) {
                prop_assert_eq!(node.encode(), bytes);
            }
        }
    }

    #[test]
    fn meta_pages(entries in meta_page()) {
        prop_assert_eq!(tree::decode_meta_page(&encode_page(&entries)), Ok(entries));
    }

    #[test]
    fn directories(directory in directory()) {
        prop_assert_eq!(PackDirectory::decode(&directory.encode()), Ok(directory));
    }

    #[test]
    fn segments(packs in vec((hash(), directory()), 0..4)) {
        let packs: Vec<_> = packs
            .into_iter()
            .map(|(hash, directory)| IndexedPack { hash, len: directory.groups_end() as u64 + 100, directory })
            .collect();
        let bytes = segment::seal(&packs, &owner(), &write_keys(), &mut SystemEntropy);
        prop_assert_eq!(segment::open(&bytes, &owner(), &write_keys()), Ok(packs));
    }

    #[test]
    fn packs(groups in vec((vec(vec(any::<u8>(), 0..600), 1..5), any::<bool>()), 0..6), kind in chunk_kind()) {
        let (keys, salt) = (write_keys(), [5; 32]);
        let secret = if kind == ChunkKind::Refs { keys.refs_secret() } else { Secret32::new([6; 32]) };
        let record = match kind {
            ChunkKind::Refs => KeyRecord::Write { salt },
            _ => KeyRecord::Session { salt, epoch: 1, sealed: Box::new([7; SEALED_SECRET_LEN]) },
        };
        let mut pack = PackBuilder::new(owner(), kind, record, &secret, vec![9; 10]);
        for (contents, zstd) in &groups {
            let chunk = |content: &Vec<u8>| {
                GroupChunk { id: keys.chunk_id(kind, content), len: content.len() as u32 }
            };
            let raw = contents.concat();
            let (encoding, encoded) = match zstd {
                true => (Encoding::Zstd, zstd::bulk::compress(&raw, 1).unwrap()),
                false => (Encoding::Raw, raw),
            };
            pack.seal_group(encoding, &encoded, contents.iter().map(chunk).collect());
        }
        let mut pack = pack.finish(&keys, &mut SystemEntropy);
        prop_assert_eq!(pack.hash, ObjectHash::of(&pack.bytes));
        let directory = pack::open_pack_directory(&keys, &owner(), &pack.bytes).unwrap();
        prop_assert_eq!(&directory, &pack.directory);
        let key = group_key(&secret, directory.keys[0].salt());
        let mut raw = Vec::new();
        for (group, (contents, _)) in directory.groups.iter().zip(&groups) {
            let start = group.span.offset as usize;
            let stored = &mut pack.bytes[start..start + group.span.stored_len as usize];
            GroupOpener::new().open(&key, &owner(), kind, &group.span, stored, &mut raw).unwrap();
            prop_assert_eq!(&raw, &contents.concat());
        }
    }

    #[test]
    fn snapshots(snapshot in snapshot(), epoch in any::<u32>()) {
        let bytes = snapshot.seal(epoch, &owner(), &write_keys(), &mut SystemEntropy);
        prop_assert_eq!(Snapshot::open(&bytes, &owner(), &write_keys()), Ok((epoch, snapshot)));
    }

    #[test]
    fn condemnations(time in any::<String>(), packs in vec(hash(), 0..20)) {
        let condemnation = Condemnation { time, packs };
        let bytes = condemnation.seal(&owner(), &write_keys(), &mut SystemEntropy);
        prop_assert_eq!(Condemnation::open(&bytes, &owner(), &write_keys()), Ok(condemnation));
    }

    #[test]
    fn session_markers(started in any::<String>(), host in any::<String>(), pid in any::<u32>()) {
        let marker = SessionMarker { started, host, pid };
        let bytes = marker.seal(&owner(), &write_keys(), &mut SystemEntropy);
        prop_assert_eq!(SessionMarker::open(&bytes, &owner(), &write_keys()), Ok(marker));
    }

    #[test]
    fn paths(path in vec(any::<u8>(), 0..40)) {
        let text = escape_path(&path);
        prop_assert!(!text.chars().any(char::is_control));
        prop_assert_eq!(unescape_path(&text), Some(path));
    }

    #[test]
    fn names(epoch in any::<u32>(), number in any::<u32>(), hash in hash(), id in any::<[u8; 16]>()) {
        let (names, id) = (DatasetNames(DatasetId([8; 16])), SessionId(id));
        prop_assert_eq!(names::parse_epoch(&names.epoch(epoch, number)), Some((epoch, number)));
        prop_assert_eq!(names::parse_snapshot(&names.snapshot(epoch, &hash)), Some((epoch, hash)));
        prop_assert_eq!(names::parse_session(&names.session(&id, number)), Some((id, Some(number))));
        prop_assert_eq!(names::parse_session(&names.session_end(&id)), Some((id, None)));
        for name in [names.pack(&hash), names.segment(&hash), names.condemnation(&hash)] {
            prop_assert_eq!(names::hash_of(&name), Some(hash));
        }
    }

    #[test]
    fn contexts_differ(a in (0..3u32, any::<bool>(), 0..3u8), b in (0..3u32, any::<bool>(), 0..3u8)) {
        let context = |(epoch, read, dataset): (u32, bool, u8)| Context {
            vault: VaultId([0; 16]),
            dataset: format!("d{dataset}"),
            purpose: if read { Purpose::Read } else { Purpose::Write },
            epoch,
        };
        prop_assert_eq!(context(a).canonical() == context(b).canonical(), a == b);
    }

    #[test]
    fn padding_is_enough_and_not_too_much(len in prop_oneof![0..5000usize, 0..20usize << 20, 0..600usize << 20]) {
        let padded = padded_len(len);
        prop_assert!(padded >= len);
        prop_assert!(padded - len <= (len * 12 / 100).max(512), "{} for {}", padded, len);
        prop_assert!(padded <= padded_len(len + 1));
        prop_assert_eq!(padded_len(padded), padded);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), magic in 0..9usize) {
        decode_all(&bytes);
        let magics = [b"SRPK", b"SRSN", b"SRIX", b"SRCD", b"SRSE", b"SRVT", b"SRKR", b"SREP", b"KPRS"];
        decode_all(&[magics[magic].as_slice(), &[1], &bytes].concat());
    }

    #[test]
    fn changed_trees_never_panic(entries in meta_page(), node in refs_node(), mutation in mutation()) {
        let (changes, cut, more) = mutation;
        decode_all(&mutate(encode_page(&entries), &changes, cut, &more));
        decode_all(&mutate(node.encode(), &changes, cut, &more));
    }

    #[test]
    fn changed_directories_never_panic(directory in directory(), mutation in mutation()) {
        let (changes, cut, more) = mutation;
        let changed = mutate(directory.encode(), &changes, cut, &more);
        decode_all(&changed);
        // The same inside a segment, under a seal that opens.
        let mut content = vec![0; 32];
        content.put_u64(1 << 20);
        content.put_blob(&changed);
        let mut body = Vec::new();
        body.put_u32(content.len() as u32);
        body.extend(content);
        decode_all(&framed(b"SRIX", "strongroom v1 index segment", &body));
        decode_all(&framed(b"SRIX", "strongroom v1 index segment", &mutate(body, &changes, cut, &more)));
    }

    #[test]
    fn changed_documents_under_a_good_seal_never_panic(snapshot in snapshot(), mutation in mutation()) {
        let (changes, cut, more) = mutation;
        let json = mutate(serde_json::to_vec(&snapshot).unwrap(), &changes, cut, &more);
        let mut body = Vec::new();
        body.put_u32(json.len() as u32);
        body.extend(&json);
        for (magic, info) in [
            (b"SRSN", "strongroom v1 snapshot"),
            (b"SRCD", "strongroom v1 condemnation"),
            (b"SRSE", "strongroom v1 session marker"),
        ] {
            decode_all(&framed(magic, info, &body));
            decode_all(&framed(magic, info, &json));
        }
    }
}

proptest! {
    // Key pairs take time.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn epochs(number in 1u32.., generation in any::<u32>(), seed in any::<[u8; 32]>(), mutation in mutation()) {
        let (keys, private) = (write_keys(), EpochPrivateKey::from_secret(Secret32::new(seed)));
        let Owner { vault, dataset } = owner();
        let to = SealedFor { vault, dataset, epoch: number };
        let secret = Secret32::new([3; 32]);
        let epoch = Epoch {
            owner: owner(),
            number,
            generation,
            opened: "2026-03-01T12:00:00Z".into(),
            public_key: private.public(),
            write_key: Box::new(private.public().seal_write_key(&secret, &to, &mut SystemEntropy)),
            read_key: WrappedKey {
                policy: PolicyTree::Keyholder("office".into()),
                commitment: private.secret().commitment(),
                wraps: vec![Wrap { holder: "office".into(), commitment: None, blob: vec![1, 2, 3] }],
            },
        };
        let bytes = epoch.encode(&keys);
        let decoded = Epoch::decode(&bytes, &owner()).unwrap();
        decoded.verify(&bytes, &keys, number, generation).unwrap();
        let opened = private.open_write_key(&decoded.write_key, &to).unwrap();
        prop_assert_eq!(opened.expose(), secret.expose());
        prop_assert_eq!(decoded, epoch);
        let wrong = SealedFor { epoch: number ^ 1, ..to };
        let refused = private.open_write_key(&private.public().seal_write_key(&secret, &to, &mut SystemEntropy), &wrong);
        prop_assert_eq!(refused.unwrap_err().damage, Damage::Seal);

        // Any change of the document, under a tag that verifies.
        let (changes, cut, more) = mutation;
        let json = mutate(bytes[12..bytes.len() - 32].to_vec(), &changes, cut, &more);
        let mut changed = headed(b"SREP", &json);
        let tag = keys.document_tag("strongroom v1 epoch document", &changed);
        changed.extend(tag);
        decode_all(&changed);
    }
}

/// A pack of very many tiny chunks is closed while its directory can still be read.
#[test]
fn a_pack_is_full_before_its_directory_is_too_long() {
    let salt = [5; 32];
    let keys = write_keys();
    let mut pack = PackBuilder::new(
        owner(),
        ChunkKind::Refs,
        KeyRecord::Write { salt },
        &keys.refs_secret(),
        Vec::new(),
    );
    let chunk = |n: u32| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_le_bytes());
        GroupChunk { id: ChunkId(id), len: 1 }
    };
    while pack.has_room() {
        let chunks: Vec<_> = (0..60_000).map(chunk).collect();
        pack.seal_group(Encoding::Raw, &vec![0; chunks.len()], chunks);
        assert!(pack.len() < 32 << 20, "never full");
    }
    let pack = pack.finish(&keys, &mut SystemEntropy);
    let directory = pack::open_pack_directory(&keys, &owner(), &pack.bytes).unwrap();
    assert_eq!(directory, pack.directory);
}
