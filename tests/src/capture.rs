//! Pcap files, in and out.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};

/// The frames of a pcap file; none if there is no file yet. A record that is only half written is
/// left for the next look.
pub fn read(path: &Path) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let Ok(file) = File::open(path) else {
        return frames;
    };
    let Ok(mut reader) = PcapReader::new(file) else {
        return frames;
    };
    while let Some(Ok(packet)) = reader.next_packet() {
        frames.push(packet.data.into_owned());
    }
    frames
}

/// Writes a pcap file of Ethernet frames, a millisecond apart.
pub fn write(path: &Path, frames: &[Vec<u8>]) {
    let file = File::create(path).expect("a pcap file");
    let mut writer = PcapWriter::new(file).expect("a pcap header");
    for (at, frame) in (0u64..).zip(frames) {
        let length = u32::try_from(frame.len()).expect("a frame's length");
        writer
            .write_packet(&PcapPacket::new(Duration::from_millis(at), length, frame))
            .expect("a pcap record");
    }
}
