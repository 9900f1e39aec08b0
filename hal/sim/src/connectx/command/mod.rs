//! Commands: one at a time, checked, carried out.
//!
//! * [`queue`] is how they come in and go out: entries, mailboxes, ownership.
//! * [`Core::execute`] checks what is the same for all (length, reserved bits, state of the
//!   function) and hands them to the room that knows them.

pub(super) mod queue;

use super::core::{Bus, Core, Stage};
use super::syndrome::Syndrome;
use hal_mlx_prm::capability::GeneralCapability;
use hal_mlx_prm::command::{Input, Output, Status};
use hal_mlx_prm::{Described, Opcode, Part, View};

/// What becomes of a command: done, or the check that it did not pass.
pub(super) type Outcome = Result<(), Syndrome>;

/// A command on its way through the device.
pub(super) struct Call<'a> {
    pub opcode: Opcode,
    pub op_mod: u16,
    pub input: &'a [u8],
    pub output: &'a mut [u8],
    pub bus: &'a Bus<'a>,
}

impl<'a> Call<'a> {
    /// The input as this layout.
    pub fn input<L: Described>(&self) -> Result<View<L, &'a [u8]>, Syndrome> {
        View::new(self.input).ok_or(Syndrome::InputLength)
    }

    /// The output as this layout.
    pub fn output<L: Described>(&mut self) -> Result<View<L, &mut [u8]>, Syndrome> {
        View::new(&mut *self.output).ok_or(Syndrome::OutputLength)
    }
}

/// Fills a part of an output with what an object was created with.
pub(super) fn kept<'m, L: Described>(
    place: View<L, &'m mut [u8]>,
    from: &[u8],
) -> Result<View<L, &'m mut [u8]>, Syndrome> {
    let place = place.into_inner();
    let to = place.get_mut(..from.len()).ok_or(Syndrome::OutputLength)?;
    to.copy_from_slice(from);
    View::new(place).ok_or(Syndrome::OutputLength)
}

impl Core {
    /// Carries a command out. The output is zero but for what the command answers.
    pub fn execute(&mut self, input: &[u8], output: &mut [u8], bus: &Bus<'_>) -> Outcome {
        let head = View::<Input, _>::new(input).ok_or(Syndrome::InputLength)?;
        let opcode = Opcode::of(head.get(Input::OPCODE)).ok_or(Syndrome::UnknownCommand)?;
        check_lengths(opcode, input, output)?;
        if opcode.input().reserved_set(input).is_some() {
            return Err(Syndrome::ReservedBits);
        }
        // On whose behalf: without users there is but the driver itself.
        let users = self.capabilities.get(GeneralCapability::LOG_MAX_UCTX) > 0;
        if head.get(Input::UID) != 0 && !users {
            return Err(Syndrome::UnknownUser);
        }
        self.check_stage(opcode)?;
        self.provide_pages(opcode, bus)?;
        let mut call = Call {
            opcode,
            op_mod: head.get(Input::OP_MOD),
            input,
            output,
            bus,
        };
        self.dispatch(&mut call)
    }

    fn dispatch(&mut self, call: &mut Call<'_>) -> Outcome {
        match call.opcode {
            Opcode::EnableHca => self.enable_hca(call),
            Opcode::DisableHca => self.disable_hca(call),
            Opcode::InitHca => self.init_hca(call),
            Opcode::TeardownHca => self.teardown_hca(call),
            Opcode::QueryIssi => self.query_issi(call),
            Opcode::SetIssi => self.set_issi(call),
            Opcode::QueryPages => self.query_pages(call),
            Opcode::ManagePages => self.manage_pages(call),
            Opcode::QueryHcaCap => self.query_hca_cap(call),
            Opcode::SetHcaCap => self.set_hca_cap(call),
            Opcode::AccessReg => self.access_reg(call),
            Opcode::QueryAdapter => self.query_adapter(call),
            Opcode::SetDriverVersion => self.set_driver_version(call),
            Opcode::AllocUar => self.alloc_uar(call),
            Opcode::DeallocUar => self.dealloc_uar(call),
            Opcode::AllocPd => self.alloc_pd(call),
            Opcode::DeallocPd => self.dealloc_pd(call),
            Opcode::AllocTransportDomain => self.alloc_transport_domain(call),
            Opcode::DeallocTransportDomain => self.dealloc_transport_domain(call),
            Opcode::AllocQCounter => self.alloc_q_counter(call),
            Opcode::DeallocQCounter => self.dealloc_q_counter(call),
            Opcode::QueryQCounter => self.query_q_counter(call),
            Opcode::QuerySpecialContexts => self.query_special_contexts(call),
            Opcode::CreateMkey => self.create_mkey(call),
            Opcode::QueryMkey => self.query_mkey(call),
            Opcode::DestroyMkey => self.destroy_mkey(call),
            Opcode::CreateEq => self.create_eq(call),
            Opcode::DestroyEq => self.destroy_eq(call),
            Opcode::QueryEq => self.query_eq(call),
            Opcode::CreateCq => self.create_cq(call),
            Opcode::DestroyCq => self.destroy_cq(call),
            Opcode::QueryCq => self.query_cq(call),
            Opcode::ModifyCq => self.modify_cq(call),
            Opcode::AllocFlowCounter => self.alloc_flow_counter(call),
            Opcode::DeallocFlowCounter => self.dealloc_flow_counter(call),
            Opcode::QueryFlowCounter => self.query_flow_counter(call),
            Opcode::AllocModifyHeaderContext => self.alloc_modify_header_context(call),
            Opcode::DeallocModifyHeaderContext => self.dealloc_modify_header_context(call),
            Opcode::AllocPacketReformatContext => self.alloc_packet_reformat_context(call),
            Opcode::DeallocPacketReformatContext => self.dealloc_packet_reformat_context(call),
            Opcode::CreateFlowTable => self.create_flow_table(call),
            Opcode::DestroyFlowTable => self.destroy_flow_table(call),
            Opcode::QueryFlowTable => self.query_flow_table(call),
            Opcode::ModifyFlowTable => self.modify_flow_table(call),
            Opcode::SetFlowTableRoot => self.set_flow_table_root(call),
            Opcode::CreateFlowGroup => self.create_flow_group(call),
            Opcode::DestroyFlowGroup => self.destroy_flow_group(call),
            Opcode::QueryFlowGroup => self.query_flow_group(call),
            Opcode::SetFlowTableEntry => self.set_flow_table_entry(call),
            Opcode::DeleteFlowTableEntry => self.delete_flow_table_entry(call),
            Opcode::QueryFlowTableEntry => self.query_flow_table_entry(call),
            Opcode::SetL2TableEntry => self.set_l2_table_entry(call),
            Opcode::QueryL2TableEntry => self.query_l2_table_entry(call),
            Opcode::DeleteL2TableEntry => self.delete_l2_table_entry(call),
            Opcode::QueryEswFunctions => self.query_esw_functions(call),
            Opcode::CreateTis => self.create_tis(call),
            Opcode::ModifyTis => self.modify_tis(call),
            Opcode::DestroyTis => self.destroy_tis(call),
            Opcode::QueryTis => self.query_tis(call),
            Opcode::CreateTir => self.create_tir(call),
            Opcode::ModifyTir => self.modify_tir(call),
            Opcode::DestroyTir => self.destroy_tir(call),
            Opcode::QueryTir => self.query_tir(call),
            Opcode::CreateRqt => self.create_rqt(call),
            Opcode::ModifyRqt => self.modify_rqt(call),
            Opcode::DestroyRqt => self.destroy_rqt(call),
            Opcode::QueryRqt => self.query_rqt(call),
            Opcode::CreateSq => self.create_sq(call),
            Opcode::ModifySq => self.modify_sq(call),
            Opcode::DestroySq => self.destroy_sq(call),
            Opcode::QuerySq => self.query_sq(call),
            Opcode::CreateRq => self.create_rq(call),
            Opcode::ModifyRq => self.modify_rq(call),
            Opcode::DestroyRq => self.destroy_rq(call),
            Opcode::QueryRq => self.query_rq(call),
            Opcode::QueryVportState => self.query_vport_state(call),
            Opcode::ModifyVportState => self.modify_vport_state(call),
            Opcode::QueryNicVportContext => self.query_nic_vport_context(call),
            Opcode::ModifyNicVportContext => self.modify_nic_vport_context(call),
            Opcode::QueryEswVportContext => self.query_esw_vport_context(call),
            Opcode::ModifyEswVportContext => self.modify_esw_vport_context(call),
            Opcode::QueryVportCounter => self.query_vport_counter(call),
            Opcode::QueryVnicEnv => self.query_vnic_env(call),
            Opcode::AddVxlanUdpDport => self.add_vxlan_udp_dport(call),
            Opcode::DeleteVxlanUdpDport => self.delete_vxlan_udp_dport(call),
            _ => Err(Syndrome::UnknownCommand),
        }
    }

    /// Whether the function is far enough for a command.
    fn check_stage(&self, opcode: Opcode) -> Outcome {
        let least = match opcode {
            Opcode::EnableHca => Stage::Disabled,
            Opcode::DisableHca
            | Opcode::InitHca
            | Opcode::QueryIssi
            | Opcode::SetIssi
            | Opcode::QueryPages
            | Opcode::ManagePages
            | Opcode::QueryHcaCap
            | Opcode::SetHcaCap
            | Opcode::AccessReg
            | Opcode::QueryAdapter => Stage::Enabled,
            _ => Stage::Initialised,
        };
        match self.stage {
            Stage::Disabled if least > Stage::Disabled => Err(Syndrome::NotEnabled),
            Stage::Enabled if least > Stage::Enabled => Err(Syndrome::NotInitialised),
            _ => Ok(()),
        }
    }
}

/// Inputs have the length of their layout, and of whole items of the list behind it; there has
/// to be room for the fixed part of the output.
fn check_lengths(opcode: Opcode, input: &[u8], output: &[u8]) -> Outcome {
    let layout = opcode.input();
    let whole = layout.parts.iter().find_map(|part| match *part {
        Part::Tail(_, at, item) => Some((at, item.size)),
        // Bytes come in any number.
        Part::Octets(_, at, None) => Some((at, 1)),
        _ => None,
    });
    let fits = match whole {
        None => input.len() == layout.size,
        Some((at, item)) => {
            let list = input.len().checked_sub(at);
            input.len() >= layout.size && list.is_some_and(|list| list.is_multiple_of(item))
        }
    };
    if !fits {
        return Err(Syndrome::InputLength);
    }
    if output.len() < opcode.output().size {
        return Err(Syndrome::OutputLength);
    }
    Ok(())
}

/// Writes how a command ended into its output.
fn conclude(output: &mut [u8], outcome: Outcome) {
    let (status, syndrome) = match outcome {
        Ok(()) => (Status::Ok, 0),
        Err(syndrome) => {
            output.fill(0);
            (syndrome.status(), syndrome as u32)
        }
    };
    if let Some(mut head) = View::<Output, _>::new(output) {
        head.set(Output::STATUS, status as u8)
            .set(Output::SYNDROME, syndrome);
    }
}
