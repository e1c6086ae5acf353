//! The analysis as text, for a terminal.

use std::fmt::Write as _;

use super::score::tell;
use super::{Analysis, Finding, Level, Verdict, harm_word};
use crate::graph::{Certainty, Target};

/// Paths of one harm that are told.
const PATHS_MAX: usize = 3;

impl Analysis<'_> {
    /// As text. What comes from policies is as they have it: whoever prints it escapes it.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} accounts, {} principals; {} backup keys: {}",
            self.estate.accounts.len(),
            self.estate.principal_count(),
            self.keys.len(),
            self.chosen
        );
        self.tell_controls(&mut out);
        for reached in &self.reach.reached {
            let sure = reached.actors().filter(|(_, certainty, _)| *certainty != Certainty::Unproven).count();
            let perhaps = reached.actors().count() - sure;
            let kind = match reached.target {
                Target::Key(_) => "key",
                Target::Vault(_) => "vault",
                Target::Bucket(_) => "bucket",
                Target::Trail(_) => "trail",
                Target::Guard(_) => "guard",
            };
            let (harm, name) = (harm_word(reached.harm), reached.target.name());
            let _ = writeln!(out, "\n{harm}: {kind} {name}: {sure} can, {perhaps} perhaps");
            let of_this = |finding: &&Finding| {
                finding.path.deed.target == reached.target && finding.path.deed.harm == reached.harm
            };
            for finding in self.findings.iter().filter(of_this).take(PATHS_MAX) {
                tell_finding(&mut out, finding);
            }
        }
        if !self.reach.together.is_empty() {
            let _ = writeln!(out, "\nTogether with whoever takes the organisation's policies away:");
        }
        for together in &self.reach.together {
            let _ = writeln!(out, "  {}", tell(&together.lifts));
            let _ = writeln!(out, "    and {}; {} others could", tell(&together.does), together.others);
        }
        if !self.reach.gaps.is_empty() {
            let _ = writeln!(out, "\nNot collected, so that \"nobody\" is unproven:");
            for gap in &self.reach.gaps {
                let _ = writeln!(out, "  {gap}");
            }
        }
        out
    }

    /// One finding as text, with the statements behind each hop.
    pub fn tell(&self, finding: &Finding) -> String {
        let mut out = String::new();
        tell_finding(&mut out, finding);
        out
    }

    fn tell_controls(&self, out: &mut String) {
        for (level, name) in
            [(Level::Minimum, "Best practices, minimum"), (Level::High, "Best practices, high security")]
        {
            let controls: Vec<_> = self.controls.iter().filter(|control| control.level == level).collect();
            let passed = controls.iter().filter(|control| control.verdict == Verdict::Pass).count();
            let _ = writeln!(out, "\n{name}: {passed} of {} proven", controls.len());
            for control in controls {
                let _ =
                    writeln!(out, "  {:<8}  {:<7} {}", control.verdict.as_str(), control.id, control.title);
                for line in &control.evidence {
                    let _ = writeln!(out, "                    {line}");
                }
            }
        }
    }
}

fn tell_finding(out: &mut String, finding: &Finding) {
    let _ = writeln!(out, "  {}", tell(&finding.path));
    let deed = &finding.path.deed;
    let hops = finding.path.edges.iter().map(|edge| &edge.step).chain([&deed.step]);
    for (hop, step) in hops.enumerate() {
        let _ = writeln!(out, "    {} [{}]", step.what, step.id);
        for statement in finding.evidence.get(hop).into_iter().flatten() {
            let _ = writeln!(
                out,
                "      {}:{} {} {}",
                statement.file, statement.line, statement.layer, statement.policy
            );
        }
    }
    if let Some(delay) = deed.delay {
        let _ = writeln!(out, "    nobody can undo it after {} to {} days", delay.least, delay.most);
    }
}
