//! A wire that is a pair of files: the frames of one come in once, what goes out is written to
//! the other.

use super::Wire;
use packet::Packet;
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use std::fs::File;
use std::io::{self, BufReader};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(super) struct PcapWire {
    text: String,
    input: Mutex<Option<PcapReader<BufReader<File>>>>,
    output: Mutex<Option<PcapWriter<File>>>,
}

impl PcapWire {
    /// `IN[,OUT]`; either may be empty.
    pub fn open(text: &str) -> Result<PcapWire, String> {
        let (input, output) = text.split_once(',').unwrap_or((text, ""));
        let input = match input {
            "" => None,
            path => {
                let file =
                    File::open(path).map_err(|e| format!("{path}: {}", super::reason(&e)))?;
                let reader =
                    PcapReader::new(BufReader::new(file)).map_err(|e| format!("{path}: {e}"))?;
                if reader.header().datalink != DataLink::ETHERNET {
                    return Err(format!("{path}: not a capture of Ethernet frames"));
                }
                Some(reader)
            }
        };
        let output = match output {
            "" => None,
            path => {
                let file =
                    File::create(path).map_err(|e| format!("{path}: {}", super::reason(&e)))?;
                let header = pcap_file::pcap::PcapHeader {
                    snaplen: u32::try_from(super::MAX_FRAME).unwrap_or(u32::MAX),
                    datalink: DataLink::ETHERNET,
                    ts_resolution: TsResolution::MicroSecond,
                    ..Default::default()
                };
                let writer =
                    PcapWriter::with_header(file, header).map_err(|e| format!("{path}: {e}"))?;
                Some(writer)
            }
        };
        Ok(PcapWire {
            text: format!("pcap:{text}"),
            input: Mutex::new(input),
            output: Mutex::new(output),
        })
    }
}

impl Wire for PcapWire {
    fn receive(&self, packet: &mut Packet) -> io::Result<bool> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reader) = &mut *input else {
            return Ok(false);
        };
        match reader.next_packet() {
            Some(Ok(next)) => {
                packet.assign(&next.data);
                Ok(true)
            }
            Some(Err(e)) => {
                *input = None;
                Err(io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
            }
            None => {
                *input = None;
                Ok(false)
            }
        }
    }

    fn send(&self, packet: &Packet) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = &mut *output else {
            return Ok(());
        };
        // A file is read by people: what was left to the hardware is finished here.
        let mut whole = packet.clone();
        whole.finish_checksum();
        let length = u32::try_from(whole.len()).unwrap_or(u32::MAX);
        writer
            .write_packet(&PcapPacket::new(Duration::ZERO, length, whole.frame()))
            .map(|_| ())
            .map_err(|e| io::Error::other(e.to_string()))
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}
