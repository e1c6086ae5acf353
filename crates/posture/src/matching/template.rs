//! Patterns with policy variables.

use std::fmt;
use std::sync::Arc;

use super::Glob;
use super::glob::Token;

/// Whether `*` and `?` are wildcards in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wildcards {
    /// They are.
    Yes,
    /// They stand for themselves.
    No,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Token(Token),
    Variable { key: Arc<str>, default: Option<Box<str>> },
}

/// A text of a policy, in which `${aws:username}`, `${aws:PrincipalTag/team, 'none'}` and the escapes `${*}`, `${?}`
/// and `${$}` have been found
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Fixed(Arc<Glob>),
    Variable(Box<[Part]>),
}

/// What a variable stands for in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Substitute<U> {
    /// This text.
    Text(Arc<str>),
    /// Nothing: its key is not in the request, or has several values.
    Nothing,
    /// Not told, for this reason.
    Unknown(U),
}

impl Template {
    /// Reads a text. Variables are known since version `2012-10-17` of the policy language; before it, they are plain
    /// text.
    pub fn parse(text: &str, wildcards: Wildcards, variables: bool) -> Self {
        let plain = |c| match c {
            '*' if wildcards == Wildcards::Yes => Token::Many,
            '?' if wildcards == Wildcards::Yes => Token::One,
            c => Token::Char(c),
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if variables
                && rest.starts_with("${")
                && let Some(end) = rest.find('}')
            {
                parts.push(variable(&rest[2..end]));
                rest = &rest[end + 1..];
            } else {
                parts.push(Part::Token(plain(c)));
                rest = &rest[c.len_utf8()..];
            }
        }
        let fixed: Option<Vec<Token>> = parts
            .iter()
            .map(|part| if let Part::Token(token) = part { Some(*token) } else { None })
            .collect();
        let kind = match fixed {
            Some(tokens) => Kind::Fixed(Arc::new(Glob::of(tokens))),
            None => Kind::Variable(parts.into()),
        };
        Self { text: text.into(), kind }
    }

    /// The same pattern as that of a resource; see [`Glob::of_resource`].
    #[must_use]
    pub fn of_resource(self) -> Self {
        let kind = match self.kind {
            Kind::Fixed(glob) => Kind::Fixed(Arc::new((*glob).clone().of_resource())),
            kind => kind,
        };
        Self { kind, ..self }
    }

    /// As the policy has it.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The pattern, if there is no variable in it.
    pub fn fixed(&self) -> Option<&Arc<Glob>> {
        if let Kind::Fixed(glob) = &self.kind { Some(glob) } else { None }
    }

    /// Puts in what the variables stand for. `Ok(None)`: a variable stands for nothing and has no default, so that
    /// nothing matches. What is put in is plain text: its `*` is no wildcard.
    ///
    /// # Errors
    ///
    /// The reason why a variable is not known.
    pub fn resolve<U>(&self, mut lookup: impl FnMut(&str) -> Substitute<U>) -> Result<Option<Arc<Glob>>, U> {
        let parts = match &self.kind {
            Kind::Fixed(glob) => return Ok(Some(Arc::clone(glob))),
            Kind::Variable(parts) => parts,
        };
        let mut tokens = Vec::new();
        for part in parts {
            match part {
                Part::Token(token) => tokens.push(*token),
                Part::Variable { key, default } => match (lookup(key), default) {
                    (Substitute::Text(text), _) => tokens.extend(text.chars().map(Token::Char)),
                    (Substitute::Unknown(why), _) => return Err(why),
                    (Substitute::Nothing, Some(default)) => tokens.extend(default.chars().map(Token::Char)),
                    (Substitute::Nothing, None) => return Ok(None),
                },
            }
        }
        Ok(Some(Arc::new(Glob::of(tokens))))
    }
}

fn variable(inside: &str) -> Part {
    match inside.trim() {
        "*" => return Part::Token(Token::Char('*')),
        "?" => return Part::Token(Token::Char('?')),
        "$" => return Part::Token(Token::Char('$')),
        _ => {}
    }
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => {
            let default = default.trim();
            let quoted = default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            (key, Some(quoted.unwrap_or(default).into()))
        }
        None => (inside, None),
    };
    Part::Variable { key: key.trim().to_ascii_lowercase().into(), default }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, value: Substitute<&'static str>) -> Result<Option<Arc<Glob>>, &'static str> {
        Template::parse(text, Wildcards::Yes, true).resolve(|_| value.clone())
    }

    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    #[test]
    fn variables_have_defaults_and_escapes_are_plain() {
        let some = resolved("home/${aws:username}/*", Substitute::Text("a*".into())).unwrap().unwrap();
        assert!(some.matches("home/a*/x") && !some.matches("home/ab/x"));
        let default = resolved("t-${aws:PrincipalTag/team, 'none'}", Substitute::Nothing).unwrap().unwrap();
        assert!(default.matches("t-none"));
        assert_eq!(resolved("t-${aws:PrincipalTag/team}", Substitute::Nothing), Ok(None));
        assert_eq!(resolved("${aws:username}", Substitute::Unknown("why")), Err("why"));
        let escaped = Template::parse("a${*}b${$}${?}", Wildcards::Yes, true);
        assert_eq!(escaped.fixed().unwrap().as_exact().unwrap(), "a*b$?");
        assert!(Template::parse("${aws:username}", Wildcards::Yes, false).fixed().is_some());
    }
}
