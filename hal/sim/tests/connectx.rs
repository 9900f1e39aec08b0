//! The ConnectX model, held to what a driver expects of the real part: a tiny driver over the
//! bare PCI function.

#[path = "connectx/driver.rs"]
mod driver;
#[path = "connectx/function.rs"]
mod function;
