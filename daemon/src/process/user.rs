//! `--user=USER[:GROUP]`: another user than root, with the few capabilities a switch needs.

use super::Error;
use rustix::process::{Gid, Uid, getegid, geteuid, getuid};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Who to become.
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

/// Becomes `spec`, keeping what is needed to lock memory and bind low ports and, with
/// `datapath`, to administer the network.
pub(super) fn become_user(spec: &str, datapath: bool) -> Result<(), Error> {
    if !geteuid().is_root() || !getuid().is_root() {
        return Err(Error("only root can use --user option".into()));
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let group = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let account = look_up(spec, &passwd, &group)?;
    let failed = |what: &str, e: rustix::io::Errno| {
        Error(format!(
            "fail to switch {what}: {}, aborting",
            crate::log::reason(&e.into())
        ))
    };
    let user = format!("user to {}", account.name);
    let groups: Vec<Gid> = account.groups.iter().map(|&g| Gid::from_raw(g)).collect();
    rustix::thread::set_thread_groups(&groups).map_err(|e| failed("supplementary groups", e))?;
    let gid = Gid::from_raw(account.gid);
    rustix::thread::set_thread_gid(gid).map_err(|e| failed("group", e))?;
    rustix::thread::set_keep_capabilities(true).map_err(|e| failed(&user, e))?;
    let uid = Uid::from_raw(account.uid);
    rustix::thread::set_thread_uid(uid).map_err(|e| failed(&user, e))?;
    if geteuid() != uid || getuid() != uid || getegid() != gid {
        return Err(Error(format!("fail to switch {user}, aborting")));
    }
    let mut kept = CapabilitySet::IPC_LOCK | CapabilitySet::NET_BIND_SERVICE;
    if datapath {
        kept |= CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW | CapabilitySet::NET_BROADCAST;
    }
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).map_err(|e| failed("capabilities", e))
}

/// Finds `USER`, `USER:GROUP` or `:GROUP` in the texts of `/etc/passwd` and `/etc/group`.
fn look_up(spec: &str, passwd: &str, group: &str) -> Result<Account, Error> {
    let (user, wanted_group) = spec.split_once(':').unwrap_or((spec, ""));
    let (user, wanted_group) = (user.trim_start(), wanted_group.trim_start());
    let user = if user.is_empty() { "root" } else { user };
    let (uid, own_gid) = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find_map(|f| match f.as_slice() {
            [name, _, uid, gid, ..] if *name == user => {
                Some((uid.parse().ok()?, gid.parse().ok()?))
            }
            _ => None,
        })
        .ok_or_else(|| Error(format!("user {user} not found, aborting.")))?;
    let mut gid: u32 = own_gid;
    let mut groups = vec![own_gid];
    let mut found = wanted_group.is_empty();
    for line in group.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, number, members] = fields.as_slice() else {
            continue;
        };
        let Ok(number) = number.parse::<u32>() else {
            continue;
        };
        let member = members.split(',').any(|m| m == user);
        if member && !groups.contains(&number) {
            groups.push(number);
        }
        if *name == wanted_group {
            found = true;
            if number != own_gid && !member {
                return Err(Error(format!(
                    "Invalid --user option {spec} (user {user} is not in group {wanted_group}), \
                     aborting."
                )));
            }
            gid = number;
        }
    }
    if !found {
        return Err(Error(format!("group {wanted_group} not found, aborting.")));
    }
    Ok(Account {
        name: user.to_string(),
        uid,
        gid,
        groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups() {
        let passwd = "root:x:0:0::/:/bin/sh\novs:x:101:102::/:/bin/false\n";
        let group = "root:x:0:\novs:x:102:\nhugetlbfs:x:103:x,ovs\nother:x:104:\n";
        let found = |spec| look_up(spec, passwd, group).map(|a| (a.uid, a.gid, a.groups));
        assert_eq!(found("ovs").ok(), Some((101, 102, vec![102, 103])));
        assert_eq!(
            found("ovs:hugetlbfs").ok(),
            Some((101, 103, vec![102, 103]))
        );
        for (spec, error) in [
            ("nobody", "user nobody not found, aborting."),
            ("ovs:none", "group none not found, aborting."),
            (
                "ovs:other",
                "Invalid --user option ovs:other (user ovs is not in group other), aborting.",
            ),
        ] {
            assert_eq!(found(spec).expect_err(spec).to_string(), error);
        }
    }
}
