//! `strongroom dump`: a file, or a directory as an archive.

use crate::archive::{self, Entries};
use crate::browse::{self, Browsing};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::snapshot_spec::SnapshotSpec;
use clap::Args;
use clap::ValueEnum;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use strongroom_custody::ReasonCode;
use strongroom_vault::browse::FileReader;
use strongroom_vault::tree::TreeEntry;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom dump latest:/db.sql | psql\n\
    \x20 strongroom dump latest:/etc --archive zip --target etc.zip";

/// Write a file, or a directory as an archive, to standard output
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DumpArgs {
    /// The snapshot and the path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub snapshot: SnapshotSpec,

    /// Kind of archive for directories
    #[arg(short, long, value_name = "KIND", value_enum, default_value_t = Archive::Tar)]
    pub archive: Archive,

    /// Write into this file instead
    #[arg(short, long, value_name = "FILE")]
    pub target: Option<PathBuf>,
}

/// Kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Archive {
    /// POSIX tar.
    Tar,
    /// ZIP.
    Zip,
}

/// Bytes that are passed on at a time.
const PIECE: usize = 256 << 10;

/// Standard output as a writer; its errors keep their kind.
struct ToOutput<'a>(&'a Context);

impl Write for ToOutput<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.output.raw(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.output.flush().map_err(io::Error::other)
    }
}

/// Writes a file or an archive.
///
/// # Errors
/// Where there is no such snapshot or path, custody refuses, something is damaged, or the output cannot be
/// written. A file given by --target appears only when it is whole.
pub fn run(args: &DumpArgs, context: &Context) -> Result<(), CliError> {
    let browsing = Browsing::open(context, ReasonCode::Restore, Some(&args.snapshot.selector))?;
    let (_, place) = browsing.find(context, &args.snapshot)?;
    let write = |writer: &mut dyn Write| match (place.directory(), &place.entry) {
        (Some(directory), _) => {
            let entries = Entries {
                reader: &browsing.reader,
                directory,
                path: &place.path,
                itself: place.entry.as_ref().map(|entry| &entry.entry),
                warn: &|text| context.messages.warn(text),
            };
            match args.archive {
                Archive::Tar => archive::tar(&entries, writer),
                Archive::Zip => archive::zip(&entries, writer),
            }
        }
        (None, Some(entry)) => file(&browsing, entry, &place.path, writer),
        (None, None) => Ok(()),
    };
    match &args.target {
        None => {
            write(&mut ToOutput(context))?;
            context.output.flush()
        }
        Some(target) => to_file(target, write),
    }
}

fn file(browsing: &Browsing, entry: &TreeEntry, path: &[u8], writer: &mut dyn Write) -> Result<(), CliError> {
    let kind = browse::kind(&entry.entry);
    if kind != "file" {
        let message = format!("{} is neither a file nor a directory, but a {kind}", escape::path(path));
        return Err(CliError::new(ErrorKind::PathMissing, message).hint(""));
    }
    let mut content = FileReader::new(&browsing.reader, entry)?;
    let mut piece = vec![0; PIECE];
    loop {
        let read =
            content.read(&mut piece).map_err(|error| browse::unpack(error, "the file cannot be read"))?;
        if read == 0 {
            return Ok(());
        }
        writer
            .write_all(&piece[..read])
            .map_err(|error| browse::unpack(error, "the output cannot be written"))?;
    }
}

fn to_file(
    target: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let failed = |error: &io::Error| CliError::file("written", target, error);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    let mut writer = BufWriter::with_capacity(PIECE, file);
    write(&mut writer)?;
    let file = writer.into_inner().map_err(|error| failed(error.error()))?;
    file.as_file().sync_all().map_err(|error| failed(&error))?;
    file.persist(target).map_err(|error| failed(&error.error))?;
    Ok(())
}
