//! A stream, with what has come of the next message and what waits to be sent.

use super::{Framer, Message};
use crate::stream::Stream;
use std::collections::VecDeque;
use std::io;

/// A stream of messages. All its state is in it, so each of its futures may be dropped at will.
#[derive(Debug)]
pub struct Connection {
    name: String,
    stream: Stream,
    framer: Framer,
    /// Messages whose end is not sent yet.
    queue: VecDeque<Vec<u8>>,
    /// Bytes of the first of them that are.
    sent: usize,
    backlog: usize,
}

impl Connection {
    /// Messages over `stream`, called `name` in log lines.
    pub fn new(stream: Stream, name: impl Into<String>) -> Connection {
        Connection::with_limit(stream, name, super::MAX_MESSAGE)
    }

    /// As [`Connection::new`], refusing messages of more than `max_message` bytes.
    pub fn with_limit(stream: Stream, name: impl Into<String>, max_message: usize) -> Connection {
        Connection {
            name: name.into(),
            stream,
            framer: Framer::new(max_message),
            queue: VecDeque::new(),
            sent: 0,
            backlog: 0,
        }
    }

    /// What log lines call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that wait to be sent.
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    /// Queues a message and sends as much as there is room for; [`Connection::recv`] and
    /// [`Connection::flush`] send the rest. An error shows in the next of them.
    pub fn send(&mut self, message: Message) {
        self.log("send", &message);
        self.send_text(message.into_json().to_string().into_bytes());
    }

    /// As [`Connection::send`], with a message that is written already: for whoever sends the same
    /// one to many, or writes numbers in a form of its own.
    pub fn send_text(&mut self, text: Vec<u8>) {
        self.backlog += text.len();
        self.queue.push_back(text);
        let _ = self.write();
    }

    /// The next message; sends what is queued meanwhile. None = the peer has closed.
    ///
    /// # Errors
    /// The system's, or `InvalidData` for what is no message; the connection is of no use then.
    pub async fn recv(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.next_message()? {
                return Ok(Some(message));
            }
            self.write()?;
            self.stream.ready(!self.queue.is_empty()).await?;
            if self.read()? == Some(0) {
                return Ok(None);
            }
        }
    }

    /// Sends all that is queued.
    ///
    /// # Errors
    /// The system's.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.queue.is_empty() {
            // Whatever there is to read must not wake us: nobody reads it meanwhile.
            self.stream.writable().await?;
            self.write()?;
        }
        Ok(())
    }

    fn next_message(&mut self) -> io::Result<Option<Message>> {
        static LIMIT: crate::log::RateLimit = crate::log::RateLimit::new(5, 5);
        let bad = |e| io::Error::new(io::ErrorKind::InvalidData, e);
        let name = &self.name;
        let value = self.framer.next_value().map_err(|e| {
            crate::limited!(LIMIT, Warn, "jsonrpc", "{name}: error parsing stream: {e}");
            bad(e)
        })?;
        let Some(value) = value else { return Ok(None) };
        let message = Message::from_json(value).map_err(|e| {
            crate::limited!(
                LIMIT,
                Warn,
                "jsonrpc",
                "{name}: received bad JSON-RPC message: {e}"
            );
            bad(e)
        })?;
        self.log("received", &message);
        Ok(Some(message))
    }

    /// Reads what is there; none = nothing, 0 = the end.
    fn read(&mut self) -> io::Result<Option<usize>> {
        let mut buffer = [0; 16384];
        match self.stream.try_read(&mut buffer) {
            Ok(n) => {
                self.framer.feed(buffer.get(..n).unwrap_or_default());
                Ok(Some(n))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(first) = self.queue.front() {
            match self
                .stream
                .try_write(first.get(self.sent..).unwrap_or_default())
            {
                Ok(n) => {
                    self.sent += n;
                    self.backlog = self.backlog.saturating_sub(n);
                    if self.sent >= first.len() {
                        self.queue.pop_front();
                        self.sent = 0;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn log(&self, what: &str, message: &Message) {
        // `debug!` evaluates its arguments only if the line is shown.
        tracing::debug!(
            target: "jsonrpc",
            "{}: {what} {}, {}",
            self.name,
            message.kind(),
            message.clone().into_json()
        );
    }
}
