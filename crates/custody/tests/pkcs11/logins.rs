//! PINs: where they come from, and that a wrong one is shown to the token once.

use crate::{context, holder, key, secrets, throwaway::PIN, throwaway::Throwaway, wanted};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use strongroom_custody::{
    CountingObserver, Custody, HolderError, HolderState, Operation, Prompts, Reason, ReasonCode, Retry,
    Secrets,
    holders::pkcs11::{Access, PinSource, TokenAccess, generate},
    policy,
};
use strongroom_format::keyring::KeyholderSpec;
use strongroom_testkit::services;
use zeroize::Zeroizing;

/// A token of its own with one key.
fn token(name: &str) -> Option<(Throwaway, KeyholderSpec)> {
    let token = Throwaway::new(&services::pkcs11()?, name);
    let right = secrets(&token.module, &token.pin_file(PIN));
    let spec = generate("hsm", &wanted(&token.label, "key", None), &right).unwrap();
    Some((token, spec))
}

fn with_pin(token: &Throwaway, pin: PinSource) -> Secrets {
    Secrets::none().with_pkcs11(Access::everywhere(TokenAccess { module: token.module.clone(), pin }))
}

#[tokio::test]
async fn a_wrong_pin_is_tried_once() {
    let Some((token, spec)) = token("wrong-pin") else { return };
    let wrong = secrets(&token.module, &token.pin_file("wrong-pin"));
    let seen = Arc::new(CountingObserver::default());
    let custody =
        Custody::new(&BTreeMap::from([("hsm".to_owned(), spec.clone())]), wrong.clone(), seen.clone())
            .with_retry(Retry { attempts: 5, pause: Duration::from_millis(1) });
    let policy = policy::parse("hsm").unwrap();
    let reason = Reason::new(ReasonCode::Restore);
    let error = custody.wrap_key(&policy, &context(), &key(), &reason).await.unwrap_err();
    assert!(matches!(&error.failures()[0].error, HolderError::WrongSecret(_)), "{error}");
    assert!(error.to_string().contains("locks its PIN"), "{error}");
    assert_eq!(seen.calls(Operation::Wrap), 1);

    // Even if it has become the right one: this process does not show it to the token again.
    token.change_pin(PIN, "wrong-pin");
    for _ in 0..3 {
        let error = holder(&spec, &wrong).wrap(&context(), &key()).await.unwrap_err();
        assert!(matches!(&error, HolderError::WrongSecret(what) if what.contains("before")), "{error}");
    }
    assert!(matches!(holder(&spec, &wrong).state().await, HolderState::Denied(_)));
    token.change_pin("wrong-pin", PIN);

    // The right one is let in all the same.
    let right = holder(&spec, &secrets(&token.module, &token.pin_file(PIN)));
    right.wrap(&context(), &key()).await.unwrap();
}

#[tokio::test]
async fn a_pin_comes_from_a_file_a_value_a_person_or_a_source() {
    struct Person(Arc<AtomicU32>, String);
    impl Prompts for Person {
        fn message(&self, _: &str) {}
        fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
            None
        }
        fn public(&self, _: &str) -> Option<String> {
            None
        }
        fn secret(&self, text: &str) -> Option<Zeroizing<String>> {
            assert_eq!(text, format!("PIN of token `{}`", self.1));
            self.0.fetch_add(1, Ordering::SeqCst);
            Some(Zeroizing::new(PIN.into()))
        }
    }
    let Some((token, spec)) = token("pin-sources") else { return };
    let asked = Arc::new(AtomicU32::new(0));
    let source = |holder: &str, attempt: u32| {
        assert_eq!((holder, attempt), ("hsm", 1));
        Ok(Some(Zeroizing::new(PIN.to_owned())))
    };
    for secrets in [
        with_pin(&token, PinSource::File(token.pin_file(PIN))),
        with_pin(&token, PinSource::Value(Zeroizing::new(PIN.into()))),
        with_pin(&token, PinSource::Person).with_prompts(Person(asked.clone(), token.label.clone())),
        with_pin(&token, PinSource::Passphrases).with_passphrases(source),
    ] {
        assert!(!format!("{secrets:?}").contains(PIN));
        let holder = holder(&spec, &secrets);
        holder.ready(Operation::Unwrap).unwrap();
        let before = asked.load(Ordering::SeqCst);
        let state = holder.state().await;
        assert_eq!(asked.load(Ordering::SeqCst), before, "nobody is asked for a state");
        assert!(matches!(state, HolderState::CanOpen | HolderState::Away(_)), "{state}");
        let blob = holder.wrap(&context(), &key()).await.unwrap().value;
        holder.unwrap(&context(), &blob).await.unwrap();
        assert_eq!(holder.state().await, HolderState::CanOpen);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "a person is asked once for several calls");
}

#[tokio::test]
async fn what_is_missing_is_said_before_the_token_is_asked() {
    use std::os::unix::fs::PermissionsExt;
    let Some((token, spec)) = token("missing") else { return };
    let right = token.pin_file(PIN);
    let failure =
        async |secrets: &Secrets| holder(&spec, secrets).wrap(&context(), &key()).await.unwrap_err();

    let no_module = secrets("/nonexistent/module.so".as_ref(), &right);
    let error = holder(&spec, &no_module).ready(Operation::Unwrap).unwrap_err();
    assert!(
        matches!(&error, HolderError::NoSecret(what) if what.contains("/nonexistent/module.so")),
        "{error}"
    );
    assert!(matches!(holder(&spec, &no_module).state().await, HolderState::Away(_)));
    let no_library = secrets(&right, &right);
    let error = failure(&no_library).await;
    assert!(
        matches!(&error, HolderError::NoSecret(what) if what.contains("no usable PKCS#11 module")),
        "{error}"
    );

    let no_pin = secrets(&token.module, &right.with_extension("gone"));
    assert!(matches!(holder(&spec, &no_pin).ready(Operation::Wrap), Err(HolderError::NoSecret(_))));
    assert!(matches!(failure(&no_pin).await, HolderError::NoSecret(_)));
    assert!(matches!(failure(&with_pin(&token, PinSource::Person)).await, HolderError::NoSecret(_)));
    assert!(matches!(failure(&with_pin(&token, PinSource::Passphrases)).await, HolderError::NoSecret(_)));
    let empty = with_pin(&token, PinSource::Value(Zeroizing::new(String::new())));
    assert!(matches!(failure(&empty).await, HolderError::NoSecret(_)));

    std::fs::set_permissions(&right, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open_to_all = secrets(&token.module, &right);
    assert!(matches!(failure(&open_to_all).await, HolderError::Exposed { mode: 0o644, .. }));
    assert!(!token.info().user_pin_count_low());
}

#[tokio::test]
async fn keyholders_of_several_tokens_have_their_own_pins() {
    let Some((one, _)) = token("token-one") else { return };
    let Some((two, spec)) = token("token-two") else { return };
    let of = |token: &Throwaway, pin: &str| TokenAccess {
        module: token.module.clone(),
        pin: PinSource::File(token.pin_file(pin)),
    };
    let access = Access::everywhere(of(&one, "another-pin")).with_holder("hsm", of(&two, PIN));
    let holder = holder(&spec, &Secrets::none().with_pkcs11(access));
    holder.wrap(&context(), &key()).await.unwrap();
    assert_eq!(holder.custodian().as_deref(), Some(&*format!("hsm token {}", two.label)));
    assert_eq!(holder.effort(), strongroom_custody::Effort::Device);
}

#[tokio::test]
async fn two_tokens_of_one_label_are_not_guessed_between() {
    let Some((token, spec)) = token("twins") else { return };
    let service = services::pkcs11().unwrap();
    let right = secrets(&token.module, &token.pin_file(PIN));
    holder(&spec, &right).wrap(&context(), &key()).await.unwrap();
    let _twin = Throwaway::named(&service, &token.label);
    let error = holder(&spec, &right).wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(&error, HolderError::Malformed(what) if what.contains("two tokens")), "{error}");
}

#[tokio::test]
async fn a_locked_pin_is_a_refusal() {
    let Some((token, spec)) = token("locked") else { return };
    if !token.lock_pin() {
        eprintln!("not tested: this token counts wrong PINs and never locks, as SoftHSM does");
        return;
    }
    let right = secrets(&token.module, &token.pin_file(PIN));
    let error = holder(&spec, &right).wrap(&context(), &key()).await.unwrap_err();
    assert!(matches!(&error, HolderError::Denied(_)) && error.to_string().contains("locked"), "{error}");
    assert!(matches!(holder(&spec, &right).state().await, HolderState::Denied(_)));
}
