//! Which paths belong to a backup or a restore. The semantics are restic's; patterns are described in
//! `pattern`.

use std::io;

use thiserror::Error;

use super::{
    marker::{Marker, MarkerError},
    pattern::{PatternError, PatternList},
    read::{Dir, Listing},
    stat::{FileKind, Stat},
};

/// Whether a path belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It does.
    Keep,
    /// It does not. A walk never enters a skipped directory, except where
    /// [`Filter::child_may_match`] says that it must.
    Skip,
}

/// How an entry stands to the file system of the source's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// On the same file system, or all file systems are wanted.
    Inside,
    /// A directory where another file system is mounted: recorded, but not entered.
    MountPoint,
    /// Anything else on another file system: left out.
    Outside,
}

/// An option that a filter cannot be built from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// A marker file's description.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// A pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// The rules of one run. Without rules every decision costs a few comparisons.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    exclude: PatternList,
    iexclude: PatternList,
    include: PatternList,
    iinclude: PatternList,
    markers: Vec<Marker>,
    larger_than: Option<u64>,
    one_file_system: bool,
}

/// Collects the rules of a [`Filter`].
#[derive(Debug, Clone)]
pub struct FilterBuilder {
    filter: Filter,
    error: Option<FilterError>,
}

impl Filter {
    /// A filter without rules.
    #[must_use]
    pub fn builder() -> FilterBuilder {
        let filter =
            Self { iexclude: PatternList::new(true), iinclude: PatternList::new(true), ..Self::default() };
        FilterBuilder { filter, error: None }
    }

    /// Decides by the patterns. `path` is absolute; for a restore, from the root of the snapshot.
    ///
    /// Where there are include patterns, only what they match is kept; a directory above a possible match
    /// is skipped here and must still be entered: [`Filter::child_may_match`]. Excludes win over includes.
    #[must_use]
    pub fn decide(&self, path: &[u8]) -> Decision {
        if self.excluded(path) {
            return Decision::Skip;
        }
        if self.includes_all() || self.include.matches(path) || self.iinclude.matches(path) {
            Decision::Keep
        } else {
            Decision::Skip
        }
    }

    /// Whether something below the directory `path` may be kept.
    #[must_use]
    pub fn child_may_match(&self, path: &[u8]) -> bool {
        !self.excluded(path)
            && (self.includes_all()
                || self.include.child_may_match(path)
                || self.iinclude.child_may_match(path))
    }

    fn excluded(&self, path: &[u8]) -> bool {
        self.exclude.matches(path) || self.iexclude.matches(path)
    }

    fn includes_all(&self) -> bool {
        self.include.is_empty() && self.iinclude.is_empty()
    }

    /// Whether a file of this size belongs; everything but regular files does.
    #[must_use]
    pub fn decide_size(&self, stat: &Stat) -> Decision {
        match self.larger_than {
            Some(limit) if stat.kind == FileKind::File && stat.size > limit => Decision::Skip,
            _ => Decision::Keep,
        }
    }

    /// How an entry stands to the file system whose number is `root_device`.
    #[must_use]
    pub fn crossing(&self, root_device: u64, stat: &Stat) -> Crossing {
        if !self.one_file_system || stat.dev == root_device {
            Crossing::Inside
        } else if stat.kind == FileKind::Directory {
            Crossing::MountPoint
        } else {
            Crossing::Outside
        }
    }

    /// The marker that the directory holds: then its other entries do not belong.
    ///
    /// # Errors
    /// A marker's header cannot be read. Whoever calls reports it and treats the directory as unmarked, so
    /// that an error never leaves files out.
    pub fn marker(&self, dir: &Dir, listing: &Listing) -> io::Result<Option<&Marker>> {
        for marker in &self.markers {
            if marker.marks(dir, listing)? {
                return Ok(Some(marker));
            }
        }
        Ok(None)
    }
}

impl FilterBuilder {
    /// Leaves out what the pattern matches.
    #[must_use]
    pub fn exclude(self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern(|filter| &mut filter.exclude, pattern.as_ref())
    }

    /// Leaves out what the pattern matches in any letter case.
    #[must_use]
    pub fn iexclude(self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern(|filter| &mut filter.iexclude, pattern.as_ref())
    }

    /// Keeps only what this or another include pattern matches.
    #[must_use]
    pub fn include(self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern(|filter| &mut filter.include, pattern.as_ref())
    }

    /// Keeps only what this or another include pattern matches, in any letter case.
    #[must_use]
    pub fn iinclude(self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern(|filter| &mut filter.iinclude, pattern.as_ref())
    }

    /// Adds the patterns of an exclude file: one a line; blank lines and lines that start with `#` do not
    /// count, nor does white space around a pattern.
    #[must_use]
    pub fn exclude_file(self, content: &[u8]) -> Self {
        lines(content).fold(self, |builder, line| builder.exclude(line))
    }

    /// As [`FilterBuilder::exclude_file`], in any letter case.
    #[must_use]
    pub fn iexclude_file(self, content: &[u8]) -> Self {
        lines(content).fold(self, |builder, line| builder.iexclude(line))
    }

    /// As [`FilterBuilder::exclude_file`], for include patterns.
    #[must_use]
    pub fn include_file(self, content: &[u8]) -> Self {
        lines(content).fold(self, |builder, line| builder.include(line))
    }

    /// As [`FilterBuilder::include_file`], in any letter case.
    #[must_use]
    pub fn iinclude_file(self, content: &[u8]) -> Self {
        lines(content).fold(self, |builder, line| builder.iinclude(line))
    }

    /// Leaves out what lies beside a valid `CACHEDIR.TAG`.
    #[must_use]
    pub fn exclude_caches(mut self) -> Self {
        self.filter.markers.push(Marker::cache());
        self
    }

    /// Leaves out what lies beside a marker, given as `NAME` or `NAME:HEADER`.
    #[must_use]
    pub fn exclude_if_present(mut self, marker: impl AsRef<[u8]>) -> Self {
        match Marker::parse(marker.as_ref()) {
            Ok(marker) => self.filter.markers.push(marker),
            Err(error) => self.error = self.error.or(Some(error.into())),
        }
        self
    }

    /// Leaves out files of more than so many bytes.
    #[must_use]
    pub fn exclude_larger_than(mut self, bytes: u64) -> Self {
        self.filter.larger_than = Some(bytes);
        self
    }

    /// Stays on the file system of each root.
    #[must_use]
    pub fn one_file_system(mut self) -> Self {
        self.filter.one_file_system = true;
        self
    }

    /// The filter.
    ///
    /// # Errors
    /// The first rule that could not be understood.
    pub fn build(self) -> Result<Filter, FilterError> {
        self.error.map_or(Ok(self.filter), Err)
    }

    fn pattern(mut self, list: impl FnOnce(&mut Filter) -> &mut PatternList, text: &[u8]) -> Self {
        if let Err(error) = list(&mut self.filter).add(text) {
            self.error = self.error.or(Some(error.into()));
        }
        self
    }
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(content)
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && line[0] != b'#')
}

/// Reads a size: a whole number of bytes, or with `k`, `m`, `g` or `t` (either case) of so many powers of
/// 1024. `None` where it is none, or above 2^64.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let shift = match text.bytes().last()?.to_ascii_lowercase() {
        b'k' => 10,
        b'm' => 20,
        b'g' => 30,
        b't' => 40,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(filter: &Filter, path: &str) -> bool {
        filter.decide(path.as_bytes()) == Decision::Keep
    }

    #[test]
    fn no_rules_keep_everything() {
        let filter = Filter::builder().build().unwrap();
        assert!(keeps(&filter, "/any") && filter.child_may_match(b"/any"));
    }

    #[test]
    fn excludes_in_both_cases_add_up() {
        let filter = Filter::builder().exclude("*.tmp").iexclude("*.bak").build().unwrap();
        assert!(!keeps(&filter, "/a/x.tmp"));
        assert!(keeps(&filter, "/a/x.TMP"));
        assert!(!keeps(&filter, "/a/x.BAK"));
        assert_eq!(filter.decide(b"/a/\xff.tmp"), Decision::Skip);
        assert_eq!(filter.decide(b"/a/\xff.txt"), Decision::Keep);
    }

    #[test]
    fn includes_keep_only_what_they_match_and_show_the_way() {
        let filter = Filter::builder().include("/home/x/*.txt").exclude("secret*").build().unwrap();
        assert!(!keeps(&filter, "/home") && filter.child_may_match(b"/home"));
        assert!(!keeps(&filter, "/etc") && !filter.child_may_match(b"/etc"));
        assert!(keeps(&filter, "/home/x/a.txt"));
        assert!(!keeps(&filter, "/home/x/a.bin"));
        assert!(!keeps(&filter, "/home/x/secret.txt"));
    }

    #[test]
    fn exclude_files_have_comments_and_blank_lines() {
        let filter = Filter::builder()
            .exclude_file(b"\xef\xbb\xbf# caches\n\n  *.tmp  \r\n!keep.tmp\n\\#odd\n")
            .build()
            .unwrap();
        assert!(!keeps(&filter, "/a.tmp"));
        assert!(keeps(&filter, "/keep.tmp"));
        assert!(!keeps(&filter, "/#odd"));
        assert!(keeps(&filter, "/# caches"));
    }

    #[test]
    fn the_first_bad_rule_is_named() {
        let error = Filter::builder().exclude("ok").exclude("[a").exclude("[b").build().unwrap_err();
        assert_eq!(error.to_string(), "the pattern `[a` is malformed: a `[` has no matching `]`");
        assert!(Filter::builder().exclude_if_present("a/b").build().is_err());
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("2k", Some(2048)),
            ("3M", Some(3 << 20)),
            ("1g", Some(1 << 30)),
            ("1T", Some(1 << 40)),
            ("99999999T", None),
            ("", None),
            ("k", None),
            ("-1", None),
            ("+1", None),
            ("1.5G", None),
            ("1x", None),
            ("1é", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }
}
