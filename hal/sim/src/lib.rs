//! hal/sim
