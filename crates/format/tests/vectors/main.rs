//! Test vectors for every object of the format: `testdata/vectors/*.json` `[V-13]`.
//!
//! Vectors are made by `make` with a reproducible source of randomness, and checked by `check` from the files
//! alone. `STRONGROOM_VECTORS=write cargo test -p strongroom-format --test vectors` writes the files again.

mod check;
mod hex;
mod make;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

/// One vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    kind: String,
    damage: Option<String>,
    #[serde(rename = "in")]
    input: Value,
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
}

type Files = BTreeMap<String, Vec<Vector>>;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors")
}

fn on_disk() -> Files {
    let mut files = Files::new();
    for file in fs::read_dir(folder()).expect("the folder of vectors") {
        let path = file.expect("a file of vectors").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("vectors are text");
        let vectors = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        files.insert(name, vectors);
    }
    files
}

fn write(files: &Files) {
    for name in on_disk().keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(folder().join(name)).expect("removing a file of vectors");
    }
    for (name, vectors) in files {
        let text = serde_json::to_string_pretty(vectors).expect("vectors are JSON");
        fs::write(folder().join(name), text + "\n").expect("writing a file of vectors");
    }
}

#[test]
fn every_vector_in_the_folder_is_what_it_says() {
    let files = on_disk();
    let mut wrong = Vec::new();
    for (file, vectors) in &files {
        assert!(!vectors.is_empty(), "{file} has no vectors");
        for vector in vectors {
            let found = check::check(&vector.kind, &vector.input);
            let expected = match (&vector.damage, &vector.output) {
                (None, Some(output)) => Ok(output.clone()),
                (Some(damage), None) => Err(damage.clone()),
                _ => panic!("{file}: `{}` has both or neither of damage and out", vector.name),
            };
            if found != expected {
                wrong.push(format!("{file}: {}: expected {expected:?}, found {found:?}", vector.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in check::KINDS {
        let of_kind = || files.values().flatten().filter(|vector| vector.kind == *kind);
        assert!(of_kind().any(|vector| vector.damage.is_none()), "no good vector of kind {kind}");
    }
}

#[test]
fn the_folder_holds_what_is_made_today() {
    let made = make::all();
    if std::env::var("STRONGROOM_VECTORS").as_deref() == Ok("write") {
        write(&made);
    }
    let found = on_disk();
    assert_eq!(found.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
    for (name, vectors) in &made {
        for (made, found) in vectors.iter().zip(&found[name]) {
            assert!(made == found, "{name}: `{}` has changed: the format must not", made.name);
        }
        assert_eq!(vectors.len(), found[name].len(), "{name}");
    }
}

#[test]
fn names_of_vectors_are_unique() {
    for (file, vectors) in on_disk() {
        let mut names: Vec<_> = vectors.iter().map(|vector| &vector.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), vectors.len(), "{file} has a name twice");
    }
}
