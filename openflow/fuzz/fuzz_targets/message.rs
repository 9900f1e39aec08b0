//! Any bytes as a message: decoded, printed, and if it was read, written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openflow::text::Names;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((version, xid, message)) = openflow::decode(bytes) {
        let _ = openflow::encode(version, xid, &message);
    }
    let _ = openflow::print::format_message(bytes, &Names::none(), 3);
});
