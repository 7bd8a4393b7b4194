//! A witness that runs, a log that is nobody's, and a client in a few lines.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tacho_log::checkpoint::{Checkpoint, SignedCheckpoint};
use tacho_log::key::SigningKey;
use tacho_log::merkle::{Frontier, Hash, HashSource, consistency_proof, leaf_hash, node_hash};
use tacho_log::witness::AddCheckpoint;

use crate::env::{Env, PATIENCE};

/// A running `tacho witness`.
pub(crate) struct Witness {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) vkey: String,
}

impl Witness {
    pub(crate) fn start(env: &Env, dir: &Path, listen: &str, logs: &[String]) -> Self {
        let mut command = env.bare();
        command
            .arg("witness")
            .arg("--dir")
            .arg(dir)
            .arg("--listen")
            .arg(listen);
        for log in logs {
            command.arg("--log").arg(log);
        }
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut words = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = words.next().unwrap().unwrap();
        let address = first
            .rsplit_once("http://")
            .unwrap_or_else(|| panic!("{first}"))
            .1;
        let vkey = words.next().unwrap().unwrap();
        Self {
            address: address.to_owned(),
            vkey,
            child,
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request on a connection of its own: an independent client in a few lines.
pub(crate) fn http(
    address: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> Option<(u16, String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).ok()?;
    let at = reply.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(reply[..at].to_vec()).unwrap();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_ascii_lowercase(), reply[at + 4..].to_vec()))
}

/// A log that is nobody's: record *i* is the number *i*, or another from `fork` on.
pub(crate) struct Forged {
    pub(crate) key: SigningKey,
    leaves: Vec<Hash>,
}

impl HashSource for Forged {
    type Error = std::convert::Infallible;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        if level == 0 {
            return Ok(self.leaves[usize::try_from(index).unwrap_or(usize::MAX)]);
        }
        let left = self.hash(level - 1, index * 2)?;
        Ok(node_hash(&left, &self.hash(level - 1, index * 2 + 1)?))
    }
}

impl Forged {
    pub(crate) fn new(fork: u64) -> Self {
        let leaf = |n: u64| leaf_hash(&(if n < fork { n } else { n + 1_000_000 }).to_be_bytes());
        Self {
            key: SigningKey::generate("example.com/log", [5; 32]).unwrap(),
            leaves: (0..500).map(leaf).collect(),
        }
    }

    pub(crate) fn request(&self, old: u64, size: u64) -> String {
        let mut tree = Frontier::new();
        let leaves = self.leaves.iter().take(usize::try_from(size).unwrap());
        leaves.for_each(|leaf| tree.push(*leaf));
        let checkpoint = Checkpoint::new("example.com/log", size, tree.root()).unwrap();
        AddCheckpoint {
            old,
            proof: consistency_proof(self, old.min(size), size).unwrap(),
            checkpoint: SignedCheckpoint::sign(&checkpoint, &self.key).unwrap(),
        }
        .encode()
    }
}

pub(crate) fn add(witness: &Witness, body: &str) -> (u16, String) {
    let reply = http(&witness.address, "POST", "/add-checkpoint", body.as_bytes());
    let (status, _, body) = reply.expect("an answer");
    (status, String::from_utf8(body).unwrap())
}
