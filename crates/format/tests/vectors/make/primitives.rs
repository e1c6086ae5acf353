//! Derivations, ids, numbers, contexts, seals to public keys, names.

use super::{Add, Repeatable, Vector, bad, dataset, flipped, good, secret, vault, with, write_key};
use crate::{check, hex::hex};
use serde_json::{Value, json};
use strongroom_format::{
    context::{Context, Purpose},
    keys::{EpochPrivateKey, SealedFor},
    snapshot::escape_path,
    xwing::OpeningKey,
};

pub(super) fn make(add: &mut Add<'_>) {
    add("derive.json", derive());
    add("commitment.json", commitment());
    add("shares.json", shares());
    add("chunk-id.json", chunk_ids());
    add("padded.json", padded());
    add("varint.json", varints());
    add("context.json", contexts());
    add("cut.json", cuts());
    add("hpke.json", hpke());
    add("keyholder-blob.json", keyholder_blobs());
    add("path.json", paths());
    add("name.json", names());
}

fn derive() -> Vec<Vector> {
    let salt = Repeatable::bytes("salt", 32);
    let one = |name: &str, salt: &[u8], info: &str| {
        good(name, "derive", json!({ "secret": hex(write_key().expose()), "salt": hex(salt), "info": info }))
    };
    vec![
        one("without a salt", b"", "strongroom v1 refs groups"),
        one("with a salt", &salt, "strongroom v1 group"),
        one("with a salt and another info", &salt, "strongroom v1 pack directory"),
        one("zeros as a salt are the same as none", &[0; 32], "strongroom v1 refs groups"),
    ]
}

fn commitment() -> Vec<Vector> {
    vec![
        good("of the write key", "commitment", json!({ "secret": hex(write_key().expose()) })),
        good("of zeros", "commitment", json!({ "secret": hex(&[0; 32]) })),
    ]
}

/// The value at `at` of the polynomial with these coefficients, the constant term first.
fn value(coefficients: &[u8], at: u8) -> u8 {
    coefficients.iter().rev().fold(0, |sum, coefficient| check::times(sum, at) ^ coefficient)
}

fn shares() -> Vec<Vector> {
    let share = |name: &str, needed: usize, at: u8| {
        let secret = secret(name);
        let random = Repeatable::bytes(&format!("coefficients of {name}"), 32 * (needed - 1));
        let values = (0..32).map(|byte| {
            let others = (1..needed).map(|nth| random[byte * (needed - 1) + nth - 1]);
            let coefficients: Vec<u8> = [secret.expose()[byte]].into_iter().chain(others).collect();
            value(&coefficients, at)
        });
        json!({ "at": at, "share": hex(&values.collect::<Vec<u8>>()) })
    };
    let vector = |name: &str, from: &[u8]| {
        let shares: Vec<Value> = from.iter().map(|at| share(name, from.len(), *at)).collect();
        good(name, "shares", json!({ "shares": shares }))
    };
    vec![
        vector("the first two", &[1, 2]),
        vector("the last two of three", &[2, 3]),
        vector("three in another order", &[5, 1, 3]),
        vector("as many as a policy can have", &(1..=64).collect::<Vec<u8>>()),
    ]
}

fn chunk_ids() -> Vec<Vector> {
    let one = |name: &str, kind: u8, content: &[u8]| {
        let input =
            json!({ "write_key": hex(write_key().expose()), "chunk_kind": kind, "content": hex(content) });
        good(name, "chunk id", input)
    };
    let content = b"the same content";
    vec![
        one("data", 1, content),
        one("meta", 2, content),
        one("refs", 3, content),
        one("nothing", 1, b""),
        one("more than one BLAKE3 chunk", 1, &Repeatable::bytes("content", 3000)),
    ]
}

fn padded() -> Vec<Vector> {
    let lens = [
        0,
        1,
        511,
        512,
        513,
        1000,
        1023,
        1024,
        1025,
        4097,
        65535,
        65537,
        100_000,
        1_048_577,
        16_252_929,
        16_777_215,
        16_777_216,
        16_777_217,
        33_554_433,
        536_870_911,
    ];
    lens.iter().map(|len| good(&format!("{len} bytes"), "padded", json!({ "len": len }))).collect()
}

fn varints() -> Vec<Vector> {
    let input = |form: &str, bytes: &[u8]| json!({ "form": form, "bytes": hex(bytes) });
    let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let mut eleven = [0x80; 11];
    eleven[10] = 1;
    vec![
        good("0", "varint", input("varint", &[0])),
        good("127", "varint", input("varint", &[0x7f])),
        good("128", "varint", input("varint", &[0x80, 0x01])),
        good("2^64 - 1", "varint", input("varint", &max)),
        good("zigzag 0", "varint", input("zigzag", &[0])),
        good("zigzag -1", "varint", input("zigzag", &[1])),
        good("zigzag 1", "varint", input("zigzag", &[2])),
        good("zigzag -2^63", "varint", input("zigzag", &max)),
        bad("nothing", "varint", "truncated", input("varint", &[])),
        bad("ends with bit 7 set", "varint", "truncated", input("varint", &[0x80])),
        bad("0 in two bytes", "varint", "field", input("varint", &[0x80, 0x00])),
        bad("127 in two bytes", "varint", "field", input("varint", &[0xff, 0x00])),
        bad(
            "2^64",
            "varint",
            "field",
            input("varint", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]),
        ),
        bad("eleven bytes", "varint", "field", input("varint", &eleven)),
        bad("a byte too many", "varint", "trailing", input("varint", &[0x01, 0x01])),
    ]
}

fn contexts() -> Vec<Vector> {
    let one = |name: &str, dataset: &str, purpose: &str, epoch: u32| {
        let input = json!({ "vault": vault(), "dataset": dataset, "purpose": purpose, "epoch": epoch });
        good(name, "context", input)
    };
    vec![
        one("read key", "home", "read", 12),
        one("write key", "home", "write", 0),
        one("signing key", "*", "read", 0),
        one("last epoch", "a.b_c-9", "read", u32::MAX),
    ]
}

fn cuts() -> Vec<Vector> {
    let one = |name: &str, min: u32, max: u32, content: &[u8]| {
        let input = json!({
            "write_key": hex(write_key().expose()), "chunk_min": min, "chunk_max": max, "content": hex(content),
        });
        good(name, "cut", input)
    };
    let content = Repeatable::bytes("cut", 2000);
    vec![
        one("random content", 64, 448, &content),
        one("nothing", 64, 448, b""),
        one("no longer than the smallest chunk", 64, 448, &content[..64]),
        one("one byte longer than the smallest chunk", 64, 448, &content[..65]),
        one("all positions alike", 64, 448, &[7; 1000]),
        one("smallest chunk below the window", 1, 16, &content[..100]),
        one("largest chunk below the window", 1, 3, &content[..10]),
        one("one length only", 100, 100, &content[..950]),
    ]
}

fn hpke() -> Vec<Vector> {
    let key = EpochPrivateKey::from_secret(secret("read key"));
    let to = SealedFor { vault: vault(), dataset: dataset(), epoch: 3 };
    let sealed = key.public().seal_session_key(
        &secret("session key"),
        &to,
        &mut Repeatable::new("sealed session key"),
    );
    let write = key.public().seal_write_key(&write_key(), &to, &mut Repeatable::new("sealed write key"));
    let input = |what: &str, sealed: &[u8]| {
        json!({
            "seed": hex(key.secret().expose()), "what": what, "vault": vault(), "dataset": dataset(), "epoch": 3,
            "sealed": hex(sealed),
        })
    };
    let session = input("session key", &sealed);
    let fault = |name: &str, field: &str, value: Value| {
        bad(name, "hpke", "seal", with(session.clone(), field, value))
    };
    vec![
        good("session key", "hpke", session.clone()),
        good("write key", "hpke", input("write key", &write)),
        fault("a session key is no write key", "what", "write key".into()),
        fault("another epoch", "epoch", 4.into()),
        fault("another vault", "vault", hex(&[1; 16]).into()),
        fault("another dataset", "dataset", hex(&[1; 16]).into()),
        fault("another read key", "seed", hex(&[1; 32]).into()),
        fault("a changed ML-KEM ciphertext", "sealed", hex(&flipped(&sealed, 0)).into()),
        fault("a changed X25519 public key", "sealed", hex(&flipped(&sealed, 1088)).into()),
        fault("a changed ciphertext", "sealed", hex(&flipped(&sealed, 1120)).into()),
        fault("a changed tag", "sealed", hex(&flipped(&sealed, 1167)).into()),
    ]
}

fn keyholder_blobs() -> Vec<Vector> {
    let key = OpeningKey::from_seed(secret("keyholder"));
    let context = Context { vault: vault(), dataset: "home".into(), purpose: Purpose::Read, epoch: 12 };
    let blob = |kind: &str| {
        let info = [format!("strongroom v1 {kind} keyholder\0").as_bytes(), &context.canonical()].concat();
        let sealed = key.public().seal(&info, &secret("read key"), &mut Repeatable::new("blob"));
        [&[1], sealed.as_slice()].concat()
    };
    let input = |kind: &str, blob: &[u8]| {
        json!({
            "holder": kind, "seed": hex(key.seed().expose()), "blob": hex(blob),
            "vault": vault(), "dataset": "home", "purpose": "read", "epoch": 12,
        })
    };
    let file = blob("file");
    let fault =
        |name: &str, damage: &str, bytes: &[u8]| bad(name, "keyholder blob", damage, input("file", bytes));
    let elsewhere = |name: &str, field: &str, value: Value| {
        bad(name, "keyholder blob", "seal", with(input("file", &file), field, value))
    };
    vec![
        good("file", "keyholder blob", input("file", &file)),
        good("passphrase", "keyholder blob", input("passphrase", &blob("passphrase"))),
        bad("of another kind of keyholder", "keyholder blob", "seal", input("passphrase", &file)),
        elsewhere("for another purpose", "purpose", "write".into()),
        elsewhere("for another epoch", "epoch", 13.into()),
        elsewhere("for another dataset", "dataset", "work".into()),
        elsewhere("for another vault", "vault", hex(&[1; 16]).into()),
        elsewhere("for another key", "seed", hex(&[1; 32]).into()),
        fault("version 2", "version", &[&[2], &file[1..]].concat()),
        fault("nothing", "truncated", b""),
        fault("one byte short", "truncated", &file[..file.len() - 1]),
        fault("a changed tag", "seal", &flipped(&file, file.len() - 1)),
    ]
}

fn paths() -> Vec<Vector> {
    let of = |name: &str, path: &[u8]| {
        let vector = good(name, "path", json!({ "text": escape_path(path) }));
        assert_eq!(vector.output, Some(json!({ "bytes": hex(path) })));
        vector
    };
    let fault = |name: &str, text: &str| bad(name, "path", "field", json!({ "text": text }));
    vec![
        of("plain", b"/home/a b/\xc3\xbc"),
        of("per cent", b"/100%/%41"),
        of("control characters", b"/a\n\x7f\xc2\x85b"),
        of("no UTF-8", b"/\xff\xfe/\xe2\x82"),
        fault("a cut escape", "/%4"),
        fault("an escape of nothing", "/%"),
        fault("lower case", "/%ff"),
        fault("no digits", "/%GG"),
    ]
}

fn names() -> Vec<Vector> {
    let folder = format!("datasets/{}", dataset());
    let hash = hex(&Repeatable::bytes("hash", 32));
    let session = hex(&Repeatable::bytes("session", 16));
    let input = |what: &str, rest: &str| json!({ "what": what, "dataset": dataset(), "name": format!("{folder}/{rest}") });
    let ok = |name: &str, what: &str, rest: &str| good(name, "name", input(what, rest));
    let fault = |name: &str, what: &str, rest: &str| bad(name, "name", "field", input(what, rest));
    let upper = hash.to_uppercase();
    vec![
        ok("epoch", "epoch", "epochs/0000000c.00000001"),
        ok("snapshot", "snapshot", &format!("snapshots/ffffffff-{hash}")),
        ok("session marker", "session", &format!("sessions/{session}.0000001f")),
        ok("end of a session", "session", &format!("sessions/{session}.end")),
        ok("pack", "pack", &format!("packs/{}/{hash}", &hash[..2])),
        ok("index segment", "segment", &format!("index/{hash}")),
        ok("condemnation", "condemnation", &format!("condemned/{hash}")),
        fault("epoch of seven digits", "epoch", "epochs/000000c.00000001"),
        fault("epoch with a sign", "epoch", "epochs/+000000c.00000001"),
        fault("epoch without a generation", "epoch", "epochs/0000000c"),
        fault("epoch in upper case", "epoch", "epochs/0000000C.00000001"),
        fault("snapshot without an epoch", "snapshot", &format!("snapshots/{hash}")),
        fault("snapshot in upper case", "snapshot", &format!("snapshots/ffffffff-{upper}")),
        fault("session with another end", "session", &format!("sessions/{session}.ended")),
        fault("pack with a short hash", "pack", &format!("packs/{}/{}", &hash[..2], &hash[..60])),
    ]
}
