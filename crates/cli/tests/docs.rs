//! The pages that are written from tables in the code are up to date.
//!
//! `UPDATE_DOCS=1 cargo test -p strongroom --test docs` writes them.

use std::path::Path;

fn up_to_date(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).expect("docs/ can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/{name} is stale: run UPDATE_DOCS=1 cargo test -p strongroom --test docs"
    );
}

#[test]
fn configuration() {
    up_to_date("configuration.md", &strongroom_cli::settings_table::docs());
}

#[test]
fn errors() {
    up_to_date("errors.md", &strongroom_cli::error::docs());
}
