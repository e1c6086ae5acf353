//! The names of this host and of its user, as snapshots show them.

use std::path::Path;

/// The host's name.
#[must_use]
pub fn host() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    if name.is_empty() { "unknown".into() } else { name.into_owned() }
}

/// The user's name; the number where there is no name.
#[must_use]
pub fn user() -> String {
    let number = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    name_in(&users, number).unwrap_or_else(|| number.to_string())
}

/// The name in the text of `passwd(5)`.
fn name_in(users: &str, number: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_number() {
        let users = "root:x:0:0::/root:/bin/sh\nbroken\nbackup:x:34:34::/var:/bin/false\n";
        assert_eq!(name_in(users, 34).as_deref(), Some("backup"));
        assert_eq!(name_in(users, 35), None);
        assert!(!host().is_empty() && !user().is_empty());
    }
}
