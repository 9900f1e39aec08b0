//! The walk, for people: a tree of what was looked at and done (`ofproto/trace`).

/// What a node is; people see it in the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceKind {
    /// A bridge.
    Bridge,
    /// A table and the rule found.
    Table,
    /// An action.
    Action,
    /// A remark.
    Detail,
    /// A remark on what is not as it should be.
    Warning,
    /// What is wrong.
    Error,
}

/// A tree of remarks, written down in order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Whether anyone wants it.
    pub enabled: bool,
    /// Depth, kind and text.
    pub nodes: Vec<(usize, TraceKind, String)>,
    depth: usize,
}

impl Trace {
    /// A trace that is kept if `enabled`.
    pub fn new(enabled: bool) -> Trace {
        Trace {
            enabled,
            ..Trace::default()
        }
    }

    /// Adds a node.
    pub fn add(&mut self, kind: TraceKind, text: impl FnOnce() -> String) {
        if self.enabled {
            self.nodes.push((self.depth, kind, text()));
        }
    }

    /// Nodes from here on lie under the last one.
    pub fn enter(&mut self) {
        self.depth += 1;
    }

    /// Ends what [`Trace::enter`] began.
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// The layout of `ofproto/trace`: a node stands further in than the one above it only if
    /// something of the same rank follows, so that a chain of tables stays readable.
    pub fn render(&self) -> String {
        let mut out = String::new();
        render(&self.nodes, 0, &mut out);
        out
    }
}

/// Renders nodes of one rank (that of the first) with all that lies under them.
fn render(nodes: &[(usize, TraceKind, String)], level: usize, out: &mut String) {
    let mut rest = nodes;
    while let Some(((depth, kind, text), after)) = rest.split_first() {
        let under = after.iter().take_while(|(d, ..)| d > depth).count();
        let (children, next) = after.split_at(under);
        let terminal = matches!(
            kind,
            TraceKind::Action | TraceKind::Detail | TraceKind::Warning | TraceKind::Error
        );
        let more = usize::from(terminal || !next.is_empty());
        let indent = " ".repeat((level + more) * 4);
        match kind {
            TraceKind::Bridge => {
                let line = "-".repeat(text.len());
                *out += &format!("\n{indent}{text}\n{indent}{line}\n");
            }
            TraceKind::Table | TraceKind::Action => *out += &format!("{indent}{text}\n"),
            TraceKind::Detail => *out += &format!("{indent} -> {text}\n"),
            TraceKind::Warning => *out += &format!("{indent} >> {text}\n"),
            TraceKind::Error => *out += &format!("{indent} >>>> {text} <<<<\n"),
        }
        render(children, level + 2 * more, out);
        rest = next;
    }
}
