//! What everything else refers to: doorbell pages, domains, the memory key.

use crate::error::MlxError;
use crate::function::Function;
use hal::pci::{DmaMemory, PAGE};
use hal_mlx_prm::command::{
    AllocPdIn, AllocPdOut, AllocTransportDomainIn, AllocTransportDomainOut, AllocUarIn,
    AllocUarOut, CreateMkeyIn, CreateMkeyOut, PageAddress,
};
use hal_mlx_prm::context::{AccessMode, MkeyContext};
use hal_mlx_prm::{Opcode, Tail, View};

/// Number of a page of doorbells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uar(pub u32);

impl Uar {
    /// Where its registers are in BAR 0.
    pub fn offset(self) -> u64 {
        u64::from(self.0) * PAGE as u64
    }
}

/// Number of a protection domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtectionDomain(pub u32);

/// Number of a transport domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportDomain(pub u32);

/// Key of memory that queues may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryKey(pub u32);

/// What all queues of a function share.
#[derive(Clone, Copy, Debug)]
pub struct Domain {
    /// Doorbells.
    pub uar: Uar,
    /// Whose memory.
    pub protection: ProtectionDomain,
    /// Whose packets.
    pub transport: TransportDomain,
    /// All of the function's memory: what is mapped is what the function can reach, and the
    /// IOMMU sees to that.
    pub key: MemoryKey,
}

impl Domain {
    /// Makes them.
    ///
    /// # Errors
    /// A command fails.
    pub fn open(function: &mut Function) -> Result<Domain, MlxError> {
        let uar = function.ask(Opcode::AllocUar, View::<AllocUarIn, _>::zeroed())?;
        let uar = Uar(uar.get(AllocUarOut::UAR));
        let pd = function.ask(Opcode::AllocPd, View::<AllocPdIn, _>::zeroed())?;
        let protection = ProtectionDomain(pd.get(AllocPdOut::PD));
        let input = View::<AllocTransportDomainIn, _>::zeroed();
        let td = function.ask(Opcode::AllocTransportDomain, input)?;
        let transport = TransportDomain(td.get(AllocTransportDomainOut::TRANSPORT_DOMAIN));
        Ok(Domain {
            uar,
            protection,
            transport,
            key: memory_key(function, protection)?,
        })
    }
}

fn memory_key(function: &mut Function, pd: ProtectionDomain) -> Result<MemoryKey, MlxError> {
    const LOW_BYTE: u8 = 0x42;
    let mut input = View::<CreateMkeyIn, _>::zeroed();
    let mut context = input.at_mut(CreateMkeyIn::CONTEXT);
    context
        .set(MkeyContext::ACCESS_MODE_1_0, AccessMode::Physical as u8)
        .set(MkeyContext::LOCAL_READ, true)
        .set(MkeyContext::LOCAL_WRITE, true)
        .set(MkeyContext::LENGTH64, true)
        .set(MkeyContext::PD, pd.0)
        .set(MkeyContext::QPN, 0xff_ffff)
        .set(MkeyContext::MKEY_7_0, LOW_BYTE);
    let key = function.ask(Opcode::CreateMkey, input)?;
    let index = key.get(CreateMkeyOut::MKEY_INDEX);
    Ok(MemoryKey(index << 8 | u32::from(LOW_BYTE)))
}

/// Writes the addresses of a memory's pages behind a command's fixed part.
pub fn list_pages<L: hal_mlx_prm::Described>(
    input: &mut View<L, Vec<u8>>,
    tail: Tail<L, PageAddress>,
    memory: &DmaMemory,
) {
    for i in 0..memory.len() / PAGE {
        if let Some(mut item) = input.item_mut(tail, i) {
            item.set(PageAddress::PAGE, (memory.iova() + i * PAGE).0 >> 12);
        }
    }
}
