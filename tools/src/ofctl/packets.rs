//! Commands that read packets and make some.

use super::offline::unhex;
use super::options::Options;
use super::{Outcome, print_to_stderr};
use openflow::text::{self, Names, ParseCommand};
use openflow::{OfPort, print};
use packet::{FieldId, FlowState, Metadata, Packet, compose};
use pcap_file::pcap::PcapReader;
use std::fs::File;
use std::io::Read;

/// Bytes behind a transport header if none are given.
const PAYLOAD: usize = 64;

/// What a frame is, as if it had come by no port in particular.
fn state_of(frame: &[u8]) -> FlowState {
    let mut packet = Packet::from_frame(frame);
    let mut state = FlowState::from_key(&packet::parse(&mut packet, &Metadata::default()));
    state.set(FieldId::InPortOxm, OfPort::NONE.0.into());
    state
}

/// `parse-pcap`: a line for each packet of each file.
pub fn parse_pcap(_: &Options, args: &[String]) -> Outcome {
    for name in args {
        let file = File::open(name)
            .map_err(|e| format!("{name}: open failed ({})", daemon::log::reason(&e)))?;
        let failed = |e: pcap_file::PcapError| format!("{name}: read failed ({e})");
        let mut packets = PcapReader::new(file).map_err(failed)?;
        while let Some(packet) = packets.next_packet() {
            let frame = packet.map_err(failed)?.data;
            say!("{}", print::format_state(&state_of(&frame)));
        }
    }
    Ok(())
}

/// `parse-packet`: a line for the packet on standard input.
pub fn parse_packet(_: &Options, _: &[String]) -> Outcome {
    let mut frame = Vec::new();
    let input = std::io::stdin().take(u64::from(u16::MAX));
    { input }.read_to_end(&mut frame).map_err(|e| {
        format!(
            "failed to read packet from stdin ({})",
            daemon::log::reason(&e)
        )
    })?;
    put!("{}", print::format_packet(&frame));
    Ok(())
}

/// `compose-packet`: a packet with the fields of a flow, in hexadecimal digits.
pub fn compose_packet(o: &Options, args: &[String]) -> Outcome {
    let parsed = text::parse_flow(&args[0], ParseCommand::Stats, &Names::none())?;
    let mut wanted = parsed.flow.matching.value().clone();
    wanted.set(FieldId::InPortOxm, OfPort::NONE.0.into());
    let frame = match args.get(1) {
        None => compose(&wanted, PAYLOAD).frame().to_vec(),
        Some(digits) => {
            let payload = unhex(digits)
                .ok_or_else(|| format!("{digits}: trailing garbage in packet data"))?;
            packet::compose_with(&wanted, &payload).frame().to_vec()
        }
    };
    if o.bare {
        let digits: String = frame.iter().map(|b| format!("{b:02x}")).collect();
        put!("{digits}");
    } else {
        put!("{}", text::hex_dump(&frame).replace("-\n", "\n"));
    }
    let wanted = print::format_state(&wanted);
    let made = print::format_state(&state_of(&frame));
    if made != wanted {
        print_to_stderr(&format!(
            "specified and extracted flows differ:\nspecified: {wanted}\nextracted: {made}"
        ));
        return Err(String::new());
    }
    Ok(())
}
