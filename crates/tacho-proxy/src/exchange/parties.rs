//! Who talks to whom, as far as they have said.

use std::sync::Arc;

use tacho_event::{Actor, Context, Party, RunId, Unredacted};

use crate::fields::text;
use crate::limits::PARTY_BYTES;
use crate::scan;

/// Keeps the one [`Context`] of a connection; makes a new one only when somebody says something new.
#[derive(Debug)]
pub(super) struct Parties {
    context: Arc<Context>,
    /// The raw `clientInfo` and `serverInfo` seen last: in the stateless generation they come with
    /// every message, and comparing bytes is all that costs.
    client_info: Vec<u8>,
    server_info: Vec<u8>,
}

impl Parties {
    pub(super) fn new(actor: Option<Actor>, server_name: &str, session: RunId) -> Self {
        let server = Party {
            name: Unredacted::from(server_name),
            reported_name: None,
            version: None,
        };
        let context = Context {
            actor,
            client: None,
            server: Some(server),
            session: Some(session),
        };
        Self {
            context: Arc::new(context),
            client_info: Vec::new(),
            server_info: Vec::new(),
        }
    }

    pub(super) fn context(&self) -> Arc<Context> {
        Arc::clone(&self.context)
    }

    /// Takes what a client says of itself; whether it is the first to say so, or says something new.
    pub(super) fn client(&mut self, info: Option<&[u8]>) -> bool {
        let Some(info) = news(info, &self.client_info) else {
            return false;
        };
        info.clone_into(&mut self.client_info);
        let Some(name) = text(scan::member(info, "name")) else {
            return false;
        };
        let version = text(scan::member(info, "version")).map(Unredacted::new);
        let mut context = (*self.context).clone();
        context.client = Some(Party {
            name: Unredacted::new(name),
            reported_name: None,
            version,
        });
        self.context = Arc::new(context);
        true
    }

    /// Takes what a server says of itself.
    pub(super) fn server(&mut self, info: Option<&[u8]>) {
        let Some(info) = news(info, &self.server_info) else {
            return;
        };
        info.clone_into(&mut self.server_info);
        let mut context = (*self.context).clone();
        if let Some(server) = &mut context.server {
            server.reported_name = text(scan::member(info, "name")).map(Unredacted::new);
            server.version = text(scan::member(info, "version")).map(Unredacted::new);
        }
        self.context = Arc::new(context);
    }
}

fn news<'a>(info: Option<&'a [u8]>, seen: &[u8]) -> Option<&'a [u8]> {
    info.filter(|info| info.len() <= PARTY_BYTES && *info != seen)
}
