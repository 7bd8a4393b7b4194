use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Witness {
    /// Where to listen: ADDRESS:PORT, or a port of this machine alone
    #[arg(long, value_name = "ADDR", default_value = "8646", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Verifier key of a log, or a file with it (log/vkey); may be given again
    #[arg(long = "log", value_name = "VKEY")]
    pub(crate) logs: Vec<String>,
    /// Cosign for the logs of a C2SP tlog-policy file
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Name of the key, when it is made: like a host and a path [default: tacho.local/witness/HOST-RANDOM]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print the witness's verifier key, making the key if there is none, and leave
    #[arg(long)]
    pub(crate) show_key: bool,
}

/// `ADDRESS:PORT`, or `PORT` on the loopback address.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let wrong = "neither ADDRESS:PORT, like 0.0.0.0:8646, nor a port";
    text.parse().ok().ok_or_else(|| wrong.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_port_alone_is_of_this_machine_alone() {
        let address = |text: &str| super::address(text).map(|address| address.to_string());
        for (text, means) in [
            ("8000", Some("127.0.0.1:8000")),
            ("0.0.0.0:80", Some("0.0.0.0:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("localhost:80", None),
            ("70000", None),
            ("", None),
        ] {
            assert_eq!(address(text).ok().as_deref(), means, "{text}");
        }
    }
}
