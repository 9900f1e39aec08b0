//! Ports of the software datapath.

pub mod dummy;
