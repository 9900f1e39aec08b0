//! The physical port: its registers.

use super::command::{Call, Outcome};
use super::core::Core;
use super::register_access::Access;
use super::syndrome::Syndrome;
use super::vport::UPLINK;
use hal_mlx_prm::View;
use hal_mlx_prm::capability::GeneralCapability;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::MacAddress;
use hal_mlx_prm::register::*;

/// The longest frame without Ethernet header and check sequence.
const MOST_MTU: u16 = 9978;
/// Ethernet, in [`PortTypeSpeed::PROTO_MASK`].
const ETHERNET: u8 = 4;
/// Speeds that the port can have: 25, 40, 50 and 100 Gb/s over copper.
const SPEEDS: u32 = 1 << 27 | 1 << 6 | 1 << 30 | 1 << 20;
/// The one that it has: 100GBASE-CR4.
const SPEED: u32 = 1 << 20;
/// Up and down in [`PortAdminOperStatus`].
const UP: u8 = 1;
const DOWN: u8 = 2;

/// What has been written to registers and can be read again.
#[derive(Debug)]
pub(super) struct PortSettings {
    mtu: u16,
    speeds: u32,
    no_negotiation: bool,
    pause: Vec<u8>,
    checks: Vec<u8>,
    /// Addresses by index (the multi-function filter).
    l2: std::collections::BTreeMap<u32, (u64, Option<u16>)>,
}

impl Default for PortSettings {
    fn default() -> PortSettings {
        PortSettings {
            mtu: 1500 + 22,
            speeds: SPEEDS,
            no_negotiation: false,
            pause: vec![0; PortFlowControl::SIZE],
            checks: vec![0; PortCheck::SIZE],
            l2: std::collections::BTreeMap::new(),
        }
    }
}

impl PortSettings {
    /// Whether the function wants frames to this address.
    pub(super) fn has_address(&self, address: u64) -> bool {
        self.l2.values().any(|(own, _)| *own == address)
    }
}

fn check_port(port: u8) -> Outcome {
    if port == 1 {
        Ok(())
    } else {
        Err(Syndrome::NoSuchPort)
    }
}

impl Core {
    /// PAOS: whether the port is to be up, and is.
    pub(super) fn port_status(&mut self, access: &mut Access<'_>) -> Outcome {
        use PortAdminOperStatus as R;
        let sent = access.sent::<R>()?;
        check_port(sent.get(R::LOCAL_PORT))?;
        if access.write && sent.get(R::ADMIN_STATUS_ENABLE) {
            self.ports.admin_down = match sent.get(R::ADMIN_STATUS) {
                UP => false,
                DOWN => true,
                _ => return Err(Syndrome::PortState),
            };
        }
        let say = |up: bool| if up { UP } else { DOWN };
        let (admin, up) = (!self.ports.admin_down, self.is_up(UPLINK));
        let mut out = access.answered::<R>()?;
        out.set(R::ADMIN_STATUS, say(admin))
            .set(R::OPER_STATUS, say(up));
        Ok(())
    }

    /// PMTU: the longest frame.
    pub(super) fn port_mtu(&mut self, access: &mut Access<'_>) -> Outcome {
        use PortMtu as R;
        let sent = access.sent::<R>()?;
        check_port(sent.get(R::LOCAL_PORT))?;
        if access.write {
            let mtu = sent.get(R::ADMIN_MTU);
            if mtu == 0 || mtu > MOST_MTU {
                return Err(Syndrome::PortMtu);
            }
            self.port.mtu = mtu;
        }
        let mut out = access.answered::<R>()?;
        out.set(R::MAX_MTU, MOST_MTU)
            .set(R::ADMIN_MTU, self.port.mtu)
            .set(R::OPER_MTU, self.port.mtu);
        Ok(())
    }

    /// PTYS: speeds.
    pub(super) fn port_speed(&mut self, access: &mut Access<'_>) -> Outcome {
        use PortTypeSpeed as R;
        let sent = access.sent::<R>()?;
        check_port(sent.get(R::LOCAL_PORT))?;
        if sent.get(R::PROTO_MASK) != ETHERNET {
            return Err(Syndrome::PortProtocol);
        }
        if access.write {
            let speeds = sent.get(R::ETH_PROTO_ADMIN);
            if speeds & !SPEEDS != 0 {
                return Err(Syndrome::PortSpeed);
            }
            self.port.speeds = speeds;
            self.port.no_negotiation = sent.get(R::AN_DISABLE_ADMIN);
        }
        let up = self.is_up(UPLINK);
        let mut out = access.answered::<R>()?;
        out.set(R::AN_DISABLE_CAP, true)
            .set(R::AN_DISABLE_ADMIN, self.port.no_negotiation)
            // 1 = negotiated, 0 = not.
            .set(R::AN_STATUS, u8::from(up && !self.port.no_negotiation))
            .set(R::ETH_PROTO_CAPABILITY, SPEEDS)
            .set(R::ETH_PROTO_ADMIN, self.port.speeds)
            .set(R::ETH_PROTO_OPER, if up { SPEED } else { 0 })
            // Copper.
            .set(R::CONNECTOR_TYPE, 4);
        Ok(())
    }

    /// PDDR: why the port is not up.
    pub(super) fn port_diagnostics(&mut self, access: &mut Access<'_>) -> Outcome {
        use PortDiagnostics as R;
        const TROUBLESHOOTING: u8 = 1;
        let sent = access.sent::<R>()?;
        check_port(sent.get(R::LOCAL_PORT))?;
        if access.write {
            return Err(Syndrome::ReadOnlyRegister);
        }
        if sent.get(R::PAGE_SELECT) != TROUBLESHOOTING || sent.get(R::GROUP_OPCODE) != 0 {
            return Err(Syndrome::DiagnosticsPage);
        }
        let (opcode, message) = match self.ports.has_wire(UPLINK) {
            _ if self.is_up(UPLINK) => (0, "No issue was observed"),
            _ if self.ports.admin_down => (1, "The port was closed by command"),
            true => (2, "Nobody answers"),
            false => (1024, "Nothing is plugged in"),
        };
        let mut out = access.answered::<R>()?;
        out.set(R::MONITOR_OPCODE, opcode);
        let place = out.octets_mut(R::STATUS_MESSAGE);
        place[..message.len()].copy_from_slice(message.as_bytes());
        Ok(())
    }

    /// PFCC: pauses; written, read again, and not made.
    pub(super) fn port_flow_control(&mut self, access: &mut Access<'_>) -> Outcome {
        check_port(
            access
                .sent::<PortFlowControl>()?
                .get(PortFlowControl::LOCAL_PORT),
        )?;
        keep(&mut self.port.pause, access)
    }

    /// PCMR: what is checked of frames.
    pub(super) fn port_check(&mut self, access: &mut Access<'_>) -> Outcome {
        check_port(access.sent::<PortCheck>()?.get(PortCheck::LOCAL_PORT))?;
        keep(&mut self.port.checks, access)
    }

    /// PMLP: which lanes of which module.
    pub(super) fn port_module(&mut self, access: &mut Access<'_>) -> Outcome {
        use PortModuleMapping as R;
        check_port(access.sent::<R>()?.get(R::LOCAL_PORT))?;
        if access.write {
            return Err(Syndrome::ReadOnlyRegister);
        }
        let mut out = access.answered::<R>()?;
        out.set(R::WIDTH, 4)
            .set(R::LANE1_MODULE_MAPPING, 1 << 16)
            .set(R::LANE2_MODULE_MAPPING, 2 << 16)
            .set(R::LANE3_MODULE_MAPPING, 3 << 16);
        Ok(())
    }

    /// PPCNT: counters.
    pub(super) fn port_counters(&mut self, access: &mut Access<'_>) -> Outcome {
        use PortCounters as R;
        let sent = access.sent::<R>()?;
        check_port(sent.get(R::LOCAL_PORT))?;
        let counts = self.ports.counts;
        let group = sent.get(R::GROUP);
        let clear = sent.get(R::CLEAR);
        let mut out = access.answered::<R>()?;
        let place = out.octets_mut(R::COUNTERS);
        place.fill(0);
        match CounterGroup::of(group).ok_or(Syndrome::CounterGroup)? {
            CounterGroup::Ieee8023 => {
                if let Some(mut c) = View::<Ieee8023Counters, _>::new(place) {
                    c.set(Ieee8023Counters::FRAMES_TRANSMITTED_OK, counts.sent)
                        .set(Ieee8023Counters::FRAMES_RECEIVED_OK, counts.received)
                        .set(Ieee8023Counters::OCTETS_TRANSMITTED_OK, counts.sent_octets)
                        .set(Ieee8023Counters::OCTETS_RECEIVED_OK, counts.received_octets);
                }
            }
            CounterGroup::Rfc2863 => {
                if let Some(mut c) = View::<Rfc2863Counters, _>::new(place) {
                    c.set(Rfc2863Counters::IF_IN_OCTETS, counts.received_octets)
                        .set(Rfc2863Counters::IF_IN_UCAST_PKTS, counts.received)
                        .set(Rfc2863Counters::IF_OUT_OCTETS, counts.sent_octets)
                        .set(Rfc2863Counters::IF_OUT_UCAST_PKTS, counts.sent)
                        .set(Rfc2863Counters::IF_OUT_DISCARDS, counts.discards);
                }
            }
            CounterGroup::Rfc2819 => {
                if let Some(mut c) = View::<Rfc2819Counters, _>::new(place) {
                    c.set(Rfc2819Counters::ETHER_STATS_OCTETS, counts.received_octets)
                        .set(Rfc2819Counters::ETHER_STATS_PKTS, counts.received);
                }
            }
            // Nothing goes wrong on a wire of the model's.
            _ => {}
        }
        if clear {
            self.ports.counts = Default::default();
        }
        Ok(())
    }

    /// SET_L2_TABLE_ENTRY: which addresses are the function's. There is one function, so all that
    /// comes from the wire is its own; what it sends to such an address comes back.
    pub fn set_l2_table_entry(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let index = self.l2_index(input.get(SetL2TableEntryIn::TABLE_INDEX))?;
        let address = input
            .at(SetL2TableEntryIn::MAC_ADDRESS)
            .get(MacAddress::ADDRESS);
        let tagged = input.get(SetL2TableEntryIn::VLAN_VALID);
        let tag = tagged.then(|| input.get(SetL2TableEntryIn::VLAN));
        self.port.l2.insert(index, (address, tag));
        Ok(())
    }

    /// QUERY_L2_TABLE_ENTRY.
    pub fn query_l2_table_entry(&mut self, call: &mut Call<'_>) -> Outcome {
        let index = call.input()?.get(QueryL2TableEntryIn::TABLE_INDEX);
        let (address, tag) = self.port.l2.get(&index).ok_or(Syndrome::NoSuchL2Entry)?;
        let mut out = call.output::<QueryL2TableEntryOut>()?;
        out.set(QueryL2TableEntryOut::VLAN_VALID, tag.is_some())
            .set(QueryL2TableEntryOut::VLAN, tag.unwrap_or(0))
            .at_mut(QueryL2TableEntryOut::MAC_ADDRESS)
            .set(MacAddress::ADDRESS, *address);
        Ok(())
    }

    /// DELETE_L2_TABLE_ENTRY.
    pub fn delete_l2_table_entry(&mut self, call: &mut Call<'_>) -> Outcome {
        let index = call.input()?.get(DeleteL2TableEntryIn::TABLE_INDEX);
        let entry = self.port.l2.remove(&index);
        entry.map(|_| ()).ok_or(Syndrome::NoSuchL2Entry)
    }

    fn l2_index(&self, index: u32) -> Result<u32, Syndrome> {
        let log_most = self.capabilities.get(GeneralCapability::LOG_MAX_L2_TABLE);
        if u64::from(index) < 1u64 << log_most.min(31) {
            Ok(index)
        } else {
            Err(Syndrome::NoSuchL2Entry)
        }
    }

    /// QUERY_ESW_FUNCTIONS: the host of a NIC with a processor of its own. This NIC has none.
    pub fn query_esw_functions(&mut self, call: &mut Call<'_>) -> Outcome {
        let vfs = self.vfs;
        let mut out = call.output::<QueryEswFunctionsOut>()?;
        out.at_mut(QueryEswFunctionsOut::HOST)
            .set(HostParameters::HOST_PF_NOT_EXIST, true)
            .set(HostParameters::HOST_NUM_OF_VFS, vfs)
            .set(HostParameters::HOST_TOTAL_VFS, vfs);
        Ok(())
    }
}

/// Keeps what is written, and reads it again.
fn keep(kept: &mut [u8], access: &mut Access<'_>) -> Outcome {
    let len = kept.len().min(access.data.len());
    if access.write {
        kept[..len].copy_from_slice(&access.data[..len]);
    } else {
        // The port's number stays as it was asked.
        access.answer[4..len].copy_from_slice(&kept[4..len]);
    }
    Ok(())
}

/// PCAM and MCAM: which registers there are, a bit for each.
pub(super) fn capability_mask(register: Register, access: &mut Access<'_>) -> Outcome {
    use ManagementCapabilityMask as R;
    if access.write {
        return Err(Syndrome::ReadOnlyRegister);
    }
    let group = access.sent::<R>()?.get(R::ACCESS_REG_GROUP);
    // Registers of ports begin at 0x5000, those of management at 0x9000; a group has 128.
    let base = match register {
        Register::Pcam => 0x5000,
        _ => 0x9000,
    } + u16::from(group) * 128;
    let known = (0..128).filter(|n| Register::of(base + n).is_some());
    let mask = known.fold(0u128, |mask, n| mask | 1 << n);
    access.answered::<R>()?.set(R::REGISTERS, mask);
    Ok(())
}
