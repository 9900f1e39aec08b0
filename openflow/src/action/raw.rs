//! The wire forms of actions: numbers, versions and lengths.

use crate::error::{DecodeError, NX_VENDOR, ONF_VENDOR, OfError, Result};
use crate::version::Version;

/// A wire form of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum RawAction {
    Output10,
    Output11,
    SetVlanVid10,
    SetVlanPcp10,
    SetVlanVid11,
    SetVlanPcp11,
    PushVlan,
    StripVlan10,
    PopVlan11,
    SetDlSrc,
    SetDlDst,
    SetNwSrc,
    SetNwDst,
    SetNwTos,
    SetNwEcn11,
    SetTpSrc,
    SetTpDst,
    Enqueue10,
    SetMplsLabel,
    SetMplsTc,
    SetMplsTtl,
    DecMplsTtl,
    PushMpls,
    PopMpls,
    SetQueue,
    Group,
    SetNwTtl11,
    DecNwTtl,
    DecTtlCntIds,
    SetField12,
    SetField15,
    RegLoad,
    RegLoad2,
    CopyField15,
    CopyField13,
    RegMove,
    Meter15,
    Resubmit,
    ResubmitTable,
    ResubmitTableCt,
    SetTunnel,
    SetTunnel64,
    PopQueue,
    Note,
    Multipath,
    Bundle,
    BundleLoad,
    OutputReg,
    OutputReg2,
    Learn,
    Learn2,
    Exit,
    FinTimeout,
    Controller,
    Controller2,
    WriteMetadata,
    StackPush,
    StackPop,
    Sample,
    Sample2,
    Sample3,
    Sample4,
    Conjunction,
    Ct,
    Nat,
    OutputTrunc,
    Clone,
    CtClear,
    Encap,
    Decap,
    DecNshTtl,
    CheckPktLarger,
    DeleteField,
    DebugSlow,
    DebugRecirc,
}

/// Where a form occurs: vendor, number, first and last version.
type Place = (u32, u16, u8, u8);

pub(super) struct Row {
    pub raw: RawAction,
    pub name: &'static str,
    places: &'static [Place],
    /// The least length; it is the only one unless `more`.
    pub len: u16,
    pub more: bool,
}

const fn row(
    raw: RawAction,
    name: &'static str,
    places: &'static [Place],
    len: u16,
    more: bool,
) -> Row {
    Row {
        raw,
        name,
        places,
        len,
        more,
    }
}

const NX: u32 = NX_VENDOR;

use RawAction as R;
static ROWS: &[Row] = &[
    row(R::Output10, "OFPAT_OUTPUT", &[(0, 0, 1, 1)], 8, false),
    row(R::Output11, "OFPAT_OUTPUT", &[(0, 0, 2, 6)], 16, false),
    row(
        R::SetVlanVid10,
        "OFPAT_SET_VLAN_VID",
        &[(0, 1, 1, 1)],
        8,
        false,
    ),
    row(
        R::SetVlanPcp10,
        "OFPAT_SET_VLAN_PCP",
        &[(0, 2, 1, 1)],
        8,
        false,
    ),
    row(
        R::SetVlanVid11,
        "OFPAT_SET_VLAN_VID",
        &[(0, 1, 2, 6)],
        8,
        false,
    ),
    row(
        R::SetVlanPcp11,
        "OFPAT_SET_VLAN_PCP",
        &[(0, 2, 2, 6)],
        8,
        false,
    ),
    row(R::PushVlan, "OFPAT_PUSH_VLAN", &[(0, 17, 2, 6)], 8, false),
    row(
        R::StripVlan10,
        "OFPAT_STRIP_VLAN",
        &[(0, 3, 1, 1)],
        8,
        false,
    ),
    row(R::PopVlan11, "OFPAT_POP_VLAN", &[(0, 18, 2, 6)], 8, false),
    row(
        R::SetDlSrc,
        "OFPAT_SET_DL_SRC",
        &[(0, 4, 1, 1), (0, 3, 2, 6)],
        16,
        false,
    ),
    row(
        R::SetDlDst,
        "OFPAT_SET_DL_DST",
        &[(0, 5, 1, 1), (0, 4, 2, 6)],
        16,
        false,
    ),
    row(
        R::SetNwSrc,
        "OFPAT_SET_NW_SRC",
        &[(0, 6, 1, 1), (0, 5, 2, 6)],
        8,
        false,
    ),
    row(
        R::SetNwDst,
        "OFPAT_SET_NW_DST",
        &[(0, 7, 1, 1), (0, 6, 2, 6)],
        8,
        false,
    ),
    row(
        R::SetNwTos,
        "OFPAT_SET_NW_TOS",
        &[(0, 8, 1, 1), (0, 7, 2, 6)],
        8,
        false,
    ),
    row(R::SetNwEcn11, "OFPAT_SET_NW_ECN", &[(0, 8, 2, 6)], 8, false),
    row(
        R::SetTpSrc,
        "OFPAT_SET_TP_SRC",
        &[(0, 9, 1, 1), (0, 9, 2, 6)],
        8,
        false,
    ),
    row(
        R::SetTpDst,
        "OFPAT_SET_TP_DST",
        &[(0, 10, 1, 1), (0, 10, 2, 6)],
        8,
        false,
    ),
    row(R::Enqueue10, "OFPAT_ENQUEUE", &[(0, 11, 1, 1)], 16, false),
    row(
        R::SetMplsLabel,
        "OFPAT_SET_MPLS_LABEL",
        &[(NX, 30, 1, 1), (0, 13, 2, 6)],
        8,
        false,
    ),
    row(
        R::SetMplsTc,
        "OFPAT_SET_MPLS_TC",
        &[(NX, 31, 1, 1), (0, 14, 2, 6)],
        8,
        false,
    ),
    row(
        R::SetMplsTtl,
        "OFPAT_SET_MPLS_TTL",
        &[(NX, 25, 1, 1), (0, 15, 2, 6)],
        8,
        false,
    ),
    row(
        R::DecMplsTtl,
        "OFPAT_DEC_MPLS_TTL",
        &[(NX, 26, 1, 1), (0, 16, 2, 6)],
        8,
        false,
    ),
    row(
        R::PushMpls,
        "OFPAT_PUSH_MPLS",
        &[(NX, 23, 1, 1), (0, 19, 2, 6)],
        8,
        false,
    ),
    row(
        R::PopMpls,
        "OFPAT_POP_MPLS",
        &[(NX, 24, 1, 1), (0, 20, 2, 6)],
        8,
        false,
    ),
    row(
        R::SetQueue,
        "OFPAT_SET_QUEUE",
        &[(NX, 4, 1, 1), (0, 21, 2, 6)],
        8,
        false,
    ),
    row(
        R::Group,
        "OFPAT_GROUP",
        &[(NX, 40, 1, 1), (0, 22, 2, 6)],
        8,
        false,
    ),
    row(
        R::SetNwTtl11,
        "OFPAT_SET_NW_TTL",
        &[(0, 23, 2, 6)],
        8,
        false,
    ),
    row(
        R::DecNwTtl,
        "OFPAT_DEC_NW_TTL",
        &[(NX, 18, 1, 1), (0, 24, 2, 6)],
        8,
        false,
    ),
    row(
        R::DecTtlCntIds,
        "NXAST_DEC_TTL_CNT_IDS",
        &[(NX, 21, 1, 6)],
        16,
        true,
    ),
    row(R::SetField12, "OFPAT_SET_FIELD", &[(0, 25, 3, 5)], 8, true),
    row(R::SetField15, "OFPAT_SET_FIELD", &[(0, 25, 6, 6)], 8, true),
    row(R::RegLoad, "NXAST_REG_LOAD", &[(NX, 7, 1, 5)], 24, false),
    row(R::RegLoad2, "NXAST_REG_LOAD2", &[(NX, 33, 1, 5)], 16, true),
    row(
        R::CopyField15,
        "OFPAT_COPY_FIELD",
        &[(0, 28, 6, 6)],
        16,
        true,
    ),
    row(
        R::CopyField13,
        "ONFACT_COPY_FIELD",
        &[(ONF_VENDOR, 3200, 4, 5)],
        24,
        true,
    ),
    row(R::RegMove, "NXAST_REG_MOVE", &[(NX, 6, 1, 5)], 16, true),
    row(R::Meter15, "OFPAT_METER", &[(0, 29, 6, 6)], 8, false),
    row(R::Resubmit, "NXAST_RESUBMIT", &[(NX, 1, 1, 6)], 16, false),
    row(
        R::ResubmitTable,
        "NXAST_RESUBMIT_TABLE",
        &[(NX, 14, 1, 6)],
        16,
        false,
    ),
    row(
        R::ResubmitTableCt,
        "NXAST_RESUBMIT_TABLE_CT",
        &[(NX, 44, 1, 6)],
        16,
        false,
    ),
    row(
        R::SetTunnel,
        "NXAST_SET_TUNNEL",
        &[(NX, 2, 1, 6)],
        16,
        false,
    ),
    row(
        R::SetTunnel64,
        "NXAST_SET_TUNNEL64",
        &[(NX, 9, 1, 6)],
        24,
        false,
    ),
    row(R::PopQueue, "NXAST_POP_QUEUE", &[(NX, 5, 1, 6)], 16, false),
    row(R::Note, "NXAST_NOTE", &[(NX, 8, 1, 6)], 16, true),
    row(
        R::Multipath,
        "NXAST_MULTIPATH",
        &[(NX, 10, 1, 6)],
        32,
        false,
    ),
    row(R::Bundle, "NXAST_BUNDLE", &[(NX, 12, 1, 6)], 32, true),
    row(
        R::BundleLoad,
        "NXAST_BUNDLE_LOAD",
        &[(NX, 13, 1, 6)],
        32,
        true,
    ),
    row(
        R::OutputReg,
        "NXAST_OUTPUT_REG",
        &[(NX, 15, 1, 6)],
        24,
        false,
    ),
    row(
        R::OutputReg2,
        "NXAST_OUTPUT_REG2",
        &[(NX, 32, 1, 6)],
        24,
        false,
    ),
    row(R::Learn, "NXAST_LEARN", &[(NX, 16, 1, 6)], 32, true),
    row(R::Learn2, "NXAST_LEARN2", &[(NX, 45, 1, 6)], 40, true),
    row(R::Exit, "NXAST_EXIT", &[(NX, 17, 1, 6)], 16, false),
    row(
        R::FinTimeout,
        "NXAST_FIN_TIMEOUT",
        &[(NX, 19, 1, 6)],
        16,
        false,
    ),
    row(
        R::Controller,
        "NXAST_CONTROLLER",
        &[(NX, 20, 1, 6)],
        16,
        false,
    ),
    row(
        R::Controller2,
        "NXAST_CONTROLLER2",
        &[(NX, 37, 1, 6)],
        16,
        true,
    ),
    row(
        R::WriteMetadata,
        "NXAST_WRITE_METADATA",
        &[(NX, 22, 1, 6)],
        32,
        false,
    ),
    row(
        R::StackPush,
        "NXAST_STACK_PUSH",
        &[(NX, 27, 1, 6)],
        24,
        false,
    ),
    row(R::StackPop, "NXAST_STACK_POP", &[(NX, 28, 1, 6)], 24, false),
    row(R::Sample, "NXAST_SAMPLE", &[(NX, 29, 1, 6)], 24, false),
    row(R::Sample2, "NXAST_SAMPLE2", &[(NX, 38, 1, 6)], 32, false),
    row(R::Sample3, "NXAST_SAMPLE3", &[(NX, 41, 1, 6)], 32, false),
    row(R::Sample4, "NXAST_SAMPLE4", &[(NX, 51, 1, 6)], 40, false),
    row(
        R::Conjunction,
        "NXAST_CONJUNCTION",
        &[(NX, 34, 1, 6)],
        16,
        false,
    ),
    row(R::Ct, "NXAST_CT", &[(NX, 35, 1, 6)], 24, true),
    row(R::Nat, "NXAST_NAT", &[(NX, 36, 1, 6)], 16, true),
    row(
        R::OutputTrunc,
        "NXAST_OUTPUT_TRUNC",
        &[(NX, 39, 1, 6)],
        16,
        false,
    ),
    row(R::Clone, "NXAST_CLONE", &[(NX, 42, 1, 6)], 16, true),
    row(R::CtClear, "NXAST_CT_CLEAR", &[(NX, 43, 1, 6)], 16, false),
    row(R::Encap, "NXAST_ENCAP", &[(NX, 46, 4, 6)], 16, true),
    row(R::Decap, "NXAST_DECAP", &[(NX, 47, 4, 6)], 16, true),
    row(
        R::DecNshTtl,
        "NXAST_DEC_NSH_TTL",
        &[(NX, 48, 4, 6)],
        16,
        false,
    ),
    row(
        R::CheckPktLarger,
        "NXAST_CHECK_PKT_LARGER",
        &[(NX, 49, 1, 6)],
        24,
        true,
    ),
    row(
        R::DeleteField,
        "NXAST_DELETE_FIELD",
        &[(NX, 50, 1, 6)],
        24,
        false,
    ),
    row(
        R::DebugSlow,
        "NXAST_DEBUG_SLOW",
        &[(NX, 254, 1, 6)],
        16,
        false,
    ),
    row(
        R::DebugRecirc,
        "NXAST_DEBUG_RECIRC",
        &[(NX, 255, 1, 6)],
        16,
        false,
    ),
];

/// Finds the form with these numbers in a version.
pub(super) fn find(vendor: u32, number: u16, version: Version) -> Result<&'static Row> {
    let v = version.wire();
    let here = |p: &Place| p.0 == vendor && p.1 == number && p.2 <= v && v <= p.3;
    ROWS.iter()
        .find(|r| r.places.iter().any(here))
        .ok_or_else(|| {
            let error = if vendor != 0 {
                OfError::OFPBAC_BAD_VENDOR_TYPE
            } else {
                OfError::OFPBAC_BAD_TYPE
            };
            let text = format!(
                "unknown {version} action for vendor {} and type {number}",
                crate::text::alt_hex(u64::from(vendor))
            );
            DecodeError::noted(error, "ofp_actions", text)
        })
}

/// The vendor and number under which a form is sent in a version; `None` if it can't be.
pub(super) fn numbers(raw: RawAction, version: Version) -> Option<(u32, u16)> {
    let v = version.wire();
    let row = ROWS.iter().find(|r| r.raw == raw)?;
    let place = row.places.iter().find(|p| p.2 <= v && v <= p.3)?;
    Some((place.0, place.1))
}

impl Row {
    /// The least length in a version: a standard action that only Nicira has in 1.0 is 8 longer.
    pub fn min_len(&self, vendor: u32) -> u16 {
        if vendor == NX && self.len == 8 {
            16
        } else {
            self.len
        }
    }
}
