//! `strongroom ledger serve`: the ledger over HTTP, read only, as C2SP `tlog-tiles` has it.

use super::source::{IdentityArgs, Source};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Args;
use std::net::SocketAddr;
use std::sync::Arc;
use strongroom_ledger::limits::{BUNDLE_MAX, CHECKPOINT_MAX};
use strongroom_ledger::reader::WITNESSED;
use strongroom_ledger::store::LedgerStore;
use strongroom_ledger::tile::{CHECKPOINT, TileId};
use strongroom_vault::ledger::IDENTITY;

/// Options of `ledger serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8642")]
    pub listen: SocketAddr,

    /// Whose ledger.
    #[command(flatten)]
    pub identity: IdentityArgs,
}

/// Serves until it is stopped.
///
/// # Errors
/// Where there is no ledger, or the address is taken.
pub(super) fn run(args: &ServeArgs, context: &Context) -> Result<(), CliError> {
    let source = Source::open(context, &args.identity)?;
    source.head()?;
    let store = Arc::clone(source.reader.store());
    let router = Router::new().route("/{*name}", get(serve)).with_state(store);
    source.block_on(async {
        let failed = |error: &std::io::Error| {
            CliError::new(ErrorKind::LocalFile, format!("{} cannot be listened on", args.listen))
                .caused_by(error)
        };
        let listener = tokio::net::TcpListener::bind(args.listen).await.map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        if context.output.is_json() {
            context.output.json(&serde_json::json!({
                "message_type": "serving", "url": format!("http://{address}/"),
            }))?;
        } else {
            context.output.line(&format!("Serving the ledger at http://{address}/checkpoint"))?;
        }
        context.output.flush()?;
        axum::serve(listener, router).with_graceful_shutdown(stopped()).await.map_err(|error| failed(&error))
    })
}

async fn stopped() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// What anybody may see of a ledger: its largest size, its type, and how long it may be kept. The lock and the openings
/// of commitments, which are personal, are not among it.
fn public(name: &str) -> Option<(usize, &'static str, &'static str)> {
    const TEXT: &str = "text/plain; charset=utf-8";
    const CHANGES: &str = "no-cache";
    match name {
        CHECKPOINT | WITNESSED => Some((CHECKPOINT_MAX, TEXT, CHANGES)),
        IDENTITY => Some((CHECKPOINT_MAX, "application/json", CHANGES)),
        _ => TileId::parse(name)
            .map(|_| (BUNDLE_MAX, "application/octet-stream", "public, max-age=604800, immutable")),
    }
}

async fn serve(State(store): State<Arc<dyn LedgerStore>>, Path(name): Path<String>) -> Response {
    let Some((max, kind, keep)) = public(&name) else { return StatusCode::NOT_FOUND.into_response() };
    match store.get(&name, max).await {
        Ok(Some(stored)) => {
            let body: Bytes = stored.bytes;
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CACHE_CONTROL, keep),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, body).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::public;

    #[test]
    fn what_is_personal_or_not_settled_is_not_served() {
        for name in ["lock", "openings/00", "tile/0/../../lock", "tile/8/0/000", "", "key"] {
            assert!(public(name).is_none(), "{name}");
        }
        for name in ["checkpoint", "witnessed", "identity", "tile/0/000.p/3", "tile/entries/000"] {
            assert!(public(name).is_some(), "{name}");
        }
    }
}
