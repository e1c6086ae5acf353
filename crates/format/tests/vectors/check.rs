//! Checks one vector: what comes out of its inputs, or the damage found.

use crate::hex::{Input, hex};
use data_encoding::BASE64;
use serde_json::{Value, json};
use strongroom_format::{
    ChunkId, Damage, DatasetId, FormatError, ObjectHash, VaultId,
    change::{Cancellation, Certificate, Change},
    context::{Context, Purpose},
    control::{Condemnation, SessionMarker},
    epoch::Epoch,
    group::{Encoding, GroupOpener, GroupSpan, Owner, group_key},
    keyring::{Keyring, SigningPublicKey, VaultDocument},
    keys::{ChunkKind, EpochPrivateKey, SealedFor, WriteKeys},
    names::{self, DatasetNames},
    pack::{self, KeyRecord, PackDirectory},
    seal, segment,
    snapshot::{Snapshot, unescape_path},
    tree::{self, Content, Entry, EntryKind, RefsNode},
    wire::Reader,
    xwing::OpeningKey,
};

/// The kinds of vectors.
pub(crate) const KINDS: &[&str] = &[
    "cancellation",
    "certificate",
    "change",
    "chunk id",
    "commitment",
    "condemnation",
    "context",
    "cut",
    "derive",
    "epoch",
    "group",
    "hpke",
    "index segment",
    "keyholder blob",
    "keyring",
    "meta page",
    "name",
    "pack",
    "pack directory",
    "padded",
    "path",
    "refs node",
    "session marker",
    "shares",
    "snapshot",
    "varint",
    "vault document",
];

fn signing_key(input: &Value) -> SigningPublicKey {
    serde_json::from_value(input["signing_key"].clone()).expect("a signing key")
}

fn damage_word(error: FormatError) -> String {
    let word = match error.damage {
        Damage::Truncated => "truncated",
        Damage::TrailingBytes => "trailing",
        Damage::Magic => "magic",
        Damage::Version(_) => "version",
        Damage::Field(_) => "field",
        Damage::Limit(_) => "limit",
        Damage::Seal => "seal",
        Damage::Hash => "hash",
        Damage::Signature => "signature",
        Damage::Foreign => "foreign",
        Damage::Compression => "compression",
        Damage::Document(_) => "document",
        other => panic!("{other:?} has no word in [V-1.11]"),
    };
    word.to_owned()
}

fn field_error() -> FormatError {
    FormatError::new("vector", Damage::Field("value"))
}

/// What comes out of the inputs, or the damage found.
pub(crate) fn check(kind: &str, input: &Value) -> Result<Value, String> {
    let i = Input(input);
    let result =
        match kind {
            "chunk id" => Ok(json!({ "id": chunk_id(&i).to_hex() })),
            "commitment" => Ok(json!({ "commitment": hex(&i.secret("secret").commitment()) })),
            "condemnation" => Condemnation::open(&i.bytes("bytes"), &owner(&i), &write_keys(&i))
                .map(|document| json!({ "document": document })),
            "context" => Ok(json!({ "canonical": hex(&context(&i).canonical()) })),
            "cut" => Ok(cut(&i)),
            "derive" => {
                let key = seal::derive(&i.secret("secret"), &i.bytes("salt"), i.text("info"));
                Ok(json!({ "key": hex(key.expose()) }))
            }
            "epoch" => epoch(&i),
            "group" => group(&i),
            "hpke" => hpke(&i),
            "index segment" => segment::open(&i.bytes("bytes"), &owner(&i), &write_keys(&i)).map(|packs| {
                let shown = packs.iter().map(
                |pack| json!({ "hash": pack.hash, "len": pack.len, "directory": directory(&pack.directory) }),
            );
                json!({ "packs": shown.collect::<Vec<_>>() })
            }),
            "keyholder blob" => keyholder_blob(&i),
            "change" => Change::decode(&i.bytes("bytes"), &signing_key(input))
                .map(|change| json!({ "document": change })),
            "cancellation" => {
                let change = i.bytes("change");
                let id = ObjectHash::of(&change);
                Change::decode(&change, &signing_key(input))
                    .and_then(|change| Cancellation::decode(&i.bytes("bytes"), &id, &change))
                    .map(|cancellation| json!({ "document": cancellation }))
            }
            "certificate" => Certificate::decode(&i.bytes("bytes"), &VaultId(i.array("vault")))
                .map(|certificate| json!({ "document": certificate })),
            "keyring" => Keyring::decode(&i.bytes("bytes"), &VaultId(i.array("vault")))
                .map(|keyring| json!({ "document": keyring })),
            "meta page" => tree::decode_meta_page(&i.bytes("bytes"))
                .map(|entries| json!({ "entries": entries.iter().map(entry).collect::<Vec<_>>() })),
            "name" => name(&i),
            "pack" => {
                let bytes = i.bytes("bytes");
                pack::open_pack_directory(&write_keys(&i), &owner(&i), &bytes)
                    .map(|found| json!({ "hash": ObjectHash::of(&bytes), "directory": directory(&found) }))
            }
            "pack directory" => PackDirectory::decode(&i.bytes("bytes"))
                .map(|found| json!({ "directory": directory(&found) })),
            "padded" => Ok(json!({ "padded": seal::padded_len(i.number("len")) })),
            "path" => unescape_path(i.text("text"))
                .map(|bytes| json!({ "bytes": hex(&bytes) }))
                .ok_or(field_error()),
            "refs node" => RefsNode::decode(&i.bytes("bytes")).map(|node| refs_node(&node)),
            "shares" => Ok(json!({ "secret": hex(&combine(&input["shares"])) })),
            "session marker" => SessionMarker::open(&i.bytes("bytes"), &owner(&i), &write_keys(&i))
                .map(|document| json!({ "document": document })),
            "snapshot" => Snapshot::open(&i.bytes("bytes"), &owner(&i), &write_keys(&i))
                .map(|(epoch, document)| json!({ "epoch": epoch, "document": document })),
            "varint" => varint(&i),
            "vault document" => VaultDocument::decode(&i.bytes("bytes"))
                .map(|found| json!({ "vault": found.vault(), "signing_key": hex(&found.signing_key.0) })),
            other => panic!("vectors of kind {other:?} are not known"),
        };
    result.map_err(damage_word)
}

/// Multiplication in the field of [V-4.2], bit by bit.
pub(crate) fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b > 0 {
        product ^= if b & 1 == 1 { a } else { 0 };
        a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d };
        b >>= 1;
    }
    product
}

/// The values at 0 of the polynomials through the shares.
fn combine(shares: &Value) -> Vec<u8> {
    let points: Vec<(u8, [u8; 32])> = shares
        .as_array()
        .expect("a list of shares")
        .iter()
        .map(|share| (Input(share).number("at"), Input(share).array("share")))
        .collect();
    let inverse = |a: u8| (1..=255).find(|b| times(a, *b) == 1).expect("no share is at another's place");
    let mut secret = vec![0; 32];
    for (at, values) in &points {
        let others = points.iter().map(|(other, _)| *other).filter(|other| other != at);
        let weight = others.fold(1, |weight, other| times(weight, times(other, inverse(other ^ at))));
        for (byte, value) in secret.iter_mut().zip(values) {
            *byte ^= times(weight, *value);
        }
    }
    secret
}

fn owner(i: &Input<'_>) -> Owner {
    Owner { vault: VaultId(i.array("vault")), dataset: DatasetId(i.array("dataset")) }
}

fn write_keys(i: &Input<'_>) -> WriteKeys {
    WriteKeys::new(&i.secret("write_key"))
}

fn chunk_kind(i: &Input<'_>) -> ChunkKind {
    ChunkKind::from_u8(i.number("chunk_kind")).expect("a kind of chunks")
}

fn chunk_id(i: &Input<'_>) -> ChunkId {
    write_keys(i).chunk_id(chunk_kind(i), &i.bytes("content"))
}

fn context(i: &Input<'_>) -> Context {
    Context {
        vault: VaultId(i.array("vault")),
        dataset: i.text("dataset").to_owned(),
        purpose: if i.text("purpose") == "read" { Purpose::Read } else { Purpose::Write },
        epoch: i.number("epoch"),
    }
}

/// The cuts by the words of [V-5.2], one position after the other.
fn cut(i: &Input<'_>) -> Value {
    let (a, b) = write_keys(i).chunker_seed();
    let (min, max): (usize, usize) = (i.number("chunk_min"), i.number("chunk_max"));
    let content = i.bytes("content");
    let mut rest = content.as_slice();
    let mut lengths = Vec::new();
    while !rest.is_empty() {
        let most = rest.len().min(max);
        let hash = |end: &usize| {
            let window = rest[end - 4..*end].try_into().expect("four bytes");
            u32::from_le_bytes(window).wrapping_mul(a).wrapping_add(b)
        };
        let len = if rest.len() <= min || most < 4 {
            most
        } else {
            (min.max(4)..=most).min_by_key(hash).expect("one position or more")
        };
        lengths.push(len);
        rest = &rest[len..];
    }
    json!({ "a": a, "b": b, "lengths": lengths })
}

fn epoch(i: &Input<'_>) -> Result<Value, FormatError> {
    let bytes = i.bytes("bytes");
    let epoch = Epoch::decode(&bytes, &owner(i))?;
    epoch.verify(&bytes, &write_keys(i), i.number("epoch"), i.number("generation"))?;
    Ok(json!({ "document": {
        "vault": epoch.owner.vault,
        "dataset": epoch.owner.dataset,
        "epoch": epoch.number,
        "generation": epoch.generation,
        "opened": epoch.opened,
        "public_key": BASE64.encode(&epoch.public_key.to_bytes()),
        "write_key": BASE64.encode(epoch.write_key.as_slice()),
        "read_key": epoch.read_key,
    } }))
}

fn group(i: &Input<'_>) -> Result<Value, FormatError> {
    let mut stored = i.bytes("bytes");
    let span = GroupSpan {
        key: 0,
        number: i.number("number"),
        offset: 0,
        stored_len: stored.len() as u32,
        raw_len: i.number("raw_len"),
        encoding: if i.number::<u8>("encoding") == 0 { Encoding::Raw } else { Encoding::Zstd },
    };
    let key = group_key(&i.secret("secret"), &i.array("salt"));
    let mut raw = Vec::new();
    GroupOpener::new().open(&key, &owner(i), chunk_kind(i), &span, &mut stored, &mut raw)?;
    Ok(json!({ "raw": hex(&raw) }))
}

fn hpke(i: &Input<'_>) -> Result<Value, FormatError> {
    let key = EpochPrivateKey::from_secret(i.secret("seed"));
    let Owner { vault, dataset } = owner(i);
    let to = SealedFor { vault, dataset, epoch: i.number("epoch") };
    let sealed = i.array("sealed");
    let opened = match i.text("what") {
        "session key" => key.open_session_key(&sealed, &to)?,
        _ => key.open_write_key(&sealed, &to)?,
    };
    Ok(json!({ "public_key": hex(&key.public().to_bytes()), "secret": hex(opened.expose()) }))
}

/// The blob of a `file` or `passphrase` keyholder [V-4.5].
fn keyholder_blob(i: &Input<'_>) -> Result<Value, FormatError> {
    let error = |damage| FormatError::new("keyholder blob", damage);
    let blob = i.bytes("blob");
    let (version, sealed) = blob.split_first().ok_or(error(Damage::Truncated))?;
    if *version != 1 {
        return Err(error(Damage::Version(*version)));
    }
    let sealed = sealed.try_into().map_err(|_| error(Damage::Truncated))?;
    let info =
        [format!("strongroom v1 {} keyholder\0", i.text("holder")).as_bytes(), &context(i).canonical()]
            .concat();
    let opened = OpeningKey::from_seed(i.secret("seed")).open(&info, sealed).ok_or(error(Damage::Seal))?;
    Ok(json!({ "key": hex(opened.expose()) }))
}

fn key_record(record: &KeyRecord) -> Value {
    match record {
        KeyRecord::Session { salt, epoch, sealed } => {
            json!({ "kind": 1, "salt": hex(salt), "epoch": epoch, "sealed": hex(sealed.as_slice()) })
        }
        KeyRecord::Write { salt } => json!({ "kind": 2, "salt": hex(salt) }),
    }
}

fn directory(directory: &PackDirectory) -> Value {
    let groups = directory.groups.iter().map(|group| {
        let chunks = group.chunks.iter().map(|chunk| json!({ "id": chunk.id, "len": chunk.len }));
        json!({
            "key": group.span.key,
            "number": group.span.number,
            "offset": group.span.offset,
            "stored_len": group.span.stored_len,
            "encoding": group.span.encoding as u8,
            "chunks": chunks.collect::<Vec<_>>(),
        })
    });
    json!({
        "chunk_kind": directory.kind as u8,
        "keys": directory.keys.iter().map(key_record).collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
    })
}

fn refs_node(node: &RefsNode) -> Value {
    match node {
        RefsNode::Page { meta, directories, lists, chunks } => {
            json!({ "node": "page", "meta": meta, "directories": directories, "lists": lists, "chunks": chunks })
        }
        RefsNode::List { chunks } => json!({ "node": "list", "chunks": chunks }),
        RefsNode::Fan { pages } => json!({ "node": "fan", "pages": pages }),
    }
}

fn entry(entry: &Entry) -> Value {
    let mut out = json!({
        "name": hex(&entry.name),
        "mode": entry.mode,
        "owner": entry.uid,
        "group": entry.gid,
        "seconds": entry.mtime.secs,
        "nanoseconds": entry.mtime.nanos,
    });
    let (kind, more) = match &entry.kind {
        EntryKind::File { size, content, data_ranges } => {
            let (lists, count) = match content {
                Content::Chunks(count) => (false, count),
                Content::Lists(count) => (true, count),
            };
            ("file", json!({ "size": size, "lists": lists, "count": count, "data_ranges": data_ranges }))
        }
        EntryKind::Directory => ("directory", json!({})),
        EntryKind::Symlink { target } => ("symbolic link", json!({ "target": hex(target) })),
        EntryKind::Fifo => ("named pipe", json!({})),
        EntryKind::Socket => ("socket", json!({})),
        EntryKind::CharDevice { major, minor } => {
            ("character device", json!({ "major": major, "minor": minor }))
        }
        EntryKind::BlockDevice { major, minor } => {
            ("block device", json!({ "major": major, "minor": minor }))
        }
    };
    out["kind"] = kind.into();
    for (field, value) in more.as_object().into_iter().flatten() {
        out[field] = value.clone();
    }
    if let Some(link) = entry.hard_link {
        out["hard_link"] = json!({ "device": link.device, "inode": link.inode });
    }
    let attributes: Vec<_> = entry.xattrs.iter().map(|(name, value)| [hex(name), hex(value)]).collect();
    if !attributes.is_empty() {
        out["attributes"] = json!(attributes);
    }
    out
}

fn name(i: &Input<'_>) -> Result<Value, FormatError> {
    let name = i.text("name");
    let dataset = DatasetNames(DatasetId(i.array("dataset")));
    let (parts, again) = match i.text("what") {
        "epoch" => {
            let (epoch, generation) = names::parse_epoch(name).ok_or(field_error())?;
            (json!({ "epoch": epoch, "generation": generation }), dataset.epoch(epoch, generation))
        }
        "snapshot" => {
            let (epoch, hash) = names::parse_snapshot(name).ok_or(field_error())?;
            (json!({ "epoch": epoch, "hash": hash }), dataset.snapshot(epoch, &hash))
        }
        "session" => {
            let (id, sequence) = names::parse_session(name).ok_or(field_error())?;
            let again =
                sequence.map_or_else(|| dataset.session_end(&id), |sequence| dataset.session(&id, sequence));
            (json!({ "session": id, "sequence": sequence }), again)
        }
        what => {
            let hash = names::hash_of(name).ok_or(field_error())?;
            let again = match what {
                "pack" => dataset.pack(&hash),
                "segment" => dataset.segment(&hash),
                "condemnation" => dataset.condemnation(&hash),
                other => panic!("{other:?} has no name"),
            };
            (json!({ "hash": hash }), again)
        }
    };
    assert_eq!(again, name, "parsed and written again");
    Ok(parts)
}

fn varint(i: &Input<'_>) -> Result<Value, FormatError> {
    let bytes = i.bytes("bytes");
    let mut r = Reader::new("varint", &bytes);
    let value =
        if i.text("form") == "zigzag" { r.varint_signed()?.to_string() } else { r.varint()?.to_string() };
    r.finish()?;
    Ok(json!({ "value": value }))
}
