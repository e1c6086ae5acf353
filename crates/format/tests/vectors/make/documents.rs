//! The vault document, keyrings, epochs, and what lies in a frame under the write key, segments apart.

use super::{
    Add, Repeatable, Vector, appended, bad, changed, dataset, flipped, good, owner, secret, signing_seed,
    under_write_key, vault, with, write_key, write_keys,
};
use crate::hex::hex;
use aws_lc_rs::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use strongroom_format::{
    ChunkId, Entropy, ObjectHash, Secret32,
    control::{Condemnation, SessionMarker},
    epoch::Epoch,
    group::Owner,
    keyring::{
        DatasetRecord, KeyholderSpec, Keyring, Parameter, PolicyTree, SigningPublicKey, VaultDocument, Wrap,
        WrappedKey,
    },
    keys::{EpochPrivateKey, SealedFor},
    seal::padded_len,
    snapshot::{Snapshot, Summary},
};

pub(super) fn make(add: &mut Add<'_>) {
    add("vault-document.json", vault_documents());
    add("keyring.json", keyrings());
    add("change.json", changes());
    add("epoch.json", epochs());
    add("snapshot.json", snapshots());
    add("condemnation.json", condemnations());
    add("session-marker.json", session_markers());
}

fn vault_documents() -> Vec<Vector> {
    let bytes = VaultDocument { signing_key: SigningPublicKey::of_seed(&signing_seed()) }.encode();
    let fault = |name: &str, damage: &str, bytes: &[u8]| {
        bad(name, "vault document", damage, json!({ "bytes": hex(bytes) }))
    };
    let mut foreign = flipped(&bytes[..56], 8);
    let hash = ObjectHash::of(&foreign);
    foreign.extend_from_slice(hash.as_bytes());
    vec![
        good("a vault", "vault document", json!({ "bytes": hex(&bytes) })),
        fault("nothing", "truncated", b""),
        fault("one byte short", "truncated", &bytes[..87]),
        fault("a byte too many", "trailing", &appended(&bytes, &[0])),
        fault("another magic", "magic", &changed(&bytes, 3, b'X')),
        fault("version 2", "version", &changed(&bytes, 4, 2)),
        fault("a reserved byte", "field", &changed(&bytes, 7, 1)),
        fault("a changed hash", "hash", &flipped(&bytes, 87)),
        fault("an id that is not made of the key", "foreign", &foreign),
    ]
}

fn label(text: &str) -> PolicyTree {
    PolicyTree::Keyholder(text.into())
}

fn wrapped(key: &Secret32) -> WrappedKey {
    WrappedKey {
        policy: PolicyTree::Any(vec![label("office"), PolicyTree::Any(vec![label("paper")])]),
        commitment: key.commitment(),
        wraps: vec![
            Wrap { holder: "office".into(), commitment: None, blob: Repeatable::bytes("office", 40) },
            Wrap { holder: "paper".into(), commitment: None, blob: Repeatable::bytes("paper", 41) },
        ],
    }
}

fn keyring() -> Keyring {
    let office = BTreeMap::from([("text".to_owned(), Parameter::Text("public \"\u{fc}\"".into()))]);
    let paper = BTreeMap::from([
        ("number".to_owned(), Parameter::Number(u64::MAX)),
        ("recipients".to_owned(), Parameter::List(vec!["age1x".into(), "age1y".into()])),
    ]);
    Keyring {
        version: 1,
        previous: None,
        vault: vault(),
        signing_key: SigningPublicKey::of_seed(&signing_seed()),
        created: "2026-03-01T12:00:00.123456789Z".into(),
        keyholders: BTreeMap::from([
            ("office".to_owned(), KeyholderSpec { kind: "kind-a".into(), parameters: office }),
            ("paper".to_owned(), KeyholderSpec { kind: "kind-b".into(), parameters: paper }),
        ]),
        read_policy: PolicyTree::Any(vec![label("office"), label("paper")]),
        write_policy: label("office"),
        signing: wrapped(&signing_seed()),
        datasets: vec![DatasetRecord {
            name: "home".into(),
            id: dataset(),
            created: "2026-03-01T12:00:00Z".into(),
            read_policy: label("paper"),
            write_policy: label("office"),
            epoch_days: 30,
            chunk_min: 65_536,
            chunk_max: 458_752,
            pack_size: 33_554_432,
            write_key: wrapped(&write_key()),
        }],
        time_lock: None,
        change: None,
    }
}

fn headed(magic: &[u8], json: &str) -> Vec<u8> {
    let mut bytes = [magic, &[1, 0, 0, 0], &(json.len() as u32).to_le_bytes()].concat();
    bytes.extend_from_slice(json.as_bytes());
    bytes
}

/// Signs any document, which [`Keyring::sign_and_encode`] does not.
fn signed(seed: &Secret32, json: &str) -> Vec<u8> {
    let mut bytes = headed(b"SRKR", json);
    let key = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("a seed");
    let signature = key.sign(&bytes);
    bytes.extend_from_slice(signature.as_ref());
    bytes
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("documents are JSON")
}

fn edited(json: &str, from: &str, to: &str) -> String {
    assert!(json.contains(from), "{from} is not in {json}");
    json.replacen(from, to, 1)
}

fn keyrings() -> Vec<Vector> {
    let first = keyring();
    let bytes = first.sign_and_encode(&signing_seed()).expect("a good keyring");
    let second = Keyring { version: 2, previous: Some(ObjectHash::of(&bytes)), ..first.clone() };
    let second = second.sign_and_encode(&signing_seed()).expect("a good keyring");
    let json = to_json(&first);
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes), "vault": vault() });
    let fault = |name: &str, damage: &str, bytes: &[u8]| bad(name, "keyring", damage, input(bytes));
    let edit = |name: &str, damage: &str, from: &str, to: &str| {
        fault(name, damage, &signed(&signing_seed(), &edited(&json, from, to)))
    };
    let spaced = signed(&signing_seed(), &format!(" {} \n", edited(&json, ",", " ,\n")));
    let thief = Secret32::new([1; 32]);
    let stolen = SigningPublicKey::of_seed(&thief);
    let theirs = data_encoding::BASE64.encode(&stolen.0);
    let ours = data_encoding::BASE64.encode(&first.signing_key.0);
    let stolen_json = edited(&edited(&json, &ours, &theirs), &vault().to_hex(), &stolen.vault_id().to_hex());
    let deep = format!("{}\"office\"{}", "{\"any\":[".repeat(8), "]}".repeat(8));
    let any = r#""write_policy":"office","signing""#;
    // A keyring whose write policy and write key are under a threshold.
    let custodians = PolicyTree::Any(vec![
        label("office"),
        PolicyTree::All(vec![label("paper"), PolicyTree::Threshold { needed: 1, of: vec![label("safe")] }]),
    ]);
    let mut several = first.clone();
    several.keyholders.insert("safe".into(), first.keyholders["office"].clone());
    several.write_policy = custodians.clone();
    let share = |holder: &str| Wrap {
        holder: holder.into(),
        commitment: Some(secret(holder).commitment()),
        blob: Repeatable::bytes(holder, 42),
    };
    let whole = Wrap { holder: "office".into(), commitment: None, blob: Repeatable::bytes("office", 40) };
    several.datasets[0].write_key = WrappedKey {
        policy: custodians,
        commitment: write_key().commitment(),
        wraps: vec![whole, share("paper"), share("safe")],
    };
    let several_bytes = several.sign_and_encode(&signing_seed()).expect("a good keyring");
    let several_json = to_json(&several);
    let edit_several = |name: &str, damage: &str, from: &str, to: &str| {
        fault(name, damage, &signed(&signing_seed(), &edited(&several_json, from, to)))
    };
    let locked = Keyring { time_lock: Some(72), change: Some(ObjectHash::of(b"change")), ..first.clone() };
    let locked_json = to_json(&locked);
    let edit_locked = |name: &str, damage: &str, from: &str, to: &str| {
        fault(name, damage, &signed(&signing_seed(), &edited(&locked_json, from, to)))
    };
    let locked = locked.sign_and_encode(&signing_seed()).expect("a good keyring");
    let one_of = r#"{"threshold":1,"of":["safe"]}"#;
    let paper = hex(&secret("paper").commitment());
    vec![
        good("policies of all kinds", "keyring", input(&several_bytes)),
        edit_several("more needed than there are", "field", one_of, r#"{"threshold":2,"of":["safe"]}"#),
        edit_several("none needed", "field", one_of, r#"{"threshold":0,"of":["safe"]}"#),
        edit_several(
            "a threshold behind its children",
            "document",
            one_of,
            r#"{"of":["safe"],"threshold":1}"#,
        ),
        edit_several("a threshold of nothing", "document", one_of, r#"{"threshold":1}"#),
        edit_several(
            "a threshold that is no number",
            "document",
            one_of,
            r#"{"threshold":"1","of":["safe"]}"#,
        ),
        edit_several("a share without its commitment", "field", &format!(r#""commitment":"{paper}","#), ""),
        edit(
            "a commitment where there is no share",
            "field",
            r#"{"holder":"office","blob""#,
            &format!(r#"{{"holder":"office","commitment":"{paper}","blob""#),
        ),
        good("a time lock and a change", "keyring", input(&locked)),
        edit_locked("a time lock of more than a year", "limit", "\"time_lock\":72", "\"time_lock\":8785"),
        good("first version", "keyring", input(&bytes)),
        good("second version", "keyring", input(&second)),
        good("with white space", "keyring", input(&spaced)),
        fault("nothing", "truncated", b""),
        fault("one byte short", "truncated", &bytes[..bytes.len() - 1]),
        fault("a byte too many", "trailing", &appended(&bytes, &[0])),
        fault("another magic", "magic", &changed(&bytes, 0, b'X')),
        fault("version 2 of the encoding", "version", &changed(&bytes, 4, 2)),
        fault("a reserved byte", "field", &changed(&bytes, 5, 1)),
        fault("a changed signature", "signature", &flipped(&bytes, bytes.len() - 64)),
        fault("signed by another key", "signature", &signed(&thief, &json)),
        fault("another vault's", "foreign", &signed(&thief, &stolen_json)),
        edit("vault is not made of the signing key", "foreign", &vault().to_hex(), &hex(&[1; 16])),
        edit("an unknown field", "document", r#""version":1"#, r#""version":1,"more":1"#),
        edit("a field twice", "document", r#""version":1"#, r#""version":1,"version":1"#),
        edit("a field missing", "document", r#""created":"2026-03-01T12:00:00.123456789Z","#, ""),
        edit("a keyholder twice", "document", r#""paper":{"kind""#, r#""office":{"kind""#),
        edit("a number as a text", "document", r#""version":1"#, r#""version":"1""#),
        edit("a number with a fraction", "document", r#""version":1"#, r#""version":1.0"#),
        edit("an id in upper case", "document", &dataset().to_hex(), &dataset().to_hex().to_uppercase()),
        edit("an unknown policy node", "document", any, r#""write_policy":{"most":["office"]},"signing""#),
        edit(
            "a policy node with two fields",
            "document",
            any,
            r#""write_policy":{"any":["office"],"all":["office"]},"signing""#,
        ),
        fault("two documents", "document", &signed(&signing_seed(), &format!("{json}{{}}"))),
        edit("version 0", "field", r#""version":1"#, r#""version":0"#),
        edit("version 2 without a previous one", "field", r#""version":1"#, r#""version":2"#),
        edit("no time", "field", "2026-03-01T12:00:00.123456789Z", "2026-03-01T12:00:00+00:00"),
        edit("no label", "field", r#""name":"home""#, r#""name":"Home""#),
        edit("an epoch of no days", "field", r#""epoch_days":30"#, r#""epoch_days":0"#),
        edit("smallest chunk above the largest", "field", r#""chunk_min":65536"#, r#""chunk_min":458753"#),
        edit("largest chunk above 16 MiB", "field", r#""chunk_max":458752"#, r#""chunk_max":16777217"#),
        edit("pack above 512 MiB", "field", r#""pack_size":33554432"#, r#""pack_size":536870913"#),
        edit("an empty policy", "field", any, r#""write_policy":{"any":[]},"signing""#),
        edit(
            "a keyholder twice in a policy",
            "field",
            any,
            r#""write_policy":{"any":["office","office"]},"signing""#,
        ),
        edit("an unknown keyholder", "field", any, r#""write_policy":"nobody","signing""#),
        edit("a wrap too few", "field", r#"{"holder":"office","#, r#"{"holder":"nobody","#),
        edit("a policy of depth 9", "limit", any, &format!(r#""write_policy":{deep},"signing""#)),
    ]
}

/// A change, its cancellation and its certificate.
fn changes() -> Vec<Vector> {
    use strongroom_format::change::{Cancellation, Canceller, Certificate, Change, Shred, What};
    let canceller = |holder: &str| Canceller {
        public_key: SigningPublicKey::of_seed(&secret(holder)),
        seed: WrappedKey {
            policy: label(holder),
            commitment: secret(holder).commitment(),
            wraps: vec![Wrap {
                holder: holder.into(),
                commitment: None,
                blob: Repeatable::bytes(holder, 40),
            }],
        },
    };
    let what = What::Shred(Shred::Epochs { name: "home".into(), id: dataset(), epochs: [2, 3].into() });
    let signing_key = SigningPublicKey::of_seed(&signing_seed());
    let change = Change {
        vault: vault(),
        created: "2026-03-01T12:00:00Z".into(),
        not_before: "2026-03-04T12:00:00Z".into(),
        keyring: 1,
        requester: "operator@host-a".into(),
        reason: "the lease of the building ends".into(),
        what: what.clone(),
        cancel: BTreeMap::from([("office".to_owned(), canceller("office"))]),
        cannot_cancel: ["paper".to_owned()].into(),
    };
    let bytes = change.sign_and_encode(&signing_seed()).expect("a good change");
    let id = ObjectHash::of(&bytes);
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes), "signing_key": signing_key });
    let thief = Secret32::new([1; 32]);
    let cancellation = Cancellation {
        change: id,
        holder: "office".into(),
        time: "2026-03-02T00:00:00Z".into(),
        reason: String::new(),
    };
    let no = |key: &Secret32, cancellation: &Cancellation| {
        let no = cancellation.sign_and_encode(key).expect("a good cancellation");
        json!({ "bytes": hex(&no), "change": hex(&bytes), "signing_key": signing_key })
    };
    let paper = Cancellation { holder: "paper".into(), ..cancellation.clone() };
    let other = Cancellation { change: ObjectHash::of(b"other"), ..cancellation.clone() };
    let certificate = Certificate {
        vault: vault(),
        signing_key,
        change: id,
        what,
        proposed: "2026-03-01T12:00:00Z".into(),
        done: "2026-03-05T12:00:00Z".into(),
        destroyed: BTreeMap::from([("keyring/00000001".to_owned(), ObjectHash::of(b"gone"))]),
        kept: ["keyring/00000002".to_owned()].into(),
        snapshots: Default::default(),
    };
    let done = certificate.sign_and_encode(&signing_seed()).expect("a good certificate");
    let certified = |bytes: &[u8], vault: &str| json!({ "bytes": hex(bytes), "vault": vault });
    let whole = change.clone();
    let whole = Change { what: What::Shred(Shred::Vault), ..whole }.sign_and_encode(&signing_seed());
    vec![
        good("a shred of two epochs", "change", input(&bytes)),
        good("a shred of the vault", "change", input(&whole.expect("a good change"))),
        bad("a changed byte", "change", "signature", input(&flipped(&bytes, bytes.len() / 2))),
        bad(
            "signed by another key",
            "change",
            "signature",
            input(&change.sign_and_encode(&thief).expect("a change")),
        ),
        bad("a byte too many", "change", "trailing", input(&appended(&bytes, &[0]))),
        bad("another magic", "change", "magic", input(&changed(&bytes, 3, b'R'))),
        good("a cancellation", "cancellation", no(&secret("office"), &cancellation)),
        bad("a cancellation by another key", "cancellation", "signature", no(&thief, &cancellation)),
        bad("a cancellation in another's name", "cancellation", "foreign", no(&secret("office"), &paper)),
        bad("a cancellation of another change", "cancellation", "foreign", no(&secret("office"), &other)),
        good("a certificate", "certificate", certified(&done, &vault().to_hex())),
        bad("another vault's certificate", "certificate", "foreign", certified(&done, &hex(&[1; 16]))),
        bad(
            "a changed certificate",
            "certificate",
            "signature",
            certified(&flipped(&done, done.len() - 1), &vault().to_hex()),
        ),
    ]
}

fn epoch() -> (EpochPrivateKey, Epoch) {
    let key = EpochPrivateKey::from_secret(secret("read key"));
    let Owner { vault, dataset } = owner();
    let to = SealedFor { vault, dataset, epoch: 3 };
    let epoch = Epoch {
        owner: owner(),
        number: 3,
        generation: 1,
        opened: "2026-03-01T12:00:00.000000000Z".into(),
        public_key: key.public(),
        write_key: Box::new(key.public().seal_write_key(
            &write_key(),
            &to,
            &mut Repeatable::new("write key in an epoch"),
        )),
        read_key: wrapped(key.secret()),
    };
    (key, epoch)
}

fn tagged(json: &str) -> Vec<u8> {
    let mut bytes = headed(b"SREP", json);
    let tag = write_keys().document_tag("strongroom v1 epoch document", &bytes);
    bytes.extend_from_slice(&tag);
    bytes
}

fn epochs() -> Vec<Vector> {
    let (_, epoch) = epoch();
    let bytes = epoch.encode(&write_keys());
    let json = String::from_utf8(bytes[12..bytes.len() - 32].to_vec()).expect("a document");
    let input = |bytes: &[u8]| with(with(under_write_key(bytes), "epoch", 3.into()), "generation", 1.into());
    let fault = |name: &str, damage: &str, bytes: &[u8]| bad(name, "epoch", damage, input(bytes));
    let edit = |name: &str, damage: &str, from: &str, to: &str| {
        fault(name, damage, &tagged(&edited(&json, from, to)))
    };
    let elsewhere = |name: &str, damage: &str, field: &str, value: Value| {
        bad(name, "epoch", damage, with(input(&bytes), field, value))
    };
    let public = data_encoding::BASE64.encode(&epoch.public_key.to_bytes());
    let short = data_encoding::BASE64.encode(&epoch.public_key.to_bytes()[1..]);
    let mut invalid = epoch.public_key.to_bytes();
    invalid[..3].fill(0xff);
    let invalid = data_encoding::BASE64.encode(&invalid);
    vec![
        good("an epoch", "epoch", input(&bytes)),
        fault("nothing", "truncated", b""),
        fault("one byte short", "truncated", &bytes[..bytes.len() - 1]),
        fault("a byte too many", "trailing", &appended(&bytes, &[0])),
        fault("another magic", "magic", &changed(&bytes, 0, b'X')),
        fault("version 2", "version", &changed(&bytes, 4, 2)),
        fault("a reserved byte", "field", &changed(&bytes, 6, 1)),
        fault("a changed tag", "signature", &flipped(&bytes, bytes.len() - 1)),
        elsewhere("another write key", "signature", "write_key", hex(&[1; 32]).into()),
        elsewhere("under another epoch's name", "field", "epoch", 4.into()),
        elsewhere("under another generation's name", "field", "generation", 0.into()),
        elsewhere("of another vault", "foreign", "vault", hex(&[1; 16]).into()),
        elsewhere("of another dataset", "foreign", "dataset", hex(&[1; 16]).into()),
        edit("an unknown field", "document", r#""epoch":3"#, r#""epoch":3,"more":1"#),
        edit("epoch 0", "field", r#""epoch":3"#, r#""epoch":0"#),
        edit("no time", "field", "2026-03-01T12:00:00.000000000Z", "yesterday"),
        edit("a public key that is too short", "field", &public, &short),
        edit("a public key that is none", "field", &public, &invalid),
        edit("a wrap too few", "field", r#"{"holder":"office","#, r#"{"holder":"nobody","#),
    ]
}

/// The frame of [V-7.2], made without the code under test.
fn framed(magic: &[u8; 4], info: &'static str, epoch: u32, body: &[u8]) -> Vec<u8> {
    let mut out = [magic.as_slice(), &[1, 0, 0, 0], vault().as_bytes(), dataset().as_bytes()].concat();
    out.extend_from_slice(&epoch.to_le_bytes());
    let salt: [u8; 32] = Repeatable::new("salt of a frame").array();
    let mut sealed = body.to_vec();
    write_keys().document_key(&salt, info).seal(0, &out, &mut sealed);
    out.extend_from_slice(&salt);
    out.extend_from_slice(&sealed);
    out
}

fn body(content: &[u8]) -> Vec<u8> {
    let mut body = [&(content.len() as u32).to_le_bytes(), content].concat();
    body.resize(padded_len(body.len()), 0);
    body
}

/// The faults that every framed object can have. `bytes` is a good one.
pub(super) fn frame_faults(
    kind: &str,
    magic: &[u8; 4],
    info: &'static str,
    epoch: u32,
    bytes: &[u8],
) -> Vec<Vector> {
    let fault = |name: &str, damage: &str, bytes: &[u8]| bad(name, kind, damage, under_write_key(bytes));
    let elsewhere = |name: &str, damage: &str, field: &str, value: Value| {
        bad(name, kind, damage, with(under_write_key(bytes), field, value))
    };
    let mut not_zero = body(b"{}");
    *not_zero.last_mut().expect("a body") = 1;
    let mut long = body(b"{}");
    let too_long = (long.len() - 3) as u32;
    long[..4].copy_from_slice(&too_long.to_le_bytes());
    vec![
        fault("nothing", "truncated", b""),
        fault("a header only", "truncated", &bytes[..44]),
        fault("another magic", "magic", &changed(bytes, 0, b'X')),
        fault("version 2", "version", &changed(bytes, 4, 2)),
        fault("a reserved byte", "field", &changed(bytes, 7, 1)),
        fault("another vault's", "foreign", &flipped(bytes, 8)),
        fault("another dataset's", "foreign", &flipped(bytes, 24)),
        fault("a changed epoch", "seal", &flipped(bytes, 40)),
        fault("a changed salt", "seal", &flipped(bytes, 44)),
        fault("a changed body", "seal", &flipped(bytes, 76)),
        fault("a changed tag", "seal", &flipped(bytes, bytes.len() - 1)),
        fault("one byte short", "seal", &bytes[..bytes.len() - 1]),
        elsewhere("another write key", "seal", "write_key", hex(&[1; 32]).into()),
        fault(
            "sealed as another kind",
            "seal",
            &framed(magic, "strongroom v1 pack directory", epoch, &body(b"{}")),
        ),
        fault("padding that is not zero", "trailing", &framed(magic, info, epoch, &not_zero)),
        fault("content longer than the body", "truncated", &framed(magic, info, epoch, &long)),
        fault("a body of three bytes", "truncated", &framed(magic, info, epoch, &[0; 3])),
    ]
}

fn snapshots() -> Vec<Vector> {
    let snapshot = Snapshot {
        time: "2026-03-01T12:00:00.000000001Z".into(),
        host: "host-a".into(),
        user: "root".into(),
        paths: vec!["/home".into(), "/srv/100%25".into()],
        tags: vec!["daily".into(), "nightly".into()],
        root: ChunkId(Repeatable::new("root").array()),
        parent: Some(ObjectHash(Repeatable::new("parent").array())),
        original: None,
        program: "strongroom 0.1.0".into(),
        summary: Summary { files: 3, bytes: u64::MAX, ..Summary::default() },
    };
    let first = Snapshot { parent: None, ..snapshot.clone() };
    let copied = Snapshot { original: snapshot.parent, ..snapshot.clone() };
    let seal =
        |snapshot: &Snapshot| snapshot.seal(3, &owner(), &write_keys(), &mut Repeatable::new("snapshot"));
    let (magic, info) = (b"SRSN", "strongroom v1 snapshot");
    let json = to_json(&snapshot);
    let null = edited(&to_json(&first), r#""root":"#, r#""parent":null,"original":null,"root":"#);
    let reseal = |json: &str| framed(magic, info, 3, &body(json.as_bytes()));
    let edit = |name: &str, from: &str, to: &str| {
        bad(name, "snapshot", "document", under_write_key(&reseal(&edited(&json, from, to))))
    };
    let mut vectors = vec![
        good("a snapshot", "snapshot", under_write_key(&seal(&snapshot))),
        good("without a parent", "snapshot", under_write_key(&seal(&first))),
        good("with an original", "snapshot", under_write_key(&seal(&copied))),
        good("with null for what is not there", "snapshot", under_write_key(&reseal(&null))),
        edit("an unknown field", r#""host":"#, r#""more":1,"host":"#),
        edit("a field twice", r#""host":"#, r#""host":"","host":"#),
        edit("a field missing", r#""user":"root","#, ""),
        edit("a negative number", r#""files":3"#, r#""files":-3"#),
        edit("a number of 2^64", r#""bytes":18446744073709551615"#, r#""bytes":18446744073709551616"#),
    ];
    vectors.extend(frame_faults("snapshot", magic, info, 3, &seal(&snapshot)));
    vectors
}

fn condemnations() -> Vec<Vector> {
    let packs = ["pack 1", "pack 2"].map(|what| ObjectHash(Repeatable::new(what).array())).to_vec();
    let condemnation = Condemnation { time: "2026-03-01T12:00:00Z".into(), packs };
    let bytes = condemnation.seal(&owner(), &write_keys(), &mut Repeatable::new("condemnation"));
    let mut vectors = vec![good("a condemnation", "condemnation", under_write_key(&bytes))];
    let (magic, info) = (b"SRCD", "strongroom v1 condemnation");
    let edit = edited(&to_json(&condemnation), r#""time":"#, r#""more":1,"time":"#);
    let edit = framed(magic, info, 0, &body(edit.as_bytes()));
    vectors.push(bad("an unknown field", "condemnation", "document", under_write_key(&edit)));
    vectors.extend(frame_faults("condemnation", magic, info, 0, &bytes));
    vectors
}

fn session_markers() -> Vec<Vector> {
    let marker =
        SessionMarker { started: "2026-03-01T12:00:00Z".into(), host: "host-a".into(), pid: u32::MAX };
    let bytes = marker.seal(&owner(), &write_keys(), &mut Repeatable::new("session marker"));
    let mut vectors = vec![good("a marker", "session marker", under_write_key(&bytes))];
    let (magic, info) = (b"SRSE", "strongroom v1 session marker");
    let edit = edited(&to_json(&marker), r#""pid":4294967295"#, r#""pid":4294967296"#);
    let edit = framed(magic, info, 0, &body(edit.as_bytes()));
    vectors.push(bad("a number of 2^32", "session marker", "document", under_write_key(&edit)));
    vectors.extend(frame_faults("session marker", magic, info, 0, &bytes));
    vectors
}

/// A segment with this content, made without the code under test.
pub(super) fn segment(content: &[u8]) -> Vec<u8> {
    framed(b"SRIX", "strongroom v1 index segment", 0, &body(content))
}
