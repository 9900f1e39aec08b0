//! The function's life: enabled, initialised, torn down, disabled.

use super::command::{Call, Outcome};
use super::core::{Core, Stage};
use super::syndrome::Syndrome;
use hal_mlx_prm::command::{
    DisableHcaIn, EnableHcaIn, QueryIssiOut, SetIssiIn, TeardownHcaIn, TeardownHcaOut,
};

/// The one interface that is spoken here.
const ISSI: u16 = 1;

impl Core {
    /// ENABLE_HCA, of the function itself (0) or of a virtual one.
    pub fn enable_hca(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input::<EnableHcaIn>()?;
        match input.get(EnableHcaIn::FUNCTION_ID) {
            0 if self.stage == Stage::Disabled => self.stage = Stage::Enabled,
            0 => return Err(Syndrome::AlreadyEnabled),
            _ if self.stage == Stage::Disabled => return Err(Syndrome::NotEnabled),
            vf if vf > self.vfs => return Err(Syndrome::NoSuchFunction),
            vf if !self.enabled_vfs.insert(vf) => return Err(Syndrome::AlreadyEnabled),
            _ => {}
        }
        Ok(())
    }

    /// DISABLE_HCA.
    pub fn disable_hca(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input::<DisableHcaIn>()?;
        match input.get(DisableHcaIn::FUNCTION_ID) {
            0 if self.stage == Stage::Initialised => Err(Syndrome::StillInitialised),
            0 if !self.pages.is_empty() => Err(Syndrome::PagesStillHeld),
            0 => {
                self.stage = Stage::Disabled;
                self.issi = 0;
                self.enabled_vfs.clear();
                Ok(())
            }
            vf if vf > self.vfs => Err(Syndrome::NoSuchFunction),
            vf if !self.enabled_vfs.remove(&vf) => Err(Syndrome::FunctionNotEnabled),
            _ => Ok(()),
        }
    }

    /// QUERY_ISSI.
    pub fn query_issi(&mut self, call: &mut Call<'_>) -> Outcome {
        let issi = self.issi;
        let mut out = call.output::<QueryIssiOut>()?;
        out.set(QueryIssiOut::CURRENT, issi)
            .set(QueryIssiOut::SUPPORTED, 1 << ISSI);
        Ok(())
    }

    /// SET_ISSI.
    pub fn set_issi(&mut self, call: &mut Call<'_>) -> Outcome {
        let wanted = call.input::<SetIssiIn>()?.get(SetIssiIn::CURRENT);
        if wanted != ISSI {
            return Err(Syndrome::UnknownInterface);
        }
        if self.stage == Stage::Initialised {
            return Err(Syndrome::InterfaceInUse);
        }
        self.issi = wanted;
        Ok(())
    }

    /// INIT_HCA: the interface has been agreed on and the pages are there.
    pub fn init_hca(&mut self, _: &mut Call<'_>) -> Outcome {
        if self.stage == Stage::Initialised {
            return Err(Syndrome::AlreadyInitialised);
        }
        if self.issi != ISSI {
            return Err(Syndrome::InterfaceNotSet);
        }
        if self.pages.missing() > 0 {
            return Err(Syndrome::PagesMissing);
        }
        self.stage = Stage::Initialised;
        Ok(())
    }

    /// TEARDOWN_HCA: whatever is left is gone.
    pub fn teardown_hca(&mut self, call: &mut Call<'_>) -> Outcome {
        let profile = call.input::<TeardownHcaIn>()?.get(TeardownHcaIn::PROFILE);
        let _ = call.output::<TeardownHcaOut>()?;
        if profile != 0 {
            return Err(Syndrome::UnknownTeardown);
        }
        self.forget_objects();
        self.stage = Stage::Enabled;
        Ok(())
    }
}
