//! Account numbers and ARNs.

use std::fmt;
use std::str::FromStr;

/// The number of an AWS account, shown with its twelve digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

/// This is no account number: twelve decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an account number of twelve digits")]
pub struct NotAnAccount;

impl AccountId {
    /// The number itself.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl FromStr for AccountId {
    type Err = NotAnAccount;

    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        if text.len() != 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotAnAccount);
        }
        text.parse().map(Self).map_err(|_| NotAnAccount)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An ARN in its six parts (IAM User Guide, "Identify AWS resources with Amazon Resource Names").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`…
    pub partition: &'a str,
    /// `kms`, `iam`…
    pub service: &'a str,
    /// Empty for global services.
    pub region: &'a str,
    /// Twelve digits, `aws`, or empty.
    pub owner: &'a str,
    /// Everything after the fifth colon.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes an ARN apart; `None` if it is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next() != Some("arn") {
            return None;
        }
        let arn = Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            owner: parts.next()?,
            resource: parts.next()?,
        };
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }

    /// The account that owns the resource, where the ARN names one.
    pub fn account(&self) -> Option<AccountId> {
        self.owner.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_keeps_its_leading_zeros() {
        let account: AccountId = "000123456789".parse().unwrap();
        assert_eq!(account.to_string(), "000123456789");
        assert_eq!("12345678901".parse::<AccountId>(), Err(NotAnAccount));
        assert_eq!("+12345678901".parse::<AccountId>(), Err(NotAnAccount));
    }

    #[test]
    fn an_arn_is_taken_apart_at_five_colons() {
        let arn = Arn::parse("arn:aws:logs:eu-west-1:111122223333:log-group:a:b").unwrap();
        assert_eq!(arn.resource, "log-group:a:b");
        assert_eq!(arn.account().unwrap().to_string(), "111122223333");
        assert!(Arn::parse("arn:aws:s3:::bucket").unwrap().account().is_none());
        assert!(Arn::parse("arn:aws:s3::").is_none());
        assert!(Arn::parse("").is_none());
    }
}
