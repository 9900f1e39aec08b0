//! NICs: how they are named, and how one is opened.
//!
//! | device | what it is |
//! | --- | --- |
//! | `pci:0000:03:00.0` | a ConnectX, bound to `vfio-pci` |
//! | `vfio-user:PATH` | one that another process plays: `nic-sim` |
//! | `connectx:NAME` | one that this process plays, at register level |
//! | `sim:NAME` | a simulated NIC without registers |
//!
//! `type=dpdk` with `dpdk-devargs` is another spelling of the first, so that scripts go on working.

use clock::Clock;
use hal::pci::{BadAddress, PciAddress, PciFunction};
use hal::{FlowDevice, PortError};
use hal_mlx::{MlxDevice, Patience};
use hal_sim::connectx::{ConnectX, ConnectXSettings};
use hal_sim::{Settings, SimDevice};
use std::path::PathBuf;
use vswitchd::ports::{DevicePort, PortRequest};

/// Opens a device by its name.
///
/// # Errors
/// What is wrong, in one line, and what to do about it.
pub fn open(name: &str, clock: &Clock) -> Result<Box<dyn FlowDevice>, String> {
    let unknown = || {
        format!(
            "{name}: no such device (there are pci:ADDRESS, vfio-user:PATH, connectx:NAME and \
             sim:NAME)"
        )
    };
    let (kind, rest) = name.split_once(':').ok_or_else(unknown)?;
    match kind {
        "sim" if is_plain_name(rest) => {
            let settings = Settings::load(&settings_file("sim", rest));
            let settings = settings.map_err(|e| e.to_string())?;
            SimDevice::open(name, settings, clock.clone()).map_err(|e| e.to_string())
        }
        "connectx" if is_plain_name(rest) => {
            let file = settings_file("connectx", rest);
            let settings = match file.exists() {
                true => ConnectXSettings::load(&file).map_err(|e| e.to_string())?,
                false => ConnectXSettings::default(),
            };
            let nic = ConnectX::open(rest, settings, clock.clone()).map_err(|e| e.to_string())?;
            let (address, played) = (name.to_owned(), nic.clone());
            let opener = move || PciFunction::in_process(&address, played.clone());
            let wires =
                move |port: &str, wire: &str| -> Result<(), PortError> { nic.connect(port, wire) };
            drive(name, Box::new(opener), clock, Some(Box::new(wires)))
        }
        "pci" | "vfio-user" => {
            let address = name.to_owned();
            let opener = move || hal::pci::open(&address);
            drive(name, Box::new(opener), clock, None)
        }
        _ => Err(unknown()),
    }
}

fn drive(
    name: &str,
    opener: hal_mlx::Opener,
    clock: &Clock,
    wires: Option<hal_mlx::Wires>,
) -> Result<Box<dyn FlowDevice>, String> {
    let patience = Patience::real(clock.clone());
    let nic = MlxDevice::open(name, opener, patience, wires).map_err(|e| e.to_string())?;
    Ok(Box::new(nic))
}

/// Settings stand beside the database; without a file everything has its default.
fn settings_file(kind: &str, name: &str) -> PathBuf {
    daemon::dirs::dbdir().join(format!("{kind}-{name}.json"))
}

/// Whether a device's name can stand in a file's name.
fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.chars().all(plain)
}

/// The NIC's port that an interface of type `hal` names.
///
/// # Errors
/// An option is missing.
pub fn hal_port(request: &PortRequest<'_>) -> Result<DevicePort, String> {
    let option = |k: &str| request.options.get(k).filter(|v| !v.is_empty()).cloned();
    let need = |k: &str| {
        option(k).ok_or_else(|| format!("{}: hal type requires valid '{k}' argument", request.name))
    };
    Ok(DevicePort {
        device: need("hal-device")?,
        port: need("hal-port")?,
        wire: option("hal-wire"),
    })
}

/// The NIC's port that an interface of type `dpdk` names.
///
/// # Errors
/// Its `dpdk-devargs` are missing, or name something else than one port of a PCI function.
pub fn dpdk_port(request: &PortRequest<'_>) -> Result<DevicePort, String> {
    let devargs = request.options.get("dpdk-devargs");
    let devargs = devargs.filter(|d| !d.is_empty()).ok_or_else(|| {
        format!(
            "'{}' is missing 'options:dpdk-devargs'. The old 'dpdk<port_id>' names are not supported",
            request.name
        )
    })?;
    devargs_port(devargs)
        .map_err(|why| format!("Error attaching device '{devargs}' to DPDK: {why}"))
}

/// `ADDRESS[,representor=WHICH][,...]`, of which other keys tune another driver.
fn devargs_port(devargs: &str) -> Result<DevicePort, String> {
    let mut depth = 0;
    let mut parts = devargs.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    let address: PciAddress = parts
        .next()
        .unwrap_or_default()
        .parse()
        .map_err(|e: BadAddress| e.to_string())?;
    let representor = parts.find_map(|part| part.strip_prefix("representor="));
    let port = match representor {
        None => "pf0".to_owned(),
        Some(which) => format!("vf{}", representor_of(which)?),
    };
    Ok(DevicePort {
        device: format!("pci:{address}"),
        port,
        wire: None,
    })
}

/// Which virtual function a representor is of.
fn representor_of(which: &str) -> Result<u8, String> {
    let function = which.strip_prefix("pf0").unwrap_or(which);
    let function = function.strip_prefix("vf").unwrap_or(function);
    let inside = function.strip_prefix('[').and_then(|f| f.strip_suffix(']'));
    let number = inside.unwrap_or(function);
    if number.contains(['-', ',']) {
        return Err(format!(
            "representor={which} are several functions; give each an interface of its own"
        ));
    }
    number.parse().map_err(|_| {
        format!("representor={which} is no virtual function, as in [0], vf0 or pf0vf0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devargs_name_a_port() {
        let cases = [
            ("0000:03:00.0", "pci:0000:03:00.0", "pf0"),
            ("03:00.1", "pci:0000:03:00.1", "pf0"),
            ("0000:AF:00.0,representor=[0]", "pci:0000:af:00.0", "vf0"),
            ("0000:03:00.0,representor=3", "pci:0000:03:00.0", "vf3"),
            (
                "0000:03:00.0,dv_flow_en=1,representor=vf2",
                "pci:0000:03:00.0",
                "vf2",
            ),
            (
                "0000:03:00.0,representor=pf0vf12,mprq_en=1",
                "pci:0000:03:00.0",
                "vf12",
            ),
            (
                "0000:03:00.0,representor=pf0vf[1]",
                "pci:0000:03:00.0",
                "vf1",
            ),
        ];
        for (devargs, device, port) in cases {
            let named = devargs_port(devargs).unwrap();
            assert_eq!((&*named.device, &*named.port), (device, port), "{devargs}");
        }
    }

    #[test]
    fn devargs_that_name_none_are_told_of() {
        let cases = [
            ("net_pcap0,iface=eth0", "not the address"),
            ("0000:03:00", "not the address"),
            ("", "not the address"),
            ("0000:03:00.0,representor=[0-3]", "several functions"),
            ("0000:03:00.0,representor=[0,2]", "several functions"),
            ("0000:03:00.0,representor=vf[0-1]", "several functions"),
            ("0000:03:00.0,representor=sf0", "no virtual function"),
            ("0000:03:00.0,representor=pf1vf0", "no virtual function"),
            ("0000:03:00.0,representor=", "no virtual function"),
        ];
        for (devargs, word) in cases {
            let why = devargs_port(devargs).unwrap_err();
            assert!(why.contains(word), "{devargs}: {why}");
        }
    }
}
