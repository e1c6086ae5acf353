//! Files of a directory, and their inflated bytes.
//!
//! In scope: walking without following links, gzip, limits. Out of scope: what is in the files.

use crate::{
    limits,
    problem::{Place, Problem, ProblemKind, quoted},
};
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// The same, relative to where the walk began, with control characters escaped: for messages.
    pub name: Arc<str>,
}

/// All files below a path, in the order of their names; links are not followed. A file is its own only one.
#[must_use]
pub fn walk(root: &Path) -> (Vec<Found>, Vec<Problem>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let mut stack = vec![(root.to_path_buf(), 0_usize)];
    while let Some((path, depth)) = stack.pop() {
        let name: Arc<str> = name(root, &path).into();
        let mut problem = |what: String| {
            let place = Place { file: Arc::clone(&name), offset: 0 };
            problems.push(Problem { place, kind: ProblemKind::Unreadable, what });
        };
        let kind = match path.symlink_metadata() {
            Ok(data) if depth == 0 && data.is_symlink() => path.metadata(),
            data => data,
        };
        match kind {
            Err(error) => problem(format!("cannot be looked at: {error}")),
            Ok(kind) if kind.is_file() => found.push(Found { path, name }),
            Ok(kind) if kind.is_dir() && depth < limits::DEPTH_MAX => match path.read_dir() {
                Err(error) => problem(format!("cannot be listed: {error}")),
                Ok(entries) => {
                    for entry in entries {
                        match entry {
                            Ok(entry) => stack.push((entry.path(), depth + 1)),
                            Err(error) => problem(format!("cannot be listed: {error}")),
                        }
                    }
                }
            },
            Ok(kind) if kind.is_dir() => problem("lies too deep".into()),
            Ok(kind) if kind.is_symlink() => problem("is a link, and links are not followed".into()),
            Ok(_) => problem("is no regular file".into()),
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    (found, problems)
}

fn name(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let relative =
        if relative.as_os_str().is_empty() { path.file_name().map_or(path, Path::new) } else { relative };
    relative.to_string_lossy().chars().flat_map(char::escape_debug).collect()
}

/// What stopped an [`Inflated`] reader.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Limit(String);

/// The inflated bytes of something, whose length is bounded. What is not gzip is passed on as it is.
pub struct Inflated<R: BufRead> {
    source: Source<R>,
    out: u64,
    max: u64,
}

enum Source<R: BufRead> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<Counted<R>>>),
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.bytes += bytes as u64;
        Ok(bytes)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.inner.consume(bytes);
    }
}

impl<R: BufRead> Inflated<R> {
    /// Looks at the first bytes to know whether it is gzip. At most `max` bytes come out.
    ///
    /// # Errors
    /// What reading gives.
    pub fn new(mut source: R, max: u64) -> io::Result<Self> {
        let gzip = source.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let source = if gzip {
            Source::Gzip(Box::new(MultiGzDecoder::new(Counted { inner: source, bytes: 0 })))
        } else {
            Source::Plain(source)
        };
        Ok(Self { source, out: 0, max })
    }
}

impl<R: BufRead> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (bytes, taken) = match &mut self.source {
            Source::Plain(source) => (source.read(buffer)?, None),
            Source::Gzip(source) => (source.read(buffer)?, Some(source.get_ref().bytes)),
        };
        self.out += bytes as u64;
        if self.out > self.max {
            return Err(io::Error::other(Limit(format!("more than {} bytes", self.max))));
        }
        if let Some(taken) = taken
            && self.out > limits::RATIO_FROM
            && self.out / taken.max(1) > limits::RATIO_MAX
        {
            let what = format!("{} bytes from {taken}: more than {} to 1", self.out, limits::RATIO_MAX);
            return Err(io::Error::other(Limit(what)));
        }
        Ok(bytes)
    }
}

/// What kind of problem an error of an [`Inflated`] reader is.
#[must_use]
pub fn problem_of(error: &io::Error) -> (ProblemKind, String) {
    if error.get_ref().is_some_and(|inner| inner.is::<Limit>()) {
        return (ProblemKind::TooLong, format!("becomes too long: {error}"));
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            (ProblemKind::Truncated, "ends in the middle of its gzip stream".into())
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            (ProblemKind::Inflate, format!("its gzip stream is damaged: {}", quoted(&error.to_string())))
        }
        _ => (ProblemKind::Unreadable, format!("cannot be read: {}", quoted(&error.to_string()))),
    }
}

/// Opens a file for reading, inflated.
///
/// # Errors
/// What opening and reading give.
pub fn open(path: &Path) -> io::Result<Inflated<BufReader<File>>> {
    Inflated::new(BufReader::with_capacity(64 << 10, File::open(path)?), limits::FILE_MAX)
}

/// A whole document, inflated, of at most [`limits::DOCUMENT_MAX`] bytes.
///
/// # Errors
/// The problem, in words.
pub fn document(path: &Path) -> Result<Vec<u8>, (ProblemKind, String)> {
    let read = || {
        let mut bytes = Vec::new();
        let file = BufReader::new(File::open(path)?);
        Inflated::new(file, limits::DOCUMENT_MAX)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error: io::Error| problem_of(&error))
}
