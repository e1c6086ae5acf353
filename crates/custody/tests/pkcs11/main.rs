//! Keyholders of the kind `pkcs11` on a real token, started by `scripts/services start softhsm`. A program of its own,
//! because a module reads its environment once, when it is loaded.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic, in its helpers too")]

mod conformance;
mod keys;
mod logins;
mod throwaway;

use std::{path::Path, sync::Arc};
use strongroom_custody::{
    Keyholder, Secrets,
    holders::{
        build,
        pkcs11::{Access, KeyName, PinSource, TokenAccess, Wanted, WrapMechanism, generate},
    },
};
use strongroom_format::{
    Secret32, VaultId,
    context::{Context, Purpose},
    keyring::KeyholderSpec,
};
use strongroom_testkit::services;

const MECHANISMS: [WrapMechanism; 2] = [WrapMechanism::AesGcm, WrapMechanism::AesKw];

fn context() -> Context {
    Context { vault: VaultId([3; 16]), dataset: "home".into(), purpose: Purpose::Read, epoch: 7 }
}

fn key() -> Secret32 {
    Secret32::new([0x42; 32])
}

/// A key's name that no other test has.
fn unique(test: &str) -> String {
    services::unique_prefix(test).replace('/', "-")
}

fn secrets(module: &Path, pin_file: &Path) -> Secrets {
    let access = TokenAccess { module: module.into(), pin: PinSource::File(pin_file.into()) };
    Secrets::none().with_pkcs11(Access::everywhere(access))
}

/// What the service's token is reached with.
fn service_secrets(service: &services::Pkcs11) -> Secrets {
    secrets(&service.module, &service.pin_file)
}

fn wanted(token: &str, label: &str, mechanism: Option<WrapMechanism>) -> Wanted {
    Wanted { token: token.into(), key: KeyName::label(label), mechanism }
}

/// A new key on the service's token.
fn new_key(service: &services::Pkcs11, test: &str, mechanism: WrapMechanism) -> KeyholderSpec {
    let wanted = wanted(&service.token, &unique(test), Some(mechanism));
    generate("hsm", &wanted, &service_secrets(service)).unwrap()
}

fn holder(spec: &KeyholderSpec, secrets: &Secrets) -> Arc<dyn Keyholder> {
    build("hsm", spec, secrets).unwrap()
}
