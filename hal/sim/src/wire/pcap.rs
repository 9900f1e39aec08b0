//! A wire that is a pair of files: the frames of one come in once, what goes out is written to
//! the other.

use super::Wire;
use clock::Clock;
use packet::Packet;
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use pcap_file::{DataLink, PcapError, TsResolution};
use std::fs::File;
use std::io::{self, BufReader};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(super) struct PcapWire {
    text: String,
    clock: Clock,
    input: Mutex<Option<PcapReader<BufReader<File>>>>,
    output: Mutex<Option<PcapWriter<File>>>,
}

/// Opens a capture and reads its header.
fn open(path: &str) -> Result<PcapReader<BufReader<File>>, String> {
    let file = File::open(path).map_err(|e| format!("{path}: {}", super::reason(&e)))?;
    let is_empty = file.metadata().is_ok_and(|m| m.is_file() && m.len() == 0);
    if is_empty {
        return Err(format!("{path}: empty, not a pcap file (offset 0)"));
    }
    PcapReader::new(BufReader::new(file)).map_err(|e| match e {
        PcapError::IoError(_) | PcapError::IncompleteBuffer => {
            format!("{path}: truncated pcap header (offset 0)")
        }
        e => format!("{path}: not a pcap file (offset 0): {e}"),
    })
}

/// Reads a capture to its end, so that one that is cut short is known before it is used. What is no
/// file can be read only once, and is believed.
fn check(path: &str) -> Result<(), String> {
    if !std::fs::metadata(path).is_ok_and(|m| m.is_file()) {
        return Ok(());
    }
    let mut reader = open(path)?;
    let mut offset = FILE_HEADER;
    while let Some(next) = reader.next_raw_packet() {
        match next {
            Ok(record) => offset += RECORD_HEADER + record.data.len(),
            Err(PcapError::IoError(_) | PcapError::IncompleteBuffer) => {
                return Err(format!("{path}: truncated record at offset {offset}"));
            }
            Err(e) => return Err(format!("{path}: bad record at offset {offset}: {e}")),
        }
    }
    Ok(())
}

/// Bytes of a capture's header, and of each record's.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

impl PcapWire {
    /// `IN[,OUT]`; either may be empty.
    pub fn open(text: &str, clock: Clock) -> Result<PcapWire, String> {
        let (input, output) = text.split_once(',').unwrap_or((text, ""));
        let input = match input {
            "" => None,
            path => {
                let reader = open(path)?;
                if reader.header().datalink != DataLink::ETHERNET {
                    return Err(format!("{path}: not a capture of Ethernet frames"));
                }
                check(path)?;
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
            clock,
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
            .write_packet(&PcapPacket::new(
                Duration::from_millis(self.clock.wall_ms()),
                length,
                whole.frame(),
            ))
            .map(|_| ())
            .map_err(|e| io::Error::other(e.to_string()))
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_wire(text: &str) -> Result<PcapWire, String> {
        PcapWire::open(text, Clock::stopped_at(1_234_567))
    }

    #[test]
    fn what_is_written_has_its_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dated.pcap").display().to_string();
        let wire = open_wire(&format!(",{path}")).unwrap();
        wire.send(&Packet::from_frame(&[7; 60])).unwrap();
        drop(wire);
        let written = open(&path)
            .unwrap()
            .next_packet()
            .unwrap()
            .unwrap()
            .timestamp;
        assert_eq!(written, Duration::from_millis(1_234_567));
    }

    #[test]
    fn what_is_wrong_with_a_capture_is_said_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole.pcap").display().to_string();
        let wire = open_wire(&format!(",{whole}")).unwrap();
        wire.send(&Packet::from_frame(&[7; 60])).unwrap();
        wire.send(&Packet::from_frame(&[8; 70])).unwrap();
        drop(wire);
        let bytes = std::fs::read(&whole).unwrap();
        assert_eq!(bytes.len(), 24 + 16 + 60 + 16 + 70);
        assert!(open_wire(&whole).is_ok());
        let path = dir.path().join("odd.pcap").display().to_string();
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            open_wire(&path).map(|_| ()).unwrap_err()
        };
        assert_eq!(
            said(&[]),
            format!("{path}: empty, not a pcap file (offset 0)")
        );
        let header = format!("{path}: truncated pcap header (offset 0)");
        assert_eq!(said(&bytes[..10]), header);
        let text = said(b"#!/bin/sh\necho this is no capture\n");
        assert!(
            text.starts_with(&format!("{path}: not a pcap file (offset 0)")),
            "{text}"
        );
        for end in [25, 39, 41, 99] {
            assert_eq!(
                said(&bytes[..end]),
                format!("{path}: truncated record at offset 24")
            );
        }
        for end in [101, 120, 185] {
            assert_eq!(
                said(&bytes[..end]),
                format!("{path}: truncated record at offset 100")
            );
        }
    }
}
