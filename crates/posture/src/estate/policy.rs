//! Policies as text, with the place they come from.

use std::sync::Arc;

/// Where a policy was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The file, as given to the loader.
    pub file: Arc<str>,
    /// The line, from 1, at which the policy, or the string that holds it, begins.
    pub line: u32,
}

/// How the file holds a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// As JSON in its place: lines of the text are lines of the file.
    Object,
    /// In a string, escaped, and perhaps URL-encoded: the whole text is on one line of the file.
    Text,
}

/// The text of one policy. Equal texts share their memory across the estate.
///
/// The text is the JSON of the document, decoded. Leading blanks of lines may be gone, line breaks are kept, so that
/// [`PolicyText::line_of`] holds. It is not checked to be a policy, nor even to be JSON.
#[derive(Clone, Debug)]
pub struct PolicyText {
    /// The document.
    pub text: Arc<str>,
    /// Where it was read.
    pub origin: Origin,
    /// How the file holds it.
    pub form: Form,
}

impl PolicyText {
    /// The line of the file for a line of the text, both from 1.
    pub fn line_of(&self, line_in_text: u32) -> u32 {
        match self.form {
            Form::Object => self.origin.line.saturating_add(line_in_text.saturating_sub(1)),
            Form::Text => self.origin.line,
        }
    }
}

/// Two policies are equal if they are the same JSON but for blanks between its tokens. Their origins do not count.
impl PartialEq for PolicyText {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
            || self.text == other.text
            || tokens(&self.text).eq(tokens(&other.text))
    }
}

impl Eq for PolicyText {}

/// The bytes of a JSON text without the blanks outside its strings.
fn tokens(text: &str) -> impl Iterator<Item = u8> + '_ {
    let mut inside = false;
    let mut escaped = false;
    text.bytes().filter(move |&byte| {
        if inside {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside = false,
                _ => {}
            }
            return true;
        }
        inside = byte == b'"';
        !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str, form: Form) -> PolicyText {
        PolicyText { text: text.into(), origin: Origin { file: "a.json".into(), line: 10 }, form }
    }

    #[test]
    fn blanks_between_tokens_do_not_tell_policies_apart() {
        let pretty = policy("{\n\"Sid\": \"a b\"\n}", Form::Object);
        assert_eq!(pretty, policy(r#"{"Sid":"a b"}"#, Form::Text));
        assert_ne!(pretty, policy(r#"{"Sid":"ab"}"#, Form::Text));
        assert_ne!(policy(r#"{"a":"\" b"}"#, Form::Text), policy(r#"{"a":"\"b"}"#, Form::Text));
    }

    #[test]
    fn lines_of_a_string_are_the_line_of_the_string() {
        assert_eq!(policy("{\n}", Form::Object).line_of(2), 11);
        assert_eq!(policy("{\n}", Form::Text).line_of(2), 10);
    }
}
