//! The example organisation, its expected verdicts, and what must not change them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use strongroom_posture::analysis::{Analysis, Subject, Verdict};
use strongroom_posture::load::{Limits, load_documents};

const EXPECTED: [(&str, Verdict); 10] = [
    ("MIN-1", Verdict::Pass),
    ("MIN-2", Verdict::Pass),
    ("MIN-3", Verdict::Fail),
    ("MIN-4", Verdict::Fail),
    ("MIN-5", Verdict::Pass),
    ("MIN-6", Verdict::Fail),
    ("MIN-7", Verdict::Fail),
    ("HIGH-1", Verdict::Fail),
    ("HIGH-2", Verdict::Unproven),
    ("HIGH-3", Verdict::Pass),
];

pub(super) fn files() -> Vec<(String, Vec<u8>)> {
    fn walk(at: &Path, root: &Path, into: &mut Vec<(String, Vec<u8>)>) {
        let mut below: Vec<PathBuf> =
            std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
        below.sort();
        for path in below {
            if path.is_dir() {
                walk(&path, root, into);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                into.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/organisation");
    let mut all = Vec::new();
    walk(&root, &root, &mut all);
    assert!(all.len() > 150, "{}", all.len());
    all
}

type Told = (BTreeMap<&'static str, Verdict>, Vec<String>);

fn told(files: Vec<(String, Vec<u8>)>) -> Told {
    let estate = load_documents(files, &Limits::default());
    let analysis = Analysis::of(&estate, &Subject::default());
    (analysis.controls.iter().map(|control| (control.id, control.verdict)).collect(), analysis.baseline())
}

#[test]
fn the_verdicts_are_as_expected() {
    let estate = load_documents(files(), &Limits::default());
    assert!(estate.problems.is_empty(), "{:?}", estate.problems);
    let analysis = Analysis::of(&estate, &Subject::default());
    let verdicts: Vec<_> = analysis.controls.iter().map(|control| (control.id, control.verdict)).collect();
    assert_eq!(verdicts, EXPECTED, "{}", analysis.to_text());
    assert!(analysis.reach.gaps.is_empty(), "{:?}", analysis.reach.gaps);
    let text = analysis.to_text();
    for line in [
        "code in arn:aws:codebuild:eu-west-1:400000000004:project/deploy → arn:aws:iam::400000000004:role/deploy-pipeline → arn:aws:iam::200000000002:role/terraform-deploy → arn:aws:iam::200000000002:role/break-glass → destroy",
        "arn:aws:iam::500000000005:user/infra-admin → any role of 200000000002 → hijack",
        "the root user of 200000000002 has no second factor",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!analysis.baseline().iter().any(|line| line.contains("600000000006:user")));
    let model = analysis.to_threat_model();
    for part in [
        "## Assets",
        "## Trust boundaries",
        "### Business-services admin",
        "### Root users",
        "**yes**",
        "no: there is no path",
    ] {
        assert!(model.contains(part), "{part}");
    }
}

#[test]
fn the_order_of_files_changes_nothing() {
    let mut all = files();
    let once = told(all.clone());
    all.reverse();
    assert_eq!(once, told(all.clone()));
    let half = all.len() / 2;
    all.rotate_left(half);
    assert_eq!(once, told(all));
}

#[test]
fn less_input_never_proves_more() {
    let all = files();
    let (whole, _) = told(all.clone());
    let mut unproven = 0;
    for (left_out, (name, _)) in all.iter().enumerate() {
        let mut fewer = all.clone();
        fewer.remove(left_out);
        let (verdicts, _) = told(fewer);
        for (id, verdict) in &verdicts {
            // Without the key itself, there may be other keys to score.
            assert!(
                *verdict != Verdict::Pass || whole[id] == Verdict::Pass,
                "without {name}, {id} is proven and was {:?}",
                whole[id]
            );
            unproven += usize::from(*verdict == Verdict::Unproven && whole[id] != Verdict::Unproven);
        }
    }
    assert!(unproven > 100, "what is left out matters: {unproven}");
}
