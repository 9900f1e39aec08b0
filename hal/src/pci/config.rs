//! What a function says of itself: its configuration space, as it was when it was read.
//!
//! The crate `pci-driver` walks it and knows its registers (PCI Express Base Specification 6.0, §7.5 to
//! §7.9). It sees the bytes and nothing else: its own ways to devices are left out. It reads words where
//! they are, so the bytes begin at a multiple of their size.

use super::{PciError, PciFunction};
use pci_driver::config::PciConfig;
use pci_driver::config::caps::{
    Capability, ConventionalPciAdvancedFeaturesCapability, MsiXCapability, PciExpressCapability,
    UnspecifiedCapability,
};
use pci_driver::regions::{BackedByPciSubregion, PciMemoryRegion, PciRegion};
use std::io;

/// Bytes that every function has.
const LEN: usize = 256;

#[repr(align(8))]
#[derive(Clone)]
struct Bytes([u8; LEN]);

/// A function's configuration space, as it was when it was read.
#[derive(Clone)]
pub struct ConfigSpace(Bytes);

impl ConfigSpace {
    /// Made of bytes that were read; what is missing is zero, what is too much is left out.
    pub fn new(bytes: &[u8]) -> ConfigSpace {
        let mut space = Bytes([0; LEN]);
        for (to, from) in space.0.iter_mut().zip(bytes) {
            *to = *from;
        }
        ConfigSpace(space)
    }

    /// That of a function.
    ///
    /// # Errors
    /// The function is gone or refuses.
    pub fn of(function: &PciFunction) -> Result<ConfigSpace, PciError> {
        let mut bytes = [0; LEN];
        function.read_config(0, &mut bytes)?;
        Ok(ConfigSpace::new(&bytes))
    }

    /// Looks at something in it.
    fn look<T>(&self, at: impl Fn(PciConfig<'_>) -> io::Result<T>) -> io::Result<T> {
        let memory = PciMemoryRegion::new(&self.0.0);
        at(PciConfig::backed_by(&memory as &dyn PciRegion))
    }

    /// The first capability of a kind, looked at; none if there is none, or the list is broken.
    fn capability<'a, C: Capability<'a>>(config: PciConfig<'a>) -> io::Result<Option<C>> {
        Ok(config.capabilities()?.of_type::<C>()?.next())
    }

    /// Vendor and device.
    pub fn ids(&self) -> (u16, u16) {
        let ids = self.look(|c| Ok((c.vendor_id().read()?, c.device_id().read()?)));
        ids.unwrap_or_default()
    }

    /// Whose card it is: vendor and number.
    pub fn subsystem(&self) -> (u16, u16) {
        let ids = self.look(|c| Ok((c.subsystem_vendor_id().read()?, c.subsystem_id().read()?)));
        ids.unwrap_or_default()
    }

    /// Its revision.
    pub fn revision(&self) -> u8 {
        let revision = self.look(|c| c.revision_id().read());
        revision.unwrap_or_default()
    }

    /// Ids of its capabilities, in their order.
    ///
    /// # Errors
    /// The list leads out of the space, or nowhere.
    pub fn capabilities(&self) -> io::Result<Vec<u8>> {
        self.look(|config| {
            let all = config.capabilities()?;
            let ids = all.of_type::<UnspecifiedCapability<'_>>()?;
            ids.map(|c| c.header().capability_id().read()).collect()
        })
    }

    /// How many interrupts it has (MSI-X); none if it has no such.
    pub fn interrupts(&self) -> Option<u16> {
        let control = self.look(|config| {
            let found = ConfigSpace::capability::<MsiXCapability<'_>>(config)?;
            found.map(|c| c.read_le_u16(2)).transpose()
        });
        Some((control.ok()?? & 0x7ff) + 1)
    }

    /// Whether it can be reset by itself (function-level reset).
    pub fn resets_alone(&self) -> bool {
        let express = self.look(|config| {
            let found = ConfigSpace::capability::<PciExpressCapability<'_>>(config)?;
            let bit = found.map(|c| {
                let capabilities = c.device_capabilities();
                capabilities.function_level_reset_capability().read()
            });
            Ok(bit.transpose()?.unwrap_or(false))
        });
        let conventional = self.look(|config| {
            let found =
                ConfigSpace::capability::<ConventionalPciAdvancedFeaturesCapability<'_>>(config)?;
            let bits = found.map(|c| c.read_u8(3)).transpose()?;
            Ok(bits.is_some_and(|bits| bits & 0b10 != 0))
        });
        express.unwrap_or(false) || conventional.unwrap_or(false)
    }
}

/// What a capability is called.
pub fn capability_name(id: u8) -> &'static str {
    match id {
        0x01 => "power management",
        0x03 => "vital product data",
        0x05 => "MSI",
        0x09 => "vendor-specific",
        0x0d => "subsystem id",
        0x10 => "PCI Express",
        0x11 => "MSI-X",
        0x12 => "SATA",
        0x13 => "advanced features",
        _ => "another",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ConnectX-5's, as far as it matters here.
    fn space() -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
        put(0, &[0xb3, 0x15, 0x17, 0x10]);
        put(6, &[0x10, 0]);
        put(0x2c, &[0xb3, 0x15, 0x07, 0x00]);
        put(0x34, &[0x60]);
        // PCI Express, with a function-level reset.
        put(0x60, &[0x10, 0x48, 2, 0, 0, 0, 0, 0x10]);
        put(0x48, &[0x03, 0x9c]);
        // MSI-X with 64 interrupts.
        put(0x9c, &[0x11, 0xc0, 0x3f, 0x80]);
        put(0xc0, &[0x09, 0x40, 0x18]);
        put(0x40, &[0x01, 0]);
        bytes
    }

    #[test]
    fn a_space_is_read() {
        let space = ConfigSpace::new(&space());
        assert_eq!(
            (space.ids(), space.subsystem()),
            ((0x15b3, 0x1017), (0x15b3, 7))
        );
        assert_eq!(space.capabilities().unwrap(), [0x10, 3, 0x11, 9, 1]);
        assert_eq!((space.interrupts(), space.resets_alone()), (Some(64), true));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let mut bytes = space();
        bytes[0x67] = 0;
        bytes[0x9c] = 0x05;
        let space = ConfigSpace::new(&bytes);
        assert_eq!((space.interrupts(), space.resets_alone()), (None, false));
        bytes[0x48] = 0x13;
        bytes[0x4b] = 0b10;
        assert!(ConfigSpace::new(&bytes).resets_alone());
        let nothing = ConfigSpace::new(&[]);
        assert_eq!(nothing.capabilities().unwrap(), [] as [u8; 0]);
        assert_eq!((nothing.ids(), nothing.interrupts()), ((0, 0), None));
    }

    #[test]
    fn lists_that_lead_astray_end() {
        for next in [0x60, 0x48, 0x10, 0x13] {
            let mut bytes = space();
            bytes[0x41] = next;
            let space = ConfigSpace::new(&bytes);
            assert!(space.capabilities().is_err(), "{next:#x}");
            assert_eq!((space.interrupts(), space.resets_alone()), (None, false));
        }
        // All ones, as of a device that is gone; and capabilities at the very end.
        assert!(ConfigSpace::new(&[0xff; LEN]).capabilities().is_err());
        for id in [0x05, 0x10, 0x11, 0x13, 0x14] {
            let mut bytes = space();
            bytes[0x34] = 0xfc;
            bytes[0xfc] = id;
            let space = ConfigSpace::new(&bytes);
            let _ = (
                space.capabilities(),
                space.interrupts(),
                space.resets_alone(),
            );
        }
    }
}
