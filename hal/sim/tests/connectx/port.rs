//! Registers of the physical port, and the table of addresses.

use super::driver::Failed;
use super::queues::{Nic, Send, frames};
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::MacAddress;
use hal_mlx_prm::register::*;
use hal_mlx_prm::{Described, Opcode, View};
use hal_sim::connectx::{ConnectXSettings, Syndrome};

fn nic() -> Nic {
    Nic::new(ConnectXSettings::default())
}

fn refused<T>(syndrome: Syndrome) -> Result<T, Failed> {
    Err(Failed::from(syndrome))
}

/// Reads or writes a register; answers it as it is then.
fn access<L: Described>(
    n: &mut Nic,
    write: bool,
    register: Register,
    set: impl Fn(&mut View<L, L::Bytes>),
) -> Result<View<L, Vec<u8>>, Failed> {
    let mut data = View::<L, _>::zeroed();
    set(&mut data);
    let mut input = vec![0; 16];
    input[..2].copy_from_slice(&(Opcode::AccessReg as u16).to_be_bytes());
    input[7] = u8::from(!write);
    input[10..12].copy_from_slice(&(register as u16).to_be_bytes());
    input.extend(data.bytes());
    let out = n.d.raw(&input, 16 + data.bytes().len())?;
    Ok(View::new(out[16..].to_vec()).unwrap())
}

#[test]
fn the_port_is_taken_down_and_up() {
    use PortAdminOperStatus as R;
    let mut n = nic();
    let status = |n: &mut Nic, write: bool, state: u8| {
        let out = access::<R>(n, write, Register::Paos, |r| {
            r.set(R::LOCAL_PORT, 1)
                .set(R::ADMIN_STATUS, state)
                .set(R::ADMIN_STATUS_ENABLE, true);
        });
        out.map(|r| (r.get(R::ADMIN_STATUS), r.get(R::OPER_STATUS)))
    };
    assert_eq!(status(&mut n, false, 0), Ok((1, 1)));
    assert_eq!(status(&mut n, true, 2), Ok((2, 2)));
    n.send(&frames::udp(1, 2, 3, b"x"), Send::default());
    assert!(n.left(0).is_empty());
    assert_eq!(status(&mut n, true, 1), Ok((1, 1)));
    n.send(&frames::udp(1, 2, 3, b"x"), Send::default());
    assert_eq!(n.left(0).len(), 1);
    assert_eq!(status(&mut n, true, 9), refused(Syndrome::PortState));
    let other = access::<R>(&mut n, false, Register::Paos, |r| {
        r.set(R::LOCAL_PORT, 2);
    });
    assert_eq!(other.map(|_| ()), refused(Syndrome::NoSuchPort));
}

#[test]
fn the_port_says_why_it_is_down() {
    use PortDiagnostics as R;
    let mut n = nic();
    let why = |n: &mut Nic, page: u8, group: u16| {
        let out = access::<R>(n, false, Register::Pddr, |r| {
            r.set(R::LOCAL_PORT, 1)
                .set(R::PAGE_SELECT, page)
                .set(R::GROUP_OPCODE, group);
        });
        out.map(|r| r.get(R::MONITOR_OPCODE))
    };
    assert_eq!(why(&mut n, 1, 0), Ok(0));
    assert_eq!(why(&mut n, 0, 0), refused(Syndrome::DiagnosticsPage));
    assert_eq!(why(&mut n, 1, 3), refused(Syndrome::DiagnosticsPage));
    let admin = |n: &mut Nic, state: u8| {
        let out = access::<PortAdminOperStatus>(n, true, Register::Paos, |r| {
            r.set(PortAdminOperStatus::LOCAL_PORT, 1)
                .set(PortAdminOperStatus::ADMIN_STATUS, state)
                .set(PortAdminOperStatus::ADMIN_STATUS_ENABLE, true);
        });
        out.map(|_| ()).unwrap();
    };
    admin(&mut n, 2);
    assert_eq!(why(&mut n, 1, 0), Ok(1));
    admin(&mut n, 1);
    n.d.nic.disconnect("pf0").unwrap();
    assert_eq!(why(&mut n, 1, 0), Ok(1024));
}

#[test]
fn frames_are_as_long_as_the_port_says() {
    use PortMtu as R;
    let mut n = nic();
    let mtu = |n: &mut Nic, write: bool, mtu: u16| {
        let out = access::<R>(n, write, Register::Pmtu, |r| {
            r.set(R::LOCAL_PORT, 1).set(R::ADMIN_MTU, mtu);
        });
        out.map(|r| (r.get(R::MAX_MTU), r.get(R::OPER_MTU)))
    };
    let (most, _) = mtu(&mut n, false, 0).unwrap();
    assert!(most >= 9022);
    assert_eq!(mtu(&mut n, true, 9022), Ok((most, 9022)));
    assert_eq!(mtu(&mut n, true, most + 1), refused(Syndrome::PortMtu));
    assert_eq!(mtu(&mut n, false, 0), Ok((most, 9022)));
}

#[test]
fn speeds_checks_and_pauses_are_told() {
    let mut n = nic();
    let speed = |n: &mut Nic, write: bool, speeds: u32, protocol: u8| {
        use PortTypeSpeed as R;
        let out = access::<R>(n, write, Register::Ptys, |r| {
            r.set(R::LOCAL_PORT, 1)
                .set(R::PROTO_MASK, protocol)
                .set(R::ETH_PROTO_ADMIN, speeds);
        });
        out.map(|r| {
            (
                r.get(R::ETH_PROTO_CAPABILITY),
                r.get(R::ETH_PROTO_ADMIN),
                r.get(R::ETH_PROTO_OPER),
            )
        })
    };
    let (can, _, is) = speed(&mut n, false, 0, 4).unwrap();
    assert!(is.is_power_of_two() && can & is == is);
    assert_eq!(speed(&mut n, true, is, 4), Ok((can, is, is)));
    assert_eq!(speed(&mut n, true, !can, 4), refused(Syndrome::PortSpeed));
    assert_eq!(speed(&mut n, false, 0, 1), refused(Syndrome::PortProtocol));
    for register in [Register::Pfcc, Register::Pcmr] {
        let kept = |n: &mut Nic, write: bool, value: u8| {
            let mut input = vec![0; 16];
            input[..2].copy_from_slice(&(Opcode::AccessReg as u16).to_be_bytes());
            input[7] = u8::from(!write);
            input[10..12].copy_from_slice(&(register as u16).to_be_bytes());
            let mut data = [0; 32];
            (data[1], data[8]) = (1, value);
            input.extend(data);
            n.d.raw(&input, 48).unwrap()[24]
        };
        kept(&mut n, true, 0xc0);
        assert_eq!(kept(&mut n, false, 0), 0xc0, "{register:?}");
    }
    let lanes = access::<PortModuleMapping>(&mut n, false, Register::Pmlp, |r| {
        r.set(PortModuleMapping::LOCAL_PORT, 1);
    });
    assert_eq!(lanes.unwrap().get(PortModuleMapping::WIDTH), 4);
    let known = access::<PortCapabilityMask>(&mut n, false, Register::Pcam, |_| {});
    let known = known.unwrap().get(PortCapabilityMask::REGISTERS);
    assert_eq!(known >> 6 & 1, 1, "PAOS");
}

#[test]
fn the_port_counts() {
    use PortCounters as R;
    let mut n = nic();
    let frame = frames::udp(1, 2, 3, b"x");
    n.send(&frame, Send::default());
    n.arrive(0, &frame);
    n.arrive(0, &frame);
    let group = |n: &mut Nic, group: u8, clear: bool| {
        access::<R>(n, false, Register::Ppcnt, |r| {
            r.set(R::LOCAL_PORT, 1)
                .set(R::GROUP, group)
                .set(R::CLEAR, clear);
        })
    };
    let out = group(&mut n, 0, true).unwrap();
    let c = View::<Ieee8023Counters, _>::new(out.octets(R::COUNTERS)).unwrap();
    assert_eq!(c.get(Ieee8023Counters::FRAMES_TRANSMITTED_OK), 1);
    assert_eq!(c.get(Ieee8023Counters::FRAMES_RECEIVED_OK), 2);
    let out = group(&mut n, 0, false).unwrap();
    assert!(out.octets(R::COUNTERS).iter().all(|b| *b == 0));
    let unknown = group(&mut n, 0x3f, false).map(|_| ());
    assert_eq!(unknown, refused(Syndrome::CounterGroup));
}

#[test]
fn addresses_stand_in_a_table() {
    let mut n = nic();
    let mut set = View::<SetL2TableEntryIn, _>::zeroed();
    set.set(SetL2TableEntryIn::TABLE_INDEX, 5)
        .at_mut(SetL2TableEntryIn::MAC_ADDRESS)
        .set(MacAddress::ADDRESS, 0x0200_0000_0007);
    n.d.run(Opcode::SetL2TableEntry, 0, set).unwrap();
    let query = |n: &mut Nic, index: u32| {
        let mut query = View::<QueryL2TableEntryIn, _>::zeroed();
        query.set(QueryL2TableEntryIn::TABLE_INDEX, index);
        n.d.run(Opcode::QueryL2TableEntry, 0, query)
    };
    let out = View::<QueryL2TableEntryOut, _>::new(query(&mut n, 5).unwrap()).unwrap();
    let address = out.at(QueryL2TableEntryOut::MAC_ADDRESS);
    assert_eq!(address.get(MacAddress::ADDRESS), 0x0200_0000_0007);
    let mut delete = View::<DeleteL2TableEntryIn, _>::zeroed();
    delete.set(DeleteL2TableEntryIn::TABLE_INDEX, 5);
    n.d.run(Opcode::DeleteL2TableEntry, 0, delete).unwrap();
    assert_eq!(query(&mut n, 5), refused(Syndrome::NoSuchL2Entry));
    let mut far = View::<SetL2TableEntryIn, _>::zeroed();
    far.set(SetL2TableEntryIn::TABLE_INDEX, 0xff_ffff);
    let far = n.d.run(Opcode::SetL2TableEntry, 0, far);
    assert_eq!(far, refused(Syndrome::NoSuchL2Entry));
}
