//! Doorbell pages, protection domains, transport domains, counter sets: objects that are hardly
//! more than a number.

use super::Kind;
use crate::connectx::command::{Call, Outcome};
use crate::connectx::core::Core;
use crate::connectx::registers::UAR;
use crate::connectx::syndrome::Syndrome;
use hal_mlx_prm::command::*;

impl Core {
    /// ALLOC_UAR.
    pub fn alloc_uar(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = self.objects.create(Kind::Uar, vec![])?;
        if u64::from(number + 1) * UAR > self.model.bar_len() {
            self.objects.destroy((Kind::Uar, number))?;
            return Err(Syndrome::UarsFull);
        }
        call.output()?.set(AllocUarOut::UAR, number);
        Ok(())
    }

    /// DEALLOC_UAR.
    pub fn dealloc_uar(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(DeallocUarIn::UAR);
        self.objects.destroy((Kind::Uar, number))
    }

    /// ALLOC_PD.
    pub fn alloc_pd(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = self.objects.create(Kind::Pd, vec![])?;
        call.output()?.set(AllocPdOut::PD, number);
        Ok(())
    }

    /// DEALLOC_PD.
    pub fn dealloc_pd(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(DeallocPdIn::PD);
        self.objects.destroy((Kind::Pd, number))
    }

    /// ALLOC_TRANSPORT_DOMAIN.
    pub fn alloc_transport_domain(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = self.objects.create(Kind::Td, vec![])?;
        call.output()?
            .set(AllocTransportDomainOut::TRANSPORT_DOMAIN, number);
        Ok(())
    }

    /// DEALLOC_TRANSPORT_DOMAIN.
    pub fn dealloc_transport_domain(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call
            .input()?
            .get(DeallocTransportDomainIn::TRANSPORT_DOMAIN);
        self.objects.destroy((Kind::Td, number))
    }

    /// ALLOC_Q_COUNTER.
    pub fn alloc_q_counter(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = self.objects.create(Kind::QCounter, vec![])?;
        self.q_counters.insert(number, 0);
        // The numbers of the kind have eight bits.
        call.output()?
            .set(AllocQCounterOut::COUNTER_SET_ID, number as u8);
        Ok(())
    }

    /// DEALLOC_Q_COUNTER.
    pub fn dealloc_q_counter(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(DeallocQCounterIn::COUNTER_SET_ID).into();
        self.objects.destroy((Kind::QCounter, number))?;
        self.q_counters.remove(&number);
        Ok(())
    }

    /// QUERY_Q_COUNTER: packets for which there was no buffer.
    pub fn query_q_counter(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let number = input.get(QueryQCounterIn::COUNTER_SET_ID).into();
        let clear = input.get(QueryQCounterIn::CLEAR);
        // Set 0 is everybody's who has none.
        let count = self.q_counters.get_mut(&number);
        let count = count.ok_or(Syndrome::NoSuchQCounter)?;
        let value = *count;
        if clear {
            *count = 0;
        }
        call.output()?.set(QueryQCounterOut::OUT_OF_BUFFER, value);
        Ok(())
    }

    /// QUERY_SPECIAL_CONTEXTS.
    pub fn query_special_contexts(&mut self, call: &mut Call<'_>) -> Outcome {
        use super::mkey::{LIST_END, NULL, RESERVED};
        call.output()?
            .set(QuerySpecialContextsOut::RESERVED_LKEY, RESERVED)
            .set(QuerySpecialContextsOut::NULL_MKEY, NULL)
            .set(
                QuerySpecialContextsOut::TERMINATE_SCATTER_LIST_MKEY,
                LIST_END,
            );
        Ok(())
    }
}
