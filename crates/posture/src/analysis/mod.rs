//! What was found, scored and told: who can hurt which key, by which path, and which best practices that breaks.
//!
//! In scope: [`Functions`], what each account is for; [`score`], the controls; findings with their paths and the
//! statements behind each hop; text, JSON, SARIF, CSV, GraphML, a page and the threat model. Out of scope: files and terminals.
//!
//! Invariant: "nobody" and "pass" are only said where nothing is missing that might change it; else "unproven".

mod functions;
mod json;
mod page;
mod sarif;
pub mod score;
pub mod table;
mod text;
mod threats;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use functions::{Function, Functions};
pub use score::{Control, Level, Verdict};

use crate::estate::{AccountId, Estate, KeyManager};
use crate::evaluate::Step as Statement;
use crate::facts::Harm;
use crate::graph::{Actor, Certainty, Graph, Path, Reach, Target};

/// What is analysed.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// ARNs of the backup keys; empty: those of accounts for keys, else those of backup vaults, else all of customers.
    pub keys: BTreeSet<Arc<str>>,
    /// What accounts are for, where their names do not tell.
    pub functions: Vec<(AccountId, Function)>,
}

/// Somebody who does harm, with the path and what stands behind each hop.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The path, with the harm at its end.
    pub path: Path,
    /// For each hop, the deed last, the statements with file and line; nothing where the path is unproven.
    pub evidence: Vec<Vec<Statement>>,
}

/// Everything that was found about backup keys.
#[derive(Debug)]
pub struct Analysis<'e> {
    /// The estate.
    pub estate: &'e Estate,
    /// The backup keys.
    pub keys: Vec<Arc<str>>,
    /// How they were chosen, for a person.
    pub chosen: &'static str,
    /// What each account is for.
    pub functions: Functions,
    /// Who gets where.
    pub reach: Reach,
    /// Each actor, key and harm; the worst harms, the surest and the shortest paths first.
    pub findings: Vec<Finding>,
    /// The controls.
    pub controls: Vec<Control>,
    /// What could not be read, or understood.
    pub problems: Vec<String>,
}

/// What is different from an earlier state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Fingerprints that were not there before.
    pub new: Vec<String>,
    /// Fingerprints that are gone.
    pub gone: Vec<String>,
}

impl Finding {
    /// What makes it the same finding in another state: who, to what, which harm.
    pub fn fingerprint(&self) -> String {
        let deed = &self.path.deed;
        format!("{} | {} | {}", self.path.from, harm_word(deed.harm), deed.target.name())
    }
}

/// Its name in reports.
pub fn harm_word(harm: Harm) -> &'static str {
    match harm {
        Harm::Destroy => "destroy",
        Harm::Disable => "disable",
        Harm::Hijack => "hijack",
        Harm::DenyRestore => "deny restore",
        Harm::Read => "read",
        Harm::DeleteBackups => "delete backups",
        Harm::Blind => "blind the trail",
    }
}

/// What is looked at, and who gets there: what an analysis and the search for fixes have in common.
pub(crate) struct Survey<'e> {
    pub(crate) graph: Graph<'e>,
    functions: Functions,
    keys: Vec<Arc<str>>,
    chosen: &'static str,
    pub(crate) reach: Reach,
}

impl<'e> Survey<'e> {
    pub(crate) fn of(estate: &'e Estate, subject: &Subject) -> Self {
        let graph = Graph::new(estate);
        let functions = Functions::of(estate, &subject.functions);
        let (keys, chosen) = backup_keys(estate, subject, &functions);
        let mut targets: Vec<Target> = keys.iter().map(|key| Target::Key(Arc::clone(key))).collect();
        // Backups and trails go with the accounts of the keys and of the backups.
        targets.extend(graph.targets().into_iter().filter(|target| {
            let of = graph.account_of(target).map(|account| functions.get(account));
            !matches!(target, Target::Key(_)) && of.is_some_and(Function::is_security)
        }));
        targets.sort();
        targets.dedup();
        let reach = graph.reach(&targets);
        Self { graph, functions, keys, chosen, reach }
    }

    /// Everybody who gets somewhere, each by the surest and then the shortest path.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut paths: Vec<Path> = Vec::new();
        for reached in &self.reach.reached {
            paths.extend(reached.actors().filter_map(|(actor, ..)| reached.path(actor)));
        }
        paths.extend(self.reach.unguarded.iter().cloned());
        paths
    }
}

impl<'e> Analysis<'e> {
    /// Analyses an estate.
    pub fn of(estate: &'e Estate, subject: &Subject) -> Self {
        let survey = Survey::of(estate, subject);
        let mut paths = survey.paths();
        let Survey { graph, functions, keys, chosen, mut reach } = survey;
        paths.sort_by_cached_key(|path| {
            (path.deed.harm, path.deed.target.clone(), path.certainty, path.edges.len(), path.from.clone())
        });
        let findings =
            paths.into_iter().map(|path| Finding { evidence: evidence(&graph, &path), path }).collect();
        let controls = score::score(&graph, &reach, &functions, &keys);
        if keys.is_empty() {
            // Nobody reaches a key that is not there, which proves nothing about those that were not collected.
            reach.gaps.push("no backup key was found: name them".into());
        }
        let problems = estate.problems.iter().map(ToString::to_string);
        let problems = problems.chain(graph.evaluator().problems().map(ToString::to_string)).collect();
        Self { estate, keys, chosen, functions, reach, findings, controls, problems }
    }

    /// Everything that an actor can do: its forward blast radius.
    pub fn from(&self, actor: &Actor) -> Vec<Path> {
        self.reach.of(actor)
    }

    /// Fingerprints of all findings that are not merely unproven, in order: the baseline for a later state.
    pub fn baseline(&self) -> Vec<String> {
        let sure = self.findings.iter().filter(|finding| finding.path.certainty != Certainty::Unproven);
        sure.map(Finding::fingerprint).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What changed since a baseline.
    pub fn since(&self, baseline: &BTreeSet<String>) -> Difference {
        let now: BTreeSet<String> = self.baseline().into_iter().collect();
        Difference {
            new: now.difference(baseline).cloned().collect(),
            gone: baseline.difference(&now).cloned().collect(),
        }
    }

    /// Whether a control fails.
    pub fn fails(&self) -> bool {
        self.controls.iter().any(|control| control.verdict == Verdict::Fail)
    }
}

fn evidence(graph: &Graph<'_>, path: &Path) -> Vec<Vec<Statement>> {
    if path.certainty == Certainty::Unproven {
        return Vec::new();
    }
    let hops = path.edges.iter().map(|edge| graph.evidence(&edge.step));
    hops.chain([graph.evidence(&path.deed.step)]).collect()
}

fn backup_keys(estate: &Estate, subject: &Subject, functions: &Functions) -> (Vec<Arc<str>>, &'static str) {
    if !subject.keys.is_empty() {
        return (subject.keys.iter().cloned().collect(), "as given");
    }
    let own: Vec<_> = estate
        .accounts
        .iter()
        .flat_map(|(id, account)| account.keys.values().map(move |key| (*id, key)))
        .filter(|(_, key)| key.manager != Some(KeyManager::Aws))
        .collect();
    let of_key_accounts: Vec<Arc<str>> = own
        .iter()
        .filter(|(id, _)| functions.get(*id) == Function::Keys)
        .map(|(_, key)| Arc::clone(&key.arn))
        .collect();
    if !of_key_accounts.is_empty() {
        return (of_key_accounts, "all keys of accounts that are for keys");
    }
    let vaults = estate.accounts.values().flat_map(|account| account.vaults.values());
    let of_vaults: BTreeSet<Arc<str>> = vaults.filter_map(|vault| vault.key.clone()).collect();
    if !of_vaults.is_empty() {
        return (of_vaults.into_iter().collect(), "the keys of the backup vaults");
    }
    (own.into_iter().map(|(_, key)| Arc::clone(&key.arn)).collect(), "all keys of customers")
}
