//! A connection to a switch: the handshake, transactions, and what a flow format needs.

use super::options::Options;
use super::warn;
use openflow::text::Names;
use openflow::{
    ErrorCode, Message, OfPort, Protocol, Protocols, TableFeatures, Version, Versions, Xid, decode,
    encode, encode_for, next_message, print,
};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A socket of either kind.
trait Stream: Read + Write + Send {
    /// The same socket once more.
    fn again(&self) -> std::io::Result<Box<dyn Stream>>;
}

impl Stream for UnixStream {
    fn again(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone()?))
    }
}

impl Stream for TcpStream {
    fn again(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone()?))
    }
}

/// The half of a connection that receives.
pub struct Receiver {
    name: String,
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

/// The half of a connection that sends.
pub struct Sender {
    name: String,
    stream: Box<dyn Stream>,
    /// How flows are written on it.
    pub protocol: Protocol,
}

/// A message as the log shows it.
fn line(bytes: &[u8]) -> String {
    let text = print::format_message(bytes, &Names::none(), 1);
    text.trim_end().to_owned()
}

impl Sender {
    /// Sends bytes that are a message already.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream
            .write_all(bytes)
            .map_err(|e| format!("failed to send packet to switch ({})", why(&e)))?;
        let name = &self.name;
        tracing::debug!(target: "vconn", "{name}: sent (Success): {}", line(bytes));
        Ok(())
    }
}

impl Receiver {
    /// Receives one message.
    pub fn recv(&mut self) -> Result<Vec<u8>, String> {
        loop {
            match next_message(&self.buffer) {
                Ok(Some(n)) => {
                    let bytes: Vec<u8> = self.buffer.drain(..n).collect();
                    let name = &self.name;
                    tracing::debug!(target: "vconn", "{name}: received: {}", line(&bytes));
                    return Ok(bytes);
                }
                Ok(None) => {}
                Err(e) => return Err(format!("OpenFlow receive failed ({e})")),
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("End of file".into()),
                Ok(n) => self.buffer.extend(chunk.iter().take(n)),
                Err(e) => return Err(why(&e)),
            }
        }
    }
}

/// A connection whose version is agreed.
pub struct Link {
    sender: Sender,
    receiver: Receiver,
    next_xid: u32,
    /// The version that both sides speak.
    pub version: Version,
}

fn rundir() -> PathBuf {
    std::env::var_os("OVS_RUNDIR").map_or_else(|| "/var/run/openvswitch".into(), PathBuf::from)
}

/// The sentence of an I/O error, without its number.
fn why(e: &std::io::Error) -> String {
    let text = e.to_string();
    match text.split_once(" (os error") {
        Some((t, _)) => t.to_string(),
        None => text,
    }
}

/// Where a bridge's management (`mgmt`) or `snoop` socket is.
fn socket_of(name: &str, suffix: &str) -> Result<PathBuf, String> {
    let path = rundir().join(format!("{name}.{suffix}"));
    if path.exists() {
        return Ok(path);
    }
    let plain = Path::new(name);
    if name.contains('/') && plain.exists() {
        return Ok(plain.to_path_buf());
    }
    Err(format!("{name} is not a bridge or a socket"))
}

fn open(name: &str, suffix: &str) -> Result<Box<dyn Stream>, String> {
    let failed = |e: std::io::Error| format!("{name}: failed to connect to socket ({})", why(&e));
    if let Some(path) = name.strip_prefix("unix:") {
        let full = if path.starts_with('/') {
            path.into()
        } else {
            rundir().join(path)
        };
        return Ok(Box::new(UnixStream::connect(full).map_err(failed)?));
    }
    if let Some(rest) = name.strip_prefix("tcp:") {
        let has_port = rest.rsplit_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
        });
        let target = if has_port {
            rest.to_string()
        } else {
            format!("{rest}:6653")
        };
        return Ok(Box::new(TcpStream::connect(target).map_err(failed)?));
    }
    let path = socket_of(name, suffix)?;
    Ok(Box::new(UnixStream::connect(path).map_err(failed)?))
}

impl Link {
    /// Connects to a bridge by its name, or to `unix:` or `tcp:` addresses, and agrees on a
    /// version among those of the options.
    pub fn open(o: &Options, name: &str) -> Result<Link, String> {
        Link::open_with(o.versions, name, "mgmt")
    }

    /// Connects to a bridge's `snoop` socket.
    pub fn open_snoop(o: &Options, name: &str) -> Result<Link, String> {
        Link::open_with(o.versions, name, "snoop")
    }

    fn open_with(versions: Versions, name: &str, suffix: &str) -> Result<Link, String> {
        let stream = open(name, suffix)?;
        let newest = versions.newest().ok_or("no OpenFlow version to offer")?;
        let failed = |e: String| format!("{name}: failed to connect to socket ({e})");
        let mut link = Link {
            sender: Sender {
                name: name.to_owned(),
                stream: stream.again().map_err(|e| failed(why(&e)))?,
                protocol: Protocol::of_version(newest),
            },
            receiver: Receiver {
                name: name.to_owned(),
                stream,
                buffer: Vec::new(),
            },
            next_xid: 1,
            version: newest,
        };
        link.send(&Message::Hello { versions }).map_err(failed)?;
        let bytes = link.recv().map_err(failed)?;
        match decode(&bytes) {
            Ok((_, _, Message::Hello { versions: theirs })) => {
                let common = versions.and(theirs).newest();
                let Some(v) = common else {
                    let text = format!(
                        "{name}: version negotiation failed (we support versions {versions}, peer \
                         supports versions {theirs})"
                    );
                    warn(&[openflow::error::Note {
                        module: "vconn",
                        text,
                        limited: false,
                    }]);
                    return Err(format!(
                        "{name}: failed to connect to socket (Protocol error)"
                    ));
                };
                link.version = v;
                link.sender.protocol = match v {
                    Version::Of10 => Protocol::Of10Std,
                    v => Protocol::of_version(v),
                };
                Ok(link)
            }
            _ => Err(format!(
                "{name}: failed to connect to socket (Protocol error)"
            )),
        }
    }

    /// Sends a message and returns its transaction.
    pub fn send(&mut self, m: &Message) -> Result<Xid, String> {
        let xid = Xid(self.next_xid);
        let bytes = encode_for(self.sender.protocol, xid, m);
        self.send_bytes(&bytes)?;
        Ok(xid)
    }

    /// The transaction of the next message.
    pub fn xid(&self) -> Xid {
        Xid(self.next_xid)
    }

    /// Sends bytes that are a message already.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.next_xid = self.next_xid.wrapping_add(1);
        self.sender.send_bytes(bytes)
    }

    /// Receives one message.
    pub fn recv(&mut self) -> Result<Vec<u8>, String> {
        self.receiver.recv()
    }

    /// The halves of the connection, for two threads.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// How flows are written on it.
    pub fn protocol(&self) -> Protocol {
        self.sender.protocol
    }

    /// Receives until the reply to `xid` is there; answers echo requests meanwhile.
    pub fn recv_xid(&mut self, xid: Xid) -> Result<Vec<u8>, String> {
        loop {
            let bytes = self.recv()?;
            let header = openflow::Header::parse(&bytes).map_err(|e| e.to_string())?;
            if header.kind == 2 && header.xid != xid {
                if let Ok((v, x, Message::EchoRequest(data))) = decode(&bytes) {
                    let reply = encode(v, x, &Message::EchoReply(data));
                    self.sender.send_bytes(&reply)?;
                }
                continue;
            }
            if header.xid == xid {
                return Ok(bytes);
            }
        }
    }

    /// Sends a request and returns its reply.
    pub fn transact(&mut self, m: &Message) -> Result<Vec<u8>, String> {
        let xid = self.send(m)?;
        self.recv_xid(xid)
    }

    /// Sends a statistics request and returns all parts of the reply; an error ends it.
    pub fn transact_all(&mut self, m: &Message) -> Result<Vec<Vec<u8>>, String> {
        self.transact_parts(std::slice::from_ref(m))
    }

    /// As [`Link::transact_all`], with a request of several parts (OpenFlow 1.3.5 §7.3.5).
    pub fn transact_parts(&mut self, parts: &[Message]) -> Result<Vec<Vec<u8>>, String> {
        const FLAGS: usize = 11;
        const OFPMPF_REQ_MORE: u8 = 1;
        let xid = self.xid();
        for (i, part) in parts.iter().enumerate() {
            let mut bytes = encode_for(self.sender.protocol, xid, part);
            if i + 1 < parts.len()
                && let Some(flags) = bytes.get_mut(FLAGS)
            {
                *flags |= OFPMPF_REQ_MORE;
            }
            self.sender.send_bytes(&bytes)?;
        }
        self.next_xid = self.next_xid.wrapping_add(1);
        let mut out = Vec::new();
        loop {
            let bytes = self.recv_xid(xid)?;
            let frame = openflow::raw::frame(&bytes).map_err(|e| e.to_string())?;
            let more = frame.kind.is_stats_reply() && frame.flags & 1 != 0;
            out.push(bytes);
            if !more {
                return Ok(out);
            }
        }
    }

    /// Sends a message that has no reply but in case of an error, and waits until it is done.
    pub fn transact_noreply(&mut self, m: &Message) -> Result<(), String> {
        let xid = self.send(m)?;
        let barrier = self.send(&Message::BarrierRequest)?;
        let mut failed = false;
        loop {
            let bytes = self.recv()?;
            let header = openflow::Header::parse(&bytes).map_err(|e| e.to_string())?;
            if header.xid == barrier {
                return if failed { Err(String::new()) } else { Ok(()) };
            }
            if header.xid == xid || header.kind == 1 {
                eprint!("{}", print::format_message(&bytes, &Names::none(), 2));
                failed = true;
            }
        }
    }

    /// Makes the connection write flows in `protocol`, by Nicira's messages in 1.0. Whether it
    /// could.
    pub fn set_protocol(&mut self, protocol: Protocol) -> Result<bool, String> {
        if protocol.version() != self.version {
            return Ok(false);
        }
        if self.version == Version::Of10 {
            let nxm = matches!(protocol, Protocol::Of10Nxm | Protocol::Of10NxmTid);
            let now = matches!(
                self.sender.protocol,
                Protocol::Of10Nxm | Protocol::Of10NxmTid
            );
            let mut requests = Vec::new();
            if nxm != now {
                requests.push(Message::SetFlowFormat(if nxm { 2 } else { 0 }));
            }
            if protocol.has_tables() != self.sender.protocol.has_tables() {
                requests.push(Message::FlowModTableId(protocol.has_tables()));
            }
            for r in requests {
                let xid = self.send(&r)?;
                let barrier = self.send(&Message::BarrierRequest)?;
                let mut refused = false;
                loop {
                    let bytes = self.recv()?;
                    let h = openflow::Header::parse(&bytes).map_err(|e| e.to_string())?;
                    if h.xid == xid {
                        refused = true;
                    }
                    if h.xid == barrier {
                        break;
                    }
                }
                if refused {
                    return Ok(false);
                }
            }
        }
        self.sender.protocol = protocol;
        Ok(true)
    }

    /// Chooses how flows are sent: as they are by default, if that can carry them.
    pub fn choose_for_mods(&mut self, o: &Options, wanted: Protocols) -> Result<(), String> {
        let usable = usable(o, wanted)?;
        if usable.contains(self.sender.protocol) {
            return Ok(());
        }
        self.choose(usable)
    }

    /// Chooses how flows are asked for: in the format that shows most.
    pub fn choose_for_dump(&mut self, o: &Options, wanted: Protocols) -> Result<(), String> {
        self.choose(usable(o, wanted)?)
    }

    /// Chooses the first format of `usable` that this connection can carry.
    fn choose(&mut self, usable: Protocols) -> Result<(), String> {
        for p in usable.iter().collect::<Vec<_>>() {
            if self.set_protocol(p)? {
                return Ok(());
            }
        }
        Err(format!(
            "switch does not support any of the usable flow formats ({usable})"
        ))
    }

    /// What all tables can do: before OpenFlow 1.3, what their statistics say of that.
    pub fn tables(&mut self) -> Result<Vec<TableFeatures>, String> {
        let request = if self.version >= Version::Of13 {
            Message::TableFeaturesRequest(Vec::new())
        } else {
            Message::TableStatsRequest
        };
        let mut out = Vec::new();
        for bytes in self.transact_all(&request)? {
            match decode(&bytes) {
                Ok((_, _, Message::TableFeaturesReply { tables, .. })) => out.extend(tables),
                Ok((_, _, Message::TableStatsReply { tables, .. })) => {
                    out.extend(tables.into_iter().map(|(_, features)| features));
                }
                Ok((_, _, Message::Error(e))) => return Err(error_name(&e.error)),
                _ => return Err("unexpected reply to table features request".into()),
            }
        }
        Ok(out)
    }

    /// The ports of the switch, under their names.
    pub fn ports(&mut self) -> Result<Vec<openflow::PhyPort>, String> {
        if self.version < Version::Of13 {
            let bytes = self.transact(&Message::FeaturesRequest)?;
            return match decode(&bytes) {
                Ok((_, _, Message::FeaturesReply(f))) => Ok(f.ports),
                _ => Err("unexpected reply to features request".into()),
            };
        }
        let mut out = Vec::new();
        for bytes in self.transact_all(&Message::PortDescRequest(OfPort::NONE))? {
            match decode(&bytes) {
                Ok((_, _, Message::PortDescReply { ports, .. })) => out.extend(ports),
                Ok((_, _, Message::Error(e))) => return Err(error_name(&e.error)),
                _ => return Err("unexpected reply to port description request".into()),
            }
        }
        Ok(out)
    }

    /// The names of ports for text.
    pub fn port_names(&mut self) -> Result<Names, String> {
        let mut names = Names::none();
        for p in self.ports()? {
            names.add_port(p.port, &p.name);
        }
        Ok(names)
    }

    /// The names of ports and tables for text.
    pub fn names(&mut self) -> Result<Names, String> {
        let mut names = self.port_names()?;
        for table in self.tables()?.iter().filter(|t| !t.name.is_empty()) {
            names.add_table(table.table, &table.name);
        }
        Ok(names)
    }
}

/// The formats of `wanted` that the options allow.
fn usable(o: &Options, wanted: Protocols) -> Result<Protocols, String> {
    let usable = wanted.and(o.formats);
    if usable.is_empty() {
        let allowed = o.formats;
        return Err(format!(
            "none of the usable flow formats ({wanted}) is among the allowed flow formats \
             ({allowed})"
        ));
    }
    Ok(usable)
}

/// An error's name or numbers.
pub fn error_name(e: &ErrorCode) -> String {
    match e {
        ErrorCode::Known(e) => e.name().to_string(),
        ErrorCode::Unknown { vendor, kind, code } => {
            format!("unknown error (vendor {vendor:#x}, type {kind}, code {code})")
        }
    }
}

/// Names of ports and tables for reading a command's arguments: asked for only when text may hold some.
pub fn names_for_parsing(o: &Options, bridge: &str, text: &str) -> Names {
    let may_have = text.contains(|c: char| c.is_ascii_alphabetic());
    let wanted = o.names != Some(false) && may_have;
    match (wanted, Link::open(o, bridge)) {
        (true, Ok(mut link)) => link.names().unwrap_or_default(),
        _ => Names::none(),
    }
}

/// Names of ports and tables for output: with `--names`, or by default at a terminal.
pub fn names_for_output(o: &Options, bridge: &str) -> Names {
    use std::io::IsTerminal;
    let wanted = o.names.unwrap_or_else(|| std::io::stdout().is_terminal());
    match (wanted, Link::open(o, bridge)) {
        (true, Ok(mut link)) => link.names().unwrap_or_default(),
        _ => Names::none(),
    }
}
