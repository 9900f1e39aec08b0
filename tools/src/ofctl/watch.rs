//! `monitor` and `snoop`: print what comes, in the foreground or, with `--detach`, in the background
//! under commands of `ovs-appctl`.

use super::link::{Link, Receiver, Sender};
use super::offline::unhex;
use super::options::Options;
use super::switch::{packet_out_of, show};
use super::{Outcome, print_to_stderr};
use crate::deadline;
use crate::detach::{Background, Call};
use clock::Clock;
use daemon::control::Invocation;
use openflow::text::Names;
use openflow::{Message, Xid, decode, encode, encode_for};
use std::fs::OpenOptions;
use tokio::sync::mpsc;

const MANY: usize = usize::MAX;

const CALLS: &[Call] = &[
    ("exit", "", 0, 0),
    ("ofctl/send", "OFMSG...", 1, MANY),
    (
        "ofctl/packet-out",
        "\"in_port=<port> packet=<hex data> actions=...\"",
        1,
        1,
    ),
    ("ofctl/barrier", "", 0, 0),
    ("ofctl/set-output-file", "FILE", 1, 1),
    ("ofctl/block", "", 0, 0),
    ("ofctl/unblock", "", 0, 0),
];

/// Prints what comes until the connection ends or somebody says `exit`.
pub fn watch(link: Link, o: &Options, answers_echo: bool) -> Outcome {
    let mut background = Background::start(&o.daemon)?;
    let clock = Clock::real();
    if o.daemon.detach {
        // The fork has left the first one behind.
        deadline::arm(o.timeout, &clock);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        background.listen(CALLS, o.unixctl.as_deref(), &clock)?;
        background.ready(false, true)?;
        let (sender, receiver) = link.split();
        let mut watcher = Watcher {
            options: o,
            sender,
            arrived: receive(receiver)?,
            answers_echo,
            blocked: false,
            barrier: None,
        };
        loop {
            tokio::select! {
                call = background.call() => if watcher.call(call)? {
                    background.close().await;
                    return Ok(());
                },
                arrived = watcher.arrived.recv(), if !watcher.blocked => match arrived {
                    Some(Ok(bytes)) => watcher.message(&bytes)?,
                    Some(Err(why)) => return Err(format!("vconn_recv: {why}")),
                    None => return Ok(()),
                },
            }
        }
    })
}

/// Receives in a thread of its own, one message ahead.
fn receive(mut receiver: Receiver) -> Result<mpsc::Receiver<Result<Vec<u8>, String>>, String> {
    let (sender, arrived) = mpsc::channel(1);
    let run = move || loop {
        let received = receiver.recv();
        let last = received.is_err();
        if sender.blocking_send(received).is_err() || last {
            return;
        }
    };
    let thread = std::thread::Builder::new().name("receiver".into());
    thread.spawn(run).map_err(|e| e.to_string())?;
    Ok(arrived)
}

struct Watcher<'o> {
    options: &'o Options,
    sender: Sender,
    arrived: mpsc::Receiver<Result<Vec<u8>, String>>,
    answers_echo: bool,
    /// What comes is left where it is.
    blocked: bool,
    /// Who waits for the answer to a barrier.
    barrier: Option<Invocation>,
}

impl Watcher<'_> {
    fn message(&mut self, bytes: &[u8]) -> Outcome {
        show(self.options, bytes);
        match decode(bytes) {
            Ok((v, x, Message::EchoRequest(data))) if self.answers_echo => {
                self.sender
                    .send_bytes(&encode(v, x, &Message::EchoReply(data)))?;
            }
            Ok((_, _, Message::BarrierReply)) => {
                if let Some(call) = self.barrier.take() {
                    call.reply.ok("");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Carries a command out. True if it was `exit`.
    fn call(&mut self, call: Invocation) -> Result<bool, String> {
        match call.name.as_str() {
            "exit" => {
                call.reply.ok("");
                return Ok(true);
            }
            "ofctl/send" => {
                let mut reply = String::new();
                let mut fine = true;
                for word in &call.args {
                    match self.send(word) {
                        Ok(()) => reply += "sent\n",
                        Err(why) => {
                            fine = false;
                            reply += &format!("{why}\n");
                        }
                    }
                }
                if fine {
                    call.reply.ok(reply);
                } else {
                    call.reply.error(reply);
                }
            }
            "ofctl/packet-out" => match self.packet_out(&call.args[0]) {
                Ok(()) => call.reply.ok(""),
                Err(why) => call.reply.error(why),
            },
            "ofctl/barrier" if self.barrier.is_some() => call.reply.error("already in progress"),
            "ofctl/barrier" => {
                let protocol = self.sender.protocol;
                let request = encode_for(protocol, Xid(0), &Message::BarrierRequest);
                match self.sender.send_bytes(&request) {
                    Ok(()) => self.barrier = Some(call),
                    Err(why) => call.reply.error(why),
                }
            }
            "ofctl/set-output-file" => match redirect(&call.args[0]) {
                Ok(()) => call.reply.ok(""),
                Err(why) => call.reply.error(why),
            },
            "ofctl/block" if self.blocked => call.reply.error("already blocking"),
            "ofctl/unblock" if !self.blocked => call.reply.error("already unblocked"),
            "ofctl/block" | "ofctl/unblock" => {
                self.blocked = !self.blocked;
                call.reply.ok("");
            }
            name => {
                let why = format!("\"{name}\" is not a valid command");
                call.reply.error(why);
            }
        }
        Ok(false)
    }

    fn send(&mut self, word: &str) -> Outcome {
        let bytes = unhex(word).ok_or("Trailing garbage in packet data")?;
        if bytes.len() < openflow::Header::LEN {
            return Err("Message too short for OpenFlow".into());
        }
        self.send_shown(&bytes)
    }

    fn packet_out(&mut self, text: &str) -> Outcome {
        let out = packet_out_of(text, &Names::none())?;
        let message = Message::PacketOut(Box::new(out));
        let bytes = encode_for(self.sender.protocol, Xid(0), &message);
        self.send_shown(&bytes)
    }

    fn send_shown(&mut self, bytes: &[u8]) -> Outcome {
        print_to_stderr("send: ");
        let text = openflow::print::format_message(bytes, &Names::none(), self.options.verbosity);
        print_to_stderr(&text);
        self.sender.send_bytes(bytes)
    }
}

/// Standard error goes to a file from here on.
fn redirect(path: &str) -> Outcome {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).open(path);
    let file = file.map_err(|e| daemon::log::reason(&e))?;
    rustix::stdio::dup2_stderr(&file).map_err(|e| e.to_string())
}
