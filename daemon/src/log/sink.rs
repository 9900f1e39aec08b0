//! Where written lines end: the log file and the system's log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// The log file: its name outlives its descriptor, so that `vlog/reopen` works after `vlog/close`.
#[derive(Debug, Default)]
pub(super) struct LogFile {
    pub name: Option<PathBuf>,
    pub file: Option<File>,
}

impl LogFile {
    pub fn open(name: &Path) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o660)
            .open(name)
    }

    /// Whether `other` is the file that is open already.
    pub fn is(&self, other: &File) -> bool {
        let identity = |file: &File| file.metadata().ok().map(|m| (m.dev(), m.ino()));
        match &self.file {
            Some(file) => identity(file).is_some_and(|id| identity(other) == Some(id)),
            None => false,
        }
    }

    pub fn write(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            // A full disk must not stop the switch, and there is nowhere left to tell of it.
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// A way to the system's log.
#[derive(Debug)]
pub(super) enum Syslog {
    /// Nowhere.
    Null,
    /// As the C library does it: `/dev/log`, connected to when first needed.
    Local(Option<UnixDatagram>),
    /// A datagram socket of the user's choice.
    Unix(UnixDatagram, PathBuf),
    /// A collector in the network.
    Udp(UdpSocket),
}

impl Syslog {
    /// The method of `--syslog-method` or `$OVS_SYSLOG_METHOD`; an unknown word gives none.
    pub fn from_method(method: &str) -> Option<Syslog> {
        match method.split_once(':') {
            None if method == "null" => Some(Syslog::Null),
            None if method == "libc" => Some(Syslog::Local(None)),
            Some(("unix", path)) => Some(match UnixDatagram::unbound() {
                Ok(socket) => Syslog::Unix(socket, PathBuf::from(path)),
                Err(_) => Syslog::Null,
            }),
            Some(("udp", target)) => Some(udp(target).map_or(Syslog::Null, Syslog::Udp)),
            _ => None,
        }
    }

    /// What the method puts before each line, as a pattern.
    pub fn prefix(&self) -> &'static str {
        match self {
            Syslog::Null => "",
            Syslog::Local(_) => "<%B> %D{%h %e %T} %E %A:",
            Syslog::Unix(..) | Syslog::Udp(_) => "<%B>",
        }
    }

    /// Sends one line of priority `priority` (facility times eight and severity).
    pub fn send(&mut self, priority: u8, stamp: &str, program: &str, line: &str) {
        // A collector that is away misses lines; the switch goes on.
        match self {
            Syslog::Null => {}
            Syslog::Local(socket) => {
                if socket.is_none() {
                    *socket = UnixDatagram::unbound().ok().and_then(|s| {
                        s.connect("/dev/log").ok()?;
                        s.set_nonblocking(true).ok()?;
                        Some(s)
                    });
                }
                let text = format!("<{priority}>{stamp} {program}: {line}");
                if let Some(s) = socket
                    && s.send(text.as_bytes())
                        .is_err_and(|e| e.kind() != io::ErrorKind::WouldBlock)
                {
                    *socket = None;
                }
            }
            Syslog::Unix(socket, path) => {
                let _ = socket.send_to(format!("<{priority}>{line}").as_bytes(), path);
            }
            Syslog::Udp(socket) => {
                let _ = socket.send(format!("<{priority}>{line}").as_bytes());
            }
        }
    }
}

/// A socket that sends to `target`, `IP[:PORT]`, port 514 unless given.
pub(super) fn udp(target: &str) -> Option<UdpSocket> {
    let address: SocketAddr = match target.parse() {
        Ok(address) => address,
        Err(_) => {
            let ip = target
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse()
                .ok()?;
            SocketAddr::new(ip, 514)
        }
    };
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(address).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}
