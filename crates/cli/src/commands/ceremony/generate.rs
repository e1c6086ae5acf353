//! `strongroom ceremony generate`: new key material, split, on a machine without a network.

use super::files::{now, shown, write_new};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keys;
use clap::{Args, ValueEnum};
use data_encoding::{BASE64, HEXLOWER};
use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use strongroom_custody::ceremony::{
    CardTexts, Custodian, Material, MaterialKind, Record, Share, Step, card, ceremony_words,
    seal_share_to_age, share_digest, share_words, split,
};
use strongroom_format::SystemEntropy;
use strongroom_format::context::valid_label;
use zeroize::Zeroizing;

/// What kind of key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// 256 bits for a symmetric key.
    #[value(name = "aes-256")]
    Aes256,
    /// An RSA key pair of 4096 bits, for AWS KMS.
    #[value(name = "rsa-4096")]
    Rsa4096,
}

/// Options of `ceremony generate`.
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// What kind of key
    #[arg(long, value_name = "KIND", default_value = "aes-256")]
    pub kind: KindArg,

    /// How many custodians give the key back together
    #[arg(long, value_name = "K")]
    pub threshold: u8,

    /// A custodian: NAME=RECIPIENT of age, whose share is sealed into a file, or NAME=card, whose share is printed
    #[arg(long = "custodian", value_name = "NAME=WAY", required = true)]
    pub custodians: Vec<String>,

    /// Directory for the cards to print. It must lie in memory (tmpfs), and be emptied after printing
    #[arg(long, value_name = "DIR")]
    pub cards: Option<PathBuf>,

    /// New directory for the record and the sealed shares
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

enum Way {
    Card,
    Recipient(String),
}

/// Makes the material, writes shares and record, and forgets the material.
///
/// # Errors
/// Where the custodians make no sense, or a file cannot be written.
pub(super) fn run(args: &GenerateArgs, context: &Context) -> Result<(), CliError> {
    let custodians = custodians(args)?;
    let total = u8::try_from(custodians.len()).unwrap_or(u8::MAX);
    let kind = match args.kind {
        KindArg::Aes256 => MaterialKind::Aes256,
        KindArg::Rsa4096 => MaterialKind::Rsa4096,
    };
    let material = Material::generate(kind, &mut SystemEntropy)?;
    let shares = split(material.expose(), args.threshold, total, &mut SystemEntropy)?;
    let mut files: Vec<(PathBuf, Zeroizing<Vec<u8>>)> = Vec::new();
    let prompts = keys::given(context).prompts;
    for ((name, way), share) in custodians.iter().zip(&shares) {
        match (way, &args.cards) {
            (Way::Recipient(recipient), _) => {
                let sealed = seal_share_to_age(share, std::slice::from_ref(recipient), &prompts);
                let sealed = sealed.map_err(|error| {
                    CliError::new(ErrorKind::Usage, format!("the share of `{name}` cannot be sealed"))
                        .caused_by(&error)
                })?;
                let path = args.output.join(format!("{name}.share"));
                files.push((path, Zeroizing::new(sealed.into_bytes())));
            }
            (Way::Card, Some(directory)) => {
                let svg = print(share, name)?;
                files.push((directory.join(format!("{name}.svg")), Zeroizing::new(svg.as_bytes().to_vec())));
            }
            (Way::Card, None) => {
                return Err(CliError::new(
                    ErrorKind::Usage,
                    format!("`{name}` gets a card, and --cards says not where"),
                )
                .hint("give a directory in memory, such as --cards /dev/shm/cards"));
            }
        }
    }
    let public_key = material.public_key()?;
    let mut record = Record::new();
    let line = record.add(
        now(),
        Step::Generated {
            ceremony: shares.first().map(|share| HEXLOWER.encode(share.ceremony())).unwrap_or_default(),
            kind,
            fingerprint: material.fingerprint(),
            threshold: args.threshold,
            custodians: custodians
                .iter()
                .zip(&shares)
                .map(|((name, _), share)| Custodian {
                    name: name.clone(),
                    share: share.index(),
                    digest: share_digest(share),
                })
                .collect(),
            public_key: public_key.as_ref().map(|der| BASE64.encode(der)),
        },
    )?;
    if let Some(directory) = &args.cards {
        let existed = directory.exists();
        make_directory(directory)?;
        if !in_memory(directory)? {
            if !existed {
                let _ = std::fs::remove_dir(directory);
            }
            let what =
                format!("{} is not in memory: a printed card would stay on the disk", shown(directory));
            return Err(CliError::new(ErrorKind::Usage, what)
                .hint("give a directory of a tmpfs, such as --cards /dev/shm/cards"));
        }
    }
    make_directory(&args.output)?;
    for (path, content) in &files {
        write_new(path, content)?;
    }
    if let Some(der) = &public_key {
        write_new(&args.output.join("public-key.pem"), pem(der).as_bytes())?;
    }
    write_new(&args.output.join("record.jsonl"), line.as_bytes())?;
    tell(args, context, &custodians, &shares, &material)
}

fn custodians(args: &GenerateArgs) -> Result<Vec<(String, Way)>, CliError> {
    let bad = |what: String| {
        CliError::new(ErrorKind::Usage, what).hint("write --custodian NAME=age1... or --custodian NAME=card")
    };
    let mut seen = BTreeSet::new();
    let mut custodians = Vec::new();
    for text in &args.custodians {
        let (name, way) = text.split_once('=').unwrap_or((text, ""));
        if !valid_label(name) || way.is_empty() {
            return Err(bad(format!("`{name}` is no custodian with a way to get a share")));
        }
        if !seen.insert(name) {
            return Err(bad(format!("custodian `{name}` is named twice")));
        }
        let way = if way == "card" { Way::Card } else { Way::Recipient(way.to_owned()) };
        custodians.push((name.to_owned(), way));
    }
    Ok(custodians)
}

fn print(share: &Share, name: &str) -> Result<Zeroizing<String>, CliError> {
    let date = now().get(..10).unwrap_or_default().to_owned();
    let texts = CardTexts { title: "key material".into(), custodian: name.to_owned(), date };
    card(share, &texts).map_err(|error| {
        CliError::new(ErrorKind::Usage, format!("there is no card for `{name}`"))
            .caused_by(&error)
            .hint("give each custodian of an RSA key an age recipient: an RSA key is too long for a QR code")
    })
}

fn make_directory(path: &Path) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| CliError::file("created", path, &error))
}

/// Whether a directory is on a tmpfs or ramfs.
fn in_memory(path: &Path) -> Result<bool, CliError> {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    let found = rustix::fs::statfs(path)
        .map_err(|error| CliError::file("looked at", path, &std::io::Error::from(error)))?;
    let kind = found.f_type as u64 & 0xffff_ffff;
    Ok(kind == TMPFS || kind == RAMFS)
}

fn pem(der: &[u8]) -> String {
    let encoded = BASE64.encode(der);
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END PUBLIC KEY-----\n");
    text
}

fn tell(
    args: &GenerateArgs,
    context: &Context,
    custodians: &[(String, Way)],
    shares: &[Share],
    material: &Material,
) -> Result<(), CliError> {
    let words = shares.first().map(|share| ceremony_words(share).join(" ")).unwrap_or_default();
    let fingerprint = material.fingerprint();
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "ceremony_generated",
            "fingerprint": fingerprint,
            "ceremony_words": words,
            "threshold": args.threshold,
            "custodians": custodians.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        }));
    }
    let output = &context.output;
    output.line(&format!(
        "Made {} key material and split it: any {} of {} custodians give it back",
        material.kind(),
        args.threshold,
        shares.len()
    ))?;
    output.line(&format!("  fingerprint {}", fingerprint.as_str()))?;
    output.line(&format!("  ceremony    {words}"))?;
    for ((name, way), share) in custodians.iter().zip(shares) {
        let way = if matches!(way, Way::Card) { "card" } else { "sealed file" };
        output.line(&format!(
            "  {name:<11} share {}, {way}: {}",
            share.index(),
            share_words(share).join(" ")
        ))?;
    }
    output.line(&format!("Record: {}", shown(&args.output.join("record.jsonl"))))?;
    if let Some(directory) = &args.cards {
        let shown = shown(directory);
        context
            .messages
            .warn(&format!("print the cards in {shown} now and remove them: they are shares in clear"));
    }
    Ok(())
}
