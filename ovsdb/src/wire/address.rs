//! `punix:PATH`, `ptcp:[PORT][:HOST]`, `unix:PATH`, `tcp:HOST:PORT`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The port of the protocol (IANA `ovsdb`).
const DEFAULT_PORT: u16 = 6640;

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Where to connect to, or to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Listen on a Unix socket.
    PassiveUnix(PathBuf),
    /// Listen on TCP.
    PassiveTcp(SocketAddr),
    /// Connect to a Unix socket.
    Unix(PathBuf),
    /// Connect over TCP.
    Tcp(String, u16),
}

/// A Unix path; without a slash it stands in the directory for sockets.
fn unix_path(name: &str, rundir: &str) -> PathBuf {
    if name.starts_with('/') {
        PathBuf::from(name)
    } else {
        PathBuf::from(rundir).join(name)
    }
}

fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return None,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port.filter(|p| !p.is_empty()) {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    Some((host.to_owned(), port))
}

impl Address {
    /// Reads an address; relative Unix paths stand in `rundir`.
    pub fn parse(text: &str, rundir: &str) -> Option<Address> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "punix" => Some(Address::PassiveUnix(unix_path(rest, rundir))),
            "unix" => Some(Address::Unix(unix_path(rest, rundir))),
            "tcp" => {
                let (host, port) = host_port(rest).filter(|(host, _)| !host.is_empty())?;
                Some(Address::Tcp(host, port.unwrap_or(DEFAULT_PORT)))
            }
            "ptcp" => {
                let (port, host) = match rest.split_once(':') {
                    Some((port, host)) => (port, host),
                    None => (rest, ""),
                };
                let port = if port.is_empty() {
                    DEFAULT_PORT
                } else {
                    port.parse().ok()?
                };
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let host = if host.is_empty() {
                    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
                } else {
                    host.parse().ok()?
                };
                Some(Address::PassiveTcp(SocketAddr::new(host, port)))
            }
            _ => None,
        }
    }

    /// Whether it listens.
    pub fn is_passive(&self) -> bool {
        matches!(self, Address::PassiveUnix(_) | Address::PassiveTcp(_))
    }

    /// Whether a silent peer must be asked if it is there: a kernel knows when a local one is not.
    pub fn needs_probes(&self) -> bool {
        matches!(self, Address::PassiveTcp(_) | Address::Tcp(..))
    }

    /// Connects.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn connect(&self) -> io::Result<Box<dyn Duplex>> {
        match self {
            Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
    }

    /// Listens. A socket that an earlier process left behind is taken over.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn listen(&self) -> io::Result<Listener> {
        match self {
            Address::PassiveUnix(path) => {
                let _ = std::fs::remove_file(path);
                let listener = UnixListener::bind(path)?;
                Ok(Listener::Unix(listener, path.clone()))
            }
            Address::PassiveTcp(address) => Ok(Listener::Tcp(TcpListener::bind(address).await?)),
            _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
    }
}

/// A listening socket.
pub enum Listener {
    /// On a Unix socket, which is removed with the listener.
    Unix(UnixListener, PathBuf),
    /// On TCP.
    Tcp(TcpListener),
}

impl Listener {
    /// The next connection.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn accept(&self) -> io::Result<Box<dyn Duplex>> {
        match self {
            Listener::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }

    /// The TCP port that it is bound to.
    pub fn bound_port(&self) -> Option<u16> {
        match self {
            Listener::Unix(..) => None,
            Listener::Tcp(listener) => listener.local_addr().ok().map(|a| a.port()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |text| Address::parse(text, "/run/x");
        assert_eq!(
            read("punix:db.sock"),
            Some(Address::PassiveUnix("/run/x/db.sock".into()))
        );
        assert_eq!(read("unix:/a/b"), Some(Address::Unix("/a/b".into())));
        assert_eq!(
            read("tcp:127.0.0.1:6632"),
            Some(Address::Tcp("127.0.0.1".into(), 6632))
        );
        assert_eq!(read("tcp:[::1]:1"), Some(Address::Tcp("::1".into(), 1)));
        assert_eq!(read("tcp:h"), Some(Address::Tcp("h".into(), 6640)));
        assert_eq!(
            read("ptcp:0:127.0.0.1"),
            Some(Address::PassiveTcp("127.0.0.1:0".parse().unwrap()))
        );
        assert_eq!(
            read("ptcp:"),
            Some(Address::PassiveTcp("0.0.0.0:6640".parse().unwrap()))
        );
        for bad in ["x", "foo:1", "tcp:", "ptcp:x", "tcp:h:99999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
