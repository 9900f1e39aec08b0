//! tools

pub mod ovsdb_client;
pub mod ovsdb_tool;
