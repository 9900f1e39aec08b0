//! Addresses of streams, `unix:FILE` to `ptcp:PORT:IP`, and the streams behind them.
//!
//! The language is that of ovs-vsctl(8), "Active" and "Passive OVSDB Connection Methods". Socket
//! files with relative names stand in [`rundir`](crate::dirs::rundir).

mod unix;

pub(crate) use unix::connect as connect_unix;
pub use unix::connect_blocking as connect_unix_blocking;

use crate::dirs;
use crate::process::{keep_at_exit, unlink_at_exit};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The port of OVSDB (RFC 7047 section 5.1), for `tcp:` and `ptcp:` without one.
pub const OVSDB_PORT: u16 = 6640;

/// The port of OpenFlow, for `tcp:` and `ptcp:` without one.
pub const OPENFLOW_PORT: u16 = 6653;

/// Why a text is not an address of ours, as one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The word before the colon is not a method.
    #[error("{0}: unknown connection method (use unix:, tcp:, punix: or ptcp:)")]
    UnknownMethod(String),
    /// A method that this build does not have.
    #[error("{0}: TLS is not supported by this build (use tcp: or unix:)")]
    NoTls(String),
    /// Neither `IP:PORT` nor `[IP]:PORT`.
    #[error("{0}: bad peer name format")]
    BadPeer(String),
}

impl From<AddressError> for io::Error {
    fn from(e: AddressError) -> io::Error {
        let kind = match e {
            AddressError::UnknownMethod(_) | AddressError::NoTls(_) => io::ErrorKind::Unsupported,
            AddressError::BadPeer(_) => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, e)
    }
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Active {
    /// A socket file.
    Unix(PathBuf),
    /// An address in the network.
    Tcp(SocketAddr),
}

/// Where to wait for connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Passive {
    /// A socket file that we make.
    Unix(PathBuf),
    /// A port; 0 = the system chooses.
    Tcp(SocketAddr),
}

/// One or the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Connect there.
    Active(Active),
    /// Wait there.
    Passive(Passive),
}

impl Address {
    /// Reads an address; `default_port` is for those that name none.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str, default_port: u16) -> Result<Address, AddressError> {
        let bad = || AddressError::BadPeer(text.to_string());
        let unknown = || AddressError::UnknownMethod(text.to_string());
        let (method, rest) = text.split_once(':').ok_or_else(unknown)?;
        match method {
            "unix" => Ok(Address::Active(Active::Unix(dirs::absolute(
                &dirs::rundir(),
                rest,
            )))),
            "punix" => Ok(Address::Passive(Passive::Unix(dirs::absolute(
                &dirs::rundir(),
                rest,
            )))),
            "tcp" => {
                let (ip, port) = peer(rest).ok_or_else(bad)?;
                let port = port.unwrap_or(default_port);
                Ok(Address::Active(Active::Tcp(SocketAddr::new(ip, port))))
            }
            "ptcp" => {
                let address = local(rest, default_port).ok_or_else(bad)?;
                Ok(Address::Passive(Passive::Tcp(address)))
            }
            "ssl" | "pssl" => Err(AddressError::NoTls(text.to_string())),
            _ => Err(unknown()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;
    /// As [`Address::parse`] with [`OVSDB_PORT`].
    fn from_str(text: &str) -> Result<Address, AddressError> {
        Address::parse(text, OVSDB_PORT)
    }
}

/// An IP address, in brackets or, if that is clear, without.
fn ip(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// `IP[:PORT]`.
fn peer(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Some(ip) = ip(text) {
        return Some((ip, None));
    }
    let (host, port) = text.rsplit_once(':')?;
    // An IPv6 address before a port has to be in brackets.
    if host.contains(':') && !host.starts_with('[') {
        return None;
    }
    Some((ip(host)?, Some(port.parse().ok()?)))
}

/// `[PORT][:IP]`.
fn local(text: &str, default_port: u16) -> Option<SocketAddr> {
    let (port, host) = text.split_once(':').unwrap_or((text, ""));
    let port = if port.is_empty() {
        default_port
    } else {
        port.parse().ok()?
    };
    let host = if host.is_empty() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        ip(host)?
    };
    Some(SocketAddr::new(host, port))
}

impl fmt::Display for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Active::Unix(path) => write!(f, "unix:{}", path.display()),
            Active::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

impl fmt::Display for Passive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Passive::Unix(path) => write!(f, "punix:{}", path.display()),
            Passive::Tcp(address) => write!(f, "ptcp:{}:{}", address.port(), address.ip()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Active(active) => active.fmt(f),
            Address::Passive(passive) => passive.fmt(f),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// By a socket file.
    Unix(UnixStream),
    /// By the network.
    Tcp(TcpStream),
}

impl Active {
    /// Connects, on the current tokio runtime.
    ///
    /// # Errors
    /// As the system gives them: no such file, connection refused...
    pub async fn connect(&self) -> io::Result<Stream> {
        match self {
            Active::Unix(path) => {
                let stream = unix::connect(path)?;
                Ok(Stream::Unix(UnixStream::from_std(stream)?))
            }
            Active::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

impl Stream {
    /// Reads what is there into `buffer`; 0 = the peer has closed.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, or the system's error.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(s) => s.try_read(buffer),
            Stream::Tcp(s) => s.try_read(buffer),
        }
    }

    /// Writes as much of `bytes` as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room, or the system's error.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(s) => s.try_write(bytes),
            Stream::Tcp(s) => s.try_write(bytes),
        }
    }

    /// Waits until the stream can be written, whatever there is to read. Cancel safe.
    ///
    /// # Errors
    /// The system's.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Stream::Unix(s) => s.writable().await,
            Stream::Tcp(s) => s.writable().await,
        }
    }

    /// Waits until the stream can be read or, with `write`, written. Cancel safe.
    ///
    /// # Errors
    /// The system's.
    pub async fn ready(&self, write: bool) -> io::Result<()> {
        let interest = if write {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        match self {
            Stream::Unix(s) => s.ready(interest).await,
            Stream::Tcp(s) => s.ready(interest).await,
        }
        .map(drop)
    }
}

/// A place where connections arrive; its socket file goes when it does.
#[derive(Debug)]
pub struct Listener {
    address: Passive,
    socket: Socket,
    number: u64,
}

/// The number of the newest listener of each socket file. One that goes later than the next one
/// comes must leave the file alone.
static NEWEST: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

fn newest() -> MutexGuard<'static, BTreeMap<PathBuf, u64>> {
    NEWEST.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Passive {
    /// Listens, on the current tokio runtime. A socket file that is left from a process that died
    /// is replaced; the new one is for this user and group.
    ///
    /// # Errors
    /// The system's: the directory is missing, the port is in use...
    pub fn listen(&self) -> io::Result<Listener> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (address, socket) = match self {
            Passive::Unix(path) => {
                let listener = unix::listen(path).inspect_err(|e| {
                    let (path, why) = (path.display(), crate::log::reason(e));
                    tracing::error!(target: "stream_unix", "{path}: binding failed: {why}");
                })?;
                newest().insert(path.clone(), number);
                unlink_at_exit(path);
                (
                    self.clone(),
                    Socket::Unix(UnixListener::from_std(listener)?),
                )
            }
            Passive::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                let bound = listener.local_addr()?;
                (
                    Passive::Tcp(bound),
                    Socket::Tcp(TcpListener::from_std(listener)?),
                )
            }
        };
        Ok(Listener {
            address,
            socket,
            number,
        })
    }
}

impl Listener {
    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> &Passive {
        &self.address
    }

    /// The next connection, and its name for log lines: `unix#N` or `tcp:IP:PORT`. Cancel safe.
    ///
    /// # Errors
    /// The system's; one that ends the connection only, so that the next call may succeed.
    pub async fn accept(&self) -> io::Result<(Stream, String)> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        match &self.socket {
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                Ok((Stream::Unix(stream), format!("unix#{number}")))
            }
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), format!("tcp:{peer}")))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Passive::Unix(path) = &self.address {
            let mut newest = newest();
            if newest.get(path) == Some(&self.number) {
                newest.remove(path);
                let _ = std::fs::remove_file(path);
                keep_at_exit(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let cases = [
            ("unix:/x/db.sock", "unix:/x/db.sock"),
            ("punix:/x/db.sock", "punix:/x/db.sock"),
            ("tcp:127.0.0.1:1", "tcp:127.0.0.1:1"),
            ("tcp:127.0.0.1", "tcp:127.0.0.1:6640"),
            ("tcp:[::1]:2", "tcp:[::1]:2"),
            ("tcp:[::1]", "tcp:[::1]:6640"),
            ("ptcp:", "ptcp:6640:0.0.0.0"),
            ("ptcp:0:127.0.0.1", "ptcp:0:127.0.0.1"),
            ("ptcp::127.0.0.1", "ptcp:6640:127.0.0.1"),
            ("ptcp:1:[::1]", "ptcp:1:::1"),
        ];
        for (text, expected) in cases {
            let address = text.parse::<Address>().map(|a| a.to_string());
            assert_eq!(address.as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "x",
            "x:y",
            "tcp:",
            "tcp:host:1",
            "tcp:1.2.3.4:99999",
            "ptcp:x",
            "ssl:1.2.3.4:5",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_stale_socket_file_is_replaced_and_a_long_name_works() {
        let dir = tempfile::tempdir().expect("temp dir");
        let long = dir.path().join("d".repeat(120));
        std::fs::create_dir(&long).expect("mkdir");
        let path = long.join("x.sock");
        std::fs::write(&path, "stale").expect("write");
        let listener = Passive::Unix(path.clone()).listen().expect("listen");
        let stream = Active::Unix(path.clone()).connect().await.expect("connect");
        let (peer, name) = listener.accept().await.expect("accept");
        assert!(name.starts_with("unix#"));
        assert_eq!(stream.try_write(b"hi").ok(), Some(2));
        peer.ready(false).await.expect("ready");
        let mut buffer = [0; 4];
        assert_eq!(peer.try_read(&mut buffer).ok(), Some(2));
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_listener_that_goes_late_leaves_the_next_ones_file() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("x.sock");
        let old = Passive::Unix(path.clone()).listen().expect("listen");
        let new = Passive::Unix(path.clone()).listen().expect("listen again");
        drop(old);
        assert!(path.exists());
        drop(new);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn somebody_who_takes_no_connections_holds_nobody() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("x.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).expect("listen");
        let mut waiting = Vec::new();
        let refused = loop {
            match Active::Unix(path.clone()).connect().await {
                Ok(stream) => waiting.push(stream),
                Err(e) => break e,
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        assert!(!waiting.is_empty());
    }
}
