//! A PCI function, driven from user space.
//!
//! ```text
//!   driver ──▶ PciFunction ──▶ Transport:  vfio        ──▶ a real function, behind an IOMMU
//!                 │                        vfio-user   ──▶ an Endpoint in another process
//!                 │                        in-process  ──▶ an Endpoint in this one
//!            Bar, DmaMemory, Interrupt
//! ```
//!
//! A driver sees [`PciFunction`] and cannot tell what is behind it; [`open`] finds one by its name. Whoever plays a function
//! implements [`Endpoint`].
//!
//! Memory that the function may reach is a type, [`DmaMemory`]: as long as it is mapped it can be
//! neither freed nor used for anything else. Both sides see it as [`SharedMemory`]: bytes are
//! copied in and out of it and never borrowed, since the other side may write at any time.
//!
//! A function can change hands without being reset: [`PciFunction::hand_over`] gives what another
//! process needs ([`Handover`]), and [`PciFunction::adopt`] goes on from there.

mod address;
mod bar;
mod config;
mod dma;
mod endpoint;
mod error;
mod function;
mod in_process;
mod interrupt;
mod iova;
mod memory;
mod sysfs;
mod transport;
mod vfio;
mod vfio_user;

pub use address::{BadAddress, PciAddress, open};
pub use bar::{Bar, RegisterMap};
pub use config::{ConfigSpace, capability_name};
pub use dma::DmaMemory;
pub use endpoint::{BarFault, Endpoint};
pub use error::PciError;
pub use function::{Handover, HandoverRegion, PciFunction};
pub use interrupt::Interrupt;
pub use iova::Iova;
pub use memory::SharedMemory;
pub use sysfs::{IommuGroup, Sysfs, SysfsFunction, VFIO_PCI};
pub use transport::{HandedOver, Transport};
pub use vfio::Vfio;
pub use vfio_user::VfioUser;

/// A page, as device and host agree on it, bytes.
pub const PAGE: usize = 4096;
