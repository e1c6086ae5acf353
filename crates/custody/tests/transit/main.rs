//! The `transit` keyholder against a real OpenBao server (`scripts/services start openbao`), and against servers
//! that misbehave.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic, in its helpers too")]

mod admin;
mod conformance;
mod fixture;
mod hostile;
mod logins;
mod roles;
mod server;

use std::time::Duration;
use strongroom_custody::{
    Secrets,
    holders::transit::{Access, KIND, Login, Server, TransitKeyholder},
};
use strongroom_format::{
    Secret32, VaultId,
    context::{Context, Purpose},
    keyring::{KeyholderSpec, Parameter},
};

fn context() -> Context {
    Context { vault: VaultId([3; 16]), dataset: "home".into(), purpose: Purpose::Read, epoch: 7 }
}

fn key() -> Secret32 {
    Secret32::new([0x42; 32])
}

fn spec(parameters: &[(&str, &str)]) -> KeyholderSpec {
    let text = |(name, value): &(&str, &str)| ((*name).to_owned(), Parameter::Text((*value).to_owned()));
    KeyholderSpec { kind: KIND.into(), parameters: parameters.iter().map(text).collect() }
}

fn access(login: Login) -> Access {
    Access::none().with_server(Server { address: None, login, ca_file: None })
}

fn holder(spec: &KeyholderSpec, access: Access) -> TransitKeyholder {
    TransitKeyholder::new("office", spec, &Secrets::none().with_transit(access)).unwrap()
}

/// A keyholder at a server of [`fixture`].
fn at(address: &str) -> TransitKeyholder {
    let access = access(Login::token("t")).with_timeout(Duration::from_secs(3));
    holder(&spec(&[("address", address), ("key", "office")]), access)
}
