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

    /// The layout of `ofproto/trace`: bridges underlined, tables by number, actions indented.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut tables = 0usize;
        for (depth, kind, text) in &self.nodes {
            // Each table below another is one step further in.
            tables = tables.max(*depth);
            let indent = " ".repeat(depth * 4);
            match kind {
                TraceKind::Bridge => {
                    if !out.is_empty() {
                        out.push('\n');
                    }
                    let line = "-".repeat(text.len());
                    out += &format!("{indent}{text}\n{indent}{line}\n");
                }
                TraceKind::Table => out += &format!("{indent}{text}\n"),
                TraceKind::Action => out += &format!("{indent}{text}\n"),
                TraceKind::Detail => out += &format!("{indent} -> {text}\n"),
            }
        }
        out
    }
}
