//! `strongroom diff`: what differs between two snapshots.

use crate::browse::{Browsing, Place};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::snapshot_spec::SnapshotSpec;
use crate::units;
use clap::Args;
use serde::Serialize;
use std::cmp::Ordering;
use strongroom_custody::ReasonCode;
use strongroom_format::RefsId;
use strongroom_format::limits::TREE_DEPTH_MAX;
use strongroom_format::snapshot::escape_path;
use strongroom_format::tree::{Content, Entry, EntryKind};
use strongroom_vault::browse::{Next, join, walk};
use strongroom_vault::groups::GroupReader;
use strongroom_vault::tree::{EntryRefs, TreeEntry, on_deep_stack, read_directory};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom diff latest~1 latest\n\
    \x20 strongroom diff 4f3c2a10:/etc 9b01d4e7:/etc --metadata";

/// Show what differs between two snapshots
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// The older snapshot, and optionally a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub from: SnapshotSpec,

    /// The newer snapshot, and optionally a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub to: SnapshotSpec,

    /// Show differences in mode, owner and times too
    #[arg(long)]
    pub metadata: bool,
}

/// What came, went or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Totals {
    files: u64,
    dirs: u64,
    others: u64,
    bytes: u64,
}

impl Totals {
    fn count(&mut self, entry: &Entry) {
        match entry.kind {
            EntryKind::File { size, .. } => {
                self.files += 1;
                self.bytes += size;
            }
            EntryKind::Directory => self.dirs += 1,
            _ => self.others += 1,
        }
    }
}

/// How an entry differs; `None` where it does not.
fn difference(from: &TreeEntry, to: &TreeEntry, metadata: bool) -> Option<char> {
    if std::mem::discriminant(&from.entry.kind) != std::mem::discriminant(&to.entry.kind) {
        return Some('T');
    }
    let same_content = match (&from.entry.kind, &to.entry.kind) {
        (
            EntryKind::File { size: a, data_ranges: x, .. },
            EntryKind::File { size: b, data_ranges: y, .. },
        ) => (a, x, &from.refs) == (b, y, &to.refs),
        (EntryKind::Directory, EntryKind::Directory) => true,
        (a, b) => a == b,
    };
    if !same_content {
        return Some('M');
    }
    // How many references there are is no attribute, and hard links come and go with their other names.
    let attributes = |entry: &Entry| {
        let kind = match &entry.kind {
            EntryKind::File { size, .. } => {
                EntryKind::File { size: *size, content: Content::Chunks(0), data_ranges: None }
            }
            kind => kind.clone(),
        };
        Entry { kind, hard_link: None, ..entry.clone() }
    };
    (metadata && attributes(&from.entry) != attributes(&to.entry)).then_some('U')
}

struct Diff<'a> {
    context: &'a Context,
    reader: &'a GroupReader,
    metadata: bool,
    added: Totals,
    removed: Totals,
    changed: u64,
}

/// Compares snapshots.
///
/// # Errors
/// Where there is no such snapshot or path, custody refuses, or something is damaged.
pub fn run(args: &DiffArgs, context: &Context) -> Result<(), CliError> {
    let browsing = Browsing::open(context, ReasonCode::List, Some(&args.to.selector))?;
    let (from, from_place) = browsing.find(context, &args.from)?;
    let (to, to_place) = browsing.find(context, &args.to)?;
    if !context.output.is_json() {
        context.messages.note(&format!("from snapshot {}", from.describe()));
        context.messages.note(&format!("to snapshot   {}", to.describe()));
    }
    let mut diff = Diff {
        context,
        reader: &browsing.reader,
        metadata: args.metadata,
        added: Totals::default(),
        removed: Totals::default(),
        changed: 0,
    };
    on_deep_stack(|| diff.places(&from_place, &to_place))??;
    let Diff { added, removed, changed, .. } = diff;
    let output = &context.output;
    if output.is_json() {
        return output.json(&serde_json::json!({
            "message_type": "statistics",
            "source_snapshot": from.id,
            "target_snapshot": to.id,
            "changed_files": changed,
            "added": added,
            "removed": removed,
        }));
    }
    let count = units::count;
    let plural = |number: u64, one: &str, many: &str| {
        format!("{} {}", count(number), if number == 1 { one } else { many })
    };
    let line = |what: &str, totals: &Totals| {
        format!(
            "{what:<9} {}, {}, {}, {}",
            plural(totals.files, "file", "files"),
            plural(totals.dirs, "directory", "directories"),
            plural(totals.others, "other", "others"),
            units::bytes(totals.bytes)
        )
    };
    context.messages.note(&line("added", &added));
    context.messages.note(&line("removed", &removed));
    context.messages.note(&format!("changed   {}", plural(changed, "file", "files")));
    Ok(())
}

impl Diff<'_> {
    fn places(&mut self, from: &Place, to: &Place) -> Result<(), CliError> {
        match (from.directory(), to.directory(), &from.entry, &to.entry) {
            (Some(a), Some(b), ..) => self.directories(&a, &b, &to.path, 0),
            (_, _, Some(a), Some(b)) => self.both(a, b, &to.path, 0),
            _ => Err(CliError::new(ErrorKind::Usage, "a directory cannot be compared with something else")),
        }
    }

    fn tell(&self, modifier: char, path: &[u8], entry: &Entry) -> Result<(), CliError> {
        if self.context.output.is_json() {
            let change = serde_json::json!({
                "message_type": "change", "path": escape_path(path), "modifier": modifier,
            });
            return self.context.output.json(&change);
        }
        let slash = if entry.kind == EntryKind::Directory { "/" } else { "" };
        self.context.output.line(&format!("{modifier}    {}{slash}", escape::path(path)))
    }

    /// Both lists are in the order of names.
    fn directories(&mut self, from: &RefsId, to: &RefsId, path: &[u8], depth: usize) -> Result<(), CliError> {
        // The id is a hash of everything below.
        if from == to || depth > TREE_DEPTH_MAX {
            return Ok(());
        }
        let mut from = read_directory(self.reader, from)?.into_iter().peekable();
        let mut to = read_directory(self.reader, to)?.into_iter().peekable();
        loop {
            let order = match (from.peek(), to.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.entry.name.cmp(&b.entry.name),
            };
            let old = if order == Ordering::Greater { None } else { from.next() };
            let new = if order == Ordering::Less { None } else { to.next() };
            match (old, new) {
                (Some(old), Some(new)) => self.both(&old, &new, &join(path, &new.entry.name), depth)?,
                (Some(old), None) => self.one('-', &old, &join(path, &old.entry.name))?,
                (None, Some(new)) => self.one('+', &new, &join(path, &new.entry.name))?,
                (None, None) => {}
            }
        }
    }

    fn both(&mut self, from: &TreeEntry, to: &TreeEntry, path: &[u8], depth: usize) -> Result<(), CliError> {
        match difference(from, to, self.metadata) {
            Some('T') => {
                self.tell('T', path, &to.entry)?;
                self.changed += 1;
                self.below('-', from, path)?;
                self.below('+', to, path)?;
            }
            Some(modifier) => {
                self.tell(modifier, path, &to.entry)?;
                self.changed += u64::from(modifier == 'M');
            }
            None => {}
        }
        if let (EntryRefs::Directory(from), EntryRefs::Directory(to)) = (&from.refs, &to.refs) {
            self.directories(from, to, path, depth + 1)?;
        }
        Ok(())
    }

    /// An entry that is on one side only, and all below it.
    fn one(&mut self, modifier: char, entry: &TreeEntry, path: &[u8]) -> Result<(), CliError> {
        self.tell(modifier, path, &entry.entry)?;
        self.totals(modifier).count(&entry.entry);
        self.below(modifier, entry, path)
    }

    fn below(&mut self, modifier: char, entry: &TreeEntry, path: &[u8]) -> Result<(), CliError> {
        let EntryRefs::Directory(id) = &entry.refs else { return Ok(()) };
        walk(self.reader, id, path, &mut |path, entry| {
            self.tell(modifier, path, &entry.entry)?;
            self.totals(modifier).count(&entry.entry);
            Ok::<_, CliError>(Next::Enter)
        })
    }

    fn totals(&mut self, modifier: char) -> &mut Totals {
        if modifier == '+' { &mut self.added } else { &mut self.removed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::ChunkId;
    use strongroom_format::tree::Timestamp;

    fn file(id: u8, mode: u16) -> TreeEntry {
        let kind = EntryKind::File { size: 1, content: Content::Chunks(1), data_ranges: None };
        let entry = Entry {
            name: b"a".to_vec(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            hard_link: None,
            xattrs: Vec::new(),
        };
        TreeEntry { entry, refs: EntryRefs::Chunks(vec![ChunkId([id; 32])]) }
    }

    #[test]
    fn content_weighs_more_than_attributes() {
        assert_eq!(difference(&file(1, 0o644), &file(1, 0o644), true), None);
        assert_eq!(difference(&file(1, 0o644), &file(2, 0o600), true), Some('M'));
        assert_eq!(difference(&file(1, 0o644), &file(1, 0o600), true), Some('U'));
        assert_eq!(difference(&file(1, 0o644), &file(1, 0o600), false), None);
        let mut pipe = file(1, 0o644);
        pipe.entry.kind = EntryKind::Fifo;
        assert_eq!(difference(&file(1, 0o644), &pipe, false), Some('T'));
    }
}
