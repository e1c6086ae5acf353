//! The environment, read once.

use crate::settings_table::SETTINGS;
use crate::suggest;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Prefix of all our variables.
pub const PREFIX: &str = "STRONGROOM_";

/// Variables of others that we heed.
const FOREIGN: [&str; 6] =
    ["HOME", "NO_COLOR", "TERM", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"];

/// The variables of the command-line tools of Transit servers.
const TRANSIT: [&str; 2] = ["BAO_", "VAULT_"];

/// The variables that matter here. Deliberately without `Debug`: one of them may be a passphrase.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, OsString>);

impl Env {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))))
    }

    /// An environment made of pairs. Empty values count as unset.
    #[must_use]
    pub fn new(variables: impl IntoIterator<Item = (String, OsString)>) -> Self {
        let heeded = |name: &str| {
            name.starts_with(PREFIX)
                || FOREIGN.contains(&name)
                || TRANSIT.iter().any(|prefix| name.starts_with(prefix))
        };
        Self(variables.into_iter().filter(|(name, value)| heeded(name) && !value.is_empty()).collect())
    }

    /// A variable, where set and not empty.
    #[must_use]
    pub fn os(&self, name: &str) -> Option<&OsString> {
        self.0.get(name)
    }

    /// A variable as a path.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.os(name).map(PathBuf::from)
    }

    /// A variable as text.
    ///
    /// # Errors
    /// A message for the user where it is not UTF-8; the value is not in it.
    pub fn text(&self, name: &str) -> Result<Option<String>, String> {
        let text = |value: &OsString| value.to_str().map(str::to_owned);
        self.os(name).map(|value| text(value).ok_or_else(|| format!("{name} is not UTF-8"))).transpose()
    }

    /// A directory of the user, by the XDG variable or below the home directory.
    #[must_use]
    pub fn xdg(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let absolute = |path: &PathBuf| path.is_absolute();
        self.path(variable).filter(absolute).or_else(|| Some(self.path("HOME")?.join(below_home)))
    }

    /// Variables that look like ours and mean nothing, each with the one that may be meant.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, Option<&'static str>)> {
        let known = || SETTINGS.iter().filter_map(|setting| setting.env);
        let ours = self.0.keys().map(String::as_str).filter(|name| name.starts_with(PREFIX));
        ours.filter(move |name| !known().any(|known| known == *name))
            .map(move |name| (name, suggest::nearest(name, known())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_kept() {
        let pairs = [("PATH", "/bin"), ("STRONGROOM_VAULT", ""), ("STRONGROOM_VUALT", "x"), ("HOME", "/h")];
        let env = Env::new(pairs.map(|(name, value)| (name.to_owned(), value.into())));
        assert!(env.os("PATH").is_none());
        assert!(env.os("STRONGROOM_VAULT").is_none());
        assert_eq!(env.unknown().collect::<Vec<_>>(), [("STRONGROOM_VUALT", Some("STRONGROOM_VAULT"))]);
        assert_eq!(env.xdg("XDG_CACHE_HOME", ".cache"), Some(PathBuf::from("/h/.cache")));
    }
}
