//! Whether a statement applies.

use std::sync::Arc;

use super::decision::Match;
use super::request::Principal;
use super::world::{Found, World};
use crate::conditions::{Atom, Comparison, Formula, Literal, Missing, Operator, Reason, Source};
use crate::estate::{Arn, Kind, Scope};
use crate::matching::{Glob, Substitute, Template};
use crate::policy::{Condition, Effect, Listed, PrincipalEntry, Statement};

/// How a statement of a resource policy names the principal. Each way counts differently where nothing denies
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html>).
#[derive(Debug)]
pub(super) struct Naming {
    /// The user, session, service or federated principal itself.
    pub(super) itself: Formula,
    /// The role of the session.
    pub(super) role: Formula,
    /// Everybody.
    pub(super) everyone: Formula,
    /// The account.
    pub(super) account: Formula,
}

impl Naming {
    fn nobody() -> Self {
        Self {
            itself: Formula::False,
            role: Formula::False,
            everyone: Formula::False,
            account: Formula::False,
        }
    }

    pub(super) fn one_of_them(&self) -> Formula {
        Formula::any([self.itself.clone(), self.role.clone(), self.everyone.clone(), self.account.clone()])
    }
}

pub(super) fn undocumented(what: &str) -> Formula {
    Formula::missing(Missing { reason: Reason::Undocumented, kind: None, scope: None, what: what.into() })
}

pub(super) fn not_understood(what: &str) -> Formula {
    Formula::missing(Missing { reason: Reason::NotUnderstood, kind: None, scope: None, what: what.into() })
}

impl World<'_, '_> {
    /// Whether a statement is about the action and the resource and its conditions hold; and what stopped it first.
    pub(super) fn applies(&self, statement: &Statement) -> (Formula, Option<Match>) {
        if let Some(why) = &statement.not_understood {
            return (not_understood(why), None);
        }
        let acts = statement.actions.entries.iter().any(|action| action.matches(&self.action));
        if acts == statement.actions.except {
            return (Formula::False, Some(Match::OtherAction));
        }
        let on_it = match &statement.resources {
            // Only trust policies have none.
            None => Formula::True,
            Some(resources) => self.resource_matches(resources),
        };
        if on_it == Formula::False {
            return (Formula::False, Some(Match::OtherResource));
        }
        let mut parts = vec![on_it];
        for condition in &statement.conditions {
            let holds = self.condition(condition);
            if holds == Formula::False {
                return (Formula::False, Some(Match::ConditionFails));
            }
            parts.push(holds);
        }
        (Formula::all(parts), None)
    }

    fn resource_matches(&self, resources: &Listed<Template>) -> Formula {
        let named = Formula::any(resources.entries.iter().map(|pattern| {
            match pattern.resolve(|key| self.substitute(key)) {
                Ok(Some(glob)) => {
                    let glob = if pattern.fixed().is_some() {
                        glob
                    } else {
                        Arc::new((*glob).clone().of_resource())
                    };
                    Formula::constant(glob.matches(self.resource))
                }
                // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html: without a value it
                // matches nothing. What that means under a negation is not said.
                Ok(None) if resources.except => {
                    undocumented("how `NotResource` counts a policy variable without a value")
                }
                Ok(None) => Formula::False,
                Err(why) => self.unresolved(why, "the resource", pattern),
            }
        }));
        if resources.except { named.not() } else { named }
    }

    fn unresolved(&self, why: Unresolved, of: &str, pattern: &Template) -> Formula {
        match why {
            Unresolved::Missing(missing) => Formula::missing(missing),
            Unresolved::Open(source) => {
                let atom = Atom {
                    key: format!("{of} is {pattern}").into(),
                    source,
                    several: true,
                    operator: Operator {
                        comparison: Comparison::Pattern,
                        negated: false,
                        if_exists: false,
                        quantifier: None,
                    },
                    values: Vec::new(),
                    opaque: true,
                };
                Formula::Literal(Literal::Condition(Arc::new(atom), true))
            }
        }
    }

    fn substitute(&self, key: &str) -> Substitute<Unresolved> {
        match self.find(key) {
            Found::Values(values) if values.len() == 1 => Substitute::Text(Arc::clone(&values[0])),
            Found::Values(_) | Found::Absent => Substitute::Nothing,
            Found::Open(source, _) => Substitute::Unknown(Unresolved::Open(source)),
            Found::Missing(missing) => Substitute::Unknown(Unresolved::Missing(missing)),
        }
    }

    /// What is left of a condition
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html>).
    pub(super) fn condition(&self, condition: &Condition) -> Formula {
        let (operator, key, templates) = match condition {
            Condition::NotUnderstood(what) => return not_understood(what),
            Condition::Test { operator, key, values } => (*operator, key, values),
        };
        let mut values = Vec::with_capacity(templates.len());
        let mut open = None;
        let mut without_value = false;
        for template in templates {
            match template.resolve(|key| self.substitute(key)) {
                Ok(Some(glob)) => values.push(glob),
                Ok(None) => without_value = true,
                Err(Unresolved::Missing(missing)) => return Formula::missing(missing),
                Err(Unresolved::Open(source)) => open = Some(source),
            }
        }
        let holds = self.test(key, operator, values, open);
        // A variable without a value equals nothing; whether it differs from everything is not said. Where one of the
        // other values matches, or the key is absent, it makes no difference.
        let open_to_it = without_value && operator.negated && holds != Formula::False;
        if open_to_it && !matches!(self.find(key), Found::Absent) {
            return undocumented("how a negated operator counts a policy variable without a value");
        }
        holds
    }

    /// What is left of a test of a key; `open` if a value of the policy is not known.
    pub(super) fn test(
        &self,
        key: &Arc<str>,
        operator: Operator,
        values: Vec<Arc<Glob>>,
        open: Option<Source>,
    ) -> Formula {
        let atom = |source, several, opaque| {
            let atom =
                Atom { key: Arc::clone(key), source, several, operator, values: values.clone(), opaque };
            Formula::Literal(Literal::Condition(Arc::new(atom), true))
        };
        let decided = |found: Option<&[&str]>| match (open, operator.test(&values, found)) {
            (Some(source), _) => atom(source, true, true),
            (None, Some(holds)) => Formula::constant(holds),
            (None, None) => undocumented(&format!("how `{operator}` counts on `{key}` here")),
        };
        match self.find(key) {
            Found::Values(found) => {
                let found: Vec<&str> = found.iter().map(|value| &**value).collect();
                decided(Some(&found))
            }
            Found::Absent => decided(None),
            Found::Open(source, several) => atom(source, several, open.is_some()),
            Found::Missing(missing) => Formula::missing(missing),
        }
    }

    /// How the principals of a statement name whoever asks
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
    pub(super) fn naming(&self, principals: &Listed<PrincipalEntry>, effect: Effect) -> Naming {
        if principals.except {
            return Naming { everyone: self.not_excepted(&principals.entries, effect), ..Naming::nobody() };
        }
        let mut naming = Naming::nobody();
        for entry in &principals.entries {
            match entry {
                PrincipalEntry::Everyone => naming.everyone = Formula::True,
                PrincipalEntry::Account(account) if self.account == Some(*account) => {
                    naming.account = Formula::True;
                }
                PrincipalEntry::Arn(arn) => {
                    if self.names.itself.as_ref() == Some(arn) {
                        naming.itself = Formula::True;
                    } else if self.names.role.as_ref() == Some(arn) {
                        naming.role = Formula::True;
                    } else if let Some(session) = self.open_session(arn) {
                        naming.itself = Formula::any([naming.itself, session]);
                    }
                    if let Principal::FederatedUser { user, .. } = &self.request.principal
                        && user == arn
                    {
                        naming.role = Formula::True;
                    }
                }
                PrincipalEntry::Service(name) => {
                    if matches!(&self.request.principal, Principal::Service(asking) if asking == name) {
                        naming.itself = Formula::True;
                    }
                }
                PrincipalEntry::Federated(name) => {
                    if matches!(&self.request.principal, Principal::Federated(asking) if asking == name) {
                        naming.itself = Formula::True;
                    }
                }
                PrincipalEntry::Canonical(_) if self.account.is_some() => {
                    let missing = Missing {
                        reason: Reason::NotCollected,
                        kind: None,
                        scope: self.account.map(Scope::Account),
                        what: "the canonical user id".into(),
                    };
                    naming.account = Formula::any([naming.account, Formula::missing(missing)]);
                }
                PrincipalEntry::Account(_) | PrincipalEntry::Deleted(_) | PrincipalEntry::Canonical(_) => {}
            }
        }
        naming
    }

    /// A session of the role, where the name of the session is open.
    fn open_session(&self, arn: &Arc<str>) -> Option<Formula> {
        let name = arn.strip_prefix(self.names.sessions.as_deref()?)?;
        let operator =
            Operator { comparison: Comparison::Text, negated: false, if_exists: false, quantifier: None };
        let atom = Atom {
            key: "sts:rolesessionname".into(),
            source: Source::AttackerChosen,
            several: false,
            operator,
            values: vec![Arc::new(Glob::exact(name))],
            opaque: false,
        };
        Some(Formula::Literal(Literal::Condition(Arc::new(atom), true)))
    }

    /// Whether `NotPrincipal` does not name whoever asks. A session is excepted for certain where it, its role and its
    /// account are named; AWS does not say what happens where only some are. A denial by `NotPrincipal` binds every
    /// principal that has a boundary
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>).
    fn not_excepted(&self, entries: &[PrincipalEntry], effect: Effect) -> Formula {
        if entries.contains(&PrincipalEntry::Everyone) {
            return Formula::False;
        }
        let bounded = self.identity.is_some_and(|identity| identity.boundary.is_some());
        if effect == Effect::Deny && bounded {
            return Formula::True;
        }
        if effect == Effect::Deny && self.identity_is_missing() {
            return Formula::missing(self.missing(
                Kind::Users,
                self.account,
                "whether the principal has a boundary",
            ));
        }
        let named = |arn: &Arc<str>| entries.contains(&PrincipalEntry::Arn(Arc::clone(arn)));
        let mut wanted = Vec::new();
        match &self.request.principal {
            Principal::Service(name) => {
                wanted.push(entries.contains(&PrincipalEntry::Service(Arc::clone(name))))
            }
            Principal::Federated(name) => {
                wanted.push(entries.contains(&PrincipalEntry::Federated(Arc::clone(name))));
            }
            Principal::Anonymous => {}
            _ => {
                wanted
                    .extend(self.account.map(|account| entries.contains(&PrincipalEntry::Account(account))));
                if !matches!(self.request.principal, Principal::Root(_)) {
                    wanted.extend(self.names.itself.as_ref().map(named));
                }
                wanted.extend(self.names.role.as_ref().map(named));
                if let Some(start) = &self.names.sessions {
                    let some = entries
                        .iter()
                        .any(|entry| matches!(entry, PrincipalEntry::Arn(arn) if arn.starts_with(&**start)));
                    // Which session it is, is open.
                    wanted.extend([false, some]);
                }
            }
        }
        if wanted.iter().all(|named| !named) {
            Formula::True
        } else if wanted.iter().all(|named| *named) {
            Formula::False
        } else {
            undocumented("whom `NotPrincipal` excepts that names only some of session, role and account")
        }
    }

    /// Whether whoever asks is a user or role that was not read.
    pub(super) fn identity_is_missing(&self) -> bool {
        let has_identity = matches!(
            self.request.principal,
            Principal::User(_) | Principal::Role { .. } | Principal::FederatedUser { .. }
        );
        has_identity && self.identity.is_none()
    }

    /// Whether the resource is a role that is to be assumed, so that its trust policy counts.
    pub(super) fn assumes_role(&self) -> bool {
        let assumes = matches!(
            &*self.action,
            "sts:assumerole"
                | "sts:assumerolewithsaml"
                | "sts:assumerolewithwebidentity"
                | "sts:tagsession"
                | "sts:setsourceidentity"
        );
        assumes && Arn::parse(self.resource).is_some_and(|arn| arn.resource.starts_with("role/"))
    }
}

/// Why a policy variable has no value.
pub(super) enum Unresolved {
    Open(Source),
    Missing(Missing),
}
