//! Keyholders and custody, from outside.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic, in its helpers too")]

#[cfg(feature = "aws-kms")]
mod aws_kms;
mod custody;
mod holders;
mod plugin;
mod quorum;
mod thresholds;

use std::path::{Path, PathBuf};
use strongroom_format::{
    Secret32, VaultId,
    context::{Context, Purpose},
};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn public_key(name: &str) -> String {
    std::fs::read_to_string(data(name)).unwrap().trim().to_owned()
}

/// A new identity in a file of that name, and its recipient.
fn age_identity(folder: &Path, name: &str) -> (String, PathBuf) {
    let identity = ::age::x25519::Identity::generate();
    let path = folder.join(name);
    let secret = ::age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    std::fs::write(&path, format!("# made for a test\n{secret}\n")).unwrap();
    (identity.to_public().to_string(), path)
}

fn context() -> Context {
    Context { vault: VaultId([3; 16]), dataset: "home".into(), purpose: Purpose::Read, epoch: 7 }
}

/// Contexts that differ from [`context`] in one part each.
fn other_contexts() -> Vec<Context> {
    vec![
        Context { vault: VaultId([4; 16]), ..context() },
        Context { dataset: "mail".into(), ..context() },
        Context { purpose: Purpose::Write, ..context() },
        Context { epoch: 8, ..context() },
    ]
}

fn key() -> Secret32 {
    Secret32::new([0x42; 32])
}
