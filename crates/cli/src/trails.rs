//! Trails from files: which ones, what is in them, and what they cover.

use crate::error::{CliError, ErrorKind};
use crate::local_files;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strongroom_trail::audit::{Devices, Reader};
use strongroom_trail::coverage::selectors::Selectors;
use strongroom_trail::coverage::{Coverage, Span};
use strongroom_trail::digest::{self, PublicKeys};
use strongroom_trail::event::Event;
use strongroom_trail::names::Names;
use strongroom_trail::problem::Problem;
use strongroom_trail::{Options, Summary, others, read};

/// Largest file of public keys or selectors, in bytes.
const DOCUMENT_MAX: u64 = 16 << 20;

/// An audit device and a file with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFile {
    /// The device's name at its server, such as `file`.
    pub device: String,
    /// Its lines.
    pub path: PathBuf,
}

/// Reads `DEVICE=FILE`.
///
/// # Errors
/// A message for the user.
pub fn parse_device(text: &str) -> Result<DeviceFile, String> {
    match text.split_once('=') {
        Some((device, path)) if !device.is_empty() && !path.is_empty() => {
            Ok(DeviceFile { device: device.trim_matches('/').to_owned(), path: path.into() })
        }
        _ => Err("expected DEVICE=FILE, such as file=/var/log/openbao/audit.log".into()),
    }
}

/// Reads a duration such as `24h` or `15m`.
///
/// # Errors
/// A message for the user.
pub fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<SignedDuration>() {
        Ok(duration) if !duration.is_negative() => Ok(duration),
        _ => Err(format!("`{text}` is not a duration such as 24h, 15m or 90s")),
    }
}

/// Where trails are.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Trails")]
pub struct TrailArgs {
    /// Files of CloudTrail: a copy of its bucket, or of a part of it; may be repeated
    #[arg(long, value_name = "DIR")]
    pub trail: Vec<PathBuf>,

    /// Lines of an audit device of OpenBao or HashiCorp Vault; may be repeated
    #[arg(long, value_name = "DEVICE=FILE", value_parser = parse_device)]
    pub audit: Vec<DeviceFile>,

    /// Audit logs of Google Cloud KMS, as `gcloud logging read --format=json` prints them; may be repeated
    #[arg(long, value_name = "FILE")]
    pub gcp: Vec<PathBuf>,

    /// Logs of Azure Key Vault, as diagnostic settings write them; may be repeated
    #[arg(long, value_name = "FILE")]
    pub azure: Vec<PathBuf>,

    /// Transit engine at this place, beside those of the vault's keyholders; may be repeated
    #[arg(long, value_name = "MOUNT")]
    pub mount: Vec<String>,
}

impl TrailArgs {
    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trail.is_empty() && self.audit.is_empty() && self.gcp.is_empty() && self.azure.is_empty()
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Trails {
    /// How much, and what could not be.
    pub summary: Summary,
    /// The events, in no particular order.
    pub events: Vec<Event>,
    /// What audit devices say together.
    pub devices: Option<Devices>,
}

impl Trails {
    /// Reads all of them.
    ///
    /// # Errors
    /// [`ErrorKind::LocalFile`] where one is not there at all; what is damaged in it is in the summary.
    pub fn read(
        args: &TrailArgs,
        mounts: &[String],
        threads: usize,
        now: Timestamp,
    ) -> Result<Self, CliError> {
        let mut all = Self::default();
        let options = Options { threads, now, names: Names::default(), watch: true };
        for root in &args.trail {
            std::fs::metadata(root).map_err(|error| CliError::file("read", root, &error))?;
            let summary = read(root, &options, |event| all.events.push(event));
            all.add(summary);
        }
        if !args.audit.is_empty() {
            all.read_audit(args, mounts)?;
        }
        for path in &args.gcp {
            all.read_other(path, |name, file, events| {
                others::read_gcp(name, file, |event| events.push(event))
            })?;
        }
        for path in &args.azure {
            all.read_other(path, |name, file, events| {
                others::read_azure(name, file, |event| events.push(event))
            })?;
        }
        Ok(all)
    }

    fn add(&mut self, more: Summary) {
        let summary = &mut self.summary;
        summary.files += more.files;
        summary.bytes += more.bytes;
        summary.records += more.records;
        summary.events += more.events;
        summary.digests += more.digests;
        summary.problems.extend(more.problems);
        summary.incomplete.extend(more.incomplete);
    }

    fn add_problems(&mut self, problems: &[Problem]) {
        let hidden = problems.iter().filter(|problem| problem.kind.hides_records());
        self.summary.incomplete.extend(hidden.map(|problem| problem.place.file.to_string()));
        self.summary.problems.extend_from_slice(problems);
    }

    fn read_audit(&mut self, args: &TrailArgs, mounts: &[String]) -> Result<(), CliError> {
        let mounts: Vec<&str> = mounts.iter().chain(&args.mount).map(String::as_str).collect();
        let mut reader = Reader::new(&mounts);
        for file in &args.audit {
            let size =
                std::fs::metadata(&file.path).map_err(|error| CliError::file("read", &file.path, &error))?;
            self.summary.files += 1;
            self.summary.bytes += size.len();
            reader.read_file(&file.device, &file.path);
        }
        let mut devices = reader.finish();
        self.add_problems(&devices.problems);
        let events = std::mem::take(&mut devices.events);
        self.summary.records += events.len() as u64;
        self.summary.events += events.len() as u64;
        self.events.extend(events);
        self.devices = Some(devices);
        Ok(())
    }

    fn read_other(
        &mut self,
        path: &Path,
        reader: fn(&str, std::fs::File, &mut Vec<Event>) -> Vec<Problem>,
    ) -> Result<(), CliError> {
        let file = std::fs::File::open(path).map_err(|error| CliError::file("read", path, &error))?;
        let before = self.events.len();
        let problems = reader(&path.to_string_lossy(), file, &mut self.events);
        let read = (self.events.len() - before) as u64;
        self.summary.files += 1;
        self.summary.records += read;
        self.summary.events += read;
        self.add_problems(&problems);
        Ok(())
    }

    /// What the trails cover. `settle` is how long delivery may take.
    #[must_use]
    pub fn coverage(
        &self,
        selectors: &[Selectors],
        digests: Option<&digest::Report>,
        settle: SignedDuration,
    ) -> Coverage {
        let mut coverage = Coverage::default();
        coverage.add_events(&self.events);
        coverage.add_unread(&self.summary, settle);
        let always = Span { start: Timestamp::MIN, end: Timestamp::MAX };
        for selectors in selectors {
            // Of a trail that is only named, nobody knows whose it is.
            let account = selectors.trail.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(3));
            coverage.add_selectors(account.unwrap_or(""), always, selectors);
        }
        if let Some(digests) = digests {
            digests.cover(&mut coverage);
        }
        if let Some(devices) = &self.devices {
            devices.cover(&mut coverage);
        }
        coverage
    }
}

/// Reads what `aws cloudtrail list-public-keys` prints.
///
/// # Errors
/// [`ErrorKind::LocalFile`], [`ErrorKind::Usage`].
pub fn public_keys(files: &[PathBuf]) -> Result<PublicKeys, CliError> {
    let mut keys = PublicKeys::default();
    for path in files {
        keys.add_json(&local_files::read(path, DOCUMENT_MAX)?).map_err(|error| {
            CliError::new(ErrorKind::Usage, format!("{} holds no public keys of CloudTrail", path.display()))
                .caused_by(&error)
                .hint("it is what `aws cloudtrail list-public-keys --start-time … --end-time …` prints")
        })?;
    }
    Ok(keys)
}

/// Reads what `aws cloudtrail get-event-selectors` prints.
///
/// # Errors
/// [`ErrorKind::LocalFile`], [`ErrorKind::Usage`].
pub fn selectors(files: &[PathBuf]) -> Result<Vec<Selectors>, CliError> {
    let read = |path: &PathBuf| {
        Selectors::from_json(&local_files::read(path, DOCUMENT_MAX)?).map_err(|error| {
            let message = format!("{} holds no event selectors: {error}", path.display());
            CliError::new(ErrorKind::Usage, message)
                .hint("it is what `aws cloudtrail get-event-selectors --trail-name …` prints")
        })
    };
    files.iter().map(read).collect()
}

/// Verifies the digests of several directories, as one report.
#[must_use]
pub fn verify_digests(
    roots: &[PathBuf],
    keys: &PublicKeys,
    bucket: Option<&str>,
    threads: usize,
) -> digest::Report {
    let mut all = digest::Report::default();
    for root in roots {
        let report = digest::verify(root, keys, bucket, threads);
        all.chains.extend(report.chains);
        all.faults.extend(report.faults);
        all.verified.extend(report.verified);
        all.unproven.extend(report.unproven);
        all.problems.extend(report.problems);
    }
    all
}

/// How many lines devices lack that others have, in words; none where all have all.
#[must_use]
pub fn device_warnings(devices: &Devices) -> Vec<String> {
    let missing: &BTreeMap<Arc<str>, u64> = &devices.missing;
    let mut all: Vec<String> = missing
        .iter()
        .map(|(device, count)| {
            format!("the audit device `{device}` lacks {count} requests that another device has")
        })
        .collect();
    if devices.unasked > 0 {
        all.push(format!("{} answers in the audit log have no request: lines are missing", devices.unasked));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let device = parse_device("file/=/var/log/audit.log").unwrap();
        assert_eq!((device.device.as_str(), device.path), ("file", "/var/log/audit.log".into()));
        for bad in ["", "file", "=x", "file="] {
            assert!(parse_device(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_duration("24h"), Ok(SignedDuration::from_hours(24)));
        assert_eq!(parse_duration("0s"), Ok(SignedDuration::ZERO));
        for bad in ["", "24", "-1h", "soon"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
