//! `strongroom snapshots`: the snapshots of a dataset, as their headers show them.

use crate::args::SnapshotFilter;
use crate::catalog::{Catalog, Known};
use crate::commands::Context;
use crate::error::CliError;
use crate::escape;
use crate::output::{Align, Table};
use crate::retention::{GroupBy, GroupKey, group_key};
use crate::session::Session;
use crate::units;
use clap::Args;
use std::collections::BTreeMap;
use strongroom_custody::ReasonCode;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom snapshots\n\
    \x20 strongroom snapshots --host host-a --latest 5\n\
    \x20 strongroom snapshots --json --group-by host,paths";

/// List snapshots
///
/// Needs no read key.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SnapshotsArgs {
    /// Only these snapshots, by the first digits of their ids
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Only the newest N of each group
    #[arg(long, value_name = "N")]
    pub latest: Option<u32>,

    /// Group by any of host, paths, tags
    #[arg(long, value_name = "FIELDS")]
    pub group_by: Option<GroupBy>,
}

/// Lists snapshots.
///
/// # Errors
/// Where custody refuses, or the storage fails.
pub fn run(args: &SnapshotsArgs, context: &Context) -> Result<(), CliError> {
    let handle = Session::open(context, ReasonCode::List)?;
    let dataset = handle.metadata()?;
    let catalog = Catalog::load(&dataset, &context.messages)?;
    let chosen = catalog.choose(&args.snapshots, &args.filter)?;
    let by = args.group_by.unwrap_or(GroupBy { host: false, paths: false, tags: false });
    // Without --group-by, "the newest N" still means of each host and set of paths.
    let latest_by = args.group_by.unwrap_or_default();
    let mut groups: BTreeMap<GroupKey, Vec<&Known>> = BTreeMap::new();
    let mut left: BTreeMap<GroupKey, u32> = BTreeMap::new();
    for known in chosen.into_iter().rev() {
        let facts = known.facts();
        if let Some(latest) = args.latest {
            let left = left.entry(group_key(&facts, latest_by)).or_insert(latest);
            if *left == 0 {
                continue;
            }
            *left -= 1;
        }
        groups.entry(group_key(&facts, by)).or_default().push(known);
    }
    for group in groups.values_mut() {
        group.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
    }
    if context.output.is_json() {
        return json(context, &groups, args.group_by.is_some());
    }
    for (nth, (key, group)) in groups.iter().enumerate() {
        if args.group_by.is_some() {
            let blank = if nth > 0 { "\n" } else { "" };
            context.output.line(&format!("{blank}{}", describe(key)))?;
        }
        context.output.table(&table(group))?;
    }
    let count: usize = groups.values().map(Vec::len).sum();
    match count {
        0 => context.messages.note("no snapshots"),
        1 => context.messages.note("1 snapshot"),
        many => context.messages.note(&format!("{many} snapshots")),
    }
    Ok(())
}

/// `host host-a, paths /etc /home, tags weekly`.
#[must_use]
pub fn describe(key: &GroupKey) -> String {
    let mut parts = Vec::new();
    let join = |list: &std::collections::BTreeSet<String>| {
        list.iter().map(|text| escape::text(text)).collect::<Vec<_>>().join(" ")
    };
    parts.extend(key.host.iter().map(|host| format!("host {}", escape::path(host.as_bytes()))));
    parts.extend(key.paths.iter().map(|paths| format!("paths {}", join(paths))));
    parts.extend(key.tags.iter().map(|tags| format!("tags {}", join(tags))));
    if parts.is_empty() { "all snapshots".into() } else { parts.join(", ") }
}

/// The snapshots of a group, the oldest first.
#[must_use]
pub fn table(group: &[&Known]) -> Table {
    let zone = units::local_zone();
    let mut table = Table::new(&[
        ("ID", Align::Left),
        ("Time", Align::Left),
        ("Host", Align::Left),
        ("Tags", Align::Left),
        ("Size", Align::Right),
        ("Added", Align::Right),
        ("Paths", Align::Left),
    ]);
    for known in group {
        let snapshot = &known.snapshot;
        let lines = |list: &[String]| {
            list.iter().map(|text| escape::text(text).replace('\n', " ")).collect::<Vec<_>>()
        };
        table.row([
            known.short(),
            units::time(known.time, &zone),
            escape::path(snapshot.host.as_bytes()),
            lines(&snapshot.tags).join(","),
            units::bytes(snapshot.summary.bytes),
            units::bytes(snapshot.summary.bytes_stored),
            lines(&snapshot.paths).join("\n"),
        ]);
    }
    table
}

fn json(context: &Context, groups: &BTreeMap<GroupKey, Vec<&Known>>, grouped: bool) -> Result<(), CliError> {
    let list = |group: &[&Known]| group.iter().map(|known| known.json()).collect::<Vec<_>>();
    if !grouped {
        let all: Vec<_> = groups.values().flat_map(|group| list(group)).collect();
        return context.output.json(&all);
    }
    let groups: Vec<_> = groups
        .iter()
        .map(|(key, group)| {
            let key = serde_json::json!({"host": key.host, "paths": key.paths, "tags": key.tags});
            serde_json::json!({"group_key": key, "snapshots": list(group)})
        })
        .collect();
    context.output.json(&groups)
}
