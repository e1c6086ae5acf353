//! What takes several events: bursts, first times, sequences.

use super::{Detection, Options, Rule, detection, rules};
use crate::event::{Event, Operation, Provider};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// What of an event may be new.
type ValueOf = fn(&Event) -> String;

fn rule(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

pub(super) fn add(events: &[Event], order: &[usize], options: &Options, found: &mut Vec<Detection>) {
    bursts(events, order, options, found);
    replaced(events, order, found);
    if let Some(until) = options.learned_until {
        let kinds: [(&str, ValueOf); 3] = [
            ("first-seen-principal", |event| {
                event.principal.issuer.clone().unwrap_or_else(|| event.principal.name.clone())
            }),
            ("first-seen-address", |event| event.principal.source_ip.clone().unwrap_or_default()),
            ("first-seen-region", |event| event.region.clone()),
        ];
        for (id, value) in kinds {
            first_times(events, order, until, rule(id), value, found);
        }
    }
}

/// One detection for each burst: its first call that makes it one.
fn bursts(events: &[Event], order: &[usize], options: &Options, found: &mut Vec<Detection>) {
    let Some(rule) = rule("denied-burst") else { return };
    let mut recent: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for at in order.iter().copied().filter(|at| events[*at].was_denied()) {
        let event = &events[at];
        let list = recent.entry(event.principal.name.as_str()).or_default();
        while list
            .front()
            .is_some_and(|first| event.time.duration_since(events[*first].time) > options.burst_time)
        {
            list.pop_front();
        }
        list.push_back(at);
        if list.len() == options.burst.max(1) {
            let what = format!("{}: {} refused calls", event.principal.name, list.len());
            // The calls failed; the burst is a fact.
            found.push(Detection {
                attempted: false,
                severity: rule.severity,
                ..detection(rule, at, event, what)
            });
        }
    }
}

fn replaced(events: &[Event], order: &[usize], found: &mut Vec<Detection>) {
    let Some(rule) = rule("key-material-replaced") else { return };
    let mut emptied: HashSet<&str> = HashSet::new();
    for at in order.iter().copied() {
        let event = &events[at];
        let (Some(key), Provider::Aws, false) = (event.key(), event.provider, event.failed()) else {
            continue;
        };
        match event.name.as_str() {
            "DeleteImportedKeyMaterial" | "DeleteExpiredKeyMaterial" => drop(emptied.insert(key)),
            "ImportKeyMaterial" if emptied.remove(key) => {
                found.push(detection(rule, at, event, key.to_owned()));
            }
            _ => {}
        }
    }
}

fn first_times(
    events: &[Event],
    order: &[usize],
    until: jiff::Timestamp,
    rule: Option<&'static Rule>,
    value: ValueOf,
    found: &mut Vec<Detection>,
) {
    let Some(rule) = rule else { return };
    let mut known: HashSet<String> = HashSet::new();
    for at in order.iter().copied() {
        let event = &events[at];
        if event.operation != Operation::Decrypt || event.principal.invoked_by.is_some() {
            continue;
        }
        let value = value(event);
        if value.is_empty() {
            continue;
        }
        if known.insert(value.clone()) && event.time > until {
            found.push(detection(rule, at, event, value));
        }
    }
}
