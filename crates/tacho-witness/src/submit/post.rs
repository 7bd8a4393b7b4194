//! The one HTTP client.

use std::time::Duration;

use ureq::Agent;

use crate::limits::ANSWER_BYTES;

/// An answer of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// How requests go out; tests have their own.
pub(super) trait Post: Send {
    /// Sends `body` and reads the answer, all of it within `patience`. The error is a sentence.
    fn post(&self, url: &str, body: &str, patience: Duration) -> Result<Reply, String>;
}

/// Over HTTP, or HTTPS with the certificates of the public authorities.
pub(super) struct Http(Agent);

impl Http {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // What is sent is for one address; nobody else is to say where it goes.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The environment of whoever started the recorder decides nothing.
            .proxy(None)
            .user_agent(concat!("tacho/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(16 * 1024)
            .build();
        Self(config.into())
    }
}

impl Post for Http {
    fn post(&self, url: &str, body: &str, patience: Duration) -> Result<Reply, String> {
        let request = self.0.post(url).config().timeout_global(Some(patience));
        let request = request
            .build()
            .header("Content-Type", "text/plain; charset=utf-8");
        let mut response = request.send(body).map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES);
        let body = body.read_to_vec().map_err(|error| error.to_string())?;
        Ok(Reply { status, body })
    }
}
