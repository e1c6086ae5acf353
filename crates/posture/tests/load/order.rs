//! The order of files changes nothing, nor do their names where documents name themselves.

use proptest::prelude::*;
use strongroom_posture::estate::Estate;
use strongroom_posture::load::{Limits, load_documents};

use super::{KEY, POLICY, key_metadata};

fn files() -> Vec<(String, String)> {
    let role = |name: &str| {
        format!(
            r#"{{"Path": "/", "RoleName": "{name}", "RoleId": "AROA{name}", "Arn": "arn:aws:iam::111122223333:role/{name}",
            "AssumeRolePolicyDocument": {{"Statement": [{{"Sid": "{name}"}}]}}}}"#
        )
    };
    let page = |names: &[&str]| {
        let roles: Vec<_> = names.iter().map(|name| role(name)).collect();
        format!(r#"{{"RoleDetailList": [{}]}}"#, roles.join(","))
    };
    let contradiction = page(&["a"]).replace("Sid", "sid");
    let dir = "111122223333/eu-west-1/1234abcd-12ab-34cd-56ef-1234567890ab";
    [
        ("p1", page(&["a", "b"])),
        ("p2", page(&["b", "c"])),
        ("p3", contradiction),
        ("broken.json", "{\"Keys\": [".into()),
        ("describe", key_metadata(KEY, "")),
        ("describe-again", key_metadata(KEY, "").replace("CUSTOMER", "AWS")),
        (&*format!("{dir}/policy"), format!(r#"{{"Policy": "{POLICY}", "PolicyName": "default"}}"#)),
        (&*format!("{dir}/grants"), r#"{"Grants": []}"#.into()),
        ("r-ab12/units", r#"{"OrganizationalUnits": [{"Id": "ou-ab12-11111111", "Arn": "arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-ab12-11111111"}]}"#.into()),
        ("ou-ab12-11111111/children", r#"{"Children": [{"Id": "444455556666"}]}"#.into()),
        ("roots", r#"{"Roots": [{"Id": "r-ab12", "Arn": "arn:aws:organizations::111122223333:root/o-exampleorgid/r-ab12", "PolicyTypes": []}]}"#.into()),
        ("scps/ou-ab12-11111111", r#"{"Policies": [{"Id": "p-examplescp1", "Type": "SERVICE_CONTROL_POLICY", "Arn": "arn:aws:organizations::111122223333:policy/o-exampleorgid/service_control_policy/p-examplescp1"}]}"#.into()),
        ("111122223333/buckets", r#"{"Buckets": [{"Name": "b-1"}]}"#.into()),
        ("111122223333/b-1/versioning", r#"{"Status": "Enabled"}"#.into()),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text))
    .collect()
}

fn load(files: Vec<(String, String)>) -> Estate {
    let documents = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    load_documents(documents, &Limits::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_gives_the_same_estate(shuffled in Just(files()).prop_shuffle()) {
        prop_assert_eq!(format!("{:#?}", load(shuffled)), format!("{:#?}", load(files())));
    }

    #[test]
    fn pages_may_be_cut_anywhere(cut in 0usize..=6, names in Just(vec!["a", "b", "c", "d", "e", "f"]).prop_shuffle()) {
        let details = |names: &[&str]| {
            let roles: Vec<_> = names.iter().map(|name| format!(
                r#"{{"RoleName": "{name}", "RoleId": "AROA{name}", "Arn": "arn:aws:iam::111122223333:role/{name}", "AssumeRolePolicyDocument": {{}}}}"#
            )).collect();
            format!(r#"{{"RoleDetailList": [{}]}}"#, roles.join(","))
        };
        let two = load(vec![
            ("111122223333/x".into(), details(&names[..cut])),
            ("111122223333/y".into(), details(&names[cut..])),
        ]);
        let one = load(vec![("111122223333/x".into(), details(&["a", "b", "c", "d", "e", "f"]))]);
        prop_assert_eq!(&two.accounts.values().next().unwrap().roles, &one.accounts.values().next().unwrap().roles);
        prop_assert_eq!(two.coverage, one.coverage);
    }

    #[test]
    fn no_file_at_all_makes_anything_more_whole(dropped in 0usize..14) {
        let all = load(files());
        let mut fewer = files();
        fewer.remove(dropped);
        let fewer = load(fewer);
        for (scope, kind, extent) in fewer.coverage.extents() {
            // What a file broke or contradicted is mended without it; nothing else gets better.
            if ["p3", "broken.json", "describe-again", "describe", "p1"].contains(&files()[dropped].0.as_str()) {
                continue;
            }
            prop_assert!(extent <= all.coverage.extent(scope, kind), "{scope} {kind:?}");
        }
    }
}
