//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3).

/// The unfolded sum of `data` as big-endian 16-bit words; an odd last byte is padded with zero.
pub fn sum(data: &[u8]) -> u32 {
    let mut total: u64 = 0;
    let mut words = data.chunks_exact(4);
    for w in &mut words {
        total += u64::from(u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
    }
    let mut last = [0u8; 4];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_be_bytes(last));
    while total >> 16 > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    // At most 0xffff_ffff here: the loop ends with the high part in 32 bits.
    total as u32
}

/// Folds a sum into 16 bits without complementing it.
pub fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Folds and complements: what goes on the wire.
pub fn finish(sum: u32) -> u16 {
    !fold(sum)
}

/// The checksum of all of `data`.
pub fn checksum(data: &[u8]) -> u16 {
    finish(sum(data))
}

/// The checksum after some covered bytes changed from `old` to `new` (equal, even lengths at an
/// even offset).
pub fn update(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let kept = u32::from(!checksum);
    finish(kept + u32::from(!fold(sum(old))) + u32::from(fold(sum(new))))
}

/// As [`update`] for a sum that is not complemented: the pseudo-header's part in a checksum that
/// is still to be computed.
pub fn update_partial(partial: u16, old: &[u8], new: &[u8]) -> u16 {
    fold(u32::from(partial) + u32::from(!fold(sum(old))) + u32::from(fold(sum(new))))
}

/// The sum of an IPv4 or IPv6 pseudo-header: addresses, protocol and transport length.
pub fn pseudo_header(addresses: &[u8], protocol: u8, len: u32) -> u32 {
    let parts = u32::from(fold(sum(addresses))) + u32::from(protocol);
    parts + (len >> 16) + (len & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&data)), 0xddf2);
    }

    proptest! {
        #[test]
        fn updating_equals_computing_again(mut data in prop::collection::vec(any::<u8>(), 20..60),
                                           at in 0usize..8, new in any::<[u8; 4]>()) {
            data[0] |= 1; // An all-zero packet has no unique checksum.
            let before = checksum(&data);
            let at = at * 2 + 2;
            let old: [u8; 4] = data[at..at + 4].try_into().unwrap();
            data[at..at + 4].copy_from_slice(&new);
            prop_assert_eq!(update(before, &old, &new), checksum(&data));
        }
    }
}
