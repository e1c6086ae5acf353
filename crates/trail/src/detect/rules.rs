//! The rules. Each has a test in `tests/it/detect.rs`.

mod aws;
mod others;

use super::{Options, Rule};
use crate::event::Event;

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    aws::RULES.iter().chain(others::RULES)
}

fn always(_: &Event, _: &Options) -> bool {
    true
}

const AT_ONCE: &str = "Every snapshot whose read key only this key can open, at once; backups stop as well.";
const NOTHING_YET: &str = "Nothing yet.";
const SIGHT: &str = "Nothing by itself: from now on nobody sees who uses the keys.";

macro_rules! rule {
    ($id:literal, $severity:ident, $provider:ident, $service:expr, [$($name:literal),*], $when:expr, $title:literal, $means:literal, $dies:expr, $stop:expr) => {
        Rule {
            id: $id, severity: $severity, provider: Provider::$provider, service: $service, names: &[$($name),*],
            when: $when, title: $title, means: $means, dies: $dies, stop: $stop,
        }
    };
}

use rule;
