//! The switch.
#![forbid(unsafe_code)]

pub mod appctl;
pub mod backer;
pub mod bare;
pub mod config;
pub mod controller;
mod devices;
pub mod mac;
pub mod main_loop;
pub mod ofproto;
pub mod ports;
pub mod status;
pub mod switch;
pub mod table;
pub mod text;
pub mod translate;
pub mod world;
