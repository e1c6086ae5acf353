//! `strongroom find`: files by name, in many snapshots.

use crate::args::SnapshotFilter;
use crate::browse::{self, Browsing, Lines, Node};
use crate::catalog::{Catalog, Known};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::snapshot_spec::{TimeFilter, parse_time};
use crate::units;
use clap::Args;
use std::collections::HashSet;
use strongroom_custody::ReasonCode;
use strongroom_format::RefsId;
use strongroom_vault::browse::join;
use strongroom_vault::fs::{Decision, Filter};
use strongroom_vault::tree::{EntryRefs, read_directory};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom find report.pdf\n\
    \x20 strongroom find -i '*.JPG' --host host-a --since 2026-01-01";

/// Find files in snapshots
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FindArgs {
    /// Names to look for: a name, a path, or a pattern with * ? [ ]
    #[arg(value_name = "PATTERN", required = true)]
    pub patterns: Vec<String>,

    /// Only in these snapshots
    #[arg(short, long, value_name = "SNAPSHOT")]
    pub snapshot: Vec<String>,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Whatever the case of letters
    #[arg(short, long)]
    pub ignore_case: bool,

    /// Only files changed at or after this time
    #[arg(long, value_name = "TIME")]
    pub changed_since: Option<String>,

    /// Only files changed at or before this time
    #[arg(long, value_name = "TIME")]
    pub changed_until: Option<String>,

    /// Show mode, owner, size and time
    #[arg(short, long)]
    pub long: bool,
}

/// Directories without a match that are remembered, so that unchanged ones are looked through once.
const REMEMBERED: usize = 1 << 18;

/// What is looked for.
struct Wanted {
    /// Patterns without a `/`, which a name matches.
    names: Option<Filter>,
    /// Patterns with a `/`, which a whole path matches.
    paths: Option<Filter>,
    time: TimeFilter,
}

impl Wanted {
    fn new(args: &FindArgs) -> Result<Self, CliError> {
        let zone = units::local_zone();
        let time = |text: &Option<String>, end| {
            let read = |text: &String| parse_time(text, &zone, end);
            text.as_ref().map(read).transpose().map_err(|why| CliError::new(ErrorKind::Usage, why))
        };
        let filter = |patterns: Vec<&String>| -> Result<Option<Filter>, CliError> {
            if patterns.is_empty() {
                return Ok(None);
            }
            let include =
                |filter: strongroom_vault::fs::FilterBuilder, pattern: &&String| match args.ignore_case {
                    true => filter.iinclude(pattern),
                    false => filter.include(pattern),
                };
            Ok(Some(patterns.iter().fold(Filter::builder(), include).build()?))
        };
        let (paths, names) = args.patterns.iter().partition(|pattern| pattern.contains('/'));
        Ok(Self {
            names: filter(names)?,
            paths: filter(paths)?,
            time: TimeFilter {
                since: time(&args.changed_since, false)?,
                until: time(&args.changed_until, true)?,
            },
        })
    }

    /// A pattern matches what lies below a match, too; only the match itself is wanted.
    fn matches(&self, directory: &[u8], path: &[u8], name: &[u8]) -> bool {
        let keeps = |filter: &Filter, path: &[u8]| filter.decide(path) == Decision::Keep;
        self.names.as_ref().is_some_and(|filter| keeps(filter, &join(b"/", name)))
            || self.paths.as_ref().is_some_and(|filter| keeps(filter, path) && !keeps(filter, directory))
    }
}

/// Finds files.
///
/// # Errors
/// Where custody refuses, or something is damaged.
pub fn run(args: &FindArgs, context: &Context) -> Result<(), CliError> {
    let wanted = Wanted::new(args)?;
    let browsing = Browsing::open(context, ReasonCode::List, None)?;
    let catalog = Catalog::load(&browsing.reading.handle, &context.messages)?;
    let chosen = catalog.choose(&args.snapshot, &args.filter)?;
    let lines = Lines { long: args.long, human: false, zone: units::local_zone() };
    let mut search = Search { browsing: &browsing, wanted: &wanted, barren: HashSet::new(), found: 0 };
    for known in chosen.into_iter().rev() {
        let mut show = |path: &[u8], entry: &strongroom_format::tree::Entry| {
            if context.output.is_json() {
                return context.output.json(&Node::new("match", Some(known), path, entry));
            }
            let time = units::time(known.time, &lines.zone);
            context.output.line(&format!("{}  {time}  {}", known.short(), lines.line(path, entry)))
        };
        search.run(known, &mut show)?;
    }
    match search.found {
        0 => context.messages.note("nothing matches"),
        1 => context.messages.note("1 match"),
        many => context.messages.note(&format!("{many} matches")),
    }
    Ok(())
}

type Show<'s> = &'s mut dyn FnMut(&[u8], &strongroom_format::tree::Entry) -> Result<(), CliError>;

struct Search<'a> {
    browsing: &'a Browsing,
    wanted: &'a Wanted,
    /// Directories, with their paths, that hold no match.
    barren: HashSet<(RefsId, Vec<u8>)>,
    found: u64,
}

/// A directory that is being looked through.
struct Level {
    id: RefsId,
    path: Vec<u8>,
    entries: std::vec::IntoIter<strongroom_vault::tree::TreeEntry>,
    found_before: u64,
}

impl Search<'_> {
    fn enter(&self, id: RefsId, path: Vec<u8>) -> Result<Level, CliError> {
        let entries = read_directory(&self.browsing.reader, &id)?.into_iter();
        Ok(Level { id, path, entries, found_before: self.found })
    }

    fn run(&mut self, known: &Known, show: Show<'_>) -> Result<(), CliError> {
        let mut levels = vec![self.enter(known.snapshot.root, b"/".to_vec())?];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                if self.found == level.found_before && self.barren.len() < REMEMBERED {
                    self.barren.insert((level.id, std::mem::take(&mut level.path)));
                }
                levels.pop();
                continue;
            };
            let path = join(&level.path, &entry.entry.name);
            let changed = browse::modified(&entry.entry).is_none_or(|time| self.wanted.time.matches(time));
            if changed && self.wanted.matches(&level.path, &path, &entry.entry.name) {
                self.found += 1;
                show(&path, &entry.entry)?;
            }
            if let EntryRefs::Directory(id) = entry.refs
                && levels.len() < strongroom_format::limits::TREE_DEPTH_MAX
            {
                let key = (id, path);
                if !self.barren.contains(&key) {
                    levels.push(self.enter(key.0, key.1)?);
                }
            }
        }
        Ok(())
    }
}
