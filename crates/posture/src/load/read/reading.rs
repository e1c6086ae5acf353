//! What readers of documents stand on.

use std::borrow::Cow;
use std::sync::Arc;

use crate::estate::{AccountId, Arn, Form, Kind, Origin, PolicyText, Problem, ProblemKind, Tags};
use crate::load::hints::Hints;
use crate::load::intern::Interner;
use crate::load::json::{self, Lines, Value};
use crate::load::record::{Located, Record, Trouble};
use crate::load::text;

/// More problems than this of one file tell nobody anything new; one more is named in their place.
const MOST_TROUBLES: usize = 200;

/// One file being read.
pub(crate) struct Reading<'f> {
    pub(crate) file: &'f Arc<str>,
    pub(crate) lines: Lines<'f>,
    pub(crate) interner: &'f Interner,
    pub(crate) hints: &'f Hints,
    pub(crate) records: Vec<Located>,
    pub(crate) troubles: Vec<Trouble>,
    /// The kind that is being read, to which a trouble is laid.
    pub(crate) kind: Option<Kind>,
    /// The account that is being read, to which a trouble is laid.
    pub(crate) account: Option<AccountId>,
}

impl<'f> Reading<'f> {
    pub(crate) fn new(file: &'f Arc<str>, text: &'f str, interner: &'f Interner, hints: &'f Hints) -> Self {
        Self {
            file,
            lines: Lines::new(text),
            interner,
            hints,
            records: Vec::new(),
            troubles: Vec::new(),
            kind: None,
            account: None,
        }
    }

    pub(crate) fn push(&mut self, at: Value<'_, '_>, record: Record) {
        let line = self.lines.line(at.offset());
        self.records.push(Located { line, record });
    }

    pub(crate) fn trouble(&mut self, offset: usize, kind: ProblemKind, detail: impl Into<Box<str>>) {
        let (kind, detail) = match self.troubles.len() {
            count if count > MOST_TROUBLES => return,
            MOST_TROUBLES => (ProblemKind::TooMany, "problems in this file: no more are named".into()),
            _ => (kind, detail.into()),
        };
        let place = Some(self.lines.place(offset));
        let problem = Problem { file: Arc::clone(self.file), place, kind, detail };
        self.troubles.push(Trouble { problem, kind: self.kind, account: self.account });
    }

    pub(crate) fn keep(&self, text: &str) -> Arc<str> {
        self.interner.keep(text)
    }

    /// A list of `kind` was read; `next` names the fields that say that it goes on.
    pub(crate) fn listed(
        &mut self,
        root: Value<'_, '_>,
        kind: Kind,
        account: Option<AccountId>,
        region: Option<Arc<str>>,
    ) {
        let whole = self.is_whole(root);
        self.push(root, Record::Listed { kind, account, region, whole });
    }

    /// Whether a list neither was cut nor says that it goes on elsewhere.
    pub(crate) fn is_whole(&self, root: Value<'_, '_>) -> bool {
        let token = ["NextToken", "nextToken", "NextMarker", "ContinuationToken"]
            .iter()
            .any(|name| root.get(name).is_some_and(|token| token.kind() == json::Kind::String));
        let truncated = ["Truncated", "IsTruncated"]
            .iter()
            .any(|name| root.get(name).and_then(|flag| flag.bool()) == Some(true));
        !token && !truncated && root.is_whole()
    }

    /// Names it as a problem if a list goes on elsewhere whose pages are not put together.
    pub(crate) fn expect_whole(&mut self, root: Value<'_, '_>) {
        if root.is_whole() && !self.is_whole(root) {
            self.trouble(root.offset(), ProblemKind::MorePages, "the answer says that it goes on");
        }
    }

    /// The whole objects of a list. Others are named.
    pub(crate) fn objects<'a, 't>(&mut self, list: Value<'a, 't>) -> Vec<Value<'a, 't>> {
        if list.kind() != json::Kind::Array {
            self.wrong(list, "a list");
            return Vec::new();
        }
        let mut objects = Vec::new();
        for item in list.items() {
            if item.kind() != json::Kind::Object {
                self.wrong(item, "an object");
            } else if item.is_whole() {
                if let Some((name, offset)) = item.duplicate() {
                    self.trouble(offset, ProblemKind::DuplicateField, format!("`{}`", shown(name)));
                }
                objects.push(item);
            } else {
                self.trouble(item.offset(), ProblemKind::Syntax, "this entry is cut off and is not read");
            }
        }
        objects
    }

    /// The objects of a list that is a field, which may be absent.
    pub(crate) fn objects_of<'a, 't>(&mut self, value: Value<'a, 't>, name: &str) -> Vec<Value<'a, 't>> {
        match present(value, name) {
            Some(list) => self.objects(list),
            None => Vec::new(),
        }
    }

    /// A field that is a string, which may be absent.
    pub(crate) fn string<'t>(&mut self, value: Value<'_, 't>, name: &str) -> Option<Cow<'t, str>> {
        let field = present(value, name)?;
        let text = field.string();
        if text.is_none() {
            self.wrong_field(field, name, "a string");
        }
        text
    }

    /// A field that is a string and may be absent, kept once for all equal ones.
    pub(crate) fn shared(&mut self, value: Value<'_, '_>, name: &str) -> Option<Arc<str>> {
        self.string(value, name).map(|text| self.keep(&text))
    }

    /// A field that is a string and may be absent, and that hardly repeats.
    pub(crate) fn own(&mut self, value: Value<'_, '_>, name: &str) -> Option<Arc<str>> {
        self.string(value, name).map(|text| text.as_ref().into())
    }

    /// A field that is a string and has to be there.
    pub(crate) fn needed(&mut self, value: Value<'_, '_>, name: &str) -> Option<Arc<str>> {
        if present(value, name).is_none() {
            self.trouble(value.offset(), ProblemKind::Missing, format!("`{name}`"));
            return None;
        }
        self.own(value, name)
    }

    /// A time: AWS writes it as text or as a number.
    pub(crate) fn time(&mut self, value: Value<'_, '_>, name: &str) -> Option<Arc<str>> {
        let field = present(value, name)?;
        if field.kind() == json::Kind::Number {
            return Some(field.raw().into());
        }
        self.own(value, name)
    }

    pub(crate) fn bool(&mut self, value: Value<'_, '_>, name: &str) -> Option<bool> {
        let field = present(value, name)?;
        let flag = field.bool();
        if flag.is_none() {
            self.wrong_field(field, name, "true or false");
        }
        flag
    }

    pub(crate) fn number(&mut self, value: Value<'_, '_>, name: &str) -> Option<u64> {
        let field = present(value, name)?;
        let number = field.u64();
        if number.is_none() {
            self.wrong_field(field, name, "a whole number");
        }
        number
    }

    /// A list of strings, which may be absent.
    pub(crate) fn strings(&mut self, value: Value<'_, '_>, name: &str) -> Option<Vec<Arc<str>>> {
        let list = present(value, name)?;
        if list.kind() != json::Kind::Array {
            self.wrong_field(list, name, "a list");
            return None;
        }
        let mut strings = Vec::new();
        for item in list.items() {
            match item.string() {
                Some(text) => strings.push(self.keep(&text)),
                None => self.wrong(item, "a string"),
            }
        }
        Some(strings)
    }

    /// Tags, in any of the spellings of AWS's services.
    pub(crate) fn tags(&mut self, value: Value<'_, '_>, name: &str) -> Option<Tags> {
        let list = present(value, name)?;
        let mut tags = Tags::new();
        for item in self.objects(list) {
            let pair = [("Key", "Value"), ("TagKey", "TagValue"), ("key", "value")].iter().find_map(
                |(key, value)| {
                    Some((
                        item.get(key)?.string()?,
                        item.get(value).and_then(|value| value.string()).unwrap_or_default(),
                    ))
                },
            );
            match pair {
                Some((key, value)) => tags.push((self.keep(&key), self.keep(&value))),
                None => self.trouble(item.offset(), ProblemKind::Missing, "a tag without a key"),
            }
        }
        tags.sort();
        Some(tags)
    }

    /// A field that is an ARN of an account's.
    pub(crate) fn arn(&mut self, value: Value<'_, '_>, name: &str) -> Option<(Arc<str>, AccountId)> {
        let arn = self.needed(value, name)?;
        match Arn::parse(&arn).and_then(|arn| arn.account()) {
            Some(account) => Some((arn, account)),
            None => {
                let field = value.get(name).unwrap_or(value);
                self.wrong_field(field, name, "an ARN with an account");
                None
            }
        }
    }

    /// A field that is an account number.
    pub(crate) fn account_id(&mut self, value: Value<'_, '_>, name: &str) -> Option<AccountId> {
        let field = present(value, name)?;
        let account = field.string().and_then(|text| text.parse().ok());
        if account.is_none() {
            self.wrong_field(field, name, "an account number");
        }
        account
    }

    /// A policy: JSON in its place, or a string that holds it, URL-encoded or not.
    pub(crate) fn policy(&mut self, value: Value<'_, '_>) -> Option<PolicyText> {
        let origin = Origin { file: Arc::clone(self.file), line: self.lines.line(value.offset()) };
        match value.kind() {
            json::Kind::Object => {
                let text = text::without_indentation(value.raw());
                Some(PolicyText { text: self.keep(&text), origin, form: Form::Object })
            }
            json::Kind::String => {
                let held = value.string().unwrap_or_default();
                let Some(decoded) = text::undo_url_encoding(&held) else {
                    self.trouble(
                        value.offset(),
                        ProblemKind::NotText,
                        "the URL encoding of this policy is broken",
                    );
                    return None;
                };
                Some(PolicyText { text: self.keep(&decoded), origin, form: Form::Text })
            }
            _ => {
                self.wrong(value, "a policy");
                None
            }
        }
    }

    /// A field that is a policy, which may be absent.
    pub(crate) fn policy_of(&mut self, value: Value<'_, '_>, name: &str) -> Option<PolicyText> {
        let field = present(value, name)?;
        self.policy(field)
    }

    pub(crate) fn wrong(&mut self, value: Value<'_, '_>, expected: &str) {
        self.trouble(value.offset(), ProblemKind::WrongType, format!("{expected} is expected here"));
    }

    fn wrong_field(&mut self, value: Value<'_, '_>, name: &str, expected: &str) {
        self.trouble(value.offset(), ProblemKind::WrongType, format!("`{name}` is to be {expected}"));
    }
}

/// A field that is there and not null.
pub(crate) fn present<'a, 't>(value: Value<'a, 't>, name: &str) -> Option<Value<'a, 't>> {
    value.get(name).filter(|field| !field.is_null())
}

/// A name from the input as it may stand in a message: short, and without control characters.
pub(crate) fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}
