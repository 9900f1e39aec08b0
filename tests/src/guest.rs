//! Whole machines under a switch: stock kernels in QEMU.
//!
//! A guest is booted by emulation (no KVM is asked for), from an initramfs that is made for it, in a
//! network namespace of the test:
//!
//! ```text
//!  namespace of the test                      QEMU, started in it
//!  ┌────────────────────┐                    ┌──────────────────────────┐
//!  │  far end ──────────┼─ tap, or a model's ┼─ NIC in SLOT ─ /dev, ip  │
//!  └────────────────────┘       wire         │  ttyS0 ─▶ console file   │
//!        the test ◀──────────── pipes ───────┼▶ ttyS1: a shell          │
//!                                            └──────────────────────────┘
//! ```
//!
//! * [`Machine`] says what is in it: a [`Kernel`], programs and files, an IOMMU, devices.
//! * [`Guest`] is that machine running: [`Guest::run`] has its shell run a script, as
//!   [`run`](crate::run()) does here; [`Guest::insert`] loads a module with what it needs;
//!   [`Guest::console`] is what its kernel said. It ends with the value, and a test that fails
//!   prints the console.
//! * [`Nic`] is a device in the slot at [`SLOT`], with what a test must know of it: what QEMU is
//!   told, which module drives it and where its far end is. [`traffic`] moves packets between the
//!   two ends.
//!
//! `tools/guest-images` prepares QEMU, kernels and tools. Tests that need a guest are `#[ignore]`d
//! with that reason and run by `tools/test --vm`; what is missing then fails them.

mod images;
mod initramfs;
mod machine;
mod nic;
mod programs;
mod running;
pub mod traffic;

pub use images::Kernel;
pub use machine::Machine;
pub use nic::{Nic, SLOT};
pub use running::Guest;
