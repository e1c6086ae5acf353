//! From what a person writes to a principal.

use strongroom_posture::estate::{Arn, Estate};
use strongroom_posture::evaluate::Principal;

/// What is expected where a principal is asked for.
const FORMS: &str = "expected the ARN of a user, role, session (sts … assumed-role), root user, federated user or \
                     identity provider, an account number for its root user, a service such as \
                     backup.amazonaws.com, or `anonymous`";

/// Reads a principal. A session is named by its role's name alone: the role is looked for in the estate.
///
/// # Errors
/// A message for the user.
pub(super) fn parse(text: &str, federated_by: Option<&str>, estate: &Estate) -> Result<Principal, String> {
    if text == "anonymous" || text == "*" {
        return Ok(Principal::Anonymous);
    }
    if let Ok(account) = text.parse() {
        return Ok(Principal::Root(account));
    }
    let Some(arn) = Arn::parse(text) else {
        let service = !text.contains([':', '/', ' ']) && text.contains(".amazonaws.com");
        return if service { Ok(Principal::Service(text.into())) } else { Err(FORMS.into()) };
    };
    let (kind, rest) = arn.resource.split_once('/').unwrap_or((arn.resource, ""));
    match (arn.service, kind) {
        ("iam", "user") if !rest.is_empty() => Ok(Principal::User(text.into())),
        ("iam", "role") if !rest.is_empty() => Ok(Principal::Role { role: text.into(), session: None }),
        ("iam", "root") => arn.account().map(Principal::Root).ok_or_else(|| FORMS.into()),
        ("iam", "oidc-provider" | "saml-provider") if !rest.is_empty() => {
            Ok(Principal::Federated(text.into()))
        }
        ("sts", "assumed-role") => {
            let (name, session) = rest.split_once('/').ok_or(FORMS)?;
            let found = arn.account().and_then(|account| estate.accounts.get(&account)?.roles.get(name));
            let role = match found {
                Some(role) => role.arn.clone(),
                None => {
                    return Err(format!(
                        "no role {name} of account {} was read; without it nobody knows the path in its ARN",
                        arn.owner
                    ));
                }
            };
            Ok(Principal::Role { role, session: Some(session.into()) })
        }
        ("sts", "federated-user") if !rest.is_empty() => match federated_by {
            Some(user) => Ok(Principal::FederatedUser { user: user.into(), name: rest.into() }),
            None => {
                Err("a federated user has the rights of a user: name that one with --federated-by ARN".into())
            }
        },
        _ => Err(FORMS.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_principal_is_read() {
        let estate = Estate::default();
        let parse = |text: &str| parse(text, Some("arn:aws:iam::111122223333:user/a"), &estate);
        for (text, expected) in [
            ("anonymous", Principal::Anonymous),
            ("111122223333", Principal::Root("111122223333".parse().unwrap())),
            ("arn:aws:iam::111122223333:root", Principal::Root("111122223333".parse().unwrap())),
            ("backup.amazonaws.com", Principal::Service("backup.amazonaws.com".into())),
            (
                "arn:aws:iam::111122223333:user/people/a",
                Principal::User("arn:aws:iam::111122223333:user/people/a".into()),
            ),
            (
                "arn:aws:iam::111122223333:role/r",
                Principal::Role { role: "arn:aws:iam::111122223333:role/r".into(), session: None },
            ),
            (
                "arn:aws:sts::111122223333:federated-user/b",
                Principal::FederatedUser {
                    user: "arn:aws:iam::111122223333:user/a".into(),
                    name: "b".into(),
                },
            ),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for text in
            ["", "alice", "arn:aws:s3:::bucket", "arn:aws:iam::111122223333:group/g", "a b.amazonaws.com"]
        {
            assert!(parse(text).unwrap_err().starts_with("expected"), "{text}");
        }
        assert!(parse("arn:aws:sts::111122223333:assumed-role/r/s").unwrap_err().contains("no role r"));
    }
}
