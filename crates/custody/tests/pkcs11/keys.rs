//! Keys: which ones are taken, and that they stay where they are.

use crate::{
    MECHANISMS, context, holder, key, new_key, secrets, service_secrets, throwaway, throwaway::Throwaway,
    unique, wanted,
};
use cryptoki::{
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeInfo, AttributeType},
};
use strongroom_custody::{
    HolderError, Operation, Secrets,
    holders::pkcs11::{KeyName, Wanted, WrapMechanism, describe, generate},
};
use strongroom_format::keyring::{KeyholderSpec, Parameter};
use strongroom_testkit::services;

fn text<'a>(spec: &'a KeyholderSpec, name: &str) -> &'a str {
    match &spec.parameters[name] {
        Parameter::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_key_never_leaves_its_token() {
    let Some((_token, service)) = throwaway::own("stays") else { return };
    for mechanism in MECHANISMS {
        let spec = new_key(&service, "stays", mechanism);
        let session = throwaway::service_session(&service);
        let [handle] = throwaway::find(&session, text(&spec, "key"))[..] else { panic!("not one key") };
        let info = session.get_attribute_info(handle, &[AttributeType::Value]).unwrap();
        assert!(matches!(info[..], [AttributeInfo::Sensitive]), "{info:?}");
        assert_eq!(session.get_attributes(handle, &[AttributeType::Value]).unwrap(), []);
        let history = [AttributeType::AlwaysSensitive, AttributeType::NeverExtractable, AttributeType::Local];
        let history = session.get_attributes(handle, &history).unwrap();
        let always =
            [Attribute::AlwaysSensitive(true), Attribute::NeverExtractable(true), Attribute::Local(true)];
        assert_eq!(history, always);
        assert!(session.update_attributes(handle, &[Attribute::Extractable(true)]).is_err());
        assert!(session.update_attributes(handle, &[Attribute::Sensitive(false)]).is_err());

        let wrapping = new_key(&service, "wraps", WrapMechanism::AesKw);
        let [wrapping] = throwaway::find(&session, text(&wrapping, "key"))[..] else { panic!("not one key") };
        let out = session.wrap_key(&Mechanism::AesKeyWrap, wrapping, handle);
        assert!(matches!(out, Err(Error::Pkcs11(RvError::KeyUnextractable, _))), "{out:?}");
    }
}

#[test]
fn a_description_finds_the_key_again() {
    let Some((_token, service)) = throwaway::own("again") else { return };
    let secrets = service_secrets(&service);
    for mechanism in MECHANISMS {
        let made = new_key(&service, "again", mechanism);
        assert_eq!(text(&made, "mechanism"), mechanism.as_str());
        assert_eq!(text(&made, "module"), service.module.file_name().unwrap().to_str().unwrap());
        // By its label the mechanism is told from what the key may do.
        let by_label = describe("hsm", &wanted(&service.token, text(&made, "key"), None), &secrets).unwrap();
        assert_eq!(text(&by_label, "mechanism"), mechanism.as_str());
        assert!(!by_label.parameters.contains_key("key_id"));
        let id = data_encoding::HEXLOWER.decode(text(&made, "key_id").as_bytes()).unwrap();
        assert_eq!(id.len(), 16);
        let by_id = Wanted { token: service.token.clone(), key: KeyName::id(id), mechanism: None };
        let by_id = describe("hsm", &by_id, &secrets).unwrap();
        assert_eq!(text(&by_id, "key_id"), text(&made, "key_id"));
        let again = generate("hsm", &wanted(&service.token, text(&made, "key"), None), &secrets).unwrap_err();
        assert!(matches!(again, HolderError::Malformed(_)), "{again}");
    }
}

#[test]
fn keys_that_could_leave_or_do_not_fit_are_refused() {
    let Some((_token, service)) = throwaway::own("odd") else { return };
    let secrets = service_secrets(&service);
    let session = throwaway::service_session(&service);
    let refusal = |len: u64, change: &[Attribute]| {
        let label = unique("odd");
        throwaway::odd_key(&session, &label, len, change);
        describe("hsm", &wanted(&service.token, &label, None), &secrets).unwrap_err()
    };
    let error = refusal(32, &[Attribute::Extractable(true)]);
    assert!(matches!(error, HolderError::Denied(_)), "{error}");
    let error = refusal(32, &[Attribute::Sensitive(false)]);
    assert!(matches!(error, HolderError::Denied(_)), "{error}");
    let error = refusal(16, &[]);
    assert!(error.to_string().contains("has 128 bits where AES-256 has 256"), "{error}");
    let error = refusal(32, &[Attribute::Decrypt(false)]);
    assert!(matches!(error, HolderError::Disabled(_)), "{error}");

    let twice = unique("twice");
    throwaway::odd_key(&session, &twice, 32, &[]);
    throwaway::odd_key(&session, &twice, 32, &[]);
    let error = describe("hsm", &wanted(&service.token, &twice, None), &secrets).unwrap_err();
    assert!(error.to_string().contains("has 2 secret keys"), "{error}");

    let absent = describe("hsm", &wanted(&service.token, "nobody", None), &secrets).unwrap_err();
    assert!(matches!(absent, HolderError::Deleted(_)), "{absent}");
    let elsewhere = describe("hsm", &wanted("no such token", "nobody", None), &secrets).unwrap_err();
    assert!(matches!(elsewhere, HolderError::Unreachable(_)), "{elsewhere}");
    let odd = describe("hsm", &wanted("a\u{1b}[31m", "nobody", None), &secrets).unwrap_err();
    assert!(matches!(odd, HolderError::Malformed(_)), "{odd}");
}

#[tokio::test]
async fn a_key_that_was_swapped_for_one_that_can_leave_wraps_nothing() {
    let Some((_token, service)) = throwaway::own("swapped") else { return };
    let secrets = service_secrets(&service);
    let made = new_key(&service, "swapped", WrapMechanism::AesGcm);
    let spec = describe("hsm", &wanted(&service.token, text(&made, "key"), None), &secrets).unwrap();
    let holder = holder(&spec, &secrets);
    holder.wrap(&context(), &key()).await.unwrap();
    {
        let session = throwaway::service_session(&service);
        for key in throwaway::find(&session, text(&spec, "key")) {
            session.destroy_object(key).unwrap();
        }
        throwaway::odd_key(&session, text(&spec, "key"), 32, &[Attribute::Extractable(true)]);
    }
    let error = holder.wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(error, HolderError::Denied(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once() {
    let Some((_token, service)) = throwaway::own("many") else { return };
    for mechanism in MECHANISMS {
        let spec = new_key(&service, "many", mechanism);
        // Tasks that share one keyholder, and keyholders that share the module and the login.
        let shared = holder(&spec, &service_secrets(&service));
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let holder =
                    if n % 2 == 0 { shared.clone() } else { holder(&spec, &service_secrets(&service)) };
                tokio::spawn(async move {
                    for _ in 0..12 {
                        let blob = holder.wrap(&context(), &key()).await.unwrap().value;
                        let opened = holder.unwrap(&context(), &blob).await.unwrap().value;
                        assert_eq!(opened.expose(), key().expose());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn key_wrap_leaves_no_key_in_the_session() {
    let Some(service) = services::pkcs11() else { return };
    let token = Throwaway::new(&service, "leaves-nothing");
    let secrets = secrets(&token.module, &token.pin_file(throwaway::PIN));
    let spec = generate("hsm", &wanted(&token.label, "kw", Some(WrapMechanism::AesKw)), &secrets).unwrap();
    let holder = holder(&spec, &secrets);
    for _ in 0..3 {
        let mut blob = holder.wrap(&context(), &key()).await.unwrap().value;
        holder.unwrap(&context(), &blob).await.unwrap();
        *blob.last_mut().unwrap() ^= 1;
        holder.unwrap(&context(), &blob).await.unwrap_err();
    }
    let left = token.session().find_objects(&[Attribute::Token(false)]).unwrap();
    assert_eq!(left.len(), 0, "objects of the session are left");
}

#[tokio::test]
async fn a_keyring_never_chooses_the_library() {
    let Some(service) = services::pkcs11() else { return };
    let spec = new_key(&service, "hint", WrapMechanism::AesGcm);
    let hinting = |text: &str| {
        let mut spec = spec.clone();
        spec.parameters.insert("module".into(), Parameter::Text(text.into()));
        spec
    };
    let holder = holder(&hinting("some-other-library.so"), &service_secrets(&service));
    let blob = holder.wrap(&context(), &key()).await.unwrap().value;
    holder.unwrap(&context(), &blob).await.unwrap();

    // The name of a library that is there loads nothing where the client has none.
    let without = crate::holder(&hinting("libsofthsm2.so"), &Secrets::none());
    let error = without.ready(Operation::Wrap).unwrap_err();
    assert!(matches!(&error, HolderError::NoSecret(what) if what.contains("libsofthsm2.so")), "{error}");
    assert!(matches!(without.unwrap(&context(), &blob).await, Err(HolderError::NoSecret(_))));

    let path = hinting(service.module.to_str().unwrap());
    let error = strongroom_custody::holders::build("hsm", &path, &service_secrets(&service)).err().unwrap();
    assert!(matches!(error, HolderError::Malformed(_)), "{error}");
}
