//! Where a function is, and the way to it by name.

use super::{PciError, PciFunction, Sysfs, Vfio, VfioUser};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Where a function is on this machine's buses: `0000:03:00.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PciAddress {
            domain,
            bus,
            device,
            function,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

/// What does not name a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: not the address of a PCI function, as 0000:03:00.0 is one")]
pub struct BadAddress(String);

impl FromStr for PciAddress {
    type Err = BadAddress;

    /// The domain may be left out if it is zero.
    fn from_str(text: &str) -> Result<PciAddress, BadAddress> {
        let parse = || {
            let hex = |part: &str, longest: usize| {
                let plain = (1..=longest).contains(&part.len())
                    && part.bytes().all(|b| b.is_ascii_hexdigit());
                plain.then(|| u32::from_str_radix(part, 16).ok()).flatten()
            };
            let (place, function) = text.split_once('.')?;
            let mut parts = place.rsplit(':');
            let (device, bus) = (hex(parts.next()?, 2)?, hex(parts.next()?, 2)?);
            let domain = parts.next().map_or(Some(0), |part| hex(part, 8))?;
            let function = hex(function, 1)?;
            let fits = parts.next().is_none() && device < 32 && function < 8;
            fits.then_some(PciAddress {
                domain,
                bus: bus as u8,
                device: device as u8,
                function: function as u8,
            })
        };
        parse().ok_or_else(|| BadAddress(text.into()))
    }
}

/// The function of this name: `pci:0000:03:00.0`, one of this machine, or `vfio-user:PATH`, one
/// that whoever listens at that socket plays.
///
/// # Errors
/// It is no such name, or the function cannot be had: what to do stands in the error.
pub fn open(name: &str) -> Result<PciFunction, PciError> {
    let unusable = |why: String| PciError::Unusable {
        address: name.into(),
        why,
    };
    match name.split_once(':') {
        Some(("pci", address)) => {
            let address: PciAddress = address.parse().map_err(|e: BadAddress| {
                let BadAddress(text) = e;
                unusable(format!(
                    "{text} is not the address of a PCI function, as pci:0000:03:00.0 has one"
                ))
            })?;
            PciFunction::open(Vfio::open(&Sysfs::host(), address)?)
        }
        Some(("vfio-user", path)) if !path.is_empty() => {
            PciFunction::open(VfioUser::connect(Path::new(path))?)
        }
        _ => Err(unusable(
            "no name of a device: it is pci:ADDRESS (pci:0000:03:00.0) or vfio-user:PATH".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, shown) in [
            ("0000:03:00.0", "0000:03:00.0"),
            ("3:1f.7", "0000:03:1f.7"),
            ("10000:E1:00.1", "10000:e1:00.1"),
        ] {
            let address: PciAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
        }
        for text in [
            "",
            "03:00",
            "0000:03:20.0",
            "0000:03:00.8",
            "0000:03:00.00",
            "x:03:00.0",
            "0000:+3:00.0",
            "0:0000:03:00.0",
            "0000:003:00.0",
            "../../0000:03:00.0",
        ] {
            assert!(text.parse::<PciAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_device_says_what_is() {
        for (name, told) in [
            (
                "nic0",
                "nic0: no name of a device: it is pci:ADDRESS (pci:0000:03:00.0) or vfio-user:PATH",
            ),
            (
                "vfio-user:",
                "vfio-user:: no name of a device: it is pci:ADDRESS (pci:0000:03:00.0) or vfio-user:PATH",
            ),
            (
                "pci:03:00",
                "pci:03:00: 03:00 is not the address of a PCI function, as pci:0000:03:00.0 has one",
            ),
        ] {
            let Err(e) = open(name) else { panic!("{name}") };
            assert_eq!(e.to_string(), told);
        }
        let Err(e) = open("pci:ffff:ff:1f.7") else {
            panic!("there is such a function")
        };
        let told = "ffff:ff:1f.7: there is no such PCI function (`nicctl list` shows those that there are)";
        assert_eq!(e.to_string(), told);
    }
}
