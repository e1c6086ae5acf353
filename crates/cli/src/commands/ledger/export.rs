//! `strongroom ledger export`: entries for other tools.

use super::ocsf;
use super::rows::{self, Filter, Names, Row};
use super::source::{IdentityArgs, Source};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use clap::{Args, ValueEnum};

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The canonical entries as they are in the ledger, one on each line
    Jsonl,
    /// A table; cells that a spreadsheet would take for a formula begin with an apostrophe
    Csv,
    /// Events of class API Activity of the Open Cybersecurity Schema Framework, one on each line
    Ocsf,
}

/// Options of `ledger export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Form of the export
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "jsonl")]
    pub format: Format,

    /// Which entries.
    #[command(flatten)]
    pub filter: Filter,

    /// Whose ledger.
    #[command(flatten)]
    pub identity: IdentityArgs,
}

const COLUMNS: [&str; 20] = [
    "index",
    "time",
    "phase",
    "operation",
    "step",
    "attempt",
    "verb",
    "human",
    "host",
    "workload",
    "program",
    "keyholder",
    "kind",
    "key_id",
    "dataset",
    "purpose",
    "epoch",
    "why",
    "outcome",
    "request_id",
];

/// Writes the entries to standard output.
///
/// # Errors
/// Where there is no ledger, or it is not to be believed: then nothing was written.
pub(super) fn run(args: &ExportArgs, context: &Context) -> Result<(), CliError> {
    let source = Source::open(context, &args.identity)?;
    let head = source.head()?;
    let (rows, names, malformed) = rows::collect(&source, &head, &args.filter, context)?;
    source.remember(context, &head.checkpoint);
    match args.format {
        Format::Jsonl => {
            for row in &rows {
                let mut line = row.entry.encode().map_err(|error| {
                    CliError::new(ErrorKind::Bug, "an entry cannot be written as it was read")
                        .caused_by(&error)
                })?;
                line.push(b'\n');
                context.output.raw(&line)?;
            }
        }
        Format::Csv => context.output.raw(&csv(&rows, &names)?)?,
        Format::Ocsf => {
            for row in &rows {
                context.output.json(&ocsf::event(row, &names, &head.checkpoint.origin))?;
            }
        }
    }
    match malformed {
        0 => Ok(()),
        many => {
            Err(CliError::new(ErrorKind::LedgerForged, format!("{many} entries are none and were left out"))
                .hint("`strongroom ledger verify` names each of them"))
        }
    }
}

/// A cell that no spreadsheet takes for a formula (OWASP, CSV Injection).
pub(crate) fn inert(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        return format!("'{cell}");
    }
    cell
}

fn csv(rows: &[Row], names: &Names) -> Result<Vec<u8>, CliError> {
    let failed = |error: &dyn std::error::Error| {
        CliError::new(ErrorKind::Bug, "the table cannot be written").caused_by(error)
    };
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(|error| failed(&error))?;
    for Row { index, entry } in rows {
        let what = &entry.what;
        let context = what.context.as_ref();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let why = match &entry.why.ticket {
            Some(ticket) => format!("{} {}", entry.why.code, ticket.as_str()),
            None => entry.why.code.to_string(),
        };
        let request = entry.outcome.as_ref().and_then(|outcome| outcome.request_id.clone());
        let cells = [
            index.to_string(),
            entry.time.to_string(),
            rows::word(&entry.phase),
            entry.operation.to_string(),
            entry.step.to_string(),
            entry.attempt.to_string(),
            rows::word(&what.verb),
            names.show(entry.who.human.as_ref()),
            names.show(entry.who.host.as_ref()),
            text(&entry.who.workload),
            entry.who.program.clone(),
            text(&what.keyholder),
            text(&what.kind),
            text(&what.key_id),
            what.dataset().unwrap_or_default().to_owned(),
            context.map(|context| context.purpose.clone()).unwrap_or_default(),
            context.map(|context| context.epoch.to_string()).unwrap_or_default(),
            why,
            rows::ended(entry),
            request.unwrap_or_default(),
        ];
        writer.write_record(cells.map(inert)).map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(error.error()))
}

#[cfg(test)]
mod tests {
    use super::inert;

    #[test]
    fn formulas_become_text() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"] {
            assert!(inert(cell.into()).starts_with('\''), "{cell}");
        }
        assert_eq!(inert("host-a".into()), "host-a");
    }
}
