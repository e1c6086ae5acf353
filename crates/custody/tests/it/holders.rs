use crate::{age_identity, context, data, key, other_contexts, public_key};
use data_encoding::BASE64;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use strongroom_custody::{
    HolderError, Keyholder, Operation, Prompts, Secrets,
    holders::{age, build, file, key_file, passphrase},
};
use strongroom_format::{
    Secret32,
    keyring::{KeyholderSpec, Parameter},
    xwing::OpeningKey,
};
use zeroize::Zeroizing;

const RIGHT: &str = "correct horse";

fn saying(passphrases: &[&'static str]) -> Secrets {
    let passphrases = passphrases.to_vec();
    Secrets::none().with_passphrases(move |_: &str, attempt: u32| {
        Ok(passphrases.get(attempt as usize - 1).map(|text| Zeroizing::new((*text).to_owned())))
    })
}

fn cheap() -> KeyholderSpec {
    passphrase::create(RIGHT, passphrase::Cost::LEAST).unwrap()
}

fn holder(spec: &KeyholderSpec, secrets: &Secrets) -> Arc<dyn Keyholder> {
    build("office", spec, secrets).unwrap()
}

/// A machine without secrets wraps and cannot unwrap; one with `secrets` opens that, but for no other context
/// and with no byte changed, of which one in `step` is tried.
async fn conformance(spec: &KeyholderSpec, secrets: &Secrets, step: usize) {
    let writer = holder(spec, &Secrets::none());
    writer.ready(Operation::Wrap).unwrap();
    assert!(matches!(writer.ready(Operation::Unwrap), Err(HolderError::NoSecret(_))));
    let blob = writer.wrap(&context(), &key()).await.unwrap().value;
    assert_ne!(blob, writer.wrap(&context(), &key()).await.unwrap().value, "wraps are randomised");
    let error = writer.unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(error, HolderError::NoSecret(_)), "{error:?}");

    let holder = holder(spec, secrets);
    holder.ready(Operation::Wrap).unwrap();
    holder.ready(Operation::Unwrap).unwrap();
    assert!(!blob.windows(32).any(|window| window == key().expose()));
    assert_eq!(holder.unwrap(&context(), &blob).await.unwrap().value.expose(), key().expose());
    for other in other_contexts() {
        let error = holder.unwrap(&other, &blob).await.unwrap_err();
        assert!(matches!(error, HolderError::Tampered | HolderError::WrongContext), "{error:?}");
    }
    for i in (0..blob.len()).step_by(step) {
        let mut changed = blob.clone();
        changed[i] ^= 1;
        let error = holder.unwrap(&context(), &changed).await.unwrap_err();
        assert!(!matches!(error, HolderError::WrongSecret(_)), "byte {i}: {error:?}");
        assert!(holder.unwrap(&context(), &blob[..i]).await.is_err(), "cut at {i}");
    }
    let longer = [&blob[..], b"\0"].concat();
    assert!(holder.unwrap(&context(), &longer).await.is_err());
    assert!(holder.unwrap(&context(), &vec![1; 70 << 10]).await.is_err());
}

#[tokio::test]
async fn file_conformance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("office.key");
    let spec = file::create(&path, "office").unwrap();
    conformance(&spec, &Secrets::none().with_key_file("office", &path), 1).await;
}

#[tokio::test]
async fn passphrase_conformance() {
    conformance(&cheap(), &saying(&[RIGHT]), 1).await;
}

#[tokio::test]
async fn age_conformance() {
    let folder = tempfile::tempdir().unwrap();
    let (recipient, path) = age_identity(folder.path(), "one");
    let spec = age::create(&[recipient]).unwrap();
    conformance(&spec, &Secrets::none().with_identity(path), 1).await;
}

#[tokio::test]
async fn ssh_conformance() {
    for name in ["ed25519", "rsa"] {
        let spec = age::create(&[public_key(&format!("{name}.pub"))]).unwrap();
        conformance(&spec, &Secrets::none().with_identity(data(name)), 13).await;
    }
}

fn public_key_of(spec: &KeyholderSpec) -> Vec<u8> {
    match spec.parameters.get("public_key") {
        Some(Parameter::Text(text)) => BASE64.decode(text.as_bytes()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Opens a wrap as clause V-4.5 describes it, without a keyholder.
fn open_by_the_book(seed: Secret32, kind: &str, blob: &[u8]) -> Secret32 {
    let vault = context().vault.to_hex();
    let info = format!(
        "strongroom v1 {kind} keyholder\0strongroom:dataset=home\nstrongroom:epoch=7\n\
         strongroom:purpose=read\nstrongroom:vault={vault}\n"
    );
    assert_eq!((blob.len(), blob[0]), (1169, 1));
    OpeningKey::from_seed(seed).open(info.as_bytes(), blob[1..].try_into().unwrap()).unwrap()
}

#[tokio::test]
async fn layout_of_file_keyholders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("office.key");
    let spec = file::create(&path, "office").unwrap();
    let seed = key_file::read(&path).unwrap();
    assert_eq!(spec.parameters.keys().collect::<Vec<_>>(), ["public_key"]);
    assert_eq!(public_key_of(&spec), OpeningKey::from_seed(seed.clone()).public().to_bytes());
    assert_eq!(file::spec(&seed), spec);
    let blob = holder(&spec, &Secrets::none()).wrap(&context(), &key()).await.unwrap().value;
    assert_eq!(open_by_the_book(seed, "file", &blob).expose(), key().expose());
}

#[tokio::test]
async fn layout_of_passphrase_keyholders() {
    let spec = cheap();
    let number = |value| Parameter::Number(value);
    assert_eq!(
        spec.parameters.keys().collect::<Vec<_>>(),
        ["lanes", "memory", "passes", "public_key", "salt"]
    );
    assert_eq!(
        [&spec.parameters["memory"], &spec.parameters["passes"], &spec.parameters["lanes"]],
        [&number(8 << 10), &number(1), &number(1)]
    );
    let Parameter::Text(salt) = &spec.parameters["salt"] else { panic!("{spec:?}") };
    let salt = BASE64.decode(salt.as_bytes()).unwrap();
    assert_eq!(salt.len(), 16);
    let params = argon2::Params::new(8 << 10, 1, 1, Some(32)).unwrap();
    let mut seed = [0; 32];
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(RIGHT.as_bytes(), &salt, &mut seed)
        .unwrap();
    let seed = Secret32::new(seed);
    assert_eq!(public_key_of(&spec), OpeningKey::from_seed(seed.clone()).public().to_bytes());
    let blob = holder(&spec, &Secrets::none()).wrap(&context(), &key()).await.unwrap().value;
    assert_eq!(open_by_the_book(seed, "passphrase", &blob).expose(), key().expose());
}

#[tokio::test]
async fn key_files_are_private_new_and_durable() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("office.key");
    let spec = file::create(&path, "office").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let before = fs::read(&path).unwrap();
    assert!(matches!(file::create(&path, "office"), Err(HolderError::Io { .. })));
    assert_eq!(fs::read(&path).unwrap(), before, "a key is never overwritten");

    let holder = holder(&spec, &Secrets::none().with_key_file("office", &path));
    let blob = holder.wrap(&context(), &key()).await.unwrap().value;
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = holder.unwrap(&context(), &blob).await.unwrap_err();
        assert!(matches!(error, HolderError::Exposed { mode: found, .. } if found == mode), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    holder.unwrap(&context(), &blob).await.unwrap();
}

#[tokio::test]
async fn a_wrong_or_missing_key_file_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let [right, wrong] = ["right", "wrong"].map(|name| folder.path().join(name));
    let spec = file::create(&right, "office").unwrap();
    file::create(&wrong, "paper").unwrap();
    let blob = holder(&spec, &Secrets::none()).wrap(&context(), &key()).await.unwrap().value;

    let error = |secrets: Secrets| {
        let (spec, blob) = (spec.clone(), blob.clone());
        async move { holder(&spec, &secrets).unwrap(&context(), &blob).await.unwrap_err() }
    };
    let wrong_file = error(Secrets::none().with_key_file("office", &wrong)).await;
    assert!(matches!(&wrong_file, HolderError::WrongSecret(text) if text.contains("wrong")), "{wrong_file}");
    let missing = error(Secrets::none().with_key_file("office", folder.path().join("gone"))).await;
    assert!(matches!(&missing, HolderError::NoSecret(text) if text.contains("gone")), "{missing}");
    let nothing = error(Secrets::none().with_key_file("paper", &right)).await;
    assert!(matches!(nothing, HolderError::NoSecret(_)), "{nothing}");

    let mut loose = Secrets::none();
    loose.unlabelled_key_files = vec![wrong, right];
    holder(&spec, &loose).unwrap(&context(), &blob).await.unwrap();
}

#[tokio::test]
async fn passphrases_are_asked_for_lazily_once_and_at_most_three_times() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let secrets = Secrets::none().with_passphrases(move |_: &str, attempt: u32| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Zeroizing::new(if attempt == 2 { RIGHT.to_owned() } else { "wrong".to_owned() })))
    });
    let spec = cheap();
    let patient = holder(&spec, &secrets);
    let blob = patient.wrap(&context(), &key()).await.unwrap().value;
    assert!(matches!(patient.unwrap(&context(), &blob[1..]).await, Err(HolderError::Malformed(_))));
    assert_eq!(asked.load(Ordering::SeqCst), 0, "neither a wrap nor a malformed one needs it");
    patient.unwrap(&context(), &blob).await.unwrap();
    patient.unwrap(&context(), &blob).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "one wrong, one right, then remembered");

    for given in [&["a", "b", "c", RIGHT][..], &["a"], &["", "", ""]] {
        let error = holder(&spec, &saying(given)).unwrap(&context(), &blob).await.unwrap_err();
        assert!(matches!(error, HolderError::WrongSecret(_)), "{error}");
    }
    let silent = holder(&spec, &saying(&[]));
    assert!(matches!(silent.unwrap(&context(), &blob).await, Err(HolderError::NoSecret(_))));
    let nobody = holder(&spec, &Secrets::none());
    assert!(matches!(nobody.ready(Operation::Unwrap), Err(HolderError::NoSecret(_))));
}

#[test]
fn hostile_parameters_are_refused_before_any_work() {
    fn refused(spec: &KeyholderSpec, name: &str, value: Parameter) {
        let mut hostile = spec.clone();
        hostile.parameters.insert(name.into(), value);
        let error = build("office", &hostile, &Secrets::none()).err().unwrap();
        assert!(matches!(error, HolderError::Malformed(_)), "{name}: {error}");
    }
    let spec = cheap();
    for (name, numbers) in [
        ("memory", [0, (8 << 10) - 1, (1 << 20) + 1, u64::MAX]),
        ("passes", [0, 65, 1 << 32, u64::MAX]),
        ("lanes", [0, 65, 1 << 32, u64::MAX]),
    ] {
        numbers.into_iter().for_each(|number| refused(&spec, name, Parameter::Number(number)));
        refused(&spec, name, Parameter::Text("1".into()));
    }
    for salt in ["", "AAAA", "not base64!"] {
        refused(&spec, "salt", Parameter::Text(salt.into()));
    }
    let good = public_key_of(&spec);
    let off_range = [&[0xff; 3], &good[3..]].concat();
    for bytes in [&[][..], &[0; 32], &good[1..], &[&good[..], b"\0"].concat(), &off_range] {
        refused(&spec, "public_key", Parameter::Text(BASE64.encode(bytes)));
    }
    refused(&spec, "public_key", Parameter::Text("not base64!".into()));
    refused(&spec, "public_key", Parameter::Number(7));
    refused(&spec, "commitment", Parameter::Text("00".into()));
    refused(&spec, "pepper", Parameter::Text("x".into()));

    let folder = tempfile::tempdir().unwrap();
    let (recipient, _) = age_identity(folder.path(), "one");
    let spec = age::create(std::slice::from_ref(&recipient)).unwrap();
    for list in [vec![], vec![recipient.clone(); 2], vec!["age1nonsense".into()], vec![recipient; 33]] {
        refused(&spec, "recipients", Parameter::List(list));
    }
    let unknown = KeyholderSpec { kind: "hsm".into(), ..spec };
    assert!(
        matches!(build("x", &unknown, &Secrets::none()), Err(HolderError::UnknownKind(kind)) if kind == "hsm")
    );
}

#[test]
fn a_secret_given_as_a_recipient_is_not_repeated() {
    let identity = ::age::x25519::Identity::generate().to_string();
    let secret = ::age::secrecy::ExposeSecret::expose_secret(&identity).to_owned();
    let error = age::create(std::slice::from_ref(&secret)).unwrap_err().to_string();
    assert!(!error.contains(&secret[15..40]), "{error}");
    let ecdsa = age::create(&[public_key("ecdsa.pub")]).unwrap_err().to_string();
    assert!(ecdsa.contains("no recipient that age knows"), "{ecdsa}");
}

#[tokio::test]
async fn identities_that_do_not_fit_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (recipient, right) = age_identity(folder.path(), "right");
    let (_, wrong) = age_identity(folder.path(), "wrong");
    let spec = age::create(&[recipient]).unwrap();
    let blob = holder(&spec, &Secrets::none()).wrap(&context(), &key()).await.unwrap().value;
    let unwrap = |secrets: Secrets| {
        let (spec, blob) = (spec.clone(), blob.clone());
        async move { holder(&spec, &secrets).unwrap(&context(), &blob).await }
    };
    assert!(matches!(unwrap(Secrets::none()).await, Err(HolderError::NoSecret(_))));
    let other = unwrap(Secrets::none().with_identity(&wrong)).await.unwrap_err();
    assert!(matches!(&other, HolderError::NoSecret(text) if text.contains("wrong")), "{other}");
    let gone = unwrap(Secrets::none().with_identity(folder.path().join("gone"))).await.unwrap_err();
    assert!(matches!(&gone, HolderError::NoSecret(text) if text.contains("gone")), "{gone}");
    let unusable = unwrap(Secrets::none().with_identity(data("ecdsa"))).await.unwrap_err();
    assert!(matches!(&unusable, HolderError::Malformed(text) if text.contains("SSH")), "{unusable}");
    let all = Secrets::none().with_identity(data("ecdsa")).with_identity(&wrong).with_identity(&right);
    unwrap(all).await.unwrap();
}

/// Answers every question for a secret, and counts them.
struct Answering(&'static str, Arc<AtomicUsize>);

impl Prompts for Answering {
    fn message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn public(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> Option<Zeroizing<String>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Some(Zeroizing::new(self.0.to_owned()))
    }
}

#[tokio::test]
async fn locked_ssh_keys_ask_once_and_only_when_needed() {
    let folder = tempfile::tempdir().unwrap();
    let (recipient, native) = age_identity(folder.path(), "native");
    let locked = age::create(&[public_key("ed25519-locked.pub")]).unwrap();
    let both = age::create(&[public_key("ed25519-locked.pub"), recipient.clone()]).unwrap();
    let foreign = age::create(&[recipient]).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let secrets = |answer| {
        Secrets::none()
            .with_identity(data("ed25519-locked"))
            .with_identity(&native)
            .with_identity(data("ecdsa"))
            .with_prompts(Answering(answer, asked.clone()))
    };

    for spec in [&both, &foreign] {
        let easy = holder(spec, &secrets("only for tests"));
        let blob = easy.wrap(&context(), &key()).await.unwrap().value;
        easy.unwrap(&context(), &blob).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 0, "another identity opens it without asking");
    }
    let holder_locked = holder(&locked, &secrets("only for tests"));
    let blob = holder_locked.wrap(&context(), &key()).await.unwrap().value;
    for _ in 0..3 {
        holder_locked.unwrap(&context(), &blob).await.unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let wrong = holder(&locked, &secrets("something else")).unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(wrong, HolderError::WrongSecret(_)), "{wrong}");
    let nobody = Secrets::none().with_identity(data("ed25519-locked"));
    let nobody = holder(&locked, &nobody).unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(nobody, HolderError::NoSecret(_)), "{nobody}");
}

#[tokio::test]
async fn locked_identity_files() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let (recipient, path) = age_identity(folder.path(), "plain");
    let mut lock = ::age::scrypt::Recipient::new("open sesame".to_owned().into());
    lock.set_work_factor(2);
    let encryptor =
        ::age::Encryptor::with_recipients(std::iter::once(&lock as &dyn ::age::Recipient)).unwrap();
    let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
    writer.write_all(&fs::read(path).unwrap()).unwrap();
    let locked = folder.path().join("locked");
    fs::write(&locked, writer.finish().unwrap()).unwrap();

    let asked = Arc::new(AtomicUsize::new(0));
    let spec = age::create(&[recipient]).unwrap();
    let secrets =
        |answer| Secrets::none().with_identity(&locked).with_prompts(Answering(answer, asked.clone()));
    let right = holder(&spec, &secrets("open sesame"));
    let blob = right.wrap(&context(), &key()).await.unwrap().value;
    right.unwrap(&context(), &blob).await.unwrap();
    right.unwrap(&context(), &blob).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let wrong = holder(&spec, &secrets("open barley")).unwrap(&context(), &blob).await.unwrap_err();
    assert!(matches!(wrong, HolderError::WrongSecret(_)), "{wrong}");
}

#[test]
fn nothing_secret_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("office.key");
    let spec = file::create(&path, "office").unwrap();
    let secrets = saying(&[RIGHT]).with_key_file("office", &path);
    let printed = format!(
        "{secrets:?} {:?} {:?}",
        file::FileKeyholder::new("office", &spec, &secrets).unwrap(),
        passphrase::PassphraseKeyholder::new("p", &cheap(), &secrets).unwrap(),
    );
    assert!(!printed.contains(RIGHT) && !printed.contains("STRONGROOM-KEY"), "{printed}");
}

/// How long the default cost takes; run with `--release --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn default_cost_takes() {
    let spec = passphrase::create(RIGHT, passphrase::Cost::default()).unwrap();
    let fresh = holder(&spec, &saying(&[RIGHT]));
    let blob = fresh.wrap(&context(), &key()).await.unwrap().value;
    let started = std::time::Instant::now();
    fresh.unwrap(&context(), &blob).await.unwrap();
    println!("{:?}", started.elapsed());
}
