//! Policies of witnesses, and what a witness decides.

use crate::notes::{ORIGIN, identity, key, log_key};
use strongroom_ledger::{
    checkpoint::{Checkpoint, Identity, SignedCheckpoint},
    cosignature,
    hash::{Edge, Hash},
    note::Algorithm,
    tree::Made,
    tree::Tiles,
    witness::{AddCheckpoint, Answer, WitnessPolicy, decide, parse_signatures},
};

fn tree(size: u64) -> Edge {
    let mut edge = Edge::default();
    (0..size).for_each(|index| edge.push(Hash::of_leaf(&index.to_be_bytes()), &mut |_| {}));
    edge
}

fn signed(size: u64) -> SignedCheckpoint {
    let note = Checkpoint::new(ORIGIN, size, tree(size).root()).sign(&log_key());
    identity().open(note.encode().as_bytes()).unwrap()
}

fn request(old: u64, new: u64) -> AddCheckpoint {
    let edge = tree(new);
    let mut tiles = Tiles::new(new);
    let proof = loop {
        match tiles.prove_consistency(old.min(new)).unwrap() {
            Made::Done(proof) => break proof,
            Made::Missing(missing) => missing.iter().for_each(|id| tiles.insert(*id, &edge.levels()[0])),
        }
    };
    AddCheckpoint { old_size: old, proof, checkpoint: signed(new).note }
}

#[test]
fn a_witness_follows_a_growing_ledger_and_nothing_else() {
    let witness = key("witness.example/w", Algorithm::Cosignature, 3);
    let decide = |request: &AddCheckpoint, last: Option<&SignedCheckpoint>| {
        let parsed = AddCheckpoint::parse(request.encode().as_bytes()).unwrap();
        assert_eq!(parsed, *request);
        decide(&parsed, &identity(), last, &witness, 99)
    };
    let (answer, first) = decide(&request(0, 5), None);
    assert_eq!(answer.status(), 200);
    let lines = parse_signatures(answer.body().as_bytes()).unwrap();
    assert_eq!(cosignature::verify(witness.public(), &signed(5).note.text, &lines[0]), Some(99));

    let first = first.unwrap();
    assert_eq!(decide(&request(5, 9), Some(&first)).0.status(), 200);
    // Again the same is fine: it may be asked for a newer time.
    assert_eq!(decide(&request(5, 5), Some(&first)).0.status(), 200);
    assert_eq!(decide(&request(0, 9), Some(&first)).0, Answer::Conflict(5));
    assert_eq!(decide(&request(9, 5), Some(&first)).0, Answer::Backwards);

    let mut bent = request(5, 9);
    bent.proof[0].0[0] ^= 1;
    assert_eq!(decide(&bent, Some(&first)), (Answer::Inconsistent, None));

    let fork = Checkpoint::new(ORIGIN, 5, Hash([1; 32])).sign(&log_key());
    let fork = AddCheckpoint { old_size: 5, proof: vec![], checkpoint: fork };
    assert_eq!(decide(&fork, Some(&first)), (Answer::Conflict(5), None));

    let by_other = Checkpoint::new(ORIGIN, 9, tree(9).root()).sign(&key(ORIGIN, Algorithm::Ed25519, 8));
    let by_other = AddCheckpoint { checkpoint: by_other, ..request(5, 9) };
    assert_eq!(decide(&by_other, Some(&first)), (Answer::Unsigned, None));
    let elsewhere = Identity::new("other.example", identity().keys().to_vec());
    let (answer, _) = super::witnesses::decide_for(&elsewhere, &request(0, 5));
    assert_eq!(answer, Answer::Unknown);
}

fn decide_for(identity: &Identity, request: &AddCheckpoint) -> (Answer, Option<SignedCheckpoint>) {
    decide(request, identity, None, &key("w", Algorithm::Cosignature, 3), 0)
}

#[test]
fn a_policy_counts_witnesses_and_shows_when_each_signed() {
    let witnesses: Vec<_> =
        (10..14).map(|n| key(&format!("w{n}.example"), Algorithm::Cosignature, n)).collect();
    let vkey = |n: usize| witnesses[n].public().to_string();
    let text = format!(
        "# ours\nlog {}\n\nwitness a {} https://a.example/\n\twitness b {}\nwitness c {}\nwitness d {}\n\
         group two 2 a b c\ngroup all all two d\nquorum all\n",
        log_key().public(),
        vkey(0),
        vkey(1),
        vkey(2),
        vkey(3)
    );
    let policy = WitnessPolicy::parse(&text).unwrap();
    assert_eq!(policy.witnesses[0].url.as_deref(), Some("https://a.example/"));
    let mut note = signed(5).note;
    for (n, met) in [(0, false), (2, false), (3, true)] {
        note.signatures.push(cosignature::cosign(&witnesses[n], &note.text, 100 + n as u64));
        assert_eq!(policy.standing(&note).met, met, "after {n}");
    }
    let standing = policy.standing(&note);
    assert_eq!(standing.cosigned(), 3);
    assert_eq!((standing.witnesses[2].cosigned, standing.witnesses[1].cosigned), (Some(102), None));
    assert!(WitnessPolicy::none().standing(&note).met);
}

#[test]
fn a_policy_that_means_nothing_is_refused_with_its_line() {
    let vkey = key("w.example", Algorithm::Cosignature, 1).public().to_string();
    let log = log_key().public().to_string();
    for (text, line) in [
        ("".to_owned(), 0),
        ("quorum none\nquorum none\n".into(), 2),
        (format!("witness a {vkey}\nwitness b {vkey}\nquorum none\n"), 2),
        (format!("witness a {log}\nquorum a\n"), 1),
        (format!("witness none {vkey}\n"), 1),
        (format!("witness a {vkey}\ngroup g 2 a\n"), 2),
        (format!("witness a {vkey}\ngroup g 0 a\n"), 2),
        (format!("witness a {vkey}\ngroup g any a a\n"), 2),
        (format!("witness a {vkey}\ngroup g any a\nquorum a\n"), 3),
        ("quorum x\n".into(), 1),
        ("quorum none\r\n".into(), 1),
        ("hello\n".into(), 1),
    ] {
        assert_eq!(WitnessPolicy::parse(&text).unwrap_err().line, line, "{text}");
    }
}
