//! Frames between queues, tables and wires.
//!
//! * [`send`]: a send queue's entries become frames. [`segment`] cuts large ones, [`checksum`]
//!   fills in what the host left out.
//! * [`receive`]: frames go into receive queues' buffers. [`hash`] chooses the queue.
//! * [`eswitch`]: from a vport through the tables to others.

pub(super) mod checksum;
pub(super) mod eswitch;
pub(super) mod hash;
pub(super) mod receive;
pub(super) mod segment;
pub(super) mod send;
