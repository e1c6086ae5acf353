//! From what each file says to one estate.
//!
//! First what names itself is put in its place, then what has to be placed by other files, then it is counted what is
//! there and what is not.

mod coverage;
mod details;
mod iam_collect;
mod merge;
mod organisation;
mod places;
mod primary;
mod resources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::FileRead;
use super::record::{Located, Record};
use crate::estate::{Account, AccountId, Estate, Gap, Kind, Place, Problem, ProblemKind, Scope, Severity};
use places::Places;

/// The estate being put together, and what was collected for it.
#[derive(Default)]
struct Assembly {
    estate: Estate,
    places: Places,
    /// Files by number, for messages.
    files: Vec<Arc<str>>,
    /// Lists that were read, by region (empty where a kind has none), and whether their last page was among them.
    lists: BTreeMap<(AccountId, Kind), BTreeMap<Arc<str>, bool>>,
    /// Organisations whose accounts were listed to the end.
    members_listed: BTreeSet<Arc<str>>,
    /// Children that were listed of roots and units.
    tree: Vec<(At, Arc<str>, Vec<Arc<str>>)>,
    org: organisation::Loose,
    details: details::Loose,
    gaps: Vec<Gap>,
}

/// Where a record was read.
#[derive(Clone, Copy)]
struct At {
    file: usize,
    line: u32,
}

/// Puts together what the files say.
pub(super) fn assemble(mut files: Vec<FileRead>) -> Estate {
    files.sort_by(|a, b| a.file.cmp(&b.file));
    let mut assembly = Assembly {
        places: Places::learn(&files),
        files: files.iter().map(|read| Arc::clone(&read.file)).collect(),
        ..Assembly::default()
    };
    let mut later: Vec<(At, Record)> = Vec::new();
    let mut pieces = iam_collect::Pieces::default();
    for (file, read) in files.into_iter().enumerate() {
        for trouble in read.troubles {
            assembly.trouble(file, trouble);
        }
        for Located { line, record } in read.records {
            let at = At { file, line };
            let record = match record {
                Record::Piece { directory, piece } => {
                    pieces.add(at, directory, piece);
                    continue;
                }
                record => record,
            };
            if let Some(record) = assembly.primary(at, record) {
                later.push((at, record));
            }
        }
    }
    for (at, record) in assembly.whole_pieces(pieces) {
        if let Some(record) = assembly.primary(at, record) {
            later.push((at, record));
        }
    }
    for (at, record) in later {
        assembly.detail(at, record);
    }
    assembly.finish_organisations();
    assembly.finish_resources();
    assembly.finish_coverage();
    let mut estate = assembly.estate;
    estate.problems.sort();
    estate.problems.dedup();
    estate
}

impl Assembly {
    fn account(&mut self, account: AccountId) -> &mut Account {
        self.estate.accounts.entry(account).or_default()
    }

    /// Names something that is wrong with what was read, and notes what is missing for it.
    fn problem(
        &mut self,
        at: At,
        kind: ProblemKind,
        detail: impl Into<Box<str>>,
        missing: (Option<Scope>, Option<Kind>),
    ) {
        let detail = detail.into();
        let problem = Problem {
            file: Arc::clone(&self.files[at.file]),
            place: Some(Place { line: at.line, column: 1 }),
            kind,
            detail,
        };
        self.lost(&problem, missing);
        self.estate.problems.push(problem);
    }

    fn lost(&mut self, problem: &Problem, (scope, kind): (Option<Scope>, Option<Kind>)) {
        if problem.kind.severity() == Severity::Loss {
            self.gaps.push(Gap {
                scope,
                kind,
                region: None,
                resource: None,
                why: problem.to_string().into(),
            });
        }
    }

    fn trouble(&mut self, file: usize, trouble: super::record::Trouble) {
        let account = trouble.account.or_else(|| self.places.account(file));
        // What an organisation as a whole lacks is not laid to one account.
        let of_account = trouble.kind.is_none_or(|kind| kind.reach() != crate::estate::Reach::Organisation);
        let scope = account.filter(|_| of_account).map(Scope::Account);
        self.lost(&trouble.problem, (scope, trouble.kind));
        self.estate.problems.push(trouble.problem);
    }

    /// Notes that a list was read.
    fn listed(
        &mut self,
        at: At,
        kind: Kind,
        account: Option<AccountId>,
        region: Option<Arc<str>>,
        whole: bool,
    ) {
        use crate::estate::Reach;
        let Some(account) = account.or_else(|| self.places.account(at.file)) else {
            let detail = format!("an answer to `{}` of an unknown account", kind.call());
            return self.problem(at, ProblemKind::Unattributed, detail, (None, Some(kind)));
        };
        let region = match kind.reach() {
            Reach::Region => match region.or_else(|| self.places.region(at.file)) {
                Some(region) => region,
                None => {
                    let detail = format!("an answer to `{}` of an unknown region", kind.call());
                    let missing = (Some(Scope::Account(account)), Some(kind));
                    return self.problem(at, ProblemKind::Unattributed, detail, missing);
                }
            },
            _ => "".into(),
        };
        self.account(account);
        *self.lists.entry((account, kind)).or_default().entry(region).or_default() |= whole;
    }

    /// All accounts of which something is known.
    fn known_accounts(&self) -> BTreeSet<AccountId> {
        self.estate.accounts.keys().copied().collect()
    }
}
