//! Contexts: what an object of the device is like, as commands make and show it.

mod completion;
mod memory;
mod queues;

pub use completion::*;
pub use memory::*;
pub use queues::*;
