//! `strongroom recovery-kit`: all that a restore takes but the backups and the keys, for the day when nothing else is left.

use crate::commands::Context;
use crate::error::CliError;
use crate::escape;
use crate::session::Session;
use clap::Args;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use strongroom_custody::ReasonCode;
use strongroom_format::keyring::Keyring;
use strongroom_format::limits::DOCUMENT_MAX;
use strongroom_format::names::{self, DatasetNames};

const SPECIFICATIONS: [(&str, &str); 4] = [
    ("vault.md", include_str!("../../../../docs/spec/vault.md")),
    ("quorum.md", include_str!("../../../../docs/spec/quorum.md")),
    ("ledger.md", include_str!("../../../../docs/spec/ledger.md")),
    ("shares.md", include_str!("../../../../docs/spec/shares.md")),
];

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom recovery-kit /media/usb/strongroom-kit\n\n\
    The kit holds no key and no content. Make a new one after every change of keyholders or policies.";

/// Write a folder for the day when nothing else is left
///
/// This program, the specification of the format, the vault's own documents (keyring and epochs, with the keys as the
/// keyholders wrapped them), and instructions to print. Backups and keyholders' secrets are not in it.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RecoveryKitArgs {
    /// Folder to make
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Writes the kit.
///
/// # Errors
/// Where the folder exists or cannot be written, or the storage fails.
pub fn run(args: &RecoveryKitArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::List)?;
    let root = args.directory.as_path();
    fs::create_dir(root).map_err(|error| CliError::file("made", root, &error))?;
    let documents = documents(&session)?;
    for name in &documents {
        let bytes = session.block_on(session.vault.store().get(name, DOCUMENT_MAX as u64))?;
        write(&root.join("vault-documents").join(name), &bytes)?;
    }
    for (name, text) in SPECIFICATIONS {
        write(&root.join("specification").join(name), text.as_bytes())?;
    }
    let program = root.join("strongroom");
    let own = std::env::current_exe().and_then(fs::read);
    let own = own.map_err(|error| CliError::file("read", Path::new("this program"), &error))?;
    write(&program, &own)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .map_err(|error| CliError::file("made executable", &program, &error))?;
    let location = context.settings.require_location()?;
    write(
        &root.join("INSTRUCTIONS.txt"),
        instructions(&session, location, needs_libraries(&own)).as_bytes(),
    )?;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "recovery_kit",
            "directory": root.display().to_string(),
            "vault": session.vault.keyring().vault,
            "keyring": session.vault.keyring().version,
            "documents": documents,
        }));
    }
    context.output.line(&format!(
        "Wrote {}: {} documents of the vault, the specification, this program; print INSTRUCTIONS.txt",
        escape::path(root.as_os_str().as_encoded_bytes()),
        documents.len()
    ))
}

/// The vault document, the keyring in force, and every epoch document.
fn documents(session: &Session) -> Result<Vec<String>, CliError> {
    let keyring = session.vault.keyring();
    let mut found = vec![names::VAULT.to_owned(), names::keyring(keyring.version)];
    for dataset in &keyring.datasets {
        let listed = session.block_on(session.vault.store().list(&DatasetNames(dataset.id).epochs()))?;
        let is_epoch = |name: &String| names::parse_epoch(name).is_some();
        found.extend(listed.into_iter().map(|object| object.name).filter(is_epoch));
    }
    Ok(found)
}

/// Creates a file and the directories above it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    made.map_err(|error| CliError::file("written", path, &error))
}

/// Whether a program names the loader of the system's libraries, as one that is linked statically does not.
fn needs_libraries(program: &[u8]) -> bool {
    let loader = b"/ld-linux";
    program.get(..4096).is_none_or(|head| head.windows(loader.len()).any(|window| window == loader))
}

fn instructions(session: &Session, location: &str, needs_libraries: bool) -> String {
    let keyring: &Keyring = session.vault.keyring();
    let mut text = format!(
        "HOW TO RESTORE FROM STRONGROOM VAULT {}\n\
         =======================================================\n\n\
         Keep this folder and this paper away from the vault and away from its keys. There is no key in it.\n\n\
         Location of the backups   {}\n\
         Keyring                   version {} of {}\n\
         Program                   strongroom {} for {} on {}{}\n\n",
        keyring.vault,
        escape::text(location),
        keyring.version,
        keyring.created,
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        if needs_libraries { "; needs the system's C library" } else { "; needs nothing else" },
    );
    text += "WHO CAN OPEN WHAT\n\n";
    for dataset in &keyring.datasets {
        let _ = writeln!(text, "  dataset {:<20} reading needs {}", dataset.name, dataset.read_policy);
    }
    text += "\nKEYHOLDERS, AND WHAT EACH NEEDS\n\n";
    for (label, spec) in &keyring.keyholders {
        let needs = match spec.kind.as_str() {
            "file" => "its key file: --key-file LABEL=FILE",
            "passphrase" => "the passphrase: --passphrase-file FILE, or typed",
            "age" => "an identity of one of its recipients: --identity FILE",
            "aws-kms" => "credentials for its AWS account, in AWS_* or ~/.aws",
            "transit" => "a token or a login at its server, in BAO_* or VAULT_*",
            "pkcs11" => "the hardware token, its library in STRONGROOM_PKCS11_MODULE, its PIN",
            _ => "see the specification",
        };
        let _ = writeln!(text, "  {label:<20} {:<12} {needs}", spec.kind);
    }
    let _ = write!(
        text,
        "\nSTEPS\n\n\
         1. On a machine that can reach the backups:\n\
         \x20    ./strongroom --vault LOCATION key trust {}\n\
         \x20    ./strongroom --vault LOCATION key explain\n\
         \x20  The second shows which keyholders open, and why others do not.\n\
         2. Where several custodians are needed who cannot meet:\n\
         \x20    ./strongroom --vault LOCATION quorum request --reason TEXT -o my.request\n\
         \x20  and follow what it says.\n\
         3. ./strongroom --vault LOCATION snapshots\n\
         \x20  ./strongroom --vault LOCATION restore latest --target DIRECTORY --verify\n\
         \x20  Every key use is written into the vault's ledger first. A machine that has no key for the ledger, or\n\
         \x20  cannot write it, keeps them itself: add --ledger-spool FILE to each command, and hand FILE to whoever\n\
         \x20  has the ledger.\n\n\
         IF THE VAULT'S OWN DOCUMENTS ARE LOST OR DAMAGED\n\n\
         Copy what is in vault-documents/ to the same names at the location of the backups. They are small, signed\n\
         or sealed, and say which keys open what. Epochs that were opened after this kit was made are not in it.\n\n\
         WITHOUT THIS PROGRAM\n\n\
         specification/vault.md has every byte of the format. With it, one keyholder's secret and a cryptographic\n\
         library, anyone can write a program that restores.\n",
        keyring.vault
    );
    text
}
