//! Flow counters: allocated one by one or in blocks, read many at a time.

use crate::connectx::command::{Call, Outcome};
use crate::connectx::core::Core;
use crate::connectx::objects::Kind;
use crate::connectx::syndrome::Syndrome;
use hal_mlx_prm::View;
use hal_mlx_prm::capability::GeneralCapability;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::FlowStatistics;
use std::collections::BTreeMap;

/// What a counter has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::connectx) struct Count {
    pub packets: u64,
    pub octets: u64,
}

impl Count {
    /// Counts a frame.
    pub fn add(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u64);
    }

    /// Writes it into an output.
    pub fn write(self, mut to: View<FlowStatistics, &mut [u8]>) {
        to.set(FlowStatistics::PACKETS, self.packets)
            .set(FlowStatistics::OCTETS, self.octets);
    }
}

/// All counters, in blocks by the number of the first.
#[derive(Debug, Default)]
pub(in crate::connectx) struct Counters {
    blocks: BTreeMap<u32, Vec<Count>>,
    len: usize,
}

/// The multiple at which a range that is read begins.
const READ_ALIGN: u32 = 4;
/// A block of 2^n is n - 7 in the bit mask of blocks.
const LOG_SMALLEST_BLOCK: u32 = 7;

impl Counters {
    /// The number of the first counter of the block that a counter is in.
    pub fn block_of(&self, id: u32) -> Option<u32> {
        let (first, block) = self.blocks.range(..=id).next_back()?;
        let inside = (id - first) as usize;
        (inside < block.len()).then_some(*first)
    }

    /// A counter.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Count> {
        let (first, block) = self.blocks.range_mut(..=id).next_back()?;
        block.get_mut((id - first) as usize)
    }
}

impl Core {
    /// ALLOC_FLOW_COUNTER: one, or a block.
    pub fn alloc_flow_counter(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        if input.get(AllocFlowCounterIn::FLOW_COUNTER_BULK_LOG_SIZE) != 0 {
            return Err(Syndrome::CounterBlock);
        }
        let bits = input.get(AllocFlowCounterIn::FLOW_COUNTER_BULK);
        let can = self
            .capabilities
            .get(GeneralCapability::FLOW_COUNTER_BULK_ALLOC);
        let size = match bits {
            0 => 1,
            // One bit, of those that there are.
            bits if bits.is_power_of_two() && bits & !can == 0 => {
                1 << (LOG_SMALLEST_BLOCK + bits.trailing_zeros())
            }
            _ => return Err(Syndrome::CounterBlock),
        };
        let high = self
            .capabilities
            .get(GeneralCapability::MAX_FLOW_COUNTER_31_16);
        let low = self
            .capabilities
            .get(GeneralCapability::MAX_FLOW_COUNTER_15_0);
        let most = u64::from(high) << 16 | u64::from(low);
        if self.steering.counters.len as u64 + u64::from(size) > most {
            return Err(Syndrome::CountersFull);
        }
        let first = self.objects.create_block(Kind::Counter, size, vec![])?;
        let block = vec![Count::default(); size as usize];
        self.steering.counters.len += block.len();
        self.steering.counters.blocks.insert(first, block);
        call.output()?
            .set(AllocFlowCounterOut::FLOW_COUNTER_ID, first);
        Ok(())
    }

    /// DEALLOC_FLOW_COUNTER: what was allocated together.
    pub fn dealloc_flow_counter(&mut self, call: &mut Call<'_>) -> Outcome {
        let first = call.input()?.get(DeallocFlowCounterIn::FLOW_COUNTER_ID);
        self.objects.destroy((Kind::Counter, first))?;
        if let Some(block) = self.steering.counters.blocks.remove(&first) {
            self.steering.counters.len -= block.len();
        }
        Ok(())
    }

    /// QUERY_FLOW_COUNTER: one, or a range, into the output or into memory. What is not allocated
    /// in a range reads as zero.
    pub fn query_flow_counter(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let first = input.get(QueryFlowCounterIn::FLOW_COUNTER_ID);
        let clear = input.get(QueryFlowCounterIn::CLEAR);
        let dump = input.get(QueryFlowCounterIn::DUMP_TO_MEMORY);
        let count = match input.get(QueryFlowCounterIn::NUM_OF_COUNTERS) {
            0 if self.steering.counters.block_of(first).is_none() => {
                return Err(Syndrome::NoSuchCounter);
            }
            0 => 1,
            count => {
                let log_most = self
                    .capabilities
                    .get(GeneralCapability::LOG_MAX_FLOW_COUNTER_BULK);
                if count > 1 << log_most.min(31) {
                    return Err(Syndrome::CounterRange);
                }
                if !first.is_multiple_of(READ_ALIGN) {
                    return Err(Syndrome::CounterAlignment);
                }
                count
            }
        };
        let mut values = vec![0; count as usize * FlowStatistics::SIZE];
        for (i, to) in values.chunks_exact_mut(FlowStatistics::SIZE).enumerate() {
            let counter = first.checked_add(i as u32);
            let counter = counter.and_then(|id| self.steering.counters.get_mut(id));
            if let (Some(counter), Some(to)) = (counter, View::new(to)) {
                counter.write(to);
                if clear {
                    *counter = Count::default();
                }
            }
        }
        if dump {
            let can = self.capabilities.get(GeneralCapability::FLOW_COUNTERS_DUMP);
            if !can {
                return Err(Syndrome::CounterDump);
            }
            let key = input.get(QueryFlowCounterIn::MKEY);
            let at = input.get(QueryFlowCounterIn::ADDRESS);
            let pd = self.pd_of(key).ok_or(Syndrome::NoSuchMkey)?;
            let pieces = self.named(key, pd, at, values.len(), true);
            let pieces = pieces.map_err(|_| Syndrome::CounterMemory)?;
            let mut rest = values.as_slice();
            for (at, len) in pieces {
                let (now, later) = rest.split_at(len.min(rest.len()));
                let written = call.bus.write(at, now);
                written.map_err(|_| Syndrome::CounterMemory)?;
                rest = later;
            }
            return Ok(());
        }
        let room = call.output.get_mut(QueryFlowCounterOut::SIZE..);
        let room = room.and_then(|room| room.get_mut(..values.len()));
        room.ok_or(Syndrome::OutputLength)?.copy_from_slice(&values);
        Ok(())
    }
}
