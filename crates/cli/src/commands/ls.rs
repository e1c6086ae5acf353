//! `strongroom ls`: the files of a snapshot.

use crate::browse::{Browsing, Lines, Node, Place};
use crate::commands::Context;
use crate::error::CliError;
use crate::snapshot_spec::SnapshotSpec;
use crate::units;
use clap::Args;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use strongroom_custody::ReasonCode;
use strongroom_vault::browse::{Next, walk};
use strongroom_vault::tree::TreeEntry;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom ls latest\n\
    \x20 strongroom ls -l 4f3c2a10:/etc\n\
    \x20 strongroom ls -lR latest:/home/alice --json";

/// List the files of a snapshot
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LsArgs {
    /// The snapshot, and optionally a directory in it: latest, latest~2, 4f3c2a10:/etc
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub snapshot: SnapshotSpec,

    /// Further directories or files to list
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Show mode, owner, size and time
    #[arg(short, long)]
    pub long: bool,

    /// Go down into directories
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// Sizes in KiB, MiB and so on
    #[arg(short = 'H', long, requires = "long")]
    pub human_readable: bool,
}

/// Lists files.
///
/// # Errors
/// Where there is no such snapshot or path, custody refuses, or something is damaged.
pub fn run(args: &LsArgs, context: &Context) -> Result<(), CliError> {
    let browsing = Browsing::open(context, ReasonCode::List, Some(&args.snapshot.selector))?;
    let (known, place) = browsing.find(context, &args.snapshot)?;
    let mut places = Vec::new();
    // Further paths alone mean only those.
    if args.paths.is_empty() || args.snapshot.path.is_some() {
        places.push(place);
    }
    for path in &args.paths {
        places.push(browsing.at(&known, Some(path.as_os_str().as_bytes()))?);
    }
    if context.output.is_json() {
        let mut header = known.json();
        if let Some(object) = header.as_object_mut() {
            object.insert("message_type".into(), "snapshot".into());
        }
        context.output.json(&header)?;
    }
    let lines = Lines { long: args.long, human: args.human_readable, zone: units::local_zone() };
    let show = |path: &[u8], entry: &TreeEntry| -> Result<Next, CliError> {
        if context.output.is_json() {
            context.output.json(&Node::new("node", None, path, &entry.entry))?;
        } else {
            context.output.line(&lines.line(path, &entry.entry))?;
        }
        Ok(if args.recursive { Next::Enter } else { Next::Skip })
    };
    places.iter().try_for_each(|place| list(&browsing, place, &show))
}

type Show<'s> = dyn Fn(&[u8], &TreeEntry) -> Result<Next, CliError> + 's;

fn list(browsing: &Browsing, place: &Place, show: &Show<'_>) -> Result<(), CliError> {
    match (place.directory(), &place.entry) {
        (Some(directory), _) => {
            walk(&browsing.reader, &directory, &place.path, &mut |path, entry| show(path, entry))
        }
        (None, Some(entry)) => show(&place.path, entry).map(|_| ()),
        (None, None) => Ok(()),
    }
}
