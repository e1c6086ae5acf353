//! The analysis as one page that loads nothing: who can do harm, by unit and account, each path with what stands behind it.
//!
//! What comes from policies is data, never markup: the page makes every text of it a text node.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{Analysis, Finding, harm_word};
use crate::estate::AccountId;
use crate::graph::Certainty;

const TEMPLATE: &str = include_str!("page.html");

/// Texts, each once, by number.
#[derive(Default)]
struct Strings {
    numbers: HashMap<String, usize>,
    all: Vec<String>,
}

impl Strings {
    fn number(&mut self, text: String) -> usize {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        self.all.push(text.clone());
        self.numbers.insert(text, self.all.len() - 1);
        self.all.len() - 1
    }
}

impl Analysis<'_> {
    /// As one HTML page.
    pub fn to_page(&self) -> String {
        let mut strings = Strings::default();
        let mut accounts: Vec<Value> = Vec::new();
        let mut numbers: BTreeMap<Option<AccountId>, usize> = BTreeMap::new();
        let mut findings: Vec<Value> = Vec::with_capacity(self.findings.len());
        for finding in &self.findings {
            let own = finding.path.from.account();
            let number = *numbers.entry(own).or_insert_with(|| {
                accounts.push(self.account(own));
                accounts.len() - 1
            });
            findings.push(row(finding, number, &mut strings));
        }
        let harms: BTreeSet<&str> =
            self.findings.iter().map(|finding| harm_word(finding.path.deed.harm)).collect();
        let controls = self.controls.iter().map(|control| {
            json!({
                "id": control.id, "title": control.title, "verdict": control.verdict.as_str(),
                "evidence": control.evidence,
            })
        });
        let mut gaps = self.reach.gaps.clone();
        gaps.extend(self.problems.iter().cloned());
        let summary = format!(
            "{} accounts, {} principals; {} backup keys: {}",
            self.estate.accounts.len(),
            self.estate.principal_count(),
            self.keys.len(),
            self.chosen
        );
        let data = json!({
            "summary": summary, "controls": controls.collect::<Vec<_>>(), "accounts": accounts, "harms": harms,
            "findings": findings, "strings": strings.all, "gaps": gaps,
        });
        TEMPLATE.replacen("{{DATA}}", &inert(&data.to_string()), 1)
    }

    /// An account, below which units of its organisation it is, from the top.
    fn account(&self, account: Option<AccountId>) -> Value {
        let Some(account) = account else {
            return json!({ "name": "directories, and anybody", "function": "no account", "units": [] });
        };
        let organisation = self.estate.organisation_of(account);
        let named = organisation.and_then(|organisation| organisation.members.get(&account)?.name.clone());
        let name = named.map_or_else(|| account.to_string(), |name| format!("{account} {name}"));
        let mut units: Vec<String> = organisation
            .into_iter()
            .flat_map(|organisation| organisation.ancestors(account))
            .map(|node| node.name.as_deref().unwrap_or(&node.id).to_owned())
            .collect();
        units.extend(organisation.map(|organisation| organisation.id.to_string()));
        units.reverse();
        json!({ "name": name, "function": self.functions.get(account).to_string(), "units": units })
    }
}

fn row(finding: &Finding, account: usize, strings: &mut Strings) -> Value {
    let (path, deed) = (&finding.path, &finding.path.deed);
    let last = (&deed.step, deed.target.name().to_owned());
    let steps = path.edges.iter().map(|edge| (&edge.step, edge.to.to_string())).chain([last]);
    let mut hops = Vec::new();
    for (place, (step, to)) in steps.enumerate() {
        let evidence: Vec<usize> = finding
            .evidence
            .get(place)
            .into_iter()
            .flatten()
            .map(|statement| {
                let text =
                    format!("{}:{} {} {}", statement.file, statement.line, statement.layer, statement.policy);
                strings.number(text)
            })
            .collect();
        let what = strings.number(step.what.to_string());
        hops.push(json!([what, strings.number(step.id.to_owned()), strings.number(to), evidence]));
    }
    let certainty = match path.certainty {
        Certainty::Proven => 0,
        Certainty::Conditional => 1,
        Certainty::Unproven => 2,
    };
    let is_final =
        deed.delay.map(|delay| format!("Nobody can undo it after {} to {} days.", delay.least, delay.most));
    let from = strings.number(path.from.to_string());
    let harm = strings.number(harm_word(deed.harm).to_owned());
    let target = strings.number(deed.target.name().to_owned());
    json!([account, from, harm, target, certainty, hops, is_final])
}

/// JSON that ends no element, and is JSON still.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
