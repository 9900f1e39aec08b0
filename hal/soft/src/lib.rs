//! hal/soft
