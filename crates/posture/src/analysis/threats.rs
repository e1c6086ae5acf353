//! The threat model of the backup keys, written from the real configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::score::tell;
use super::{Analysis, Function, Verdict, harm_word};
use crate::estate::AccountId;
use crate::facts::Harm;
use crate::graph::{Actor, Certainty, Path};

const HARMS: [Harm; 7] = [
    Harm::Destroy,
    Harm::Disable,
    Harm::Hijack,
    Harm::DenyRestore,
    Harm::Read,
    Harm::DeleteBackups,
    Harm::Blind,
];

/// Somebody whom the model looks at.
struct Threat<'a> {
    name: &'static str,
    who: &'static str,
    is: Box<dyn Fn(&Actor) -> bool + 'a>,
}

/// Text of others within Markdown.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

impl Analysis<'_> {
    /// The threat model, as Markdown.
    pub fn to_threat_model(&self) -> String {
        let mut out = String::from("# Threat model of the backup keys\n\n");
        let _ = writeln!(
            out,
            "Written from the configuration of {} accounts with {} principals. What it says about who can do what was \
             worked out from policies; it says nothing about people, buildings and software.\n",
            self.estate.accounts.len(),
            self.estate.principal_count()
        );
        self.assets(&mut out);
        self.boundaries(&mut out);
        self.actors(&mut out);
        self.verdicts(&mut out);
        out.push_str("\n## What is not known\n\n");
        if self.reach.gaps.is_empty() && self.problems.is_empty() {
            out.push_str("Everything that the model hangs on was collected and understood.\n");
        }
        for gap in self.reach.gaps.iter().chain(&self.problems) {
            let _ = writeln!(out, "- {}", plain(gap));
        }
        out
    }

    fn assets(&self, out: &mut String) {
        let _ = writeln!(out, "## Assets\n\nBackup keys ({}):\n", self.chosen);
        for key in &self.keys {
            let state = self.estate.key(key).and_then(|key| key.state.as_ref());
            let state = state.map(|state| format!(", {state:?}")).unwrap_or_default();
            let _ = writeln!(out, "- {}{}", plain(key), plain(&state));
        }
        let names = self.reach.reached.iter().map(|reached| reached.target.name());
        let others: BTreeSet<&str> =
            names.filter(|name| !self.keys.iter().any(|key| **key == **name)).collect();
        if !others.is_empty() {
            out.push_str("\nBackups and trails that stand with them:\n\n");
        }
        for name in others {
            let _ = writeln!(out, "- {}", plain(name));
        }
    }

    /// Organisations and their accounts, by what they are for, and which paths cross between accounts.
    fn boundaries(&self, out: &mut String) {
        out.push_str("\n## Trust boundaries\n\n```mermaid\nflowchart TB\n");
        let mut left: BTreeSet<AccountId> = self.functions.iter().map(|(account, _)| account).collect();
        for (number, organisation) in self.estate.organisations.values().enumerate() {
            let _ = writeln!(out, "  subgraph o{number}[\"organisation {}\"]", number + 1);
            for account in organisation.members.keys() {
                left.remove(account);
                let _ = writeln!(out, "    a{account}[\"{account}: {}\"]", self.functions.get(*account));
            }
            out.push_str("  end\n");
        }
        for account in left {
            let _ = writeln!(out, "  a{account}[\"{account}: {}\"]", self.functions.get(account));
        }
        let mut crossings: BTreeMap<(AccountId, AccountId), BTreeSet<&str>> = BTreeMap::new();
        let sure = self.findings.iter().filter(|finding| finding.path.certainty != Certainty::Unproven);
        for edge in sure.flat_map(|finding| &finding.path.edges) {
            if let (Some(from), Some(to)) = (edge.from.account(), edge.to.account())
                && from != to
            {
                crossings.entry((from, to)).or_default().insert(edge.step.id);
            }
        }
        for ((from, to), steps) in &crossings {
            let steps: Vec<&str> = steps.iter().copied().take(3).collect();
            let _ = writeln!(out, "  a{from} -- \"{}\" --> a{to}", steps.join(", "));
        }
        let _ = writeln!(
            out,
            "```\n\n{} pairs of accounts are crossed by a path to a key or a backup.",
            crossings.len()
        );
    }

    fn of_function(&self, function: Function) -> Box<dyn Fn(&Actor) -> bool> {
        let accounts: BTreeSet<AccountId> = self.functions.all(function).collect();
        Box::new(move |actor: &Actor| actor.account().is_some_and(|account| accounts.contains(&account)))
    }

    fn threats(&self) -> Vec<Threat<'_>> {
        let keys = self.of_function(Function::Keys);
        let threat = |name, who, is| Threat { name, who, is };
        vec![
            threat(
                "Business-services admin",
                "Whoever captured somebody of an account for business",
                self.of_function(Function::Business),
            ),
            threat(
                "DevOps",
                "Whoever captured somebody, or a pipeline, of an account for devops",
                self.of_function(Function::DevOps),
            ),
            threat(
                "Infrastructure admin",
                "Whoever captured somebody of an account for infrastructure",
                self.of_function(Function::Infrastructure),
            ),
            threat(
                "Rogue employee",
                "A person with credentials of their own: users, and members of the directory",
                Box::new(|actor| {
                    matches!(actor, Actor::User(_) | Actor::DirectoryUser(_) | Actor::DirectoryGroup(_))
                }),
            ),
            threat(
                "One captured credential",
                "An attacker who has any one credential outside the accounts for keys, and patience",
                Box::new(move |actor| !keys(actor) && !matches!(actor, Actor::Root(_))),
            ),
            threat(
                "Root users",
                "Whoever has the password and the second factor of a root user",
                Box::new(|actor| matches!(actor, Actor::Root(_))),
            ),
            threat(
                "Somebody outside",
                "Accounts of which nothing is known, identity providers, and anybody at all",
                Box::new(|actor| matches!(actor, Actor::Foreign(_) | Actor::Provider(_) | Actor::Anybody)),
            ),
        ]
    }

    fn actors(&self, out: &mut String) {
        out.push_str("\n## Actors, and what each can do\n");
        for threat in self.threats() {
            let _ = writeln!(out, "\n### {}\n\n{}.\n", threat.name, threat.who);
            let all = self.findings.iter().map(|finding| &finding.path);
            let mine: Vec<&Path> = all.filter(|path| (threat.is)(&path.from)).collect();
            for harm in HARMS {
                let of_harm: Vec<&Path> =
                    mine.iter().copied().filter(|path| path.deed.harm == harm).collect();
                let sure = of_harm.iter().find(|path| path.certainty != Certainty::Unproven);
                let verdict = match (sure, of_harm.first()) {
                    (Some(path), _) => format!("**yes**: {}", plain(&tell(path))),
                    (None, Some(path)) => format!("perhaps: {}", plain(&tell(path))),
                    (None, None) if self.reach.gaps.is_empty() => {
                        "no: there is no path, and nothing is missing".to_owned()
                    }
                    (None, None) => "unproven: there is no path in what was collected".to_owned(),
                };
                let _ = writeln!(out, "- {}: {verdict}", harm_word(harm));
            }
        }
        out.push_str(
            "\n### Insider at the provider\n\nWhoever works for the provider and can reach its hardware or its \
             software is beyond what policies say. A second keyholder elsewhere stands against that: under `any(…)` \
             against loss, under `all(…)` against reading.\n",
        );
    }

    fn verdicts(&self, out: &mut String) {
        out.push_str("\n## Controls\n\n| control | verdict | why |\n|---|---|---|\n");
        for control in &self.controls {
            let why = control.evidence.first().map(|line| plain(line)).unwrap_or_default();
            let verdict = match control.verdict {
                Verdict::Fail => "**FAIL**",
                other => other.as_str(),
            };
            let _ = writeln!(out, "| {} {} | {verdict} | {why} |", control.id, control.title);
        }
    }
}
