//! The switch.
#![forbid(unsafe_code)]

pub mod backer;
pub mod config;
pub mod mac;
pub mod ofproto;
pub mod ports;
pub mod switch;
pub mod table;
pub mod text;
pub mod translate;
pub mod world;
