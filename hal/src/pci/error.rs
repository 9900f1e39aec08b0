//! What goes wrong between a driver and its function.

/// What a function, or the way to it, answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PciError {
    /// The function cannot be had: what to do stands in the reason.
    #[error("{address}: {why}")]
    Unusable {
        /// The function.
        address: String,
        /// Why, and what to do about it.
        why: String,
    },
    /// The function, or the process that plays it, is no longer there.
    #[error("{address}: the device is gone ({what})")]
    Gone {
        /// The function.
        address: String,
        /// How it was noticed.
        what: String,
    },
    /// Something was refused.
    #[error("{address}: {what}: {why}")]
    Refused {
        /// The function.
        address: String,
        /// What was tried.
        what: String,
        /// The other side's word.
        why: String,
    },
}

impl PciError {
    /// Something was refused.
    pub fn refused(address: &str, what: impl Into<String>, why: impl ToString) -> PciError {
        PciError::Refused {
            address: address.into(),
            what: what.into(),
            why: why.to_string(),
        }
    }

    /// The function is no longer there.
    pub fn gone(address: &str, what: impl ToString) -> PciError {
        PciError::Gone {
            address: address.into(),
            what: what.to_string(),
        }
    }
}
