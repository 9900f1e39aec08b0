//! What the database shows of controllers.

use super::{Connection, Controllers};
use crate::status::Cell;
use clock::Time;
use openflow::Role;
use ovsdb::Uuid;
use ovsdb::types::Datum;

fn cell(row: Uuid, column: &'static str, value: Datum) -> Cell {
    Cell {
        table: "Controller",
        row,
        column,
        value,
    }
}

impl Controllers {
    /// Controllers' rows, with the connection if we call the controller.
    fn rows(&self) -> impl Iterator<Item = (Uuid, Option<&Connection>)> {
        self.entries.iter().filter_map(|((bridge, target), entry)| {
            let mut calls = self.connections.values().filter(|c| c.is_active());
            let c = calls.find(|c| c.bridge == *bridge && c.target == *target);
            Some((entry.config.uuid?, c))
        })
    }

    /// Who is connected, and who is in charge.
    pub fn status(&self) -> Vec<Cell> {
        let mut out = Vec::new();
        for (row, c) in self.rows() {
            let connected = c.is_some_and(|c| c.version().is_some());
            let role = c.filter(|_| connected).map(|c| match c.session.role {
                Role::Primary => "master",
                Role::Secondary => "slave",
                _ => "other",
            });
            out.push(cell(row, "is_connected", Datum::set([connected])));
            out.push(cell(row, "role", Datum::set(role)));
        }
        out
    }

    /// How the connections do; it changes all the time.
    pub fn statistics(&self) -> Vec<Cell> {
        let now = self.clock.now() - Time::ZERO;
        let mut out = Vec::new();
        for (row, c) in self.rows() {
            let mut pairs: Vec<(&str, String)> = Vec::new();
            if let Some(machine) = c.map(Connection::machine) {
                let ago = |at: std::time::Duration| now.saturating_sub(at).as_secs().to_string();
                if let Some(error) = machine.last_error() {
                    pairs.push(("last_error", error.to_owned()));
                }
                pairs.push(("state", machine.state().name().to_owned()));
                if let Some(at) = machine.last_connected() {
                    pairs.push(("sec_since_connect", ago(at)));
                }
                if let Some(at) = machine.last_disconnected() {
                    pairs.push(("sec_since_disconnect", ago(at)));
                }
            }
            let pairs = pairs.iter().map(|(k, v)| (*k, v.as_str()));
            out.push(cell(row, "status", Datum::map(pairs)));
        }
        out
    }
}
