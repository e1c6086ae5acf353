//! Grants of KMS keys
//! (<https://docs.aws.amazon.com/kms/latest/developerguide/grants.html>).

use std::sync::Arc;

use super::decision::{Layer, Match, Step};
use super::operations;
use super::request::Principal;
use super::world::World;
use crate::conditions::{Comparison, Formula, Operator, Quantifier};
use crate::estate::{Arn, Constraints, Grant, Kind, Scope};
use crate::matching::Glob;
use crate::policy::Effect;

/// What grants allow.
pub(super) struct Granted {
    /// To the principal itself.
    pub(super) directly: Formula,
    /// To its account, which its identity policies pass on.
    pub(super) to_account: Formula,
}

fn plain(comparison: Comparison, quantifier: Option<Quantifier>) -> Operator {
    Operator { comparison, negated: false, if_exists: false, quantifier }
}

impl World<'_, '_> {
    /// What the grants of the key allow. Grants never deny.
    pub(super) fn granted(&self, steps: &mut Option<&mut Vec<Step>>) -> Granted {
        let mut granted = Granted { directly: Formula::False, to_account: Formula::False };
        if !self.on_key() || !self.operation().is_some_and(|operation| operation.in_grants) {
            return granted;
        }
        let retires = self.action == "kms:retiregrant";
        let grants = self.key.and_then(|key| key.grants.as_ref());
        for grant in grants.into_iter().flatten() {
            if retires && self.request.grant.as_ref().is_some_and(|wanted| *wanted != grant.id) {
                continue;
            }
            let (directly, to_account) = if retires { self.retires(grant) } else { self.uses(grant) };
            if let Some(steps) = steps {
                let formula = Formula::any([directly.clone(), to_account.clone()]);
                steps.push(Step {
                    layer: Layer::Grant,
                    policy: Arc::clone(&grant.id),
                    effect: Effect::Allow,
                    sid: grant.name.clone(),
                    file: Arc::clone(&grant.origin.file),
                    line: grant.origin.line,
                    matched: match formula {
                        Formula::True => Match::Applies,
                        Formula::False => self.why_not(grant, retires),
                        formula => Match::AppliesIf(formula),
                    },
                });
            }
            granted.directly = Formula::any([granted.directly, directly]);
            granted.to_account = Formula::any([granted.to_account, to_account]);
        }
        if let Some(missing) = self.grants_missing() {
            granted.directly = Formula::any([granted.directly, missing]);
        }
        granted
    }

    /// Whether grants of the key may be missing.
    fn grants_missing(&self) -> Option<Formula> {
        let owner = self.owner?;
        let scope = Scope::Account(owner);
        let unread = self.key.is_none_or(|key| key.grants.is_none());
        let region = Arn::parse(self.resource).map_or("", |arn| arn.region);
        let gap = self.estate.coverage.gaps_of(&scope, Kind::Grants).any(|gap| {
            gap.resource.as_deref().is_none_or(|of| of == self.resource)
                && gap.region.as_deref().is_none_or(|of| of == region)
        });
        (unread || gap)
            .then(|| Formula::missing(self.missing(Kind::Grants, Some(owner), "grants of the key")))
    }

    fn why_not(&self, grant: &Grant, retires: bool) -> Match {
        let name = self.action.strip_prefix("kms:").unwrap_or_default();
        if !retires && !grant.operations.iter().any(|operation| operation.eq_ignore_ascii_case(name)) {
            return Match::OtherAction;
        }
        let (itself, account) = self.is_named(grant.grantee.as_deref(), grant.grantee_service.as_deref());
        if !retires && (itself || account) { Match::ConditionFails } else { Match::OtherPrincipal }
    }

    /// Whether a principal of a grant is whoever asks, or its account.
    fn is_named(&self, principal: Option<&str>, service: Option<&str>) -> (bool, bool) {
        if let Principal::Service(asking) = &self.request.principal {
            // Some answers carry the service in the field of the principal.
            return (service == Some(&**asking) || principal == Some(&**asking), false);
        }
        let Some(principal) = principal else { return (false, false) };
        let is = |name: &Option<Arc<str>>| name.as_deref() == Some(principal);
        let itself = is(&self.names.itself) || is(&self.names.role);
        let account = Arn::parse(principal)
            .filter(|arn| arn.resource == "root")
            .and_then(|arn| arn.account())
            .or_else(|| principal.parse().ok());
        let of_account = account.is_some() && account == self.account;
        (itself, of_account)
    }

    /// A grant that allows the operation to whoever asks.
    fn uses(&self, grant: &Grant) -> (Formula, Formula) {
        let Some(operation) = self.operation() else { return (Formula::False, Formula::False) };
        if !grant.operations.iter().any(|name| name.eq_ignore_ascii_case(operation.name)) {
            return (Formula::False, Formula::False);
        }
        let (itself, account) = self.is_named(grant.grantee.as_deref(), grant.grantee_service.as_deref());
        let holds = self.constrained(grant, operation);
        let holds_if = |named: bool| if named { holds.clone() } else { Formula::False };
        (holds_if(itself), holds_if(account && !itself))
    }

    /// When a grant holds
    /// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html>): constraints bind the
    /// cryptographic operations with an encryption context. A grant that is made from a grant may hold no operation
    /// more, and has to be constrained as strictly
    /// (<https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html#grant-creategrant>).
    fn constrained(&self, grant: &Grant, operation: &operations::Operation) -> Formula {
        let mut parts = Vec::new();
        let none = Constraints::default();
        let constraints = grant.constraints.as_ref().unwrap_or(&none);
        if operation.constrained {
            for (name, value) in constraints.subset.iter().chain(&constraints.equals).flatten() {
                // The key is compared without regard to case, the value with.
                let key = format!("kms:encryptioncontext:{}", name.to_ascii_lowercase()).into();
                let values = vec![Arc::new(Glob::exact(value))];
                parts.push(self.test(&key, plain(Comparison::Text, None), values, None));
            }
            if let Some(equals) = &constraints.equals {
                let names = equals.iter().map(|(name, _)| Arc::new(Glob::exact(name))).collect();
                let only = plain(Comparison::TextIgnoringCase, Some(Quantifier::All));
                parts.push(self.test(&"kms:encryptioncontextkeys".into(), only, names, None));
            }
        }
        if operation.name == "CreateGrant" {
            let names = grant.operations.iter().map(|name| Arc::new(Glob::exact(name))).collect();
            let only = plain(Comparison::Text, Some(Quantifier::All));
            parts.push(self.test(&"kms:grantoperations".into(), only, names, None));
            let mut kinds = Vec::new();
            if constraints.subset.is_some() {
                kinds.extend(["EncryptionContextSubset", "EncryptionContextEquals"]);
            } else if constraints.equals.is_some() {
                kinds.push("EncryptionContextEquals");
            }
            if !kinds.is_empty() {
                let kinds = kinds.into_iter().map(|kind| Arc::new(Glob::exact(kind))).collect();
                parts.push(self.test(
                    &"kms:grantconstrainttype".into(),
                    plain(Comparison::Text, None),
                    kinds,
                    None,
                ));
            }
        }
        if let Some(source) = &constraints.source_arn {
            let values = vec![Arc::new(Glob::new(source))];
            parts.push(self.test(&"aws:sourcearn".into(), plain(Comparison::Arn, None), values, None));
        }
        Formula::all(parts)
    }

    /// Who may retire a grant: its retiring principal, its grantee if the grant holds `RetireGrant`, and the account
    /// under which it was made, that of the key, or that which is its retiring principal, which pass it on by
    /// identity policies (<https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html>).
    fn retires(&self, grant: &Grant) -> (Formula, Formula) {
        let (retiring, by_account) =
            self.is_named(grant.retiring.as_deref(), grant.retiring_service.as_deref());
        let (grantee, of_grantee) = self.is_named(grant.grantee.as_deref(), grant.grantee_service.as_deref());
        let holds = grant.operations.iter().any(|name| &**name == "RetireGrant");
        let (_, issued) = self.is_named(grant.issuing_account.as_deref(), None);
        let owns = self.account.is_some() && self.account == self.owner;
        let directly = retiring || (grantee && holds);
        let to_account = by_account || issued || owns || (of_grantee && holds);
        (Formula::constant(directly), Formula::constant(to_account && !directly))
    }
}
