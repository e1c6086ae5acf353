//! Patterns for whole paths, as restic reads them.
//!
//! - A pattern is split at `/`; each component is matched by itself (see `glob`), so `*` never crosses a `/`.
//! - A pattern with a leading `/` must match from the root. Any other matches at any depth: `build/*.o`
//!   matches `/home/x/build/a.o`.
//! - A pattern that matches a directory matches everything below it.
//! - `**` as a component stands for any number of components, none included.
//! - A leading `!` takes back what an earlier pattern of the same list matched. It cannot bring back what
//!   lies in a skipped directory, for that is never visited.
//! - Repeated and trailing slashes, `.` and `..` are resolved in the text of the pattern.

use thiserror::Error;

use super::glob::Glob;

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the pattern `{pattern}` is malformed: {problem}")]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Splits a path into its components.
pub(super) fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|b| *b == b'/').filter(|component| !component.is_empty()).collect()
}

/// Lower case, character by character; bytes that are no UTF-8 stay.
pub(super) fn lower_case(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_ascii() {
        return bytes.to_ascii_lowercase();
    }
    let mut lower = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut utf8 = [0; 4];
        for c in chunk.valid().chars().flat_map(char::to_lowercase) {
            lower.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
        }
        lower.extend_from_slice(chunk.invalid());
    }
    lower
}

#[derive(Debug, Clone)]
struct Pattern {
    negated: bool,
    /// Starts at the root.
    anchored: bool,
    /// The components between `**`s. Never empty; single segments may be.
    segments: Vec<Vec<Glob>>,
}

impl Pattern {
    fn compile(text: &[u8], ignore_case: bool) -> Result<Self, PatternError> {
        let error = |problem| PatternError { pattern: String::from_utf8_lossy(text).into_owned(), problem };
        let (negated, body) = match text.split_first() {
            Some((b'!', body)) => (true, body),
            _ => (false, text),
        };
        if body.is_empty() {
            return Err(error("it is empty"));
        }
        let lowered;
        let body = if ignore_case {
            lowered = lower_case(body);
            &lowered
        } else {
            body
        };
        let anchored = body[0] == b'/';
        let mut resolved: Vec<&[u8]> = Vec::new();
        for component in components(body) {
            match component {
                b"." => {}
                b".." if resolved.pop().is_some() || anchored => {}
                b".." => return Err(error("it leaves its own start by `..`")),
                component => resolved.push(component),
            }
        }
        if resolved.is_empty() && !anchored {
            return Err(error("it names nothing"));
        }
        let mut segments = vec![Vec::new()];
        for component in resolved {
            if component == b"**" {
                segments.push(Vec::new());
            } else if let Some(segment) = segments.last_mut() {
                segment.push(Glob::compile(component).map_err(error)?);
            }
        }
        Ok(Self { negated, anchored, segments })
    }

    /// Whether the path of these components, or a directory above it, is what the pattern says.
    fn matches(&self, path: &[&[u8]]) -> bool {
        let mut at = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            let starts = if index == 0 && self.anchored { 0..=0 } else { at..=path.len() };
            // The leftmost place leaves the most room for what follows.
            let Some(start) = starts.into_iter().find(|start| run_matches(segment, &path[*start..])) else {
                return false;
            };
            at = start + segment.len();
        }
        self.anchored || !path.is_empty()
    }

    /// Whether something below the directory of these components could match.
    fn child_may_match(&self, path: &[&[u8]]) -> bool {
        let Some(head) = self.segments.first().filter(|_| self.anchored) else { return true };
        let len = head.len().min(path.len());
        run_matches(&head[..len], path)
    }
}

/// Whether `path` starts with what `globs` say.
fn run_matches(globs: &[Glob], path: &[&[u8]]) -> bool {
    globs.len() <= path.len() && globs.iter().zip(path).all(|(glob, component)| glob.matches(component))
}

/// Patterns that are read in order, with `!` taking back.
#[derive(Debug, Clone, Default)]
pub(super) struct PatternList {
    patterns: Vec<Pattern>,
    negations: bool,
    ignore_case: bool,
}

impl PatternList {
    pub(super) fn new(ignore_case: bool) -> Self {
        Self { ignore_case, ..Self::default() }
    }

    pub(super) fn add(&mut self, text: &[u8]) -> Result<(), PatternError> {
        let pattern = Pattern::compile(text, self.ignore_case)?;
        self.negations |= pattern.negated;
        self.patterns.push(pattern);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(super) fn matches(&self, path: &[u8]) -> bool {
        self.with_components(path, |components| {
            if !self.negations {
                return self.patterns.iter().any(|pattern| pattern.matches(components));
            }
            self.patterns.iter().fold(false, |matched, pattern| {
                if pattern.negated {
                    matched && !pattern.matches(components)
                } else {
                    matched || pattern.matches(components)
                }
            })
        })
    }

    pub(super) fn child_may_match(&self, path: &[u8]) -> bool {
        self.with_components(path, |components| {
            self.patterns.iter().fold(false, |may, pattern| {
                if pattern.negated {
                    may && !pattern.matches(components)
                } else {
                    may || pattern.child_may_match(components)
                }
            })
        })
    }

    fn with_components(&self, path: &[u8], decide: impl FnOnce(&[&[u8]]) -> bool) -> bool {
        if self.is_empty() {
            return false;
        }
        if self.ignore_case {
            let lowered = lower_case(path);
            return decide(&components(&lowered));
        }
        decide(&components(path))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(patterns: &[&str]) -> PatternList {
        let mut list = PatternList::new(false);
        for pattern in patterns {
            list.add(pattern.as_bytes()).unwrap();
        }
        list
    }

    #[test]
    fn whole_paths() {
        for (pattern, path, expected) in [
            ("*.go", "/src/lib/x.go", true),
            ("*.c", "/src/lib/x.go", false),
            ("*", "/src", true),
            ("**", "/src/lib", true),
            ("/**", "/src/lib", true),
            ("lib", "/src/lib/x.go", true),
            ("li", "/src/lib/x.go", false),
            ("li*", "/src/lib/x.go", true),
            ("/li*", "/src/lib/x.go", false),
            ("/src", "/src/lib/x.go", true),
            ("/src/", "/src/lib/x.go", true),
            ("/src///lib/.", "/src/lib/x.go", true),
            ("/src/../lib", "/src/lib", false),
            ("/src/../lib", "/lib", true),
            ("/src/*", "/src", false),
            ("/src/*", "/src/lib/x.go", true),
            ("/src/*.go", "/src/lib/x.go", false),
            ("lib/*.go", "/src/lib/x.go", true),
            ("src/*.go", "/src/lib/x.go", false),
            ("src/**/*.go", "/src/lib/x.go", true),
            ("src/**/*.go", "/src/x.go", true),
            ("src/**/lib/**/x", "/a/src/lib/x", true),
            ("src/**/lib/**/x", "/a/src/b/c/lib/d/x/y", true),
            ("src/**/lib/**/x", "/a/lib/b/c/src/d/x/y", false),
            ("/src/**/y", "/a/src/y", false),
            ("/src/**", "/src", true),
            ("/src/**", "/srcs", false),
            ("**/lib", "/src/lib", true),
            ("/a/**/b/*/c", "/a/b/b/x/c", true),
            ("/a/**/b/*/c", "/a/b/x/b/c", false),
            ("/", "/anything", true),
            ("lib\\[1\\]", "/src/lib[1]", true),
        ] {
            assert_eq!(list(&[pattern]).matches(path.as_bytes()), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn later_patterns_take_back_earlier_ones() {
        let rules = list(&["*.log", "!keep.log", "/tmp", "!/tmp/x", "/tmp/x/secret"]);
        for (path, expected) in [
            ("/a.log", true),
            ("/d/keep.log", false),
            ("/tmp", true),
            ("/tmp/y", true),
            ("/tmp/x", false),
            ("/tmp/x/secret", true),
            ("/other", false),
        ] {
            assert_eq!(rules.matches(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn where_a_match_may_lie_below() {
        for (pattern, path, expected) in [
            ("anything", "/a", true),
            ("/a/b/c", "/", true),
            ("/a/b/c", "/a", true),
            ("/a/b/c", "/a/b", true),
            ("/a/b/c", "/a/x", false),
            ("/a/b/c", "/x", false),
            ("/a/b", "/a/b/c", true),
            ("/a/*/c", "/a/b", true),
            ("/a/*/c", "/a/b/d", false),
            ("/a/**/c", "/a/b/d/e", true),
            ("/a/**/c", "/b", false),
            ("/**/c", "/b", true),
        ] {
            assert_eq!(list(&[pattern]).child_may_match(path.as_bytes()), expected, "{pattern} on {path}");
        }
        assert!(!list(&["/a/b", "!/a"]).child_may_match(b"/a"));
        assert!(!list(&[]).child_may_match(b"/a"));
    }

    #[test]
    fn letter_case_is_ignored_on_request() {
        let mut rules = PatternList::new(true);
        rules.add("*.JPG".as_bytes()).unwrap();
        rules.add("Straße/É*".as_bytes()).unwrap();
        assert!(rules.matches(b"/x/a.jPg"));
        assert!(rules.matches("/STRAßE/éa".as_bytes()));
        assert!(rules.matches(b"/\xff\xfe.JPG"));
        assert!(!rules.matches(b"/x/a.png"));
    }

    #[test]
    fn useless_patterns_are_refused() {
        for pattern in ["", "!", ".", "a/..", "../a", "a/[", "**/["] {
            assert!(PatternList::new(false).add(pattern.as_bytes()).is_err(), "{pattern}");
        }
    }

    /// The definition: `**` tried as every number of `*`, at every place.
    fn naive(pattern: &str, path: &[&str]) -> bool {
        let anchored = pattern.starts_with('/');
        let parts: Vec<&str> = pattern.split('/').filter(|p| !p.is_empty()).collect();
        if let Some(at) = parts.iter().position(|p| *p == "**") {
            return (0..=path.len()).any(|count| {
                let mut expanded = parts[..at].to_vec();
                expanded.extend(std::iter::repeat_n("*", count));
                expanded.extend(&parts[at + 1..]);
                let text = format!("{}{}", if anchored { "/" } else { "" }, expanded.join("/"));
                naive(&text, path)
            });
        }
        if path.is_empty() && !anchored {
            return false;
        }
        let last = if anchored { 0 } else { path.len() };
        (0..=last).any(|start| {
            let tail = &path[start..];
            parts.len() <= tail.len() && parts.iter().zip(tail).all(|(p, c)| *p == "*" || p == c)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn agrees_with_the_definition(
            anchored: bool,
            parts in proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("*"), Just("**")], 1..6),
            path in proptest::collection::vec(prop_oneof![Just("a"), Just("b")], 0..7),
        ) {
            let pattern = format!("{}{}", if anchored { "/" } else { "" }, parts.join("/"));
            let text = format!("/{}", path.join("/"));
            let rules = list(&[&pattern]);
            prop_assert_eq!(rules.matches(text.as_bytes()), naive(&pattern, &path));
            // What holds for includes: an ancestor of a match may always hold one.
            if rules.matches(text.as_bytes()) {
                for depth in 0..path.len() {
                    let ancestor = format!("/{}", path[..depth].join("/"));
                    prop_assert!(rules.child_may_match(ancestor.as_bytes()), "{}", ancestor);
                }
            }
        }
    }
}
