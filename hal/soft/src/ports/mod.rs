//! Ports of the software datapath.
//!
//! * [`dummy`]: nothing but memory, for tests.
//! * [`tap`]: a device that the host's stack sees (`internal`, `tap`).
//! * [`system`]: a device that the host has already.
//!
//! The last two move frames with *vnet headers*, so that the host may leave checksums to be
//! computed and segments to be cut, and get them so. What a device is like stands in `link`, which
//! asks the kernel (`netlink`) and the driver (`ethtool`); [`watch`] notices what changes. System
//! calls stand in `sys`, the rings that are shared with the kernel in `rx_ring` and `tx_ring` over
//! `slots`, and the program that keeps the host's stack off a device in `bpf`.

mod aside;
mod bpf;
pub mod dummy;
mod ethtool;
mod link;
mod netlink;
mod rx_ring;
mod slots;
mod sys;
pub mod system;
mod tally;
pub mod tap;
mod tx_ring;
mod vnet;
pub mod watch;
