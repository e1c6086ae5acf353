//! Input that is broken, contradictory or meant to hurt.

use strongroom_posture::estate::{Extent, Kind, ProblemKind};
use strongroom_posture::load::{Limits, load_directory, load_documents};

use super::{KEY, account, extent, key_metadata, load};

const ROLE: &str = r#"{"Path": "/", "RoleName": "NAME", "RoleId": "AROAEXAMPLE", "Arn": "arn:aws:iam::111122223333:role/NAME", "AssumeRolePolicyDocument": {}}"#;

fn role(name: &str) -> String {
    ROLE.replace("NAME", name)
}

fn kinds(files: &[(&str, &str)]) -> Vec<ProblemKind> {
    load(files).problems.iter().map(|problem| problem.kind).collect()
}

#[test]
fn a_truncated_file_gives_what_stands_before_the_cut() {
    let text = format!("{{\"RoleDetailList\": [\n{},\n{},\n{}", role("a"), role("b"), &role("c")[..60]);
    let estate = load(&[("cut.json", &text)]);
    let roles: Vec<_> = estate.accounts[&account("111122223333")].roles.keys().cloned().collect();
    assert_eq!(roles, ["a".into(), "b".into()]);
    assert_eq!(extent(&estate, "111122223333", Kind::Roles), Extent::Partial);
    let lines: Vec<_> =
        estate.problems.iter().map(|problem| (problem.kind, problem.place.unwrap().line)).collect();
    assert_eq!(lines, [(ProblemKind::Syntax, 4), (ProblemKind::Syntax, 4)]);
}

#[test]
fn a_wrong_byte_is_named_where_it_stands_and_the_rest_is_kept() {
    let mut bytes = format!("{{\"RoleDetailList\": [\n{},\n", role("a")).into_bytes();
    bytes.extend(b"{\"Path\": \"\xFF\"}]}");
    let estate = load_documents(vec![("a.json".into(), bytes)], &Limits::default());
    assert_eq!(estate.accounts[&account("111122223333")].roles.len(), 1);
    let problem = estate.problems.iter().find(|problem| problem.kind == ProblemKind::NotText).unwrap();
    assert_eq!((problem.place.unwrap().line, problem.place.unwrap().column), (3, 11));
}

#[test]
fn fields_of_the_wrong_type_cost_their_record_only() {
    let broken = role("b").replace("\"AROAEXAMPLE\"", "[1]");
    let text = format!(
        "{{\"RoleDetailList\": [{}, {broken}, 7, {}], \"UserDetailList\": {{}}}}",
        role("a"),
        role("c")
    );
    let estate = load(&[("a.json", &text)]);
    assert_eq!(estate.accounts[&account("111122223333")].roles.len(), 2);
    assert_eq!(estate.problems.iter().filter(|problem| problem.kind == ProblemKind::WrongType).count(), 3);
    assert_eq!(extent(&estate, "111122223333", Kind::Roles), Extent::Partial);
    assert_eq!(extent(&estate, "111122223333", Kind::Users), Extent::Partial);
}

#[test]
fn a_contradiction_is_named_with_both_places() {
    let one = format!("{{\"RoleDetailList\": [{}]}}", role("a"));
    let other =
        one.replace("\"AssumeRolePolicyDocument\": {}", "\"AssumeRolePolicyDocument\": {\"Statement\": []}");
    let estate = load(&[("1.json", &one), ("2.json", &other)]);
    let problem = &estate.problems[0];
    assert_eq!((problem.kind, &*problem.file), (ProblemKind::Contradiction, "2.json"));
    assert!(problem.detail.contains("1.json:1"), "{}", problem.detail);
    assert_eq!(extent(&estate, "111122223333", Kind::Roles), Extent::Partial);
    assert!(kinds(&[("1.json", &one), ("2.json", &one)]).is_empty(), "the same twice is no contradiction");
}

#[test]
fn two_descriptions_of_a_key_that_differ_are_named() {
    let one = key_metadata(KEY, "");
    let other = one.replace("\"Enabled\", \"Origin\"", "\"Disabled\", \"Origin\"");
    assert_eq!(kinds(&[("1", &one), ("2", &other)]), [ProblemKind::Contradiction]);
}

#[test]
fn a_name_that_stands_twice_is_named_and_the_last_one_counts() {
    let twice = role("a").replacen('{', r#"{"RoleId": "FIRST", "#, 1);
    let estate = load(&[("a.json", &format!("{{\"RoleDetailList\": [{twice}]}}"))]);
    assert_eq!(estate.problems[0].kind, ProblemKind::DuplicateField);
    assert_eq!(&*estate.accounts[&account("111122223333")].roles["a"].id, "AROAEXAMPLE");
}

#[test]
fn deep_and_endless_nesting_end_at_the_limit() {
    let deep = "[".repeat(1_000_000);
    assert!(kinds(&[("a.json", &deep)]).contains(&ProblemKind::TooDeep));
    let objects = "{\"a\":".repeat(1_000_000);
    assert!(kinds(&[("a.json", &objects)]).contains(&ProblemKind::TooDeep));
    let wide = format!("[{}1]", "1,".repeat(1000));
    let limits = Limits { values: 100, ..Limits::default() };
    let estate = load_documents(vec![("a.json".into(), wide.into_bytes())], &limits);
    assert!(estate.problems.iter().any(|problem| problem.kind == ProblemKind::TooMany));
}

#[test]
fn what_is_no_json_is_named_and_harmless() {
    assert_eq!(kinds(&[("README.md", "# Notes")]), [ProblemKind::Unrecognised]);
    assert_eq!(kinds(&[("a.json", "An error occurred (AccessDenied)")]), [ProblemKind::Syntax]);
    assert_eq!(kinds(&[("a.json", "")]), [ProblemKind::Unrecognised]);
    assert_eq!(kinds(&[("a.json", "{\"x\": 1}")]), [ProblemKind::Unrecognised]);
    assert_eq!(kinds(&[("a.json", "{\"Keys\": []} trailing")]).len(), 2);
}

#[test]
fn an_unreadable_file_leaves_nothing_whole() {
    let whole = format!("{{\"RoleDetailList\": [{}]}}", role("a"));
    let estate = load(&[("a.json", &whole), ("b.json", "{")]);
    assert_eq!(
        extent(&estate, "111122223333", Kind::Roles),
        Extent::Partial,
        "it may have been about this account"
    );
    let estate = load(&[("a.json", &whole), ("444455556666/b.json", "{")]);
    assert_eq!(extent(&estate, "111122223333", Kind::Roles), Extent::Whole, "it was about another account");
}

#[test]
fn a_million_problems_are_not_all_named() {
    let text = format!("{{\"RoleDetailList\": [{}]}}", vec!["1"; 5000].join(","));
    assert!(load(&[("a.json", &text)]).problems.len() < 250);
}

#[test]
fn units_that_contain_each_other_end() {
    let files = [
        (
            "0",
            r#"{"OrganizationalUnits": [{"Id": "ou-ab12-11111111", "Arn": "arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-ab12-11111111", "Name": "a"}, {"Id": "ou-ab12-22222222", "Arn": "arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-ab12-22222222", "Name": "b"}]}"#,
        ),
        (
            "ou-ab12-11111111",
            r#"{"Children": [{"Id": "ou-ab12-22222222", "Type": "ORGANIZATIONAL_UNIT"}, {"Id": "444455556666", "Type": "ACCOUNT"}]}"#,
        ),
        ("ou-ab12-22222222", r#"{"Children": [{"Id": "ou-ab12-11111111", "Type": "ORGANIZATIONAL_UNIT"}]}"#),
    ];
    let estate = load(&files);
    let organisation = &estate.organisations["o-exampleorgid"];
    assert!(!organisation.place_is_known(account("444455556666")));
}

#[test]
#[cfg(unix)]
fn links_and_pipes_are_not_followed_and_hidden_files_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(root.join("a.json"), format!("{{\"RoleDetailList\": [{}]}}", role("a"))).unwrap();
    std::fs::write(root.join(".hidden.json"), "{").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.join("link.json")).unwrap();
    std::os::unix::fs::symlink(root, root.join("loop")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.json")).unwrap();
    let estate = load_directory(root, &Limits::default()).unwrap();
    let kinds: Vec<_> = estate.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::NotAFile; 3]);
    assert_eq!(estate.principal_count(), 1);
}

#[test]
fn limits_on_files_hold() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for index in 0..5 {
        std::fs::write(
            root.join(format!("{index}.json")),
            format!("{{\"RoleDetailList\": [{}]}}", role("a")),
        )
        .unwrap();
    }
    let of = |limits: Limits| {
        load_directory(root, &limits).unwrap().problems.into_iter().map(|p| p.kind).collect::<Vec<_>>()
    };
    assert_eq!(of(Limits { file_bytes: 10, ..Limits::default() }), [ProblemKind::TooLarge; 5]);
    assert_eq!(of(Limits { files: 4, ..Limits::default() }), [ProblemKind::TooMany]);
    assert!(of(Limits { bytes_at_once: 1, threads: 3, ..Limits::default() }).is_empty());
    std::fs::create_dir_all(root.join("d/e")).unwrap();
    assert_eq!(of(Limits { directories: 1, ..Limits::default() }), [ProblemKind::TooDeep]);
    assert!(load_directory(&root.join("absent"), &Limits::default()).is_err());
}
