//! Vports: the e-switch's ports as functions see them. 0 is the function itself, 1 and up are the
//! virtual functions, [`UPLINK`] is the wire of the NIC.

use super::capability::Capabilities;
use super::command::{Call, Outcome, kept};
use super::core::Core;
use super::steering::counter::Count;
use super::syndrome::Syndrome;
use hal_mlx_prm::View;
use hal_mlx_prm::capability::{EthernetCapability, GeneralCapability};
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::{
    EswVportContext, FlowStatistics, ListType, MacAddress, NicVportContext,
};
use std::collections::BTreeMap;

/// The vport of the wire.
pub(super) const UPLINK: u16 = 0xffff;

/// What a vport counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    pub unicast: Count,
    pub multicast: Count,
    pub broadcast: Count,
}

impl Traffic {
    /// Counts a frame by its destination.
    pub fn add(&mut self, frame: &[u8]) {
        let count = match frame.get(..6) {
            Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => &mut self.broadcast,
            Some([first, ..]) if first & 1 == 1 => &mut self.multicast,
            _ => &mut self.unicast,
        };
        count.add(frame.len());
    }
}

/// A vport.
#[derive(Debug)]
pub(super) struct Vport {
    nic: Vec<u8>,
    eswitch: Vec<u8>,
    /// Addresses and tags that the function wants, by kind of list.
    lists: BTreeMap<u8, Vec<u64>>,
    /// 0 down, 1 up, 2 as the wire.
    pub admin: u8,
    pub received: Traffic,
    pub sent: Traffic,
}

impl Vport {
    /// `inline`: up to which layer headers must stand in entries.
    fn new(mac: u64, mtu: u16, inline: u8) -> Vport {
        let mut nic = View::<NicVportContext, _>::zeroed();
        nic.set(NicVportContext::MTU, mtu)
            .set(NicVportContext::MIN_WQE_INLINE_MODE, inline)
            .set(NicVportContext::NODE_GUID, mac << 16 | 1)
            .set(NicVportContext::PORT_GUID, mac << 16 | 2)
            .set(NicVportContext::SYSTEM_IMAGE_GUID, mac << 16 | 3)
            .at_mut(NicVportContext::PERMANENT_ADDRESS)
            .set(MacAddress::ADDRESS, mac);
        Vport {
            nic: nic.into_inner().to_vec(),
            eswitch: vec![0; EswVportContext::SIZE],
            lists: BTreeMap::new(),
            admin: 2,
            received: Traffic::default(),
            sent: Traffic::default(),
        }
    }

    /// Whether unicast of the function's to itself comes back.
    pub fn loops_back(&self) -> bool {
        let view = View::<NicVportContext, _>::new(&self.nic[..]);
        view.is_some_and(|view| !view.get(NicVportContext::DISABLE_UC_LOCAL_LB))
    }

    /// Which registers C frames keep on their way from the e-switch to the function, a bit for
    /// each.
    pub fn kept_registers(&self) -> u8 {
        let view = View::<EswVportContext, _>::new(&self.eswitch[..]);
        // Linux gives the registers and leaves FDB_TO_VPORT_REG_C alone.
        view.map_or(0, |view| view.get(EswVportContext::FDB_TO_VPORT_REG_C_ID))
    }
}

/// All vports of a NIC, with addresses that are the same in every run.
pub(super) fn vports(name: &str, vfs: u16, capabilities: &Capabilities) -> BTreeMap<u16, Vport> {
    // 2 = no headers need to stand in entries; otherwise those of layer 2.
    let needs = capabilities.get(EthernetCapability::WQE_INLINE_MODE) != 2;
    let vport = |number: u16| {
        let dice = &mut clock::Seed::new(0).source(&format!("{name}/{number}"));
        let mac = 0x0200_0000_0000 | dice.u64(0..1 << 40);
        (number, Vport::new(mac, 1500, needs.into()))
    };
    (0..=vfs).chain([UPLINK]).map(vport).collect()
}

impl Core {
    /// Bytes of headers that must stand in a send queue's entries, as the vport says.
    pub fn vport_inline(&self) -> u8 {
        let nic = self.vports.get(&0).map(|vport| vport.nic.as_slice());
        let view = nic.and_then(View::<NicVportContext, _>::new);
        match view.map_or(0, |view| view.get(NicVportContext::MIN_WQE_INLINE_MODE)) {
            0 => 0,
            _ => 14,
        }
    }

    /// The number of this function among all that share memory.
    pub fn vhca_id(&self) -> u16 {
        self.capabilities.get(GeneralCapability::VHCA_ID)
    }

    fn vport_number(&self, other: bool, number: u16) -> Result<u16, Syndrome> {
        let number = self.table_vport(other, number)?;
        // The function manages others only if it is their manager.
        let manages = self
            .capabilities
            .get(GeneralCapability::VPORT_GROUP_MANAGER)
            || self.capabilities.get(GeneralCapability::ESWITCH_MANAGER);
        if number != 0 && !manages {
            return Err(Syndrome::NotManager);
        }
        Ok(number)
    }

    fn vport(&mut self, other: bool, number: u16) -> Result<&mut Vport, Syndrome> {
        let number = self.vport_number(other, number)?;
        self.vports.get_mut(&number).ok_or(Syndrome::NoSuchVport)
    }

    /// QUERY_VPORT_STATE: 0 the function's own side, 1 the e-switch's, 2 the uplink.
    pub fn query_vport_state(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let other = input.get(QueryVportStateIn::OTHER_VPORT);
        let number = input.get(QueryVportStateIn::VPORT_NUMBER);
        if call.op_mod > 2 {
            return Err(Syndrome::VportVariant);
        }
        let number = self.vport_number(other, number)?;
        let number = if call.op_mod == 2 { UPLINK } else { number };
        let admin = self.vports.get(&number).ok_or(Syndrome::NoSuchVport)?.admin;
        let up = self.is_up(number);
        call.output()?
            .set(QueryVportStateOut::ADMIN_STATE, admin)
            .set(QueryVportStateOut::STATE, u8::from(up));
        Ok(())
    }

    /// MODIFY_VPORT_STATE.
    pub fn modify_vport_state(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let admin = input.get(ModifyVportStateIn::ADMIN_STATE);
        let number = if call.op_mod == 2 {
            UPLINK
        } else {
            self.vport_number(
                input.get(ModifyVportStateIn::OTHER_VPORT),
                input.get(ModifyVportStateIn::VPORT_NUMBER),
            )?
        };
        if call.op_mod > 2 || admin > 2 {
            return Err(Syndrome::VportVariant);
        }
        let vport = self.vports.get_mut(&number).ok_or(Syndrome::NoSuchVport)?;
        vport.admin = admin;
        Ok(())
    }

    /// QUERY_NIC_VPORT_CONTEXT.
    pub fn query_nic_vport_context(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let list = input.get(QueryNicVportContextIn::ALLOWED_LIST_TYPE);
        let vport = self.vport(
            input.get(QueryNicVportContextIn::OTHER_VPORT),
            input.get(QueryNicVportContextIn::VPORT_NUMBER),
        )?;
        let addresses = vport.lists.get(&list).map_or(&[][..], Vec::as_slice);
        let mut out = call.output::<QueryNicVportContextOut>()?;
        let room = out.items(QueryNicVportContextOut::ADDRESSES).count();
        kept(out.at_mut(QueryNicVportContextOut::CONTEXT), &vport.nic)?
            .set(NicVportContext::ALLOWED_LIST_TYPE, list)
            .set(
                NicVportContext::ALLOWED_LIST_SIZE,
                addresses.len().min(room) as u16,
            );
        for (i, address) in addresses.iter().enumerate() {
            if let Some(mut item) = out.item_mut(QueryNicVportContextOut::ADDRESSES, i) {
                item.set(MacAddress::ADDRESS, *address);
            }
        }
        Ok(())
    }

    /// MODIFY_NIC_VPORT_CONTEXT.
    pub fn modify_nic_vport_context(&mut self, call: &mut Call<'_>) -> Outcome {
        use NicVportContext as C;
        let input = call.input()?;
        let log_lists = [
            GeneralCapability::LOG_MAX_CURRENT_UC_LIST,
            GeneralCapability::LOG_MAX_CURRENT_MC_LIST,
            GeneralCapability::LOG_MAX_VLAN_LIST,
        ]
        .map(|field| self.capabilities.get(field));
        let vport = self.vport(
            input.get(ModifyNicVportContextIn::OTHER_VPORT),
            input.get(ModifyNicVportContextIn::VPORT_NUMBER),
        )?;
        let fields = input.at(ModifyNicVportContextIn::FIELDS);
        let new = input.at(ModifyNicVportContextIn::CONTEXT);
        if fields.get(NicVportFields::ADDRESSES_LIST) {
            let kind = new.get(C::ALLOWED_LIST_TYPE);
            let count = usize::from(new.get(C::ALLOWED_LIST_SIZE));
            ListType::of(kind).ok_or(Syndrome::ListType)?;
            let log_most = log_lists.get(usize::from(kind)).copied().unwrap_or(0);
            let list = input.items(ModifyNicVportContextIn::ADDRESSES);
            let list: Vec<u64> = list.map(|item| item.get(MacAddress::ADDRESS)).collect();
            if count > 1 << log_most.min(12) || count > list.len() {
                return Err(Syndrome::ListSize);
            }
            vport.lists.insert(kind, list[..count].to_vec());
        }
        let Some(mut old) = View::<C, _>::new(&mut vport.nic[..]) else {
            return Ok(());
        };
        macro_rules! change {
            ($( $bit:ident: $( $field:ident )+; )*) => {$(
                if fields.get(NicVportFields::$bit) {
                    $( old.set(C::$field, new.get(C::$field)); )+
                }
            )*};
        }
        change! {
            DISABLE_UC_LOCAL_LB: DISABLE_UC_LOCAL_LB;
            DISABLE_MC_LOCAL_LB: DISABLE_MC_LOCAL_LB;
            NODE_GUID: NODE_GUID;
            PORT_GUID: PORT_GUID;
            MIN_INLINE: MIN_WQE_INLINE_MODE;
            MTU: MTU;
            PROMISC: PROMISC_UC PROMISC_MC PROMISC_ALL;
            ROCE_EN: ROCE_EN;
            AFFILIATION: AFFILIATION_CRITERIA AFFILIATED_VHCA_ID;
            CHANGE_EVENT: ARM_CHANGE_EVENT EVENT_ON_MTU EVENT_ON_PROMISC_CHANGE
                EVENT_ON_VLAN_CHANGE EVENT_ON_MC_ADDRESS_CHANGE EVENT_ON_UC_ADDRESS_CHANGE;
        }
        if fields.get(NicVportFields::PERMANENT_ADDRESS) {
            let address = new.at(C::PERMANENT_ADDRESS).get(MacAddress::ADDRESS);
            old.at_mut(C::PERMANENT_ADDRESS)
                .set(MacAddress::ADDRESS, address);
        }
        Ok(())
    }

    /// QUERY_ESW_VPORT_CONTEXT.
    pub fn query_esw_vport_context(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let vport = self.vport(
            input.get(QueryEswVportContextIn::OTHER_VPORT),
            input.get(QueryEswVportContextIn::VPORT_NUMBER),
        )?;
        let mut out = call.output::<QueryEswVportContextOut>()?;
        kept(out.at_mut(QueryEswVportContextOut::CONTEXT), &vport.eswitch)?;
        Ok(())
    }

    /// MODIFY_ESW_VPORT_CONTEXT: which registers frames keep. Tags are for access tables.
    pub fn modify_esw_vport_context(&mut self, call: &mut Call<'_>) -> Outcome {
        use EswVportContext as C;
        let input = call.input()?;
        let can = self
            .capabilities
            .get(hal_mlx_prm::capability::EswitchFlowTableCapability::FDB_TO_VPORT_REG_C_ID);
        let vport = self.vport(
            input.get(ModifyEswVportContextIn::OTHER_VPORT),
            input.get(ModifyEswVportContextIn::VPORT_NUMBER),
        )?;
        let fields = input.at(ModifyEswVportContextIn::FIELDS);
        let new = input.at(ModifyEswVportContextIn::CONTEXT);
        if fields.get(EswVportFields::VPORT_CVLAN_INSERT)
            || fields.get(EswVportFields::VPORT_SVLAN_INSERT)
            || fields.get(EswVportFields::VPORT_CVLAN_STRIP)
            || fields.get(EswVportFields::VPORT_SVLAN_STRIP)
        {
            return Err(Syndrome::VportTags);
        }
        if fields.get(EswVportFields::FDB_TO_VPORT_REG_C_ID) {
            let registers = new.get(C::FDB_TO_VPORT_REG_C_ID);
            if registers & !can != 0 {
                return Err(Syndrome::VportRegisters);
            }
            if let Some(mut old) = View::<C, _>::new(&mut vport.eswitch[..]) {
                old.set(C::FDB_TO_VPORT_REG_C_ID, registers)
                    .set(C::FDB_TO_VPORT_REG_C, new.get(C::FDB_TO_VPORT_REG_C));
            }
        }
        Ok(())
    }

    /// QUERY_VPORT_COUNTER.
    pub fn query_vport_counter(&mut self, call: &mut Call<'_>) -> Outcome {
        use QueryVportCounterOut as O;
        let input = call.input()?;
        let clear = input.get(QueryVportCounterIn::CLEAR);
        let vport = self.vport(
            input.get(QueryVportCounterIn::OTHER_VPORT),
            input.get(QueryVportCounterIn::VPORT_NUMBER),
        )?;
        let mut out = call.output::<O>()?;
        let places = [
            (O::RECEIVED_ETH_UNICAST, vport.received.unicast),
            (O::RECEIVED_ETH_MULTICAST, vport.received.multicast),
            (O::RECEIVED_ETH_BROADCAST, vport.received.broadcast),
            (O::TRANSMITTED_ETH_UNICAST, vport.sent.unicast),
            (O::TRANSMITTED_ETH_MULTICAST, vport.sent.multicast),
            (O::TRANSMITTED_ETH_BROADCAST, vport.sent.broadcast),
        ];
        for (place, count) in places {
            let place: View<FlowStatistics, _> = out.at_mut(place);
            count.write(place);
        }
        if clear {
            vport.received = Traffic::default();
            vport.sent = Traffic::default();
        }
        Ok(())
    }

    /// QUERY_VNIC_ENV: frames that no table took.
    pub fn query_vnic_env(&mut self, call: &mut Call<'_>) -> Outcome {
        let (discards, refused) = (self.statistics.steering_drops, self.statistics.refused);
        let mut out = call.output::<QueryVnicEnvOut>()?;
        out.at_mut(QueryVnicEnvOut::DIAGNOSTICS)
            .set(VnicDiagnostics::NIC_RECEIVE_STEERING_DISCARD, discards)
            .set(VnicDiagnostics::INVALID_COMMAND, refused as u32);
        Ok(())
    }

    /// ADD_VXLAN_UDP_DPORT.
    pub fn add_vxlan_udp_dport(&mut self, call: &mut Call<'_>) -> Outcome {
        let port = call.input()?.get(AddVxlanUdpDportIn::VXLAN_UDP_PORT);
        let most = self
            .capabilities
            .get(EthernetCapability::MAX_VXLAN_UDP_PORTS);
        let ports = &mut self.steering.vxlan;
        if !ports.contains(&port) && ports.len() >= usize::from(most).max(4) {
            return Err(Syndrome::VxlanPorts);
        }
        ports.insert(port);
        Ok(())
    }

    /// DELETE_VXLAN_UDP_DPORT.
    pub fn delete_vxlan_udp_dport(&mut self, call: &mut Call<'_>) -> Outcome {
        let port = call.input()?.get(DeleteVxlanUdpDportIn::VXLAN_UDP_PORT);
        if self.steering.vxlan.remove(&port) {
            Ok(())
        } else {
            Err(Syndrome::NoSuchVxlanPort)
        }
    }
}
