//! Text.

use super::{Finding, Outcome, Report, clean};
use std::fmt::Write;

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = write_all(report, &mut out);
    out
}

fn write_all(report: &Report, out: &mut String) -> std::fmt::Result {
    let read = &report.read;
    let result = match report.result {
        Outcome::Clean => "every key use is explained",
        Outcome::Problems => "not everything could be verified",
        Outcome::Alarm => "somebody must look at this now",
    };
    writeln!(out, "Trail and ledger, {}: {result}", report.made)?;
    writeln!(
        out,
        "  {} events of {} records in {} files; {} key uses in the ledger",
        read.events, read.records, read.files, read.key_uses
    )?;
    for (verdict, count) in &report.verdicts {
        writeln!(out, "  {verdict:<13} {count:>8}")?;
    }
    if report.elsewhere + report.keyless > 0 {
        writeln!(
            out,
            "  left aside: {} events of other keys, {} failed calls that name no key",
            report.elsewhere, report.keyless
        )?;
    }
    if !report.findings.is_empty() {
        writeln!(out, "\nFindings")?;
        report.findings.iter().try_for_each(|finding| write_finding(finding, out))?;
    }
    if !report.detections.is_empty() {
        writeln!(out, "\nDetections")?;
    }
    for found in &report.detections {
        let tried = if found.attempted { ", tried only" } else { "" };
        writeln!(out, "  {} [{}{tried}] {} {}", found.time, found.severity, found.rule, found.title)?;
        writeln!(out, "    {}", clean(&found.what))?;
        writeln!(
            out,
            "    by {} from {}",
            clean(&found.event.principal),
            clean(found.event.source_ip.as_deref().unwrap_or("?"))
        )?;
        writeln!(
            out,
            "    means: {}\n    dies:  {}\n    stop:  {}",
            found.means,
            found.dies,
            clean(&found.stop)
        )?;
    }
    if let Some(digests) = &report.digests {
        writeln!(
            out,
            "\nDigests: {} digests, {} log files as signed, {} not proven",
            digests.digests, digests.verified, digests.unproven
        )?;
        for fault in &digests.faults {
            let word = if fault.tampering { "CHANGED" } else { "unknown" };
            writeln!(out, "  {word} {}: {}: {}", fault.kind, clean(&fault.object), clean(&fault.what))?;
        }
    } else {
        writeln!(out, "\nDigests: not looked at; absence proves nothing")?;
    }
    writeln!(out, "\nCoverage")?;
    for area in &report.coverage {
        let name = [&area.account, &area.region]
            .into_iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join(" ");
        writeln!(out, "  {}", if name.is_empty() { "(root)".to_owned() } else { clean(&name) })?;
        for (word, list) in [("proven", &area.proven), ("claimed", &area.claimed), ("GAP", &area.gaps)] {
            for time in list {
                writeln!(out, "    {word:<8} {} to {}", time.start, time.end)?;
            }
        }
        if area.proven.is_empty() && area.claimed.is_empty() {
            writeln!(out, "    nothing is proven")?;
        }
    }
    for blind in &report.blind {
        let account = if blind.account.is_empty() { "all accounts" } else { &blind.account };
        writeln!(
            out,
            "  BLIND {} from {} to {}: {}",
            clean(account),
            blind.time.start,
            blind.time.end,
            clean(&blind.why)
        )?;
    }
    if !report.problems.is_empty() {
        writeln!(out, "\nCould not be read")?;
    }
    for problem in &report.problems {
        writeln!(out, "  {} at byte {}: {}", clean(&problem.file), problem.offset, clean(&problem.what))?;
    }
    Ok(())
}

fn write_finding(finding: &Finding, out: &mut String) -> std::fmt::Result {
    let time = finding.time.map(|time| time.to_string()).unwrap_or_default();
    writeln!(out, "  {time} {} {}", finding.verdict, clean(&finding.reasons.join("; ")))?;
    if let Some(event) = &finding.event {
        let text = |text: &Option<String>| clean(text.as_deref().unwrap_or("?"));
        writeln!(
            out,
            "    provider: {} of {} by {} from {}",
            clean(&event.name),
            text(&event.key),
            clean(&event.principal),
            text(&event.source_ip)
        )?;
        writeln!(
            out,
            "              request {}, event {}, {} at byte {}",
            text(&event.request_id),
            clean(&event.id),
            clean(&event.file),
            event.offset
        )?;
    }
    if let Some(said) = &finding.key_use {
        let entries: Vec<String> = said.entries.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "    ledger:   {} by {} for dataset {} ({}), operation {} step {} attempt {}, entries {}",
            said.verb,
            clean(&said.keyholder),
            clean(&said.dataset),
            clean(&said.reason),
            said.operation,
            said.step,
            said.attempt,
            entries.join(" and ")
        )?;
    }
    if finding.joined_by != "nothing" && finding.joined_by != "request-id" {
        writeln!(out, "    joined by {}", finding.joined_by)?;
    }
    Ok(())
}
