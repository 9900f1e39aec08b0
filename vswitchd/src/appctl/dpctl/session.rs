//! What a command works with: options, lines, datapaths.

use crate::backer::Backer;
use crate::bare::BareDatapath;
use crate::switch::Switch;
use hal::{Datapath, DatapathError, Ufid};
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// The options before a command's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Params {
    /// Show everything: masks of zero, identifiers, where a flow lives.
    pub(super) more: bool,
    /// Ports by name.
    pub(super) names: bool,
    /// Statistics as well.
    pub(super) statistics: bool,
    /// A changed flow counts from zero.
    pub(super) clear: bool,
    /// A flow to be changed may be new.
    pub(super) may_create: bool,
}

impl Params {
    /// Reads options up to the first word.
    pub(super) fn read(args: &[String]) -> Result<(Params, Vec<&str>), String> {
        let mut params = Params::default();
        let mut names = None;
        let mut rest = args.iter().map(String::as_str);
        let mut words = Vec::new();
        for arg in rest.by_ref() {
            match arg {
                "--statistics" => params.statistics = true,
                "--clear" => params.clear = true,
                "--may-create" => params.may_create = true,
                "--more" => params.more = true,
                "--names" => names = Some(true),
                "--no-names" => names = Some(false),
                long if long.starts_with("--") => {
                    return Err(format!("Unrecognized option {long}"));
                }
                short if short.len() > 1 && short.starts_with('-') => {
                    for letter in short.chars().skip(1) {
                        match letter {
                            'm' => params.more = true,
                            's' => params.statistics = true,
                            other => return Err(format!("Unrecognized option -{other}")),
                        }
                    }
                }
                word => {
                    words.push(word);
                    break;
                }
            }
        }
        words.extend(rest);
        params.names = names.unwrap_or(params.more);
        Ok((params, words))
    }
}

/// Why something could not be done, in the operating system's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    NoEntry,
    Exists,
    Busy,
    NoDevice,
    Invalid,
    UnknownType,
    Unsupported,
}

impl Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::NoEntry => "No such file or directory",
            Why::Exists => "File exists",
            Why::Busy => "Device or resource busy",
            Why::NoDevice => "No such device",
            Why::Invalid => "Invalid argument",
            Why::UnknownType => "Address family not supported by protocol",
            Why::Unsupported => "Operation not supported",
        })
    }
}

impl From<&DatapathError> for Why {
    fn from(error: &DatapathError) -> Why {
        match error {
            DatapathError::Port(_) | DatapathError::Overlap(_) => Why::Invalid,
            DatapathError::PortExists(_) => Why::Exists,
            DatapathError::NoPort(_) | DatapathError::NoFlow(_) => Why::NoEntry,
        }
    }
}

/// The command failed; why stands in the session's lines.
#[derive(Debug)]
pub(super) struct Failed;

/// Names a datapath: its type and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DpName {
    pub(super) kind: String,
    pub(super) name: String,
}

impl DpName {
    /// `TYPE@NAME`; without a type it is the kernel's.
    pub(super) fn read(text: &str) -> DpName {
        let (kind, name) = text.split_once('@').unwrap_or(("system", text));
        DpName {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The datapath on which a type's bridges are.
    pub(super) fn of_bridges(kind: &str) -> DpName {
        DpName {
            kind: kind.to_owned(),
            name: format!("ovs-{kind}"),
        }
    }
}

impl Display for DpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind, self.name)
    }
}

/// An open datapath.
pub(super) enum Dp<'s> {
    /// Bridges are on it.
    Bridged(&'s mut Backer),
    /// It was made by hand.
    Bare(&'s mut BareDatapath),
}

impl Dp<'_> {
    pub(super) fn fabric(&self) -> &dyn Datapath {
        match self {
            Dp::Bridged(backer) => &*backer.datapath,
            Dp::Bare(bare) => &*bare.datapath,
        }
    }

    pub(super) fn fabric_mut(&mut self) -> &mut dyn Datapath {
        match self {
            Dp::Bridged(backer) => &mut *backer.datapath,
            Dp::Bare(bare) => &mut *bare.datapath,
        }
    }

    /// Where a flow lives; without bridges always in software.
    pub(super) fn placement(&self, ufid: Ufid) -> Option<offload::Placement> {
        match self {
            Dp::Bridged(backer) => Some(backer.offload.placement(ufid)),
            Dp::Bare(_) => None,
        }
    }

    /// Lets statistics be current.
    pub(super) fn refresh(&mut self) {
        if let Dp::Bridged(backer) = self {
            backer.push_all();
        }
    }

    /// Port numbers by name.
    pub(super) fn ports_by_name(&self) -> BTreeMap<String, u32> {
        let ports = self.fabric().ports().into_iter();
        ports.map(|p| (p.name, p.number.0)).collect()
    }

    /// Port names by number.
    pub(super) fn ports_by_number(&self) -> BTreeMap<u32, String> {
        let ports = self.fabric().ports().into_iter();
        ports.map(|p| (p.number.0, p.name)).collect()
    }
}

/// A command at work.
pub(super) struct Session<'s> {
    pub(super) switch: &'s mut Switch,
    pub(super) params: Params,
    pub(super) lines: String,
}

impl<'s> Session<'s> {
    pub(super) fn new(switch: &'s mut Switch, params: Params) -> Session<'s> {
        Session {
            switch,
            params,
            lines: String::new(),
        }
    }

    pub(super) fn line(&mut self, text: impl Display) {
        self.lines += &format!("{text}\n");
    }

    /// Writes an error; whether it ends the command is the caller's to say.
    pub(super) fn error(&mut self, text: impl Display, why: impl Display) -> Failed {
        self.line(format_args!("ovs-vswitchd: {text} ({why})"));
        Failed
    }

    /// Writes an error that says all by itself.
    pub(super) fn complain(&mut self, text: impl Display) -> Failed {
        self.line(format_args!("ovs-vswitchd: {text}"));
        Failed
    }

    /// All datapaths.
    pub(super) fn names(&self) -> Vec<DpName> {
        let bridged = self.switch.backers.keys().map(|k| DpName::of_bridges(k));
        let bare = self.switch.bare.keys().map(|(kind, name)| DpName {
            kind: kind.clone(),
            name: name.clone(),
        });
        let mut all: Vec<_> = bridged.chain(bare).collect();
        all.sort_unstable();
        all
    }

    /// Whether `text` names a datapath that is there.
    pub(super) fn is_datapath(&self, text: &str) -> bool {
        self.names().contains(&DpName::read(text))
    }

    pub(super) fn dp(&mut self, name: &DpName) -> Result<Dp<'_>, Why> {
        if !self.names().contains(name) {
            let types = self.switch.provider().datapath_types();
            let known = types.contains(&name.kind) || name.kind == "system";
            return Err(if known {
                Why::NoDevice
            } else {
                Why::UnknownType
            });
        }
        if !self.is_bare(name) {
            let backer = self.switch.backers.get_mut(&name.kind);
            return backer.map(Dp::Bridged).ok_or(Why::NoDevice);
        }
        let key = (name.kind.clone(), name.name.clone());
        let bare = self.switch.bare.get_mut(&key);
        bare.map(Dp::Bare).ok_or(Why::NoDevice)
    }

    /// The datapath that a command's first word names, or the only one, with the words that
    /// are left. `others` is how many words the command has besides.
    pub(super) fn choose<'w, 'a>(
        &mut self,
        words: &'w [&'a str],
        others: usize,
    ) -> Result<(DpName, &'w [&'a str]), Failed> {
        if let Some((first, rest)) = words.split_first()
            && self.is_datapath(first)
        {
            return Ok((DpName::read(first), rest));
        }
        let only = if words.len() > others {
            // The word that is too many names no datapath.
            None
        } else {
            let mut names = self.names();
            match names.len() {
                1 => names.pop(),
                0 => {
                    self.complain("no datapaths exist");
                    None
                }
                _ => {
                    self.complain("multiple datapaths, specify one");
                    None
                }
            }
        };
        match only {
            Some(name) => Ok((name, words)),
            None => Err(self.error("datapath not found", Why::Invalid)),
        }
    }

    /// Whether no bridge is on a datapath.
    pub(super) fn is_bare(&self, name: &DpName) -> bool {
        *name != DpName::of_bridges(&name.kind)
    }

    /// Opens a datapath that must be there.
    pub(super) fn open(&mut self, name: &DpName) -> Result<Dp<'_>, Failed> {
        // Asked twice, since an error is written where the datapath would be borrowed.
        if let Err(why) = self.dp(name).map(|_| ()) {
            return Err(self.error("opening datapath", why));
        }
        self.dp(name).map_err(|_| Failed)
    }
}
