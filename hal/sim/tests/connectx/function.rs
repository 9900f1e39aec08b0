//! The function's life: registers, the command queue, enabling, pages, tearing down.

use super::driver::{Driver, Failed};
use hal::pci::PciFunction;
use hal_mlx_prm::command::*;
use hal_mlx_prm::queue::Delivery;
use hal_mlx_prm::register::Register;
use hal_mlx_prm::{Opcode, View};
use hal_sim::connectx::{ConnectX, ConnectXSettings, FIRST_SYNDROME, Syndrome};

fn driver() -> Driver {
    Driver::new(ConnectXSettings::default())
}

fn refused<T>(syndrome: Syndrome) -> Result<T, Failed> {
    Err(Failed::from(syndrome))
}

#[test]
fn a_function_is_who_its_profile_says() {
    let d = driver();
    assert_eq!(d.function.ids().unwrap(), (0x15b3, 0x101d));
    assert_eq!(d.bar.len(), 32 << 20);
    assert_eq!(d.bar.read_be32(4).unwrap() >> 16, 5);
    assert_eq!(d.bar.read_be32(0x14).unwrap() & 0xff, 0x56);
    assert!(d.bar.read_be32(32 << 20).is_err());
    assert!(d.function.bar(1).is_err());
    assert!(d.function.interrupt_count().unwrap() >= 5);
}

#[test]
fn the_health_counter_moves() {
    let d = driver();
    let before = d.bar.read_be32(0x1010).unwrap();
    d.pass(2000);
    let after = d.bar.read_be32(0x1010).unwrap();
    assert_ne!(before, after);
    assert_eq!(after >> 24, 0);
    assert_ne!(d.bar.read_be32(0x230).unwrap(), u32::MAX);
}

#[test]
fn it_is_busy_with_itself_at_first() {
    let settings = ConnectXSettings {
        boot_ms: 100,
        ..ConnectXSettings::default()
    };
    let mut d = Driver::new(settings);
    assert_eq!(d.bar.read_be32(0x1fc).unwrap() >> 31, 1);
    d.pass(100);
    assert_eq!(d.bar.read_be32(0x1fc).unwrap() >> 31, 0);
    d.plain(Opcode::EnableHca, 0).unwrap();
}

#[test]
fn up_and_down_twice() {
    let mut d = driver();
    for _ in 0..2 {
        d.initialise();
        assert_eq!(d.wanted(3), 0);
        let held = d.nic.pages();
        assert!(held > 0);
        // Nothing of what it needs is given back.
        assert_eq!(d.take_back(10), Vec::<u64>::new());
        d.finish();
        assert_eq!(d.nic.pages(), 0);
        d.pages.clear();
    }
    assert_eq!(d.nic.violations(), Vec::<String>::new());
}

#[test]
fn pages_come_back_that_were_given() {
    let mut d = driver();
    d.enable();
    let count = d.wanted(2) as usize;
    let boot = d.nic.pages();
    let memory = d.function.dma("pages", count * 4096).unwrap();
    let mut given: Vec<u64> = (0..count as u64)
        .map(|i| memory.iova().0 + i * 4096)
        .collect();
    d.give(&given).unwrap();
    d.plain(Opcode::InitHca, 0).unwrap();
    d.plain(Opcode::TeardownHca, 0).unwrap();
    let mut back = Vec::new();
    loop {
        let more = d.take_back(100);
        if more.is_empty() {
            break;
        }
        back.extend(more);
    }
    assert_eq!(back.len(), boot + count);
    back.retain(|page| given.contains(page));
    back.sort_unstable();
    given.sort_unstable();
    assert_eq!(back, given);
    d.plain(Opcode::DisableHca, 0).unwrap();
}

#[test]
fn a_page_that_was_given_away_is_not_used_again() {
    let mut d = driver();
    d.initialise();
    d.pages[0].write(0, &[1]);
    d.finish();
    let violations = d.nic.violations();
    assert!(violations.len() == 1 && violations[0].contains("given away"));
}

#[test]
fn pages_are_checked() {
    let mut d = driver();
    d.plain(Opcode::EnableHca, 0).unwrap();
    let page = d.function.dma("page", 4096).unwrap().iova().0;
    assert_eq!(d.give(&[page]), refused(Syndrome::PageUnreachable));
    let memory = d.function.dma("page", 4096).unwrap();
    let page = memory.iova().0;
    assert_eq!(d.give(&[page, page]), refused(Syndrome::PageGivenTwice));
    assert_eq!(d.give(&[0]), refused(Syndrome::PageGivenTwice));
    d.give(&[page]).unwrap();
    assert_eq!(d.give(&[page]), refused(Syndrome::PageGivenTwice));
    let mut input = View::<ManagePagesIn, _>::zeroed();
    input.set(ManagePagesIn::NUM_ENTRIES, 1);
    let short = d.run(Opcode::ManagePages, 1, input);
    assert_eq!(short, refused(Syndrome::PageCount));
    let mut input = View::<ManagePagesIn, _>::zeroed();
    input.set(ManagePagesIn::FUNCTION_ID, 1000);
    let foreign = d.run(Opcode::ManagePages, 1, input);
    assert_eq!(foreign, refused(Syndrome::NoSuchFunction));
    let variant = d.plain(Opcode::QueryPages, 4);
    assert_eq!(variant, refused(Syndrome::UnknownPageVariant));
}

#[test]
fn each_step_has_its_time() {
    let mut d = driver();
    let issi = |d: &mut Driver, n| {
        let mut input = View::<SetIssiIn, _>::zeroed();
        input.set(SetIssiIn::CURRENT, n);
        d.run(Opcode::SetIssi, 0, input)
    };
    assert_eq!(
        d.plain(Opcode::QueryPages, 1),
        refused(Syndrome::NotEnabled)
    );
    d.plain(Opcode::EnableHca, 0).unwrap();
    let again = d.plain(Opcode::EnableHca, 0);
    assert_eq!(again, refused(Syndrome::AlreadyEnabled));
    let early = d.plain(Opcode::InitHca, 0);
    assert_eq!(early, refused(Syndrome::InterfaceNotSet));
    assert_eq!(issi(&mut d, 2), refused(Syndrome::UnknownInterface));
    issi(&mut d, 1).unwrap();
    let early = d.plain(Opcode::InitHca, 0);
    assert_eq!(early, refused(Syndrome::PagesMissing));
    d.give_wanted(1);
    d.give_wanted(2);
    let early = d.run::<AllocPdIn, _>(Opcode::AllocPd, 0, View::zeroed());
    assert_eq!(early, refused(Syndrome::NotInitialised));
    d.plain(Opcode::InitHca, 0).unwrap();
    let again = d.plain(Opcode::InitHca, 0);
    assert_eq!(again, refused(Syndrome::AlreadyInitialised));
    assert_eq!(issi(&mut d, 1), refused(Syndrome::InterfaceInUse));
    let early = d.plain(Opcode::DisableHca, 0);
    assert_eq!(early, refused(Syndrome::StillInitialised));
    let mut input = View::<TeardownHcaIn, _>::zeroed();
    input.set(TeardownHcaIn::PROFILE, 7);
    let unknown = d.run(Opcode::TeardownHca, 0, input);
    assert_eq!(unknown, refused(Syndrome::UnknownTeardown));
    d.plain(Opcode::TeardownHca, 0).unwrap();
    let early = d.plain(Opcode::DisableHca, 0);
    assert_eq!(early, refused(Syndrome::PagesStillHeld));
}

#[test]
fn virtual_functions_are_enabled_by_number() {
    let mut d = driver();
    d.initialise();
    let vf = |d: &mut Driver, opcode, n| {
        let mut input = View::<EnableHcaIn, _>::zeroed();
        input.set(EnableHcaIn::FUNCTION_ID, n);
        d.run(opcode, 0, input).map(|_| ())
    };
    vf(&mut d, Opcode::EnableHca, 4).unwrap();
    assert_eq!(
        vf(&mut d, Opcode::EnableHca, 4),
        refused(Syndrome::AlreadyEnabled)
    );
    assert_eq!(
        vf(&mut d, Opcode::EnableHca, 5),
        refused(Syndrome::NoSuchFunction)
    );
    vf(&mut d, Opcode::DisableHca, 4).unwrap();
    assert_eq!(
        vf(&mut d, Opcode::DisableHca, 4),
        refused(Syndrome::FunctionNotEnabled)
    );
}

#[test]
fn what_is_delivered_wrongly_is_told_in_the_entry() {
    let mut d = driver();
    let delivered = |d: &mut Driver, at: usize, value: &[u8]| {
        let mut issi = [0; 16];
        issi[..2].copy_from_slice(&(Opcode::QueryIssi as u16).to_be_bytes());
        d.post(3, &issi, 0x70);
        d.queue.write(3 * 64 + at, value);
        d.ring(1 << 3);
        d.settle();
        match d.outcome(3) {
            Err(Failed::Delivery(n)) => n,
            other => panic!("{at:#x}: {other:?}"),
        }
    };
    d.plain(Opcode::EnableHca, 0).unwrap();
    let mailbox = d.boxes.iova().0 + 1024 * 1024;
    let cases: [(usize, Vec<u8>, Delivery); 9] = [
        (0x00, vec![6], Delivery::Descriptor),
        (0x01, vec![1], Delivery::Reserved),
        (0x04, vec![0, 0, 0, 8], Delivery::InputLength),
        (0x04, vec![1, 0, 0, 0], Delivery::InputLength),
        (0x04, vec![0, 0, 0, 32], Delivery::InputPointer),
        (0x38, vec![0, 0, 0, 4], Delivery::OutputLength),
        (0x30, vec![0; 8], Delivery::OutputPointer),
        (
            0x30,
            (mailbox + 64).to_be_bytes().to_vec(),
            Delivery::OutputPointer,
        ),
        (0x3c, vec![0xee], Delivery::Token),
    ];
    for (at, value, wanted) in cases {
        assert_eq!(delivered(&mut d, at, &value), wanted as u8, "{at:#x}");
    }
    // A block out of turn.
    let mut issi = [0; 16];
    issi[..2].copy_from_slice(&(Opcode::QueryIssi as u16).to_be_bytes());
    d.post(0, &issi, 0x70);
    d.boxes.write(1024 * 1024 + 0x238, &[0, 0, 0, 1]);
    d.ring(1);
    d.settle();
    let wanted = Failed::Delivery(Delivery::BlockNumber as u8);
    assert_eq!(d.outcome(0), Err(wanted));
}

#[test]
fn what_is_stale_beyond_the_length_does_not_matter() {
    let mut d = driver();
    d.plain(Opcode::EnableHca, 0).unwrap();
    let mut issi = [0; 16];
    issi[..2].copy_from_slice(&(Opcode::QueryIssi as u16).to_be_bytes());
    d.post(0, &issi, 0x70);
    // `next` of the last mailbox, and what is behind the 0x60 bytes.
    d.boxes.write(1024 * 1024 + 0x230, &[0xff; 8]);
    d.boxes.write(1024 * 1024 + 0x60, &[0xff; 0x100]);
    d.ring(1);
    d.settle();
    let out = d.outcome(0).unwrap();
    let out = View::<QueryIssiOut, _>::new(out).unwrap();
    assert_eq!(out.get(QueryIssiOut::SUPPORTED), 2);
}

#[test]
fn what_is_asked_wrongly_has_its_number() {
    let mut d = driver();
    d.plain(Opcode::EnableHca, 0).unwrap();
    let mut unknown = [0; 16];
    unknown[..2].copy_from_slice(&[0x7f, 0xff]);
    assert_eq!(d.raw(&unknown, 16), refused(Syndrome::UnknownCommand));
    let mut issi = [0; 20];
    issi[..2].copy_from_slice(&(Opcode::QueryIssi as u16).to_be_bytes());
    assert_eq!(d.raw(&issi, 0x70), refused(Syndrome::InputLength));
    assert_eq!(d.raw(&issi[..16], 0x60), refused(Syndrome::OutputLength));
    // What is reserved at an output's end need not be there: Linux gives 12 bytes.
    let mut enable = [0; 16];
    enable[..2].copy_from_slice(&(Opcode::EnableHca as u16).to_be_bytes());
    assert_eq!(d.raw(&enable, 12), refused(Syndrome::AlreadyEnabled));
    issi[12] = 1;
    assert_eq!(d.raw(&issi[..16], 0x70), refused(Syndrome::ReservedBits));
    assert_eq!(Syndrome::UnknownCommand as u32, FIRST_SYNDROME + 1);
}

#[test]
fn many_commands_at_once_are_all_answered() {
    let mut d = driver();
    d.plain(Opcode::EnableHca, 0).unwrap();
    let mut pages = [0; 16];
    pages[..2].copy_from_slice(&(Opcode::QueryPages as u16).to_be_bytes());
    pages[7] = 1;
    for slot in 0..32 {
        d.post(slot, &pages, 16);
    }
    d.ring(u32::MAX);
    d.settle();
    for slot in 0..32 {
        d.outcome(slot).unwrap();
    }
    // A bell for what the host owns is nothing.
    d.ring(2);
    d.settle();
    assert_eq!(d.nic.statistics().violations, 1);
}

#[test]
fn a_reset_is_a_new_beginning() {
    let mut d = driver();
    d.initialise();
    d.function.reset().unwrap();
    assert_eq!((d.bar.read_be32(0x10), d.nic.pages()), (Ok(0), 0));
    d.function.set_master(true).unwrap();
    d.place_queue();
    d.initialise();
    // The same through configuration space: device control of the PCI Express capability.
    d.function.write_config(0x68, &[0, 0x80]).unwrap();
    assert_eq!(d.nic.pages(), 0);
    d.function.set_master(true).unwrap();
    d.place_queue();
    d.enable();
    // The software's own: the interface stays off until it is asked for.
    let low = d.bar.read_be32(0x14).unwrap();
    d.bar.write_be32(0x14, low & !0xfff | 0x700).unwrap();
    d.settle();
    assert_eq!(d.bar.read_be32(0x14).unwrap() >> 8 & 7, 1);
    d.place_queue();
    d.initialise();
}

#[test]
fn without_mastery_there_is_no_memory() {
    let mut d = driver();
    d.function.set_master(false).unwrap();
    assert_eq!(d.plain(Opcode::EnableHca, 0), Err(Failed::Pending));
    assert_eq!(d.nic.statistics().violations, 1);
}

#[test]
fn the_last_peer_leaves_nothing_behind() {
    let mut d = driver();
    d.initialise();
    let nic = d.nic.clone();
    drop(d);
    assert_eq!(nic.pages(), 0);
    let function = PciFunction::in_process("nic0", nic).unwrap();
    let bar = function.bar(0).unwrap();
    assert_eq!(bar.read_be32(0x10).unwrap(), 0);
}

#[test]
fn a_thread_of_its_own_answers_too() {
    let clock = clock::Clock::real();
    let nic = ConnectX::open("nic0", ConnectXSettings::default(), clock.clone()).unwrap();
    let mut d = Driver::over(nic, clock.clone());
    let mut enable = [0; 16];
    enable[..2].copy_from_slice(&(Opcode::EnableHca as u16).to_be_bytes());
    d.post(0, &enable, 16);
    d.ring(1);
    for _ in 0..10_000 {
        if d.outcome(0) != Err(Failed::Pending) {
            break;
        }
        clock.pause_thread(std::time::Duration::from_millis(1));
    }
    d.outcome(0).unwrap();
}

#[test]
fn settings_name_what_is_wrong() {
    let settings = ConnectXSettings {
        profile: "connectx1".into(),
        ..ConnectXSettings::default()
    };
    let error = ConnectX::stepped("nic0", settings, clock::Clock::stopped_at(0));
    let error = error.err().unwrap().to_string();
    assert!(error.contains("connectx1") && error.contains("connectx6dx"));
}

fn access(d: &mut Driver, op_mod: u16, id: u16, data: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut input = vec![0; 16];
    input[..2].copy_from_slice(&(Opcode::AccessReg as u16).to_be_bytes());
    input[6..8].copy_from_slice(&op_mod.to_be_bytes());
    input[10..12].copy_from_slice(&id.to_be_bytes());
    input.extend(data);
    let out = d.raw(&input, 16 + data.len())?;
    Ok(out[16..].to_vec())
}

#[test]
fn the_device_and_the_driver_introduce_themselves() {
    let mut d = driver();
    d.enable();
    let order = access(&mut d, 0, Register::HostEndianness as u16, &[0; 16]);
    assert_eq!(order, Ok(vec![0; 16]));
    let timeouts = access(&mut d, 1, Register::Dtor as u16, &[0; 0x40]).unwrap();
    assert!(timeouts.iter().any(|b| *b != 0));
    let cases = [
        (2, 0x7004, 16, Syndrome::UnknownAccess),
        (1, 0x1234, 16, Syndrome::UnknownRegister),
        (0, 0x7004, 12, Syndrome::RegisterLength),
        (0, 0xc00e, 0x40, Syndrome::ReadOnlyRegister),
        (1, 0x7004, 16, Syndrome::WriteOnlyRegister),
    ];
    for (op_mod, id, len, syndrome) in cases {
        let answer = access(&mut d, op_mod, id, &vec![0; len]);
        assert_eq!(answer, refused(syndrome), "{id:#x}");
    }
    let out = d.plain(Opcode::QueryAdapter, 0).unwrap();
    let out = View::<QueryAdapterOut, _>::new(out).unwrap();
    let adapter = out.at(QueryAdapterOut::ADAPTER);
    assert!(adapter.octets(Adapter::PSID).starts_with(b"HALYARD"));
    d.give_wanted(2);
    d.plain(Opcode::InitHca, 0).unwrap();
    let mut version = View::<SetDriverVersionIn, _>::zeroed();
    let text = version.octets_mut(SetDriverVersionIn::DRIVER_VERSION);
    text[..5].copy_from_slice(b"a,b,1");
    d.run(Opcode::SetDriverVersion, 0, version).unwrap();
    assert_eq!(d.nic.driver_version(), "a,b,1");
    let mut version = View::<SetDriverVersionIn, _>::zeroed();
    version
        .octets_mut(SetDriverVersionIn::DRIVER_VERSION)
        .fill(b'x');
    let endless = d.run(Opcode::SetDriverVersion, 0, version);
    assert_eq!(endless, refused(Syndrome::DriverVersion));
}
