//! A connection that lasts: made again when it breaks, probed when the peer is silent.

use super::{Connection, Message};
use crate::reconnect::{Action, End, Reconnect};
use crate::stream::{Active, Stream};
use clock::{Clock, Time};
use std::future::Future;
use std::io;
use std::pin::Pin;

/// What [`Session::next`] tells.
#[derive(Debug)]
pub enum Event {
    /// A connection is there; whatever was agreed on an earlier one is void.
    Connected,
    /// A message from the peer. Probes and their answers are not among them.
    Message(Message),
    /// The connection is gone. A session on an accepted connection is at its end.
    Disconnected,
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// A lasting connection; see the module. To be driven by calling [`Session::next`] in a loop; the
/// future may be dropped and called again at will.
pub struct Session {
    fsm: Reconnect,
    clock: Clock,
    /// Where to connect; none = the connection was accepted.
    target: Option<Active>,
    attempt: Option<Attempt>,
    connection: Option<Connection>,
    announced: bool,
}

impl Session {
    /// A session that connects to `target` and keeps connecting.
    pub fn connect(target: Active, clock: &Clock) -> Session {
        let mut fsm = Reconnect::new(target.to_string(), clock.now());
        if matches!(target, Active::Unix(_)) {
            // The system tells at once when a local peer goes away.
            fsm.set_probe_interval(std::time::Duration::ZERO);
        }
        fsm.enable(clock.now());
        Session {
            fsm,
            clock: clock.clone(),
            target: Some(target),
            attempt: None,
            connection: None,
            announced: false,
        }
    }

    /// A session on an accepted connection, which ends with it.
    pub fn accepted(connection: Connection, clock: &Clock) -> Session {
        let now = clock.now();
        let mut fsm = Reconnect::new(connection.name(), now);
        fsm.set_quiet(true);
        fsm.set_max_tries(Some(1));
        fsm.enable(now);
        fsm.connected(now);
        Session {
            fsm,
            clock: clock.clone(),
            target: None,
            attempt: None,
            connection: Some(connection),
            announced: true,
        }
    }

    /// The state machine behind, for its settings and its state.
    pub fn reconnect(&mut self) -> &mut Reconnect {
        &mut self.fsm
    }

    /// What log lines call it.
    pub fn name(&self) -> &str {
        self.fsm.name()
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Bytes that wait to be sent.
    pub fn backlog(&self) -> usize {
        self.connection.as_ref().map_or(0, Connection::backlog)
    }

    /// Queues a message; without a connection it is dropped, as one that breaks would lose it.
    pub fn send(&mut self, message: Message) {
        if let Some(connection) = &mut self.connection {
            connection.send(message);
        }
    }

    /// As [`Session::send`], with a message that is written already.
    pub fn send_text(&mut self, text: Vec<u8>) {
        if let Some(connection) = &mut self.connection {
            connection.send_text(text);
        }
    }

    /// Drops the connection; one that was not accepted is made again.
    pub fn force_reconnect(&mut self) {
        self.fsm.force(self.clock.now());
    }

    /// Waits for the next thing that happens. Must be called again and again: nothing is sent,
    /// probed or connected otherwise.
    pub async fn next(&mut self) -> Event {
        loop {
            if self.connection.is_some() && !self.announced {
                self.announced = true;
                return Event::Connected;
            }
            match self.fsm.run(self.clock.now()) {
                Some(Action::Connect) => self.begin(),
                Some(Action::Probe) => self.send(Message::echo()),
                Some(Action::Disconnect) if self.end(&End::TimedOut) => {
                    return Event::Disconnected;
                }
                Some(Action::Disconnect) | None => {}
            }
            let deadline = self.fsm.deadline().unwrap_or(Time::NEVER);
            let timer = self.clock.sleep_until(deadline);
            if let Some(connection) = &mut self.connection {
                tokio::select! {
                    () = timer => {}
                    received = connection.recv() => match received {
                        Ok(Some(message)) => {
                            self.fsm.activity(self.clock.now());
                            if let Some(message) = self.answer(message) {
                                return Event::Message(message);
                            }
                        }
                        Ok(None) => {
                            self.end(&End::Closed);
                            return Event::Disconnected;
                        }
                        Err(e) => {
                            self.end(&End::Failed(e));
                            return Event::Disconnected;
                        }
                    },
                }
            } else if let Some(attempt) = &mut self.attempt {
                tokio::select! {
                    () = timer => {}
                    outcome = attempt => {
                        self.attempt = None;
                        match outcome {
                            Ok(stream) => self.establish(stream),
                            Err(e) => {
                                self.end(&End::Failed(e));
                            }
                        }
                    }
                }
            } else {
                timer.await;
            }
        }
    }

    /// Takes probes and their answers out of the stream.
    fn answer(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Request { method, params, id } if method == "echo" => {
                self.send(Message::Reply {
                    result: params.into(),
                    id,
                });
                None
            }
            Message::Reply { id, .. } if id == "echo" => None,
            other => Some(other),
        }
    }

    fn begin(&mut self) {
        let now = self.clock.now();
        match &self.target {
            Some(target) => {
                self.fsm.connecting(now);
                let target = target.clone();
                self.attempt = Some(Box::pin(async move { target.connect().await }));
            }
            None => self.fsm.disable(now),
        }
    }

    fn establish(&mut self, stream: Stream) {
        self.connection = Some(Connection::new(stream, self.fsm.name()));
        self.announced = false;
        self.fsm.connected(self.clock.now());
    }

    /// Notes the end of a connection or of a try; true if a connection was known to be there.
    fn end(&mut self, end: &End) -> bool {
        let now = self.clock.now();
        let known = self.connection.take().is_some() && self.announced;
        self.attempt = None;
        self.fsm.disconnected(end, now);
        if self.target.is_none() {
            self.fsm.disable(now);
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Passive;
    use serde_json::json;

    #[tokio::test]
    async fn a_session_survives_its_server() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("s");
        let clock = Clock::stopped_at(0);
        let mut session = Session::connect(Active::Unix(path.clone()), &clock);
        // Nobody listens: the session waits, and time only passes by warping.
        tokio::select! {
            biased;
            event = session.next() => panic!("{event:?}"),
            () = std::future::ready(()) => {}
        }
        for _ in 0..2 {
            let listener = Passive::Unix(path.clone()).listen().expect("listen");
            clock.warp(crate::reconnect::MAX_BACKOFF);
            assert!(matches!(session.next().await, Event::Connected));
            let (stream, name) = listener.accept().await.expect("accept");
            let mut peer = Connection::new(stream, name);
            peer.send(Message::echo());
            peer.send(Message::Notification {
                method: "m".into(),
                params: vec![json!(1)],
            });
            let Event::Message(Message::Notification { method, .. }) = session.next().await else {
                panic!("no notification");
            };
            assert_eq!(method, "m");
            let answer = peer.recv().await.expect("answer");
            assert_eq!(
                answer,
                Some(Message::Reply {
                    result: json!([]),
                    id: json!("echo")
                })
            );
            drop(peer);
            assert!(matches!(session.next().await, Event::Disconnected));
        }
    }
}
