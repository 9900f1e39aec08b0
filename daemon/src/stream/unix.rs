//! Socket files, also those whose names are longer than the 107 bytes that an address has room
//! for: they are reached through a descriptor of their directory.

use rustix::fs::{Mode, OFlags, fchmod, open};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind, connect as net_connect, listen as net_listen, socket_with};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Bytes of a name that fit an address of its own, with the zero at its end.
const MAX_NAME: usize = 107;

/// A name that fits, and what must stay open while it is used.
fn short(path: &Path) -> io::Result<(PathBuf, Option<OwnedFd>)> {
    if path.as_os_str().len() <= MAX_NAME {
        return Ok((path.to_path_buf(), None));
    }
    let too_long = || io::Error::from_raw_os_error(libc::ENAMETOOLONG);
    let (dir, name) = (path.parent(), path.file_name().ok_or_else(too_long)?);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = open(dir.unwrap_or(Path::new(".")), flags, Mode::empty())?;
    let name = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    if name.as_os_str().len() > MAX_NAME {
        return Err(too_long());
    }
    Ok((name, Some(dir)))
}

/// Connects to a socket file and blocks until that is done.
///
/// # Errors
/// The system's: no such file, connection refused...
pub fn connect_blocking(path: &Path) -> io::Result<UnixStream> {
    let (name, _dir) = short(path)?;
    UnixStream::connect(name)
}

/// Connects to a socket file without waiting for whoever listens; the stream does not block.
///
/// # Errors
/// The system's; `WouldBlock` if too many wait already for somebody who does not take them.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let (name, _dir) = short(path)?;
    net_connect(&socket, &SocketAddrUnix::new(&name)?)?;
    Ok(UnixStream::from(socket))
}

/// Makes a socket file, in place of whatever had the name, for the user and the group.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The file gets the socket's mode, so there is no moment at which others may connect.
    fchmod(&socket, Mode::from_raw_mode(0o770))?;
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            let why = crate::log::reason(&e);
            tracing::warn!(target: "stream_unix", "unlinking \"{}\": {why}", path.display());
        }
        _ => {}
    }
    let (name, _dir) = short(path)?;
    bind(&socket, &SocketAddrUnix::new(&name)?)?;
    net_listen(&socket, 64)?;
    Ok(UnixListener::from(socket))
}
