//! Contexts: what an object of the device is like, as commands make and show it.

mod completion;
mod matching;
mod memory;
mod queues;
mod steering;
mod vport;

pub use completion::*;
pub use matching::*;
pub use memory::*;
pub use queues::*;
pub use steering::*;
pub use vport::*;
