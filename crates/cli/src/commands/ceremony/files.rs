//! The files that a ceremony passes from step to step. None of them holds a secret in clear.

use crate::error::{CliError, ErrorKind};
use crate::keyholders::{Kind, parse_keyholder};
use data_encoding::BASE64;
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use strongroom_custody::ceremony::{Custodian, Fingerprint, MaterialKind, Record, Step};
use strongroom_custody::holders::transit::TransitKey;

/// Largest file that is read, in bytes.
const FILE_MAX: u64 = 4 << 20;

/// A provider's key, as `aws-kms:ARN` or `transit:https://HOST/MOUNT/KEY`.
pub(super) enum Target {
    AwsKms(String),
    Transit(TransitKey),
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, CliError> {
        match parse_keyholder(&format!("key={text}")) {
            Ok((_, Kind::AwsKms(arn))) => Ok(Self::AwsKms(arn)),
            Ok((_, Kind::Transit(key))) => Ok(Self::Transit(key)),
            _ => Err(CliError::new(ErrorKind::Usage, format!("`{text}` is no key that takes imports"))
                .hint("write aws-kms:ARN or transit:https://HOST/MOUNT/KEY")),
        }
    }
}

/// What `fetch` writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    pub(super) version: u32,
    pub(super) key: String,
    /// DER in base64, or PEM.
    pub(super) wrapping_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) import_token: Option<String>,
}

/// What `aws kms get-parameters-for-import` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AwsParameters {
    key_id: String,
    import_token: String,
    public_key: String,
}

impl Parameters {
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        if let Ok(aws) = json::<AwsParameters>(path) {
            return Ok(Self {
                version: 1,
                key: format!("aws-kms:{}", aws.key_id),
                wrapping_key: aws.public_key,
                import_token: Some(aws.import_token),
            });
        }
        json::<Self>(path).and_then(|read| known(read.version, path).map(|()| read))
    }
}

/// What `wrap` writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wrapped {
    pub(super) version: u32,
    pub(super) key: String,
    pub(super) ceremony: String,
    pub(super) fingerprint: Fingerprint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) import_token: Option<String>,
    /// Base64.
    pub(super) wrapped: String,
}

impl Wrapped {
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        json::<Self>(path).and_then(|read| known(read.version, path).map(|()| read))
    }
}

fn known(version: u32, path: &Path) -> Result<(), CliError> {
    if version == 1 {
        return Ok(());
    }
    let what = format!("{} has version {version}, which this program does not know", shown(path));
    Err(CliError::new(ErrorKind::Usage, what).hint("update Strongroom on this machine"))
}

pub(super) fn shown(path: &Path) -> String {
    crate::escape::path(path.as_os_str().as_encoded_bytes())
}

pub(super) fn base64(text: &str, what: &str) -> Result<Vec<u8>, CliError> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|error| CliError::new(ErrorKind::Usage, format!("the {what} is damaged")).caused_by(&error))
}

/// A small file as a whole.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| CliError::file("read", path, &error))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(CliError::new(ErrorKind::Usage, format!("{} is too large", shown(path))));
    }
    Ok(bytes)
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    serde_json::from_slice(&bytes(path)?).map_err(|error| {
        CliError::new(ErrorKind::Usage, format!("{} is no file of this step", shown(path))).caused_by(&error)
    })
}

/// A new file, which only its owner can read; one that is there is never overwritten.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<(), CliError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(|error| CliError::file("written", path, &error))
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), CliError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| {
        CliError::new(ErrorKind::Bug, "a step cannot be written as JSON").caused_by(&error)
    })?;
    text.push(b'\n');
    write_new(path, &text)
}

/// Now, in whole seconds.
pub(super) fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

/// A record in a file.
pub(super) struct RecordFile {
    path: PathBuf,
    pub(super) record: Record,
    pub(super) ceremony: String,
    pub(super) kind: MaterialKind,
    pub(super) fingerprint: Fingerprint,
    pub(super) custodians: Vec<Custodian>,
    pub(super) public_key: Option<String>,
}

impl RecordFile {
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let bytes = bytes(path)?;
        let text = std::str::from_utf8(&bytes).unwrap_or("\u{fffd}");
        let record = Record::parse(text)?;
        match record.entries().first().map(|entry| entry.step.clone()) {
            Some(Step::Generated { ceremony, kind, fingerprint, custodians, public_key, .. }) => Ok(Self {
                path: path.to_owned(),
                record,
                ceremony,
                kind,
                fingerprint,
                custodians,
                public_key,
            }),
            _ => Err(CliError::new(ErrorKind::Bug, "a record was read that does not say what was made")),
        }
    }

    /// Adds a step to the file.
    pub(super) fn add(&mut self, step: Step) -> Result<(), CliError> {
        let line = self.record.add(now(), step)?;
        OpenOptions::new()
            .append(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|error| CliError::file("written", &self.path, &error))
    }
}
