//! A function comes up and goes down, on the simulated NIC.

mod bench;

use bench::Bench;
use hal_mlx::{Function, FunctionId, MlxError, Teardown};

#[test]
fn a_function_comes_up_and_goes_down_and_its_pages_come_back() {
    let bench = Bench::new("{}");
    let mut function = Function::boot(&bench.device, &bench.patience()).unwrap();
    assert!(function.pages_of(FunctionId::SELF) > 0);
    function.init().unwrap();
    let given = function.pages_of(FunctionId::SELF);
    assert_eq!(bench.nic.pages(), given);
    function.close(Teardown::Orderly).unwrap();
    assert_eq!(bench.nic.pages(), 0);
    assert_eq!(bench.device.leaked(), 0);
    assert_eq!(bench.nic.violations(), Vec::<String>::new());

    // And again, since a function can be used more than once.
    let function = Function::boot(&bench.device, &bench.patience()).unwrap();
    drop(function);
    let mut function = Function::boot(&bench.device, &bench.patience()).unwrap();
    function.init().unwrap();
}

#[test]
fn a_device_that_boots_slowly_is_waited_for() {
    let bench = Bench::new(r#"{"boot-ms":500}"#);
    let before = bench.clock.now();
    Function::boot(&bench.device, &bench.patience()).unwrap();
    assert!((bench.clock.now() - before).as_millis() >= 500);
}

#[test]
fn a_device_that_never_gets_ready_is_given_up() {
    let bench = Bench::new(r#"{"boot-ms":100000000}"#);
    let failed = Function::boot(&bench.device, &bench.patience()).err();
    assert!(
        matches!(failed, Some(MlxError::NotReady { .. })),
        "{failed:?}"
    );
}

#[test]
fn a_device_that_goes_during_a_command_is_missed_within_a_second() {
    let bench = Bench::new(r#"{"faults":{"gone-after":3}}"#);
    let begun = bench.clock.now();
    let failed = Function::boot(&bench.device, &bench.patience()).err();
    assert!(matches!(failed, Some(MlxError::Gone)), "{failed:?}");
    assert!((bench.clock.now() - begun).as_millis() < 1000);
}
