//! Asking a running recorder, without being a source.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use thiserror::Error;

use crate::limits::GREETING_TIMEOUT;
use crate::protocol::Frame;

/// A running recorder did not answer as it should.
#[derive(Debug, Error)]
pub enum AskError {
    /// The connection failed or nothing came in time.
    #[error("the recorder does not answer")]
    Io(#[from] std::io::Error),
    /// Something else came than an answer.
    #[error("the recorder answered something else: {0}")]
    Answer(String),
}

/// The recorder's status: a JSON object, as `tacho status` shows it.
///
/// # Errors
///
/// When it does not answer within seconds.
pub fn ask_status(mut stream: UnixStream) -> Result<serde_json::Value, AskError> {
    let mut bytes = Vec::new();
    Frame::Status.encode(&mut bytes);
    stream.set_read_timeout(Some(GREETING_TIMEOUT))?;
    stream.write_all(&bytes)?;
    bytes.clear();
    loop {
        match Frame::decode(&bytes) {
            Ok(Some((Frame::StatusReply { json }, _))) => {
                return serde_json::from_slice(json)
                    .map_err(|error| AskError::Answer(error.to_string()));
            }
            Ok(Some((other, _))) => return Err(AskError::Answer(format!("{other:?}"))),
            Err(error) => return Err(AskError::Answer(error.to_string())),
            Ok(None) => {}
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(AskError::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
}

/// Asks the recorder to close the log and leave, and waits until it has closed the connection.
///
/// # Errors
///
/// When it cannot be asked, or does not leave within seconds.
pub fn ask_stop(mut stream: UnixStream) -> Result<(), AskError> {
    let mut bytes = Vec::new();
    Frame::Stop.encode(&mut bytes);
    stream.set_read_timeout(Some(GREETING_TIMEOUT))?;
    stream.write_all(&bytes)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    Ok(())
}
