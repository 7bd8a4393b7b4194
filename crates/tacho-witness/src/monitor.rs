//! Serving a log to whoever watches it: C2SP tlog-tiles, read only, and a page of numbers for Prometheus.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;

use hyper::Method;
use tacho_log::LogDir;
use tacho_log::bundle::{BundleError, Bundles, hash_tile};
use tacho_log::disk::{Disk as _, RealDisk};
use tacho_log::limits::NOTE_BYTES;
use tacho_log::tile::TileId;

use crate::http::{Asked, Reply, Serving, Site, TEXT, serve};

/// What is behind a name that does not change may be kept for ever; but not by those in between, for a log
/// is not public.
const IMMUTABLE: &str = "private, max-age=31536000, immutable";

/// How the recorder is, as a page of numbers says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Durable records.
    pub records: u64,
    /// Those under a checkpoint.
    pub sealed: u64,
    /// Connected sources.
    pub sources: u64,
    /// Calls without an outcome.
    pub open_calls: u64,
    /// Whether witnesses are configured.
    pub witnesses: bool,
    /// What a cut could take unnoticed, in seconds; `None`: everything.
    pub loss_window: Option<u64>,
    /// Space left for the log.
    pub free_bytes: Option<u64>,
}

/// A log, to be served.
pub struct Monitor {
    log: LogDir,
    /// Whether `cosigned` is served as the checkpoint, where there is one.
    witnessed: bool,
    /// Whether only this machine can connect: then only names of this machine are answered to.
    local: bool,
    bundles: RefCell<Bundles>,
    gauges: Box<dyn Fn() -> Option<Gauges>>,
}

impl Monitor {
    /// Serves `log` to those who can reach `address`; `gauges` asks the recorder how it is.
    pub fn new(
        log: LogDir,
        witnessed: bool,
        address: IpAddr,
        gauges: Box<dyn Fn() -> Option<Gauges>>,
    ) -> Self {
        Self {
            bundles: RefCell::new(Bundles::new(&log)),
            log,
            witnessed,
            local: address.is_loopback(),
            gauges,
        }
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    ///
    /// When the socket cannot be used at all.
    pub fn serve(self, serving: Serving) -> io::Result<()> {
        serve(serving, self)
    }

    fn checkpoint(&self) -> Reply {
        let cosigned = self.witnessed.then(|| self.log.cosigned());
        for path in cosigned.into_iter().chain([self.log.checkpoint()]) {
            let mut bytes = Vec::new();
            let read = RealDisk.read(&path).and_then(|file| {
                io::Read::read_to_end(&mut io::Read::take(file, NOTE_BYTES), &mut bytes)
            });
            match read {
                Ok(_) => {
                    return Reply {
                        status: 200,
                        content_type: TEXT,
                        cache: "no-cache",
                        allow: None,
                        body: bytes,
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Reply::words(500, &format!("the checkpoint: {error}")),
            }
        }
        Reply::words(404, "nothing is sealed yet")
    }

    fn tile(&self, path: &str) -> Reply {
        let bytes = if path.starts_with("tile/entries/") {
            TileId::parse_entries(path)
                .map_err(BundleError::from)
                .and_then(|tile| {
                    self.bundles
                        .borrow_mut()
                        .entry_bundle(tile.index(), tile.width())
                })
        } else {
            TileId::parse(path)
                .map_err(BundleError::from)
                .and_then(|tile| hash_tile(&self.log, &tile))
        };
        match bytes {
            Ok(body) => Reply {
                status: 200,
                content_type: "application/octet-stream",
                cache: IMMUTABLE,
                allow: None,
                body,
            },
            Err(error) => Reply::words(status(&error), &error.to_string()),
        }
    }

    fn metrics(&self) -> Reply {
        Reply {
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            ..Reply::words(200, exposition((self.gauges)()).trim_end())
        }
    }

    /// A page in somebody's browser can be made to ask for a name that leads here (DNS rebinding), and must
    /// not get the log by that.
    fn is_for_us(&self, host: Option<&str>) -> bool {
        let Some(host) = host.filter(|_| self.local) else {
            return true;
        };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl Site for Monitor {
    fn answer(&self, asked: Asked<'_>) -> Reply {
        if !matches!(*asked.method, Method::GET | Method::HEAD) {
            return Reply::not_allowed("GET, HEAD");
        }
        if !self.is_for_us(asked.host) {
            let words = "this is the log of this machine; ask for it as localhost or 127.0.0.1";
            return Reply::words(421, words);
        }
        match asked.path {
            "/checkpoint" => self.checkpoint(),
            "/metrics" => self.metrics(),
            path => match path
                .strip_prefix('/')
                .filter(|path| path.starts_with("tile/"))
            {
                Some(path) => self.tile(path),
                None => Reply::words(404, "there are /checkpoint, /tile/ and /metrics"),
            },
        }
    }

    fn body_bytes(&self) -> usize {
        0
    }
}

const fn status(error: &BundleError) -> u16 {
    match error {
        BundleError::NoSuchTile(_) | BundleError::NotSealed { .. } => 404,
        BundleError::Pruned { .. } => 410,
        BundleError::Encrypted { .. } => 403,
        BundleError::Missing { .. }
        | BundleError::Differs { .. }
        | BundleError::Tile { .. }
        | BundleError::Read(_) => 500,
    }
}

/// Prometheus text format 0.0.4. A recorder that does not answer is a number, too.
fn exposition(gauges: Option<Gauges>) -> String {
    let mut page = String::new();
    let mut gauge = |name: &str, help: &str, value: &str| {
        let written = write!(
            page,
            "# HELP tacho_{name} {help}\n# TYPE tacho_{name} gauge\ntacho_{name} {value}\n"
        );
        // Writing to a String cannot fail.
        debug_assert!(written.is_ok());
    };
    gauge(
        "recorder_up",
        "Whether the recorder answers.",
        if gauges.is_some() { "1" } else { "0" },
    );
    let Some(now) = gauges else { return page };
    for (name, help, value) in [
        ("records", "Durable records.", now.records),
        (
            "sealed_records",
            "Records under a signed checkpoint.",
            now.sealed,
        ),
        ("sources", "Connected sources.", now.sources),
        ("open_calls", "Calls without an outcome.", now.open_calls),
    ] {
        gauge(name, help, &value.to_string());
    }
    let window = now
        .loss_window
        .map_or("+Inf".to_owned(), |seconds| seconds.to_string());
    let help = "Seconds of records that could be cut off without any witness noticing.";
    gauge("loss_window_seconds", help, &window);
    let witnesses = if now.witnesses { "1" } else { "0" };
    gauge(
        "witnesses_configured",
        "Whether checkpoints are held outside.",
        witnesses,
    );
    if let Some(free) = now.free_bytes {
        gauge("free_bytes", "Space left for the log.", &free.to_string());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(address: &str) -> (tempfile::TempDir, Monitor) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("segments")).unwrap();
        let log = LogDir::at(root.path()).unwrap();
        let monitor = Monitor::new(log, false, address.parse().unwrap(), Box::new(|| None));
        (root, monitor)
    }

    fn ask(monitor: &Monitor, method: &Method, path: &str, host: Option<&str>) -> Reply {
        let body = &[];
        monitor.answer(Asked {
            method,
            path,
            host,
            body,
        })
    }

    #[test]
    fn what_is_not_there_and_what_is_not_allowed() {
        let (_root, monitor) = monitor("127.0.0.1");
        for (path, status) in [
            ("/checkpoint", 404),
            ("/", 404),
            ("/metrics", 200),
            ("/segments/x", 404),
            ("/tile/0/000", 404),
            ("/tile/0/000.p/1", 404),
            ("/tile/../key/signing.key", 404),
            ("/tile/0/x00", 404),
            ("/tile/64/000", 404),
            ("/tile/entries/000", 404),
            ("/tile/entries/000.p/0", 404),
        ] {
            let reply = ask(&monitor, &Method::GET, path, None);
            assert_eq!(reply.status, status, "{path}");
            assert_eq!(reply.cache, "no-store", "{path}");
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let reply = ask(&monitor, &method, "/checkpoint", None);
            assert_eq!((reply.status, reply.allow), (405, Some("GET, HEAD")));
        }
    }

    #[test]
    fn another_name_for_this_machine_gets_nothing() {
        for (address, host, status) in [
            ("127.0.0.1", Some("127.0.0.1:8000"), 200),
            ("127.0.0.1", Some("localhost"), 200),
            ("::1", Some("[::1]:80"), 200),
            ("127.0.0.1", Some("evil.example"), 421),
            ("127.0.0.1", Some("evil.example:8000"), 421),
            ("127.0.0.1", Some("127.0.0.1.evil.example"), 421),
            ("0.0.0.0", Some("log.example"), 200),
        ] {
            let (_root, monitor) = monitor(address);
            let reply = ask(&monitor, &Method::GET, "/metrics", host);
            assert_eq!(reply.status, status, "{host:?}");
        }
    }

    #[test]
    fn numbers() {
        assert!(exposition(None).ends_with("tacho_recorder_up 0\n"));
        let page = exposition(Some(Gauges {
            records: 7,
            loss_window: Some(3),
            ..Gauges::default()
        }));
        for line in [
            "tacho_records 7",
            "tacho_loss_window_seconds 3",
            "tacho_recorder_up 1",
        ] {
            assert!(page.lines().any(|it| it == line), "{page}");
        }
        let nothing = exposition(Some(Gauges::default()));
        assert!(nothing.contains("tacho_loss_window_seconds +Inf\n"));
        assert!(!nothing.contains("free_bytes"));
    }
}
