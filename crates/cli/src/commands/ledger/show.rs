//! `strongroom ledger show`: entries as a table or as JSON.

use super::rows::{self, Filter, Names, Row};
use super::source::{IdentityArgs, Source};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::output::{Align, Table};
use crate::units;
use clap::Args;

/// Options of `ledger show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// Which entries.
    #[command(flatten)]
    pub filter: Filter,

    /// Only the newest N
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,

    /// Whose ledger.
    #[command(flatten)]
    pub identity: IdentityArgs,
}

/// Lists entries.
///
/// # Errors
/// Where there is no ledger, or it is not to be believed.
pub(super) fn run(args: &ShowArgs, context: &Context) -> Result<(), CliError> {
    let source = Source::open(context, &args.identity)?;
    let head = source.head()?;
    let (rows, names, malformed) = rows::collect(&source, &head, &args.filter, context)?;
    source.remember(context, &head.checkpoint);
    let first = args.last.map_or(0, |last| rows.len().saturating_sub(last));
    let rows = &rows[first..];
    if context.output.is_json() {
        for row in rows {
            context.output.json(&rows::json(row, &names))?;
        }
    } else {
        context.output.table(&table(rows, &names))?;
        context.messages.note(&format!(
            "{} of {} entries; all of them lead to the signed checkpoint",
            units::count(rows.len() as u64),
            units::count(head.checkpoint.size)
        ));
    }
    match malformed {
        0 => Ok(()),
        many => Err(CliError::new(
            ErrorKind::LedgerForged,
            format!("{many} entries are none: somebody with the ledger's key wrote them"),
        )
        .hint("`strongroom ledger verify` names each of them")),
    }
}

fn table(rows: &[Row], names: &Names) -> Table {
    let zone = units::local_zone();
    let mut table = Table::new(&[
        ("Entry", Align::Right),
        ("Time", Align::Left),
        ("Who", Align::Left),
        ("What", Align::Left),
        ("Key", Align::Left),
        ("Dataset", Align::Left),
        ("Why", Align::Left),
        ("Outcome", Align::Left),
    ]);
    for Row { index, entry } in rows {
        let human = names.show(entry.who.human.as_ref());
        let host = names.show(entry.who.host.as_ref());
        let purpose = entry.what.context.as_ref().map(|context| {
            format!(" {} key {}", context.purpose, context.epoch).trim_end_matches(" 0").to_owned()
        });
        let why = match (&entry.why.ticket, names.get(entry.why.words.as_ref())) {
            (Some(ticket), _) => format!("{} {}", entry.why.code, ticket.as_str()),
            (None, Some(words)) => format!("{} ({words})", entry.why.code),
            (None, None) => entry.why.code.to_string(),
        };
        let cells = [
            index.to_string(),
            units::time(entry.time.timestamp(), &zone),
            format!("{human}@{host}"),
            format!("{}{}", rows::word(&entry.what.verb), purpose.unwrap_or_default()),
            entry.what.keyholder.clone().unwrap_or_default(),
            entry.what.dataset().unwrap_or_default().to_owned(),
            why,
            rows::ended(entry),
        ];
        table.row(cells.map(|cell: String| escape::text(&cell).replace('\n', " ")));
    }
    table
}
