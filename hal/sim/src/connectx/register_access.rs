//! ACCESS_REG: registers of the port and of management, read and written by number.

use super::command::{Call, Outcome};
use super::config::VENDOR;
use super::core::Core;
use super::port::capability_mask;
use super::syndrome::Syndrome;
use hal_mlx_prm::command::{
    AccessRegIn, AccessRegOut, Adapter, QueryAdapterOut, SetDriverVersionIn,
};
use hal_mlx_prm::register::{DefaultTimeouts, HostEndianness, Register, Timeout};
use hal_mlx_prm::{Described, View};

/// A register as it was sent, and as it is answered.
pub(super) struct Access<'a> {
    pub write: bool,
    pub data: &'a [u8],
    pub answer: &'a mut [u8],
}

impl<'a> Access<'a> {
    /// The register as it was sent.
    pub fn sent<L: Described>(&self) -> Result<View<L, &'a [u8]>, Syndrome> {
        View::new(self.data).ok_or(Syndrome::RegisterLength)
    }

    /// The register as it is answered: at first as it was sent.
    pub fn answered<L: Described>(&mut self) -> Result<View<L, &mut [u8]>, Syndrome> {
        View::new(&mut *self.answer).ok_or(Syndrome::RegisterLength)
    }
}

impl Core {
    /// ACCESS_REG: 0 writes, 1 reads.
    pub fn access_reg(&mut self, call: &mut Call<'_>) -> Outcome {
        let id = call.input::<AccessRegIn>()?.get(AccessRegIn::REGISTER_ID);
        let data = call.input.get(AccessRegIn::SIZE..).unwrap_or_default();
        let answer = call.output.get_mut(AccessRegOut::SIZE..);
        let answer = answer.unwrap_or_default();
        if answer.len() < data.len() {
            return Err(Syndrome::OutputLength);
        }
        if call.op_mod > 1 {
            return Err(Syndrome::UnknownAccess);
        }
        answer[..data.len()].copy_from_slice(data);
        let mut access = Access {
            write: call.op_mod == 0,
            data,
            answer,
        };
        let register = Register::of(id).ok_or(Syndrome::UnknownRegister)?;
        match register {
            Register::HostEndianness => host_endianness(&access),
            Register::Dtor => default_timeouts(&mut access),
            Register::Paos => self.port_status(&mut access),
            Register::Pmtu => self.port_mtu(&mut access),
            Register::Ptys => self.port_speed(&mut access),
            Register::Pfcc => self.port_flow_control(&mut access),
            Register::Pddr => self.port_diagnostics(&mut access),
            Register::Pcmr => self.port_check(&mut access),
            Register::Pmlp => self.port_module(&mut access),
            Register::Ppcnt => self.port_counters(&mut access),
            Register::Pcam | Register::Mcam => capability_mask(register, &mut access),
            Register::Qcam => Err(Syndrome::UnknownRegister),
        }
    }

    /// QUERY_ADAPTER.
    pub fn query_adapter(&mut self, call: &mut Call<'_>) -> Outcome {
        let mut out = call.output::<QueryAdapterOut>()?;
        let mut adapter = out.at_mut(QueryAdapterOut::ADAPTER);
        adapter
            .set(Adapter::IEEE_VENDOR_ID, self.model.ieee_vendor)
            .set(Adapter::VSD_VENDOR_ID, VENDOR);
        let board = self.model.board.as_bytes();
        let place = adapter.octets_mut(Adapter::PSID);
        for (to, from) in place.iter_mut().zip(board) {
            *to = *from;
        }
        Ok(())
    }

    /// SET_DRIVER_VERSION: text that ends in a zero.
    pub fn set_driver_version(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input::<SetDriverVersionIn>()?;
        let text = input.octets(SetDriverVersionIn::DRIVER_VERSION);
        let end = text.iter().position(|b| *b == 0);
        let text = end.and_then(|end| text.get(..end));
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        let text = text.ok_or(Syndrome::DriverVersion)?;
        self.driver_version = text.into();
        Ok(())
    }
}

/// The host tells its byte order; the device has no use for it.
fn host_endianness(access: &Access<'_>) -> Outcome {
    let _ = access.sent::<HostEndianness>()?;
    if access.write {
        Ok(())
    } else {
        Err(Syndrome::WriteOnlyRegister)
    }
}

/// How long things take at most.
fn default_timeouts(access: &mut Access<'_>) -> Outcome {
    if access.write {
        return Err(Syndrome::ReadOnlyRegister);
    }
    let mut out = access.answered::<DefaultTimeouts>()?;
    // Multiplier 0 = milliseconds, 1 = seconds.
    for (place, multiplier, value) in [
        (DefaultTimeouts::PCIE_TOGGLE, 1, 2),
        (DefaultTimeouts::HEALTH_POLL, 1, 2),
        (DefaultTimeouts::FULL_CRDUMP, 1, 60),
        (DefaultTimeouts::FW_RESET, 1, 60),
        (DefaultTimeouts::FLUSH_ON_ERR, 1, 2),
        (DefaultTimeouts::PCI_SYNC_UPDATE, 1, 60),
        (DefaultTimeouts::TEAR_DOWN, 1, 3),
        (DefaultTimeouts::FSM_REACTIVATE, 1, 5),
        (DefaultTimeouts::RECLAIM_PAGES, 1, 5),
        (DefaultTimeouts::RECLAIM_VFS_PAGES, 1, 5),
    ] {
        out.at_mut(place)
            .set(Timeout::MULTIPLIER, multiplier)
            .set(Timeout::VALUE, value);
    }
    Ok(())
}
