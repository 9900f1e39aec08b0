//! Lists of names, told briefly: what begins alike up to an underscore is told once, as in
//! `eth_{src,dst}`, and names that are numbered one after another by their first and last, as in
//! `reg0...reg31`.

/// The names in their order, separated by spaces.
pub(super) fn list(names: &[&str]) -> String {
    let mut out = String::new();
    write(names, 0, &mut out);
    out
}

/// Writes names without their first `skip` bytes, which are those of the group that they stand in.
fn write(mut names: &[&str], skip: usize, out: &mut String) {
    let mut first = true;
    while let [head, ..] = names {
        if !std::mem::replace(&mut first, false) {
            out.push(if skip > 0 { ',' } else { ' ' });
        }
        let (alike, prefix) = alike(names, skip);
        let numbered = numbered(names);
        let run = alike.max(numbered);
        let (these, rest) = names.split_at(run);
        if numbered >= alike {
            out.push_str(&head[skip..]);
            if let [_, .., last] = these {
                out.push_str("...");
                out.push_str(&last[skip..]);
            }
        } else {
            out.push_str(&head[skip..prefix]);
            out.push('{');
            write(these, prefix, out);
            out.push('}');
        }
        names = rest;
    }
}

/// How many names at the beginning share more than `skip` bytes, up to an underscore; and how
/// many bytes.
fn alike(names: &[&str], skip: usize) -> (usize, usize) {
    let [head, rest @ ..] = names else {
        return (0, skip);
    };
    let shared = |name: &str| {
        let same = head.bytes().zip(name.bytes());
        let same = same.take_while(|(a, b)| a == b).count();
        head[..same].rfind('_').map_or(0, |at| at + 1)
    };
    let lengths = rest.iter().map(|name| shared(name));
    let lengths = lengths.take_while(|len| *len > skip);
    let (count, least) = lengths.fold((1, usize::MAX), |(n, least), len| (n + 1, least.min(len)));
    (count, least)
}

/// How many names at the beginning differ only in their numbers, which go up one by one.
fn numbered(names: &[&str]) -> usize {
    let split = |name: &str| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let number: u32 = name[stem..].parse().ok()?;
        Some((stem, number))
    };
    let Some((head, (stem, first))) = names.first().and_then(|n| Some((n, split(n)?))) else {
        return 1.min(names.len());
    };
    let follows = |(name, number): (&&str, u32)| {
        split(name) == Some((stem, number)) && name[..stem] == head[..stem]
    };
    names
        .iter()
        .zip(first..)
        .take_while(|pair| follows(*pair))
        .count()
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn what_is_alike_is_told_once() {
        for (names, told) in [
            ("", ""),
            ("metadata", "metadata"),
            ("eth_src eth_dst eth_type", "eth_{src,dst,type}"),
            ("reg0 reg1 reg2 xreg0", "reg0...reg2 xreg0"),
            ("reg1 reg3", "reg1 reg3"),
            (
                "tun_id tun_ipv6_src tun_ipv6_dst tun_flags in_port",
                "tun_{id,ipv6_{src,dst},flags} in_port",
            ),
            (
                "nsh_si nsh_c1 nsh_c2 nsh_c3 nsh_ttl",
                "nsh_{si,c1...c3,ttl}",
            ),
            ("in_port in_port_oxm", "in_{port,port_oxm}"),
            (
                "ct_label ct_nw_src ct_nw_dst reg0",
                "ct_{label,nw_{src,dst}} reg0",
            ),
        ] {
            let names: Vec<&str> = names.split_whitespace().collect();
            assert_eq!(list(&names), told);
        }
    }
}
