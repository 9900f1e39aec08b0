//! The tiny driver's send and receive queues, tables and entries.

use super::driver::{CompletionQueue, Driver, EventQueue, Failed};
use hal::pci::DmaMemory;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::*;
use hal_mlx_prm::work::{ControlSegment, DataSegment, EthernetSegment, WorkOpcode};
use hal_mlx_prm::{Described, Opcode, View};
use hal_sim::MemoryWire;
use hal_sim::connectx::ConnectXSettings;
use packet::Packet;

pub const BUFFER: usize = 2048;

/// A function with a queue in each direction.
pub struct Nic {
    pub d: Driver,
    pub uar: u32,
    pub pd: u32,
    pub td: u32,
    pub key: u32,
    pub eq: EventQueue,
    pub scq: CompletionQueue,
    pub rcq: CompletionQueue,
    pub tis: u32,
    pub sq: Ring,
    pub rq: Ring,
    pub tir: u32,
    /// The far ends of `pf0`, `vf0`, `vf1`, ...
    pub wires: Vec<MemoryWire>,
}

/// A send or receive queue: 64 entries of 64 bytes, buffers of 2 KiB.
pub struct Ring {
    pub number: u32,
    pub memory: DmaMemory,
    pub record: DmaMemory,
    pub buffers: DmaMemory,
    pub posted: u16,
}

pub const ENTRIES: u16 = 64;

pub fn number(out: &[u8]) -> u32 {
    u32::from_be_bytes(*out[8..].first_chunk().unwrap()) & 0xff_ffff
}

pub fn create<I: Described, B: AsRef<[u8]> + AsMut<[u8]>>(
    d: &mut Driver,
    opcode: Opcode,
    input: View<I, B>,
) -> Result<u32, Failed> {
    Ok(number(&d.run(opcode, 0, input)?))
}

impl Ring {
    fn new(d: &Driver) -> Ring {
        Ring {
            number: 0,
            memory: d.function.dma("ring", 4096).unwrap(),
            record: d.function.dma("ring's record", 64).unwrap(),
            buffers: d
                .function
                .dma("buffers", usize::from(ENTRIES) * BUFFER)
                .unwrap(),
            posted: 0,
        }
    }

    fn work_queue(&self, wq: &mut View<WorkQueue, &mut [u8]>, pd: u32) {
        wq.set(WorkQueue::WQ_TYPE, WqType::Cyclic as u8)
            .set(WorkQueue::PD, pd)
            .set(WorkQueue::DOORBELL_RECORD, self.record.iova().0)
            .set(WorkQueue::LOG_WQ_STRIDE, 6)
            .set(WorkQueue::LOG_WQ_SIZE, 6);
    }

    pub fn buffer(&self, index: u16) -> u64 {
        self.buffers.iova().0 + u64::from(index % ENTRIES) * BUFFER as u64
    }
}

/// What an entry of a send queue asks for.
#[derive(Clone, Copy, Default)]
pub struct Send {
    pub inline: usize,
    pub l3: bool,
    pub l4: bool,
    pub vlan: Option<u16>,
    pub mss: u16,
    pub metadata: u32,
}

impl Nic {
    pub fn new(settings: ConnectXSettings) -> Nic {
        let name = format!("{:p}", &settings);
        let vfs = settings.vfs;
        let mut d = Driver::new(settings);
        d.initialise();
        let mut wires = Vec::new();
        let ports = std::iter::once("pf0".to_owned()).chain((0..vfs).map(|n| format!("vf{n}")));
        for port in ports {
            let wire = format!("{}-{name}-{port}", std::thread::current().name().unwrap());
            wires.push(MemoryWire::new(&wire));
            d.nic.connect(&port, &format!("memory:{wire}")).unwrap();
        }
        let uar = d.uar();
        let pd = d.pd();
        let td = create::<AllocTransportDomainIn, _>(
            &mut d,
            Opcode::AllocTransportDomain,
            View::zeroed(),
        )
        .unwrap();
        let key = mkey(&mut d, pd, true);
        let eq = EventQueue::create(&mut d, uar, 6, 0, 0).unwrap();
        let scq = CompletionQueue::create(&mut d, uar, eq.eqn, 7).unwrap();
        let rcq = CompletionQueue::create(&mut d, uar, eq.eqn, 7).unwrap();
        let mut input = View::<CreateTisIn, _>::zeroed();
        input
            .at_mut(CreateTisIn::CONTEXT)
            .set(TisContext::TRANSPORT_DOMAIN, td);
        let tis = create(&mut d, Opcode::CreateTis, input).unwrap();
        let (sq, rq) = (Ring::new(&d), Ring::new(&d));
        let mut nic = Nic {
            d,
            uar,
            pd,
            td,
            key,
            eq,
            scq,
            rcq,
            tis,
            sq,
            rq,
            tir: 0,
            wires,
        };
        nic.sq.number = nic.create_sq().unwrap();
        nic.move_sq(0, 1).unwrap();
        nic.rq.number = nic.create_rq(false).unwrap();
        nic.move_rq(0, 1).unwrap();
        nic.tir = nic.direct_tir(nic.rq.number);
        nic
    }

    fn create_sq(&mut self) -> Result<u32, Failed> {
        let mut input = View::with_tail(CreateSqIn::PAGES, 1);
        let mut page = input.item_mut(CreateSqIn::PAGES, 0).unwrap();
        page.set(PageAddress::PAGE, self.sq.memory.iova().0 >> 12);
        let mut context = input.at_mut(CreateSqIn::CONTEXT);
        context
            .set(SqContext::CQN, self.scq.cqn)
            .set(SqContext::FLUSH_IN_ERROR_EN, true)
            .set(SqContext::TIS_LIST_SIZE, 1)
            .set(SqContext::TIS_NUM_0, self.tis);
        let mut wq = context.at_mut(SqContext::WQ);
        self.sq.work_queue(&mut wq, self.pd);
        wq.set(WorkQueue::UAR_PAGE, self.uar);
        create(&mut self.d, Opcode::CreateSq, input)
    }

    pub fn create_rq(&mut self, keeps_tags: bool) -> Result<u32, Failed> {
        let mut input = View::with_tail(CreateRqIn::PAGES, 1);
        let mut page = input.item_mut(CreateRqIn::PAGES, 0).unwrap();
        page.set(PageAddress::PAGE, self.rq.memory.iova().0 >> 12);
        let mut context = input.at_mut(CreateRqIn::CONTEXT);
        context
            .set(RqContext::CQN, self.rcq.cqn)
            .set(RqContext::FLUSH_IN_ERROR_EN, true)
            .set(RqContext::VLAN_STRIP_DISABLE, keeps_tags);
        let mut wq = context.at_mut(RqContext::WQ);
        self.rq.work_queue(&mut wq, self.pd);
        create(&mut self.d, Opcode::CreateRq, input)
    }

    pub fn move_sq(&mut self, from: u8, to: u8) -> Result<Vec<u8>, Failed> {
        let mut input = View::<ModifySqIn, _>::zeroed();
        input
            .set(ModifySqIn::SQN, self.sq.number)
            .set(ModifySqIn::SQ_STATE, from)
            .at_mut(ModifySqIn::CONTEXT)
            .set(SqContext::STATE, to);
        self.d.run(Opcode::ModifySq, 0, input)
    }

    pub fn move_rq(&mut self, from: u8, to: u8) -> Result<Vec<u8>, Failed> {
        let mut input = View::<ModifyRqIn, _>::zeroed();
        input
            .set(ModifyRqIn::RQN, self.rq.number)
            .set(ModifyRqIn::RQ_STATE, from)
            .at_mut(ModifyRqIn::CONTEXT)
            .set(RqContext::STATE, to);
        self.d.run(Opcode::ModifyRq, 0, input)
    }

    /// A TIR that leads to a queue.
    pub fn direct_tir(&mut self, rq: u32) -> u32 {
        let mut input = View::<CreateTirIn, _>::zeroed();
        input
            .at_mut(CreateTirIn::CONTEXT)
            .set(TirContext::INLINE_RQN, rq)
            .set(TirContext::TRANSPORT_DOMAIN, self.td);
        create(&mut self.d, Opcode::CreateTir, input).unwrap()
    }

    /// Writes an entry of the send queue and rings for it; `frame` is what is to be sent.
    pub fn send(&mut self, frame: &[u8], how: Send) {
        let index = self.sq.posted;
        let more = how.inline.saturating_sub(2).div_ceil(16) * 16;
        let mut entry = vec![0; 32 + more];
        let segments = 2 + more / 16 + 1;
        let mut control = View::<ControlSegment, _>::new(&mut entry[..]).unwrap();
        let opcode = if how.mss > 0 {
            WorkOpcode::Lso
        } else {
            WorkOpcode::Send
        };
        control
            .set(ControlSegment::OPCODE, opcode as u8)
            .set(ControlSegment::WQE_INDEX, index)
            .set(ControlSegment::QPN, self.sq.number)
            .set(ControlSegment::SEGMENTS, segments as u8)
            .set(ControlSegment::COMPLETION, 2);
        let mut ethernet = View::<EthernetSegment, _>::new(&mut entry[16..]).unwrap();
        ethernet
            .set(EthernetSegment::L3_CHECKSUM, how.l3)
            .set(EthernetSegment::L4_CHECKSUM, how.l4)
            .set(EthernetSegment::MSS, how.mss)
            .set(EthernetSegment::FLOW_TABLE_METADATA, how.metadata);
        if let Some(tag) = how.vlan {
            ethernet
                .set(EthernetSegment::INSERT_VLAN, true)
                .set(EthernetSegment::INLINE_HEADER_START, tag);
        } else {
            ethernet.set(EthernetSegment::INLINE_HEADER_SIZE, how.inline as u16);
            entry[30..30 + how.inline].copy_from_slice(&frame[..how.inline]);
        }
        let rest = &frame[how.inline..];
        let at = usize::from(index % ENTRIES) * BUFFER;
        self.sq.buffers.write(at, rest);
        let mut data = View::<DataSegment, _>::zeroed();
        data.set(DataSegment::BYTE_COUNT, rest.len() as u32)
            .set(DataSegment::LKEY, self.key)
            .set(DataSegment::ADDRESS, self.sq.buffers.iova().0 + at as u64);
        entry.extend(data.bytes());
        self.post(&entry);
    }

    /// Writes an entry as it is and rings for it.
    pub fn post(&mut self, entry: &[u8]) {
        for block in entry.chunks(64) {
            let at = usize::from(self.sq.posted % ENTRIES) * 64;
            self.sq.memory.write(at, block);
            self.sq.posted = self.sq.posted.wrapping_add(1);
        }
        self.sq.record.store_be32(4, self.sq.posted.into());
        let doorbell = u64::from_be_bytes(*entry.first_chunk().unwrap());
        let at = u64::from(self.uar) * 4096 + 0x800;
        self.d.bar.write_be64(at, doorbell).unwrap();
        self.d.settle();
    }

    /// Gives buffers to the receive queue.
    pub fn refill(&mut self, count: u16) {
        for _ in 0..count {
            let index = self.rq.posted;
            let mut data = View::<DataSegment, _>::zeroed();
            data.set(DataSegment::BYTE_COUNT, BUFFER as u32)
                .set(DataSegment::LKEY, self.key)
                .set(DataSegment::ADDRESS, self.rq.buffer(index));
            let mut entry = [0; 64];
            entry[..16].copy_from_slice(data.bytes());
            // The list ends here.
            entry[20..24].copy_from_slice(&0x100u32.to_be_bytes());
            let at = usize::from(index % ENTRIES) * 64;
            self.rq.memory.write(at, &entry);
            self.rq.posted = index.wrapping_add(1);
        }
        self.rq.record.store_be32(0, self.rq.posted.into());
    }

    /// The bytes that a receive completion is about.
    pub fn received(&self, index: u16, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        let at = usize::from(index % ENTRIES) * BUFFER;
        self.rq.buffers.read(at, &mut bytes);
        bytes
    }

    /// Sends a frame into the far end of a wire.
    pub fn arrive(&self, wire: usize, frame: &[u8]) {
        assert!(self.wires[wire].send(Packet::from_frame(frame)));
        self.d.settle();
    }

    /// What has left by a wire.
    pub fn left(&self, wire: usize) -> Vec<Vec<u8>> {
        let frames = std::iter::from_fn(|| self.wires[wire].receive());
        frames.map(|packet| packet.frame().to_vec()).collect()
    }
}

/// A key to all memory.
pub fn mkey(d: &mut Driver, pd: u32, write: bool) -> u32 {
    let mut input = View::<CreateMkeyIn, _>::zeroed();
    input
        .at_mut(CreateMkeyIn::CONTEXT)
        .set(MkeyContext::LOCAL_READ, true)
        .set(MkeyContext::LOCAL_WRITE, write)
        .set(MkeyContext::LENGTH64, true)
        .set(MkeyContext::PD, pd)
        .set(MkeyContext::QPN, 0xff_ffff)
        .set(MkeyContext::MKEY_7_0, 0x42);
    create(d, Opcode::CreateMkey, input).unwrap() << 8 | 0x42
}

/// A table's name: kind, vport (none = the function's own), number.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub kind: TableType,
    pub vport: Option<u16>,
    pub id: u32,
}

/// What an entry does.
#[derive(Clone, Debug, Default)]
pub struct Does {
    pub action: u16,
    pub goals: Vec<(DestinationType, u32)>,
    pub counters: Vec<u32>,
    pub flow_tag: u32,
    pub modify: u32,
    pub reformat: u32,
    pub push: Option<(u16, u16)>,
    pub flow_source: u8,
    pub ignores_levels: bool,
}

impl Does {
    pub fn forward(kind: DestinationType, id: u32) -> Does {
        Does {
            action: action::FORWARD,
            goals: vec![(kind, id)],
            ..Does::default()
        }
    }
}

pub type Parameters = View<MatchParameters, [u8; MatchParameters::SIZE]>;

impl Nic {
    pub fn table(&mut self, kind: TableType, vport: Option<u16>, level: u8) -> Table {
        self.try_table(kind, vport, level, 8).unwrap()
    }

    pub fn try_table(
        &mut self,
        kind: TableType,
        vport: Option<u16>,
        level: u8,
        log_size: u8,
    ) -> Result<Table, Failed> {
        let mut input = View::<CreateFlowTableIn, _>::zeroed();
        input
            .set(CreateFlowTableIn::TABLE_TYPE, kind as u8)
            .set(CreateFlowTableIn::OTHER_VPORT, vport.is_some())
            .set(CreateFlowTableIn::VPORT_NUMBER, vport.unwrap_or(0));
        let fdb = kind == TableType::Fdb;
        input
            .at_mut(CreateFlowTableIn::CONTEXT)
            .set(FlowTableContext::LEVEL, level)
            .set(FlowTableContext::LOG_SIZE, log_size)
            .set(FlowTableContext::REFORMAT_EN, fdb)
            .set(FlowTableContext::DECAP_EN, fdb);
        let id = create(&mut self.d, Opcode::CreateFlowTable, input)?;
        Ok(Table { kind, vport, id })
    }

    pub fn root(&mut self, table: Table) {
        let mut input = View::<SetFlowTableRootIn, _>::zeroed();
        input
            .set(SetFlowTableRootIn::TABLE_TYPE, table.kind as u8)
            .set(SetFlowTableRootIn::OTHER_VPORT, table.vport.is_some())
            .set(SetFlowTableRootIn::VPORT_NUMBER, table.vport.unwrap_or(0))
            .set(SetFlowTableRootIn::TABLE_ID, table.id);
        self.d.run(Opcode::SetFlowTableRoot, 0, input).unwrap();
    }

    /// A group for these rows, with these criteria.
    pub fn group(
        &mut self,
        table: Table,
        rows: (u32, u32),
        enable: u8,
        criteria: &Parameters,
    ) -> Result<u32, Failed> {
        let mut input = View::<CreateFlowGroupIn, _>::zeroed();
        input
            .set(CreateFlowGroupIn::TABLE_TYPE, table.kind as u8)
            .set(CreateFlowGroupIn::OTHER_VPORT, table.vport.is_some())
            .set(CreateFlowGroupIn::VPORT_NUMBER, table.vport.unwrap_or(0))
            .set(CreateFlowGroupIn::TABLE_ID, table.id)
            .set(CreateFlowGroupIn::START_FLOW_INDEX, rows.0)
            .set(CreateFlowGroupIn::END_FLOW_INDEX, rows.1)
            .set(CreateFlowGroupIn::MATCH_CRITERIA_ENABLE, enable);
        let mut place = input.at_mut(CreateFlowGroupIn::MATCH_CRITERIA).into_inner();
        place = &mut place[..MatchParameters::SIZE];
        place.copy_from_slice(criteria.bytes());
        create(&mut self.d, Opcode::CreateFlowGroup, input)
    }

    /// Fills a row, or with `op_mod` 1 changes it.
    pub fn entry(
        &mut self,
        table: Table,
        group: u32,
        row: u32,
        value: &Parameters,
        does: &Does,
    ) -> Result<(), Failed> {
        let input = entry_input(table, group, row, value, does);
        self.d.run(Opcode::SetFlowTableEntry, 0, input).map(|_| ())
    }

    /// An entry for all frames, in the last row of the table.
    pub fn catch_all(&mut self, table: Table, does: &Does) -> Result<(), Failed> {
        let any = Parameters::zeroed();
        let group = self.group(table, (255, 255), 0, &any)?;
        self.entry(table, group, 255, &any, does)
    }

    pub fn delete(&mut self, table: Table, row: u32) -> Result<(), Failed> {
        let mut input = View::<DeleteFlowTableEntryIn, _>::zeroed();
        input
            .set(DeleteFlowTableEntryIn::TABLE_TYPE, table.kind as u8)
            .set(DeleteFlowTableEntryIn::OTHER_VPORT, table.vport.is_some())
            .set(
                DeleteFlowTableEntryIn::VPORT_NUMBER,
                table.vport.unwrap_or(0),
            )
            .set(DeleteFlowTableEntryIn::TABLE_ID, table.id)
            .set(DeleteFlowTableEntryIn::FLOW_INDEX, row);
        self.d
            .run(Opcode::DeleteFlowTableEntry, 0, input)
            .map(|_| ())
    }

    /// All received frames go to the one queue.
    pub fn receive_all(&mut self) {
        let table = self.table(TableType::NicReceive, None, 0);
        self.root(table);
        let does = Does::forward(DestinationType::Tir, self.tir);
        self.catch_all(table, &does).unwrap();
    }

    pub fn counter(&mut self) -> u32 {
        let out = self
            .d
            .run::<AllocFlowCounterIn, _>(Opcode::AllocFlowCounter, 0, View::zeroed())
            .unwrap();
        u32::from_be_bytes(*out[8..].first_chunk().unwrap())
    }

    /// What a counter has counted: packets, octets.
    pub fn count(&mut self, id: u32) -> (u64, u64) {
        let mut input = View::<QueryFlowCounterIn, _>::zeroed();
        input.set(QueryFlowCounterIn::FLOW_COUNTER_ID, id);
        let mut input = input.into_inner();
        input[..2].copy_from_slice(&(Opcode::QueryFlowCounter as u16).to_be_bytes());
        let out = self.d.raw(&input, 32).unwrap();
        let word = |at: usize| u64::from_be_bytes(*out[at..].first_chunk().unwrap());
        (word(16), word(24))
    }

    /// A list of changes.
    pub fn modify(&mut self, kind: TableType, actions: &[[u8; 8]]) -> Result<u32, Failed> {
        let mut input = View::with_tail(AllocModifyHeaderContextIn::ACTIONS, actions.len());
        input
            .set(AllocModifyHeaderContextIn::TABLE_TYPE, kind as u8)
            .set(
                AllocModifyHeaderContextIn::NUM_OF_ACTIONS,
                actions.len() as u8,
            );
        let mut bytes = input.into_inner();
        for (i, action) in actions.iter().enumerate() {
            bytes[16 + i * 8..24 + i * 8].copy_from_slice(action);
        }
        let input = View::<AllocModifyHeaderContextIn, _>::new(bytes).unwrap();
        create(&mut self.d, Opcode::AllocModifyHeaderContext, input)
    }

    /// Headers.
    pub fn reformat(&mut self, kind: ReformatType, data: &[u8]) -> Result<u32, Failed> {
        let mut input = View::with_octets(AllocPacketReformatContextIn::DATA, data.len());
        input
            .at_mut(AllocPacketReformatContextIn::CONTEXT)
            .set(ReformatContext::REFORMAT_TYPE, kind as u8)
            .set(ReformatContext::REFORMAT_DATA_SIZE, data.len() as u16);
        input.octets_mut(AllocPacketReformatContextIn::DATA)[..data.len()].copy_from_slice(data);
        create(&mut self.d, Opcode::AllocPacketReformatContext, input)
    }
}

pub fn entry_input(
    table: Table,
    group: u32,
    row: u32,
    value: &Parameters,
    does: &Does,
) -> View<SetFlowTableEntryIn, Vec<u8>> {
    let lists = does.goals.len() + does.counters.len();
    let mut input = View::with_tail(SetFlowTableEntryIn::DESTINATIONS, lists);
    input
        .set(SetFlowTableEntryIn::TABLE_TYPE, table.kind as u8)
        .set(SetFlowTableEntryIn::OTHER_VPORT, table.vport.is_some())
        .set(SetFlowTableEntryIn::VPORT_NUMBER, table.vport.unwrap_or(0))
        .set(SetFlowTableEntryIn::TABLE_ID, table.id)
        .set(SetFlowTableEntryIn::IGNORE_FLOW_LEVEL, does.ignores_levels)
        .set(SetFlowTableEntryIn::FLOW_INDEX, row);
    let mut context = input.at_mut(SetFlowTableEntryIn::CONTEXT);
    context
        .set(FlowContext::GROUP_ID, group)
        .set(FlowContext::FLOW_TAG, does.flow_tag)
        .set(FlowContext::ACTION, does.action)
        .set(FlowContext::FLOW_SOURCE, does.flow_source)
        .set(FlowContext::DESTINATION_LIST_SIZE, does.goals.len() as u32)
        .set(
            FlowContext::FLOW_COUNTER_LIST_SIZE,
            does.counters.len() as u32,
        )
        .set(FlowContext::PACKET_REFORMAT_ID, does.reformat)
        .set(FlowContext::MODIFY_HEADER_ID, does.modify);
    if let Some((protocol, tag)) = does.push {
        context
            .at_mut(FlowContext::PUSH_VLAN)
            .set(VlanTag::ETHERTYPE, protocol)
            .set(VlanTag::PRIO, (tag >> 13) as u8)
            .set(VlanTag::VID, tag & 0xfff);
    }
    let place = context.at_mut(FlowContext::MATCH_VALUE).into_inner();
    place[..MatchParameters::SIZE].copy_from_slice(value.bytes());
    for (i, (kind, id)) in does.goals.iter().enumerate() {
        let mut item = input
            .item_mut(SetFlowTableEntryIn::DESTINATIONS, i)
            .unwrap();
        item.set(Destination::DESTINATION_TYPE, *kind as u8)
            .set(Destination::DESTINATION_ID, *id);
    }
    for (i, id) in does.counters.iter().enumerate() {
        let at = does.goals.len() + i;
        let mut item = input.item_mut(SetFlowTableEntryIn::COUNTERS, at).unwrap();
        item.set(FlowCounterId::FLOW_COUNTER_ID, *id);
    }
    input
}

/// Frames.
pub mod frames {
    /// Ethernet and IPv4 around a payload, with good checksums.
    pub fn ipv4(protocol: u8, source: u8, destination: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, destination, 2, 0, 0, 0, 0, source, 8, 0];
        frame.extend([0x45, 0]);
        frame.extend((20 + payload.len() as u16).to_be_bytes());
        frame.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
        frame.extend([10, 0, 0, source, 10, 0, 0, destination]);
        frame.extend(payload);
        let sum = packet::checksum::checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    fn with_sum(mut frame: Vec<u8>, place: usize) -> Vec<u8> {
        let len = (frame.len() - 34) as u32;
        let sum = packet::checksum::pseudo_header(&frame[26..34], frame[23], len);
        let sum = packet::checksum::finish(
            sum + u32::from(packet::checksum::fold(packet::checksum::sum(&frame[34..]))),
        );
        frame[34 + place..36 + place].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    pub fn udp(source: u8, destination: u8, port: u16, payload: &[u8]) -> Vec<u8> {
        let mut udp = vec![0x30, 0x39];
        udp.extend(port.to_be_bytes());
        udp.extend((8 + payload.len() as u16).to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(payload);
        with_sum(ipv4(17, source, destination, &udp), 6)
    }

    pub fn tcp(source: u8, destination: u8, port: u16, payload: &[u8]) -> Vec<u8> {
        let mut tcp = vec![0x30, 0x39];
        tcp.extend(port.to_be_bytes());
        tcp.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
        tcp.extend(payload);
        with_sum(ipv4(6, source, destination, &tcp), 16)
    }

    pub fn tagged(frame: &[u8], tag: u16) -> Vec<u8> {
        let mut all = frame[..12].to_vec();
        all.extend([0x81, 0]);
        all.extend(tag.to_be_bytes());
        all.extend(&frame[12..]);
        all
    }
}
