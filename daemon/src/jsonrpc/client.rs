//! One request after another, blocking: for tools that do one thing and end.

use super::{Framer, Message};
use crate::stream::{Active, connect_unix_blocking};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection for requests.
pub struct Client {
    stream: Stream,
    framer: Framer,
    next_id: u64,
}

impl Client {
    /// Connects to `target`.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(target: &Active) -> io::Result<Client> {
        let stream = match target {
            Active::Unix(path) => Stream::Unix(connect_unix_blocking(path)?),
            Active::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        Ok(Client {
            stream,
            framer: Framer::default(),
            next_id: 0,
        })
    }

    /// Sends a request and waits for its answer. Probes that come meanwhile are answered,
    /// notifications dropped.
    ///
    /// # Errors
    /// The system's, `UnexpectedEof` if the peer closes, `InvalidData` for what is no message. The
    /// peer's own refusal is the inner result.
    pub fn call(&mut self, method: &str, params: Vec<Value>) -> io::Result<Result<Value, Value>> {
        let id = self.request(method, params)?;
        loop {
            match self.recv()? {
                Message::Reply { result, id: theirs } if theirs == id => return Ok(Ok(result)),
                Message::Error { error, id: theirs } if theirs == id => return Ok(Err(error)),
                _ => {}
            }
        }
    }

    /// Sends a request and gives its id.
    ///
    /// # Errors
    /// The system's.
    pub fn request(&mut self, method: &str, params: Vec<Value>) -> io::Result<Value> {
        let id = Value::from(self.next_id);
        self.next_id += 1;
        self.send(Message::Request {
            method: method.into(),
            params,
            id: id.clone(),
        })?;
        Ok(id)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The system's.
    pub fn send(&mut self, message: Message) -> io::Result<()> {
        let text = message.into_json().to_string();
        match &mut self.stream {
            Stream::Unix(s) => s.write_all(text.as_bytes()),
            Stream::Tcp(s) => s.write_all(text.as_bytes()),
        }
    }

    /// Waits for a message that is no probe.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn recv(&mut self) -> io::Result<Message> {
        let bad = |e| io::Error::new(io::ErrorKind::InvalidData, e);
        loop {
            if let Some(value) = self.framer.next_value().map_err(bad)? {
                match Message::from_json(value).map_err(bad)? {
                    Message::Request { method, params, id } if method == "echo" => {
                        self.send(Message::Reply {
                            result: params.into(),
                            id,
                        })?;
                    }
                    message => return Ok(message),
                }
                continue;
            }
            let mut buffer = [0; 16384];
            let n = match &mut self.stream {
                Stream::Unix(s) => s.read(&mut buffer),
                Stream::Tcp(s) => s.read(&mut buffer),
            };
            match n {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.framer.feed(buffer.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
