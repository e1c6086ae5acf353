//! Opening a wrapped key: which keyholders of a policy are asked, and in which order.

use crate::{
    custody::{Custody, CustodyError, Failure, Product, Work, failure},
    holder::{Effort, HolderError, Keyholder, Operation},
    reason::Reason,
    shares,
};
use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};
use strongroom_format::{
    Secret32,
    context::Context,
    keyring::{PolicyTree, WrappedKey},
};

/// What it takes to open a node: the greatest effort, then the number of calls.
type Cost = (Effort, usize);
type Opened<'s> = Pin<Box<dyn Future<Output = Result<Option<Secret32>, CustodyError>> + Send + 's>>;

/// One attempt at one wrapped key.
pub(crate) struct Opening<'a> {
    custody: &'a Custody,
    wrapped: &'a WrappedKey,
    context: &'a Context,
    reason: &'a Reason,
    /// The keyholders that may still be asked.
    hopeful: BTreeMap<&'a str, &'a Arc<dyn Keyholder>>,
    tried: Vec<Failure>,
    passed_over: Vec<Failure>,
}

impl<'a> Opening<'a> {
    pub(crate) fn new(
        custody: &'a Custody,
        wrapped: &'a WrappedKey,
        context: &'a Context,
        reason: &'a Reason,
    ) -> Self {
        let mut hopeful = BTreeMap::new();
        let mut passed_over = Vec::new();
        for wrap in &wrapped.wraps {
            match custody.usable(&wrap.holder, Operation::Unwrap) {
                Ok(holder) => {
                    hopeful.insert(wrap.holder.as_str(), holder);
                }
                Err(failure) => passed_over.push(*failure),
            }
        }
        Self { custody, wrapped, context, reason, hopeful, tried: Vec::new(), passed_over }
    }

    pub(crate) async fn run(mut self) -> Result<Secret32, CustodyError> {
        let policy = &self.wrapped.policy;
        let key = match self.cost(policy) {
            Some(_) => self.open(policy).await?,
            None => None,
        };
        match key {
            Some(key) if key.commitment() == self.wrapped.commitment => Ok(key),
            Some(_) => Err(self.integrity(policy.to_string())),
            None => Err(self.refused()),
        }
    }

    fn refused(mut self) -> CustodyError {
        let untried = self.hopeful.values().map(|holder| failure(&***holder, HolderError::NotAsked));
        let mut failures = std::mem::take(&mut self.tried);
        failures.extend(untried);
        failures.append(&mut self.passed_over);
        CustodyError::Refused {
            operation: Operation::Unwrap,
            context: Box::new(self.context.clone()),
            failures,
        }
    }

    fn integrity(&self, holder: String) -> CustodyError {
        CustodyError::Integrity { holder, context: Box::new(self.context.clone()) }
    }

    /// What it takes to open a node; none where it cannot be opened.
    fn cost(&self, node: &PolicyTree) -> Option<Cost> {
        if let PolicyTree::Keyholder(label) = node {
            return self.hopeful.get(label.as_str()).map(|holder| (holder.effort(), 1));
        }
        let mut costs: Vec<Cost> = node.children().iter().filter_map(|child| self.cost(child)).collect();
        costs.sort_unstable();
        let chosen = costs.get(..node.needed())?;
        Some((chosen.last()?.0, chosen.iter().map(|(_, calls)| calls).sum()))
    }

    fn open<'s>(&'s mut self, node: &'a PolicyTree) -> Opened<'s> {
        Box::pin(async move {
            if let PolicyTree::Keyholder(label) = node {
                return self.ask(label).await;
            }
            let mut left: Vec<(u8, &'a PolicyTree)> = (1..).zip(node.children()).collect();
            let mut opened = Vec::new();
            while opened.len() < node.needed() {
                let costs =
                    left.iter().enumerate().filter_map(|(nth, (_, child))| Some((self.cost(child)?, nth)));
                let mut costs: Vec<(Cost, usize)> = costs.collect();
                costs.sort_unstable();
                // Who cannot suffice is not asked.
                let Some((_, nth)) =
                    costs.first().copied().filter(|_| opened.len() + costs.len() >= node.needed())
                else {
                    return Ok(None);
                };
                let (at, child) = left.remove(nth);
                if let Some(secret) = self.open(child).await? {
                    opened.push((at, secret));
                }
            }
            match node.needed() {
                1 => Ok(opened.pop().map(|(_, secret)| secret)),
                _ => Ok(shares::combine(&opened)),
            }
        })
    }

    async fn ask(&mut self, label: &'a str) -> Result<Option<Secret32>, CustodyError> {
        let (Some(holder), Some(wrap)) = (self.hopeful.remove(label), self.wrapped.wrap_of(label)) else {
            return Ok(None);
        };
        let answer = self.custody.ask(Work::Unwrap(&wrap.blob), &**holder, self.context, self.reason).await?;
        match answer {
            Ok(Product::Key(secret)) if secret.commitment() == self.wrapped.commitment_of(wrap) => {
                Ok(Some(secret))
            }
            Ok(_) => Err(self.integrity(label.to_owned())),
            Err(error) => {
                self.tried.push(failure(&**holder, error));
                Ok(None)
            }
        }
    }
}
