//! What the device says that it can do, and what of that the driver makes use of.

use crate::error::MlxError;
use crate::function::Function;
use hal::{Capabilities, FieldSet, TableCapabilities};
use hal_mlx_prm::capability::{
    EswitchFlowTableCapability, FlowTableFields, FlowTableProperties, GeneralCapability, Group,
};
use hal_mlx_prm::command::Output;
use hal_mlx_prm::command::{QueryHcaCapIn, QueryHcaCapOut, SetHcaCapIn};
use hal_mlx_prm::{Described, Field, Opcode, View};
use packet::FieldId;

/// Offset of a group in the commands that carry it.
const GROUP: usize = 0x10;
/// Most rules that are held, whatever the device can hold.
const MOST_RULES: usize = 1 << 20;
/// Operations that may be in flight.
const QUEUE: usize = 1024;

/// A group of capabilities, seen through its layout.
pub type Capability<L> = View<L, Vec<u8>>;

/// Asks for a group as it is set now.
///
/// # Errors
/// The command fails.
pub fn query<L: Described>(
    function: &mut Function,
    group: Group,
) -> Result<Capability<L>, MlxError> {
    let variant = (group as u16) << 1 | 1;
    let input = View::<QueryHcaCapIn, _>::zeroed();
    let len = QueryHcaCapOut::SIZE;
    let mut answer = function.run_variant(Opcode::QueryHcaCap, variant, input, len)?;
    answer.drain(..GROUP);
    View::new(answer).ok_or(MlxError::Nonsense {
        what: "capabilities",
        value: u64::from(variant),
    })
}

/// Looks at the general capabilities and sets what the driver wants otherwise.
///
/// # Errors
/// A command fails, or the device cannot do what the driver needs.
pub fn negotiate(function: &mut Function) -> Result<Capability<GeneralCapability>, MlxError> {
    let mut general = query::<GeneralCapability>(function, Group::General)?;
    let needs = [
        (
            general.get(GeneralCapability::PORT_TYPE) == 1,
            "speak Ethernet",
        ),
        (
            general.get(GeneralCapability::ESWITCH_MANAGER),
            "manage an e-switch",
        ),
        (
            general.get(GeneralCapability::NIC_FLOW_TABLE),
            "steer what it receives",
        ),
    ];
    if let Some((_, what)) = needs.iter().find(|(has, _)| !has) {
        return Err(MlxError::Incapable(what));
    }
    general
        .set(GeneralCapability::LOG_UAR_PAGE_SZ, 0)
        .set(GeneralCapability::CQE_VERSION, 1);
    if general.get(GeneralCapability::UAR_4K) {
        general.set(GeneralCapability::UAR_4K, true);
    }
    let mut input = View::<SetHcaCapIn, _>::zeroed().into_inner();
    input[GROUP..].copy_from_slice(general.bytes());
    let Some(input) = View::<SetHcaCapIn, _>::new(input) else {
        return Ok(general);
    };
    let variant = (Group::General as u16) << 1;
    function.run_variant(Opcode::SetHcaCap, variant, input, Output::SIZE)?;
    Ok(general)
}

/// What the device's e-switch can do, beside what rules may ask for.
#[derive(Clone, Debug)]
pub struct Steering {
    /// For `offload`.
    pub rules: Capabilities,
    /// Entries of a table, log 2.
    pub log_table_size: u8,
    /// Counters that can be had together: bit n = 128 << n.
    pub counter_bulks: u8,
    /// Counters that can be read together, log 2.
    pub log_counter_read: u8,
}

/// The word of fields in which a bit says that a field can be matched.
type Bit = Field<FlowTableFields, bool>;

/// Switch fields, and the device's that they need.
const FIELDS: [(FieldId, &[Bit]); 26] = {
    use FieldId::*;
    type F = FlowTableFields;
    [
        (EthSrc, &[F::OUTER_SMAC]),
        (EthDst, &[F::OUTER_DMAC]),
        (EthType, &[F::OUTER_ETHER_TYPE]),
        (VlanTci, &[F::OUTER_FIRST_VID, F::OUTER_FIRST_PRIO]),
        (VlanTpid, &[F::OUTER_FIRST_VID]),
        (Vlan2Tci, &[F::OUTER_SECOND_VID, F::OUTER_SECOND_PRIO]),
        (Vlan2Tpid, &[F::OUTER_SECOND_VID]),
        (Ipv4Src, &[F::OUTER_SIP]),
        (Ipv4Dst, &[F::OUTER_DIP]),
        (Ipv6Src, &[F::OUTER_SIP]),
        (Ipv6Dst, &[F::OUTER_DIP]),
        (IpProto, &[F::OUTER_IP_PROTOCOL]),
        (IpDscp, &[F::OUTER_IP_DSCP]),
        (IpEcn, &[F::OUTER_IP_ECN]),
        (IpTtl, &[F::OUTER_IPV4_TTL]),
        (IpFrag, &[F::OUTER_FRAG]),
        (TcpFlags, &[F::OUTER_TCP_FLAGS]),
        (TcpSrc, &[F::OUTER_TCP_SPORT]),
        (TcpDst, &[F::OUTER_TCP_DPORT]),
        (UdpSrc, &[F::OUTER_UDP_SPORT]),
        (UdpDst, &[F::OUTER_UDP_DPORT]),
        (InPort, &[F::SOURCE_ESWITCH_PORT]),
        (InPortOxm, &[F::SOURCE_ESWITCH_PORT]),
        (PacketType, &[]),
        (Icmpv4Type, &[]),
        (Icmpv4Code, &[]),
    ]
};

/// Fields that are matched only whole.
const WHOLE: [FieldId; 6] = {
    use FieldId::*;
    [EthType, VlanTpid, Vlan2Tpid, InPort, InPortOxm, PacketType]
};

/// Fields that can be written.
const WRITABLE: [FieldId; 12] = {
    use FieldId::*;
    [
        EthSrc, EthDst, Ipv4Src, Ipv4Dst, Ipv6Src, Ipv6Dst, IpTtl, IpDscp, TcpSrc, TcpDst, UdpSrc,
        UdpDst,
    ]
};

/// What the programmable parser must know for ICMP to be matched.
const PARSES_ICMP: u32 = 1 << 8;

impl Steering {
    /// What the e-switch says.
    ///
    /// # Errors
    /// A command fails, or the device cannot do what the driver needs.
    pub fn query(
        function: &mut Function,
        general: &Capability<GeneralCapability>,
    ) -> Result<Steering, MlxError> {
        let eswitch: Capability<EswitchFlowTableCapability> =
            query(function, Group::EswitchFlowTable)?;
        let fdb = eswitch.at(EswitchFlowTableCapability::FDB);
        let has = |field| fdb.get::<bool>(field);
        let needs = [
            (
                has(FlowTableProperties::FT_SUPPORT),
                "hold rules in its e-switch",
            ),
            (
                has(FlowTableProperties::FLOW_COUNTER),
                "count what rules carry",
            ),
            (
                has(FlowTableProperties::FLOW_MODIFY_EN),
                "change a rule in place",
            ),
        ];
        if let Some((_, what)) = needs.iter().find(|(has, _)| !has) {
            return Err(MlxError::Incapable(what));
        }
        let (exact, masked) = (
            fdb.at(FlowTableProperties::MATCH),
            fdb.at(FlowTableProperties::MATCH_BITMASK),
        );
        let icmp = general.get(GeneralCapability::FLEX_PARSER_PROTOCOLS) & PARSES_ICMP != 0;
        let fields_in = |bits: &View<FlowTableFields, &[u8]>| -> FieldSet {
            let known = FIELDS.iter().filter(|(field, needs)| {
                let parsed = !matches!(field, FieldId::Icmpv4Type | FieldId::Icmpv4Code) || icmp;
                parsed && needs.iter().all(|bit| bits.get(*bit))
            });
            known.map(|(field, _)| *field).collect()
        };
        let match_exact = fields_in(&exact);
        let mut match_masked = &fields_in(&masked) & &match_exact;
        match_masked.retain(|field| !WHOLE.contains(field));
        let writes = fdb.get(FlowTableProperties::LOG_MAX_MODIFY_HEADER_CONTEXT) > 0;
        let set = match writes {
            true => WRITABLE.into(),
            false => FieldSet::new(),
        };
        let mut actions = hal::ActionSet::from(["output"]);
        for (can, name) in [
            (writes, "set"),
            (has(FlowTableProperties::PUSH_VLAN), "push_vlan"),
            (has(FlowTableProperties::POP_VLAN), "pop_vlan"),
        ] {
            if can {
                actions.insert(name);
            }
        }
        // Where to resume a miss travels in register C 1.
        let resumes = writes
            && exact.get(FlowTableFields::METADATA_REG_C_3)
            && eswitch.get(EswitchFlowTableCapability::FDB_TO_VPORT_REG_C_ID) & 0b10 != 0
            && has(FlowTableProperties::IGNORE_FLOW_LEVEL);
        if resumes {
            actions.insert("recirc");
        }
        let table = TableCapabilities {
            match_exact,
            match_masked,
            actions,
            set: set.clone(),
            set_masked: set,
            max_actions: usize::from(fdb.get(FlowTableProperties::MAX_MODIFY_HEADER_ACTIONS))
                .max(8),
            single_form: true,
        };
        let log_table_size = fdb.get(FlowTableProperties::LOG_MAX_FT_SIZE).min(20);
        let counters = u32::from(general.get(GeneralCapability::MAX_FLOW_COUNTER_31_16)) << 16
            | u32::from(general.get(GeneralCapability::MAX_FLOW_COUNTER_15_0));
        let rules = (1 << log_table_size).min(counters as usize).min(MOST_RULES);
        Ok(Steering {
            rules: Capabilities {
                tables: if resumes {
                    vec![table.clone(), table]
                } else {
                    vec![table]
                },
                rules,
                queue: QUEUE,
                inserts_per_second: 0,
                resume_bits: if resumes { 32 } else { 0 },
            },
            log_table_size,
            counter_bulks: general.get(GeneralCapability::FLOW_COUNTER_BULK_ALLOC),
            log_counter_read: general.get(GeneralCapability::LOG_MAX_FLOW_COUNTER_BULK),
        })
    }
}
