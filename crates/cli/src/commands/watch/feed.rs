//! What was added to trails since the last look.

use super::WatchArgs;
use super::position::{Position, Tail};
use crate::error::CliError;
use crate::trails::DeviceFile;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::HashSet;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use strongroom_trail::audit::Reader;
use strongroom_trail::event::Event;
use strongroom_trail::names::Names;
use strongroom_trail::{Options, Summary, files, read, read_records};

/// Most bytes that are read of a file in one look.
const CHUNK_MAX: u64 = 64 << 20;
/// How many looks a request waits for its answer, which tells whether it was refused.
const LOOKS_MAX: u32 = 3;

pub(super) struct Feed<'a> {
    pub(super) args: &'a WatchArgs,
    pub(super) mounts: Vec<String>,
    pub(super) threads: usize,
    pub(super) now: Timestamp,
}

/// What the reader of audit lines has to know to hold one back.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: Option<String>,
    request: Option<Request>,
}

#[derive(Deserialize)]
struct Request {
    id: Option<String>,
}

impl Feed<'_> {
    /// New events, and what could not be read.
    pub(super) fn read(&self, position: &mut Position) -> Result<(Vec<Event>, Vec<String>), CliError> {
        let (mut events, mut problems) = (Vec::new(), Vec::new());
        let options = Options { threads: self.threads, now: self.now, names: Names::default(), watch: true };
        let told = |summary: &Summary, problems: &mut Vec<String>| {
            let lost = summary.problems.iter().filter(|problem| problem.kind.hides_records());
            problems.extend(lost.map(ToString::to_string));
        };
        for root in &self.args.trails.trail {
            let root = absolute(root)?;
            let (found, unread) = files::walk(&root);
            problems.extend(unread.iter().map(ToString::to_string));
            let there: HashSet<&Path> = found.iter().map(|file| file.path.as_path()).collect();
            position.keep_files(&root, |path| there.contains(path));
            for file in &found {
                let Ok(metadata) = std::fs::metadata(&file.path) else { continue };
                if position.is_file_new(&file.path, metadata.len()) {
                    told(&read(&file.path, &options, |event| events.push(event)), &mut problems);
                    position.file_read(file.path.clone(), metadata.len());
                }
            }
        }
        for path in &self.args.events {
            let path = absolute(path)?;
            let lines = added(&path, position.tail(&path))?;
            let summary =
                read_records(&path.to_string_lossy(), &lines[..], &options, |event| events.push(event));
            told(&summary, &mut problems);
        }
        for DeviceFile { device, path } in &self.args.trails.audit {
            let path = absolute(path)?;
            let tail = position.tail(&path);
            let lines = added(&path, tail)?;
            let mounts: Vec<&str> =
                self.mounts.iter().chain(&self.args.trails.mount).map(String::as_str).collect();
            let mut reader = Reader::new(&mounts);
            reader.read(device, settled(&lines, tail).as_bytes());
            let devices = reader.finish();
            let lost = devices.problems.iter().filter(|problem| problem.kind.hides_records());
            problems.extend(lost.map(ToString::to_string));
            events.extend(devices.events);
        }
        Ok((events, problems))
    }
}

/// So that a place is known again from another working directory.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::fs::canonicalize(path).map_err(|error| CliError::file("read", path, &error))
}

/// The whole lines that were added to a file. One that was rotated, or cut, is read from its beginning.
fn added(path: &Path, tail: &mut Tail) -> Result<Vec<u8>, CliError> {
    let failed = |error: &std::io::Error| CliError::file("read", path, error);
    let mut file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if tail.inode != metadata.ino() || metadata.len() < tail.offset {
        (tail.inode, tail.offset) = (metadata.ino(), 0);
    }
    file.seek(SeekFrom::Start(tail.offset)).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(CHUNK_MAX).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // A line that fills a whole chunk is none that a provider wrote; the reader says so.
    let whole = if whole == 0 && bytes.len() as u64 == CHUNK_MAX { bytes.len() } else { whole };
    bytes.truncate(whole);
    tail.offset += whole as u64;
    Ok(bytes)
}

/// Lines of an audit device, without requests whose answers are still to come: those wait in `tail`.
fn settled(lines: &[u8], tail: &mut Tail) -> String {
    let waiting = std::mem::take(&mut tail.open);
    let lines = String::from_utf8_lossy(lines);
    let id_of = |line: &str| {
        let line: Line = serde_json::from_str(line).ok()?;
        Some((line.kind? == "response", line.request?.id?))
    };
    let answered: HashSet<String> =
        lines.lines().filter_map(id_of).filter(|(is_answer, _)| *is_answer).map(|(_, id)| id).collect();
    let all = waiting.iter().map(|(line, looks)| (line.as_str(), looks + 1));
    let mut text = String::new();
    for (line, looks) in all.chain(lines.lines().map(|line| (line, 0))) {
        match id_of(line) {
            Some((false, id)) if !answered.contains(&id) && looks < LOOKS_MAX => {
                tail.open.push((line.to_owned(), looks));
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn line(kind: &str, id: u32) -> String {
        format!("{{\"type\":\"{kind}\",\"request\":{{\"id\":\"{id}\"}}}}\n")
    }

    #[test]
    fn requests_wait_for_their_answers_but_not_for_ever() {
        let mut tail = Tail::default();
        let first =
            [line("request", 1), line("response", 1), line("request", 2), "garbage\n".into()].concat();
        let text = settled(first.as_bytes(), &mut tail);
        assert_eq!(text, [line("request", 1), line("response", 1), "garbage\n".into()].concat());
        assert_eq!(tail.open.len(), 1);
        let text = settled(line("response", 2).as_bytes(), &mut tail);
        assert_eq!(text, [line("request", 2), line("response", 2)].concat());
        assert_eq!(settled(line("request", 3).as_bytes(), &mut tail), "");
        let all: String = (0..LOOKS_MAX).map(|_| settled(b"", &mut tail)).collect();
        assert_eq!((all, tail.open.len()), (line("request", 3), 0));
    }

    #[test]
    fn whole_lines_are_read_once_and_a_rotated_file_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut tail = Tail::default();
        std::fs::write(&path, "one\ntw").unwrap();
        assert_eq!(added(&path, &mut tail).unwrap(), b"one\n");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"o\nthree\n").unwrap();
        assert_eq!(added(&path, &mut tail).unwrap(), b"two\nthree\n");
        assert_eq!(added(&path, &mut tail).unwrap(), b"");
        std::fs::rename(&path, dir.path().join("log.1")).unwrap();
        std::fs::write(&path, "four\nfive\nsix\n").unwrap();
        assert_eq!(added(&path, &mut tail).unwrap(), b"four\nfive\nsix\n");
        std::fs::write(&path, "cut\n").unwrap();
        assert_eq!(added(&path, &mut tail).unwrap(), b"cut\n");
    }
}
