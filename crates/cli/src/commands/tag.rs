//! `strongroom tag`: changes the tags of snapshots.

use crate::args::SnapshotFilter;
use crate::catalog::{self, Catalog};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::session::Session;
use crate::whoami;
use clap::Args;
use strongroom_custody::ReasonCode;
use strongroom_vault::snapshots;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom tag --add gold latest\n\
    \x20 strongroom tag --remove old,test --host host-a";

/// Change the tags of snapshots
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TagArgs {
    /// Only these snapshots
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// Add these comma-separated tags; may be repeated
    #[arg(long, value_name = "TAG[,TAG]", required_unless_present_any = ["remove", "set"])]
    pub add: Vec<String>,

    /// Remove these
    #[arg(long, value_name = "TAG[,TAG]")]
    pub remove: Vec<String>,

    /// Replace all tags by these
    #[arg(long, value_name = "TAG[,TAG]", conflicts_with_all = ["add", "remove"])]
    pub set: Vec<String>,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,
}

/// Changes tags.
///
/// # Errors
/// Where a snapshot is not there, or the vault fails.
pub fn run(args: &TagArgs, context: &Context) -> Result<(), CliError> {
    let split = |lists: &[String]| -> Vec<String> {
        let tags = lists.iter().flat_map(|list| list.split(','));
        tags.map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
    };
    let (add, remove, set) = (split(&args.add), split(&args.remove), split(&args.set));
    let session = Session::open(context, ReasonCode::Admin)?;
    let handle = session.write()?;
    let catalog = Catalog::load(&handle, &context.messages)?;
    let chosen = catalog.choose(&args.snapshots, &args.filter)?;
    if chosen.is_empty() {
        return Err(CliError::new(ErrorKind::SnapshotMissing, "no snapshot matches"));
    }
    let ids: Vec<_> = chosen.iter().map(|known| known.id).collect();
    let change = |tags: &mut Vec<String>| {
        if !args.set.is_empty() {
            tags.clone_from(&set);
        }
        tags.retain(|tag| !remove.contains(tag));
        tags.extend(add.iter().cloned());
    };
    let replaced = snapshots::retag(&handle, &whoami::host(), &ids, &change)?;
    if context.output.is_json() {
        let changed: Vec<_> = replaced
            .iter()
            .map(|changed| serde_json::json!({"old": changed.old, "new": changed.new}))
            .collect();
        return context.output.json(&serde_json::json!({"message_type": "tagged", "snapshots": changed}));
    }
    for changed in &replaced {
        let (old, new) = (catalog::short(&changed.old), catalog::short(&changed.new));
        context.output.line(&format!("{old} is now {new}"))?;
    }
    context.messages.note(&format!("{} of {} snapshots changed", replaced.len(), ids.len()));
    Ok(())
}
