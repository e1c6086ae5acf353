//! Which witnesses are trusted, and how many must have cosigned: C2SP `tlog-policy`.

use crate::{
    cosignature,
    note::{Algorithm, Note, NoteError, VerifierKey},
};
use std::collections::BTreeMap;
use thiserror::Error;

/// Most witnesses, logs and groups of a policy.
const POLICY_MAX: usize = 128;

/// A policy that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of the witness policy: {what}")]
pub struct PolicyError {
    /// The line, from 1; 0 for the policy as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// A witness in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedWitness {
    /// Its name in the policy.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where checkpoints are submitted to it.
    pub url: Option<String>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// The witness at this place in [`WitnessPolicy::witnesses`].
    Witness(usize),
    /// A group of its own.
    Group(Quorum),
}

/// `needed` of these must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// How many.
    pub needed: usize,
    /// Of which.
    pub members: Vec<Member>,
}

impl Quorum {
    fn met(&self, cosigned: &impl Fn(usize) -> bool) -> bool {
        let met = |member: &&Member| match member {
            Member::Witness(index) => cosigned(*index),
            Member::Group(group) => group.met(cosigned),
        };
        self.members.iter().filter(met).count() >= self.needed
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPolicy {
    /// Keys of ledgers, with where they are served.
    pub logs: Vec<(VerifierKey, Option<String>)>,
    /// The witnesses.
    pub witnesses: Vec<TrustedWitness>,
    /// What must be met.
    pub quorum: Quorum,
}

impl WitnessPolicy {
    /// No witnesses, none needed.
    #[must_use]
    pub fn none() -> Self {
        Self { logs: Vec::new(), witnesses: Vec::new(), quorum: Quorum { needed: 0, members: Vec::new() } }
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut parser = Parser::default();
        for (index, line) in text.split('\n').enumerate() {
            let at = |what: String| PolicyError { line: index + 1, what };
            if line.chars().any(|c| c.is_ascii_control() && c != '\t') {
                return Err(at("it has control characters".into()));
            }
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            if words.first().is_none_or(|word| word.starts_with('#')) {
                continue;
            }
            parser.line(&words).map_err(at)?;
        }
        let whole = |what: &str| PolicyError { line: 0, what: what.into() };
        let quorum = parser.quorum.ok_or_else(|| whole("it has no `quorum` line"))?;
        Ok(Self { logs: parser.logs, witnesses: parser.witnesses, quorum })
    }

    /// What the signatures on a checkpoint are worth.
    #[must_use]
    pub fn standing(&self, checkpoint: &Note) -> Standing {
        let time = |witness: &TrustedWitness| {
            let verify = |signature| cosignature::verify(&witness.key, &checkpoint.text, signature);
            checkpoint.signatures.iter().filter_map(verify).max()
        };
        let witnesses: Vec<_> = self
            .witnesses
            .iter()
            .map(|witness| WitnessStanding { name: witness.name.clone(), cosigned: time(witness) })
            .collect();
        let met =
            self.quorum.met(&|index| witnesses.get(index).is_some_and(|witness| witness.cosigned.is_some()));
        Standing { met, witnesses }
    }
}

/// What the signatures on a checkpoint are worth under a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether the policy is met.
    pub met: bool,
    /// Each witness.
    pub witnesses: Vec<WitnessStanding>,
}

impl Standing {
    /// How many witnesses have cosigned.
    #[must_use]
    pub fn cosigned(&self) -> usize {
        self.witnesses.iter().filter(|witness| witness.cosigned.is_some()).count()
    }
}

/// What one witness did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessStanding {
    /// Its name in the policy.
    pub name: String,
    /// When it cosigned, in seconds since 1970, if it did.
    pub cosigned: Option<u64>,
}

#[derive(Debug, Default)]
struct Parser {
    logs: Vec<(VerifierKey, Option<String>)>,
    witnesses: Vec<TrustedWitness>,
    /// By their names; `None` once they are members of a group.
    named: BTreeMap<String, Option<Member>>,
    quorum: Option<Quorum>,
}

impl Parser {
    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match *words {
            ["log", key] => self.log(key, None),
            ["log", key, url] => self.log(key, Some(url)),
            ["witness", name, key] => self.witness(name, key, None),
            ["witness", name, key, url] => self.witness(name, key, Some(url)),
            ["group", name, threshold, ref members @ ..] => self.group(name, threshold, members),
            ["quorum", name] => self.quorum(name),
            _ => Err(format!("`{}` is not understood", words.join(" "))),
        }
    }

    fn log(&mut self, key: &str, url: Option<&str>) -> Result<(), String> {
        let key = VerifierKey::parse(key).map_err(|error: NoteError| error.to_string())?;
        if self.logs.len() >= POLICY_MAX || self.logs.iter().any(|(other, _)| other.key() == key.key()) {
            return Err("the key is there already, or there are too many".into());
        }
        self.logs.push((key, url.map(str::to_owned)));
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&str>) -> Result<(), String> {
        let key = VerifierKey::parse(key).map_err(|error| error.to_string())?;
        if key.algorithm() != Algorithm::Cosignature {
            return Err("a witness's key must be one for cosignatures".into());
        }
        if self.witnesses.iter().any(|other| other.key.key() == key.key()) {
            return Err("the key is there already".into());
        }
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(TrustedWitness { name: name.to_owned(), key, url: url.map(str::to_owned) });
        Ok(())
    }

    fn define(&mut self, name: &str, member: Member) -> Result<(), String> {
        if name == "none" || self.named.len() >= 2 * POLICY_MAX || self.named.contains_key(name) {
            return Err(format!("the name `{name}` cannot be given"));
        }
        self.named.insert(name.to_owned(), Some(member));
        Ok(())
    }

    fn take(&mut self, name: &str) -> Result<Member, String> {
        let slot = self.named.get_mut(name).ok_or_else(|| format!("`{name}` is not defined above"))?;
        slot.take().ok_or_else(|| format!("`{name}` is a member of a group already"))
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), String> {
        let count = members.len();
        let needed = match threshold {
            "all" => count,
            "any" => 1,
            number => number.parse().map_err(|_| format!("`{number}` is no number"))?,
        };
        if needed == 0 || needed > count {
            return Err(format!("{needed} of {count} cannot be"));
        }
        let members = members.iter().map(|member| self.take(member)).collect::<Result<_, _>>()?;
        self.define(name, Member::Group(Quorum { needed, members }))
    }

    fn quorum(&mut self, name: &str) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("there is a quorum already".into());
        }
        self.quorum = Some(if name == "none" {
            Quorum { needed: 0, members: Vec::new() }
        } else {
            Quorum { needed: 1, members: vec![self.take(name)?] }
        });
        Ok(())
    }
}
