//! The analysis as rows for a spreadsheet, and as a graph for other tools.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Analysis, harm_word};

/// The columns of [`Analysis::to_rows`].
pub const COLUMNS: [&str; 8] = ["actor", "kind", "account", "harm", "target", "certainty", "steps", "path"];

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // What XML 1.0 cannot hold.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

impl Analysis<'_> {
    /// One row for each finding, with the columns [`COLUMNS`].
    pub fn to_rows(&self) -> impl Iterator<Item = [String; 8]> {
        self.findings.iter().map(|finding| {
            let path = &finding.path;
            let steps: Vec<&str> =
                path.edges.iter().map(|edge| edge.step.id).chain([path.deed.step.id]).collect();
            [
                path.from.to_string(),
                path.from.kind().to_owned(),
                path.from.account().map(|account| account.to_string()).unwrap_or_default(),
                harm_word(path.deed.harm).to_owned(),
                path.deed.target.name().to_owned(),
                path.certainty.as_str().to_owned(),
                (path.edges.len() + 1).to_string(),
                steps.join(" "),
            ]
        })
    }

    /// Everybody on a path and every step of one, as GraphML (<http://graphml.graphdrawing.org/specification.html>).
    pub fn to_graphml(&self) -> String {
        let (mut nodes, mut edges) = (BTreeSet::new(), BTreeSet::new());
        for finding in &self.findings {
            let path = &finding.path;
            nodes.insert((path.from.to_string(), path.from.kind()));
            for edge in &path.edges {
                nodes.insert((edge.to.to_string(), edge.to.kind()));
                let certainty = edge.step.certainty.as_str();
                edges.insert((edge.from.to_string(), edge.to.to_string(), edge.step.id, certainty));
            }
            let deed = &path.deed;
            let name = deed.target.name().to_owned();
            nodes.insert((name.clone(), "target"));
            edges.insert((deed.from.to_string(), name, deed.step.id, deed.step.certainty.as_str()));
        }
        let mut out = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n\
             <key id=\"kind\" for=\"node\" attr.name=\"kind\" attr.type=\"string\"/>\n\
             <key id=\"step\" for=\"edge\" attr.name=\"step\" attr.type=\"string\"/>\n\
             <key id=\"certainty\" for=\"edge\" attr.name=\"certainty\" attr.type=\"string\"/>\n\
             <graph edgedefault=\"directed\">\n",
        );
        for (name, kind) in &nodes {
            let _ = writeln!(out, "<node id=\"{}\"><data key=\"kind\">{kind}</data></node>", xml(name));
        }
        for (from, to, step, certainty) in &edges {
            let _ = writeln!(
                out,
                "<edge source=\"{}\" target=\"{}\"><data key=\"step\">{step}</data>\
                 <data key=\"certainty\">{certainty}</data></edge>",
                xml(from),
                xml(to)
            );
        }
        out.push_str("</graph>\n</graphml>\n");
        out
    }
}
