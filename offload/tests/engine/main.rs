//! The engine from outside: what it asks of devices, and what it says of flows.

mod life;
mod model;
mod placement;
mod random;
