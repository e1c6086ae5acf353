//! One page: no scripts, nothing loaded, light and dark.

use super::{Mark, Outcome, Report, Row, clean};
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--soft:#f3f4f6;--line:#d0d4da;--bad:#b3261e;--warn:#9a6700;--good:#1a7f37;--note:#57606a}\
@media(prefers-color-scheme:dark){:root{--fg:#e6e8eb;--bg:#14171a;--soft:#1f2428;--line:#3a4047;--bad:#ff8a80;--warn:#e3b341;--good:#56d364;--note:#9aa4af}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:75rem;margin:0 auto;padding:1.5rem}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}\
th{background:var(--soft)}code{font:13px ui-monospace,monospace;background:var(--soft);padding:.1rem .25rem}\
.bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--good)}.note{color:var(--note)}svg text{fill:var(--fg);font-size:12px}";

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = page(report, &mut out);
    out
}

/// Text that is markup nowhere: neither between tags nor in an attribute.
fn safe(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn class(word: &str) -> &'static str {
    match word {
        "UNEXPLAINED" | "REPLAYED" | "MISMATCH" | "PHANTOM" | "critical" | "high" => "bad",
        "UNVERIFIABLE" | "medium" | "low" => "warn",
        "MATCHED" => "good",
        _ => "note",
    }
}

fn page(report: &Report, out: &mut String) -> std::fmt::Result {
    let (result, colour) = match report.result {
        Outcome::Clean => ("Every key use is explained", "good"),
        Outcome::Problems => ("Not everything could be verified", "warn"),
        Outcome::Alarm => ("Somebody must look at this now", "bad"),
    };
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Trail and ledger</title><style>{STYLE}</style></head><body>\n<h1>Trail and ledger: <span class=\"{colour}\">{result}</span></h1>\n"
    )?;
    let read = &report.read;
    writeln!(
        out,
        "<p>Made {}. {} events of {} records in {} files; {} key uses in the ledger. Left aside: {} events of other keys, {} failed calls that name no key.</p>",
        report.made, read.events, read.records, read.files, read.key_uses, report.elsewhere, report.keyless
    )?;
    out.push_str("<table><tr><th>Verdict</th><th>Number</th></tr>\n");
    for (verdict, count) in &report.verdicts {
        writeln!(out, "<tr><td class=\"{}\">{verdict}</td><td>{count}</td></tr>", class(verdict))?;
    }
    out.push_str("</table>\n");
    timeline(&report.marks, out)?;
    findings(report, out)?;
    detections(report, out)?;
    trail(report, out)?;
    out.push_str("</body></html>\n");
    Ok(())
}

fn findings(report: &Report, out: &mut String) -> std::fmt::Result {
    if report.findings.is_empty() {
        return Ok(());
    }
    out.push_str("<h2>Findings</h2>\n<table><tr><th>Time</th><th>Verdict</th><th>Why</th><th>Provider</th><th>Ledger</th></tr>\n");
    for finding in &report.findings {
        let time = finding.time.map(|time| time.to_string()).unwrap_or_default();
        let event = finding.event.as_ref().map(|event| {
            let text = |text: &Option<String>| safe(text.as_deref().unwrap_or("?"));
            format!(
                "{} of <code>{}</code><br>by {} from {}<br>request <code>{}</code><br>{} at byte {}",
                safe(&event.name),
                text(&event.key),
                safe(&event.principal),
                text(&event.source_ip),
                text(&event.request_id),
                safe(&event.file),
                event.offset
            )
        });
        let said = finding.key_use.as_ref().map(|said| {
            format!(
                "{} by {} for {} ({})<br>operation <code>{}</code> step {} attempt {}",
                said.verb,
                safe(&said.keyholder),
                safe(&said.dataset),
                safe(&said.reason),
                said.operation,
                said.step,
                said.attempt
            )
        });
        writeln!(
            out,
            "<tr><td>{time}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            class(finding.verdict),
            finding.verdict,
            safe(&finding.reasons.join("; ")),
            event.unwrap_or_default(),
            said.unwrap_or_default()
        )?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn detections(report: &Report, out: &mut String) -> std::fmt::Result {
    if report.detections.is_empty() {
        return Ok(());
    }
    out.push_str("<h2>Detections</h2>\n<table><tr><th>Time</th><th>Severity</th><th>What</th><th>What dies</th><th>Stop it</th></tr>\n");
    for found in &report.detections {
        let tried = if found.attempted { " (tried only)" } else { "" };
        writeln!(
            out,
            "<tr><td>{}</td><td class=\"{}\">{}{tried}</td><td><b>{}</b><br>{}<br>by {}<br>{}</td><td>{}</td><td><code>{}</code></td></tr>",
            found.time,
            class(found.severity),
            found.severity,
            safe(found.title),
            safe(&found.what),
            safe(&found.event.principal),
            safe(found.means),
            safe(found.dies),
            safe(&found.stop)
        )?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn trail(report: &Report, out: &mut String) -> std::fmt::Result {
    out.push_str("<h2>The trail</h2>\n");
    match &report.digests {
        None => out.push_str("<p class=\"warn\">Digests were not looked at; absence proves nothing.</p>\n"),
        Some(digests) => {
            writeln!(
                out,
                "<p>{} digests, {} log files as signed, {} not proven.</p><ul>",
                digests.digests, digests.verified, digests.unproven
            )?;
            for fault in &digests.faults {
                let class = if fault.tampering { "bad" } else { "warn" };
                writeln!(
                    out,
                    "<li class=\"{class}\">{}: <code>{}</code>: {}</li>",
                    fault.kind,
                    safe(&fault.object),
                    safe(&fault.what)
                )?;
            }
            out.push_str("</ul>\n");
        }
    }
    out.push_str("<table><tr><th>Account</th><th>Region</th><th></th><th>From</th><th>To</th></tr>\n");
    for area in &report.coverage {
        for (word, class, list) in
            [("proven", "good", &area.proven), ("claimed", "note", &area.claimed), ("gap", "bad", &area.gaps)]
        {
            for time in list {
                writeln!(
                    out,
                    "<tr><td>{}</td><td>{}</td><td class=\"{class}\">{word}</td><td>{}</td><td>{}</td></tr>",
                    safe(&area.account),
                    safe(&area.region),
                    time.start,
                    time.end
                )?;
            }
        }
    }
    for blind in &report.blind {
        writeln!(
            out,
            "<tr><td>{}</td><td></td><td class=\"bad\">blind: {}</td><td>{}</td><td>{}</td></tr>",
            safe(&blind.account),
            safe(&blind.why),
            blind.time.start,
            blind.time.end
        )?;
    }
    out.push_str("</table>\n");
    if !report.problems.is_empty() {
        out.push_str("<h2>Could not be read</h2>\n<ul>\n");
        for problem in &report.problems {
            writeln!(
                out,
                "<li>{} at byte {}: {}</li>",
                safe(&problem.file),
                problem.offset,
                safe(&problem.what)
            )?;
        }
        out.push_str("</ul>\n");
    }
    Ok(())
}

/// Rows of marks over time; at most one mark for each place of a row, so that a page stays small.
fn timeline(marks: &[Mark], out: &mut String) -> std::fmt::Result {
    let times = || marks.iter().map(|mark| mark.time.as_second());
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
    const LEFT: i64 = 110;
    const WIDTH: i64 = 1000;
    let rows = [
        (Row::Matched, "matched", "good"),
        (Row::Other, "other", "note"),
        (Row::Alarm, "alarm", "bad"),
        (Row::Detection, "detection", "warn"),
    ];
    write!(
        out,
        "<h2>Timeline</h2>\n<svg viewBox=\"0 0 {} 130\" width=\"100%\" role=\"img\" aria-label=\"Verdicts and detections over time\">",
        LEFT + WIDTH + 10
    )?;
    for (y, (row, name, class)) in (0_i64..).map(|row| 20 + 24 * row).zip(rows) {
        let span = (last - first).max(1);
        let mut places: Vec<i64> = marks
            .iter()
            .filter(|mark| mark.row == row)
            .map(|mark| {
                LEFT + i64::try_from(
                    i128::from(mark.time.as_second() - first) * i128::from(WIDTH) / i128::from(span),
                )
                .unwrap_or(0)
            })
            .collect();
        places.sort_unstable();
        places.dedup();
        write!(
            out,
            "<text x=\"0\" y=\"{}\">{name}</text><line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"var(--line)\"/>",
            y + 4,
            LEFT + WIDTH
        )?;
        for x in places {
            write!(
                out,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"3\" height=\"16\" fill=\"currentColor\"/>",
                y - 8
            )?;
        }
    }
    let at = |second| jiff::Timestamp::from_second(second).map(|time| time.to_string()).unwrap_or_default();
    writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"122\">{}</text><text x=\"{}\" y=\"122\" text-anchor=\"end\">{}</text></svg>",
        at(first),
        LEFT + WIDTH,
        at(last)
    )?;
    Ok(())
}
