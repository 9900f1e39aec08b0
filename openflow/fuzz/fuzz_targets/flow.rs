//! Any text as a flow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openflow::text::{Names, ParseCommand, parse_flow};

fuzz_target!(|text: &str| {
    let _ = parse_flow(text, ParseCommand::Any, &Names::none());
});
