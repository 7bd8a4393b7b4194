//! A small HTTP/1.1 server: one thread, everything limited. What it serves is decided by a [`Site`], one
//! request after the other, so a site needs no locks. TLS is the business of a proxy in front of it.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::limits::{ARRIVAL_TIME, CONNECTION_TIME, CONNECTIONS, HEAD_BYTES, HEADERS};

/// Plain text, the type of notes and of words.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// As it stands in the request, not decoded: no path of ours needs it.
    pub(crate) path: &'a str,
    /// The `Host` field.
    pub(crate) host: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// `Cache-Control`.
    pub(crate) cache: &'static str,
    /// `Allow`, with status 405.
    pub(crate) allow: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A sentence for people, which nobody caches.
    pub(crate) fn words(status: u16, words: &str) -> Self {
        Self {
            status,
            content_type: TEXT,
            cache: "no-store",
            allow: None,
            body: format!("{words}\n").into_bytes(),
        }
    }

    pub(crate) fn not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::words(405, &format!("only {allow}"))
        }
    }
}

/// What is served.
pub(crate) trait Site {
    /// Answers one request. It may use the disk; others wait meanwhile.
    fn answer(&self, asked: Asked<'_>) -> Reply;

    /// The longest body of a request.
    fn body_bytes(&self) -> usize;
}

/// A listening socket, and what ends the serving.
#[derive(Debug)]
pub struct Serving {
    /// Where requests come in.
    pub listener: TcpListener,
    /// Becomes readable when it is over.
    pub stop: UnixStream,
}

/// Serves until told to stop. Requests at work then are cut off: nothing of ours is lost by that.
///
/// # Errors
///
/// When the socket cannot be used at all.
pub(crate) fn serve(serving: Serving, site: impl Site + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        serving.listener.set_nonblocking(true)?;
        serving.stop.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(serving.listener)?;
        let stop = tokio::net::UnixStream::from_std(serving.stop)?;
        let accepting = tokio::task::spawn_local(accept(listener, Rc::new(site)));
        let stopped = stop.readable().await;
        accepting.abort();
        stopped
    })
}

async fn accept<S: Site + 'static>(listener: tokio::net::TcpListener, site: Rc<S>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed; were it, nothing more would be served.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, mostly: it passes, and asking again at once does not help.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let site = Rc::clone(&site);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                let site = Rc::clone(&site);
                async move { Ok::<_, Infallible>(answer(request, &*site).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(ARRIVAL_TIME)
                .max_buf_size(HEAD_BYTES)
                .max_headers(HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            // A peer that breaks off, is too slow or speaks something else gets no more attention.
            drop(timeout(CONNECTION_TIME, connection).await);
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, site: &impl Site) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let whole = Limited::new(body, site.body_bytes()).collect();
    let reply = match timeout(ARRIVAL_TIME, whole).await {
        Ok(Ok(body)) => site.answer(Asked {
            method: &head.method,
            path: head.uri.path(),
            host: head.headers.get(HOST).and_then(|host| host.to_str().ok()),
            body: &body.to_bytes(),
        }),
        Ok(Err(_too_long)) => Reply::words(413, "the request's body is too long, or was cut off"),
        Err(_elapsed) => Reply::words(408, "the request's body did not arrive in time"),
    };
    response(reply)
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    let unknown = StatusCode::INTERNAL_SERVER_ERROR;
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(unknown);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(reply.cache));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(allow) = reply.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}
