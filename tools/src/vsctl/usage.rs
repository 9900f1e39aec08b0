//! The text of `--help`.

use super::tables::ROW_IDS;
use crate::ctl::commands;
use daemon::{dirs, options};
use ovsdb::Schema;

/// The whole text for a program called `name`.
pub(super) fn usage(name: &str) -> String {
    let db = format!("unix:{}", dirs::rundir().join("db.sock").display());
    let mut text = format!(
        "\
{name}: ovs-vswitchd management utility
usage: {name} [OPTIONS] COMMAND [ARG...]

Open vSwitch commands:
  init                        initialize database, if not yet initialized
  show                        print overview of database contents
  emer-reset                  reset configuration to clean state

Bridge commands:
  add-br BRIDGE               create a new bridge named BRIDGE
  add-br BRIDGE PARENT VLAN   create new fake BRIDGE in PARENT on VLAN
  del-br BRIDGE               delete BRIDGE and all of its ports
  list-br                     print the names of all the bridges
  br-exists BRIDGE            exit 2 if BRIDGE does not exist
  br-to-vlan BRIDGE           print the VLAN which BRIDGE is on
  br-to-parent BRIDGE         print the parent of BRIDGE
  br-set-external-id BRIDGE KEY VALUE  set KEY on BRIDGE to VALUE
  br-set-external-id BRIDGE KEY  unset KEY on BRIDGE
  br-get-external-id BRIDGE KEY  print value of KEY on BRIDGE
  br-get-external-id BRIDGE  list key-value pairs on BRIDGE

Port commands (a bond is considered to be a single port):
  list-ports BRIDGE           print the names of all the ports on BRIDGE
  add-port BRIDGE PORT        add network device PORT to BRIDGE
  add-bond BRIDGE PORT IFACE...  add bonded port PORT in BRIDGE from IFACES
  add-bond-iface BOND IFACE   add IFACE to the bonded port BOND
  del-bond-iface [BOND] IFACE delete IFACE from a bonded port
  del-port [BRIDGE] PORT      delete PORT (which may be bonded) from BRIDGE
  port-to-br PORT             print name of bridge that contains PORT

Interface commands (a bond consists of multiple interfaces):
  list-ifaces BRIDGE          print the names of all interfaces on BRIDGE
  iface-to-br IFACE           print name of bridge that contains IFACE

Controller commands:
  get-controller BRIDGE      print the controllers for BRIDGE
  del-controller BRIDGE      delete the controllers for BRIDGE
  [--inactivity-probe=MSECS]
  set-controller BRIDGE TARGET...  set the controllers for BRIDGE
  get-fail-mode BRIDGE       print the fail-mode for BRIDGE
  del-fail-mode BRIDGE       delete the fail-mode for BRIDGE
  set-fail-mode BRIDGE MODE  set the fail-mode for BRIDGE to MODE

Manager commands:
  get-manager                print the managers
  del-manager                delete the managers
  [--inactivity-probe=MSECS]
  set-manager TARGET...      set the list of managers to TARGET...

SSL/TLS commands:
  get-ssl                     print the SSL/TLS configuration
  del-ssl                     delete the SSL/TLS configuration
  set-ssl PRIV-KEY CERT CA-CERT  set the SSL/TLS configuration

Auto Attach commands:
  add-aa-mapping BRIDGE I-SID VLAN   add Auto Attach mapping to BRIDGE
  del-aa-mapping BRIDGE I-SID VLAN   delete Auto Attach mapping VLAN from BRIDGE
  get-aa-mapping BRIDGE              get Auto Attach mappings from BRIDGE

Switch commands:
  emer-reset                  reset switch to known good state

Connection Tracking commands:
  add-zone-tp DATAPATH zone=ID [KEY=VALUE]...
                              set the timeouts of a zone
  del-zone-tp DATAPATH [zone=ID]
                              delete the timeouts of a zone, or of all
  list-zone-tp DATAPATH       list the timeouts of zones
  list-dp-cap DATAPATH        list what DATAPATH can do
  set-zone-limit DATAPATH ZONE|default LIMIT
                              set CT LIMIT for ZONE|default on DATAPATH
  del-zone-limit DATAPATH ZONE|default
                              delete CT limit for ZONE|default on DATAPATH
  list-zone-limits DATAPATH   list all limits configured on DATAPATH

"
    );
    text.push_str(commands::USAGE);
    text.push_str(&row_names());
    text.push_str(&format!(
        "
Options:
  --db=DATABASE               connect to DATABASE
                              (default: {db})
  --no-wait                   do not wait for ovs-vswitchd to reconfigure
  --retry                     keep trying to connect to server forever
  -t, --timeout=SECS          wait at most SECS seconds for ovs-vswitchd
  --dry-run                   do not commit changes to database
  --oneline                   print exactly one line of output per command
  --leader-only, --no-leader-only, --shuffle-remotes, --no-shuffle-remotes
                              accepted and without effect
"
    ));
    text.push_str(OUTPUT);
    text.push_str(&options::log_usage(name));
    text.push_str(REST);
    text
}

const OUTPUT: &str = "
Output formatting options:
  -f, --format=FORMAT         set output formatting to FORMAT
                              (\"table\", \"html\", \"csv\", or \"json\")
  -d, --data=FORMAT           set table cell output formatting to
                              FORMAT (\"string\", \"bare\", or \"json\")
  --no-headings               omit table heading row
  --pretty                    pretty-print JSON in output
  --bare                      equivalent to \"--format=list --data=bare --no-headings\"
  --max-column-width=N        cut table cells after N characters
";

const REST: &str = "  --no-syslog             equivalent to --verbose=vsctl:syslog:warn

Active database connection methods:
  tcp:HOST:PORT           PORT at remote HOST
  unix:FILE               Unix domain socket named FILE
Passive database connection methods:
  ptcp:PORT[:IP]          listen to TCP PORT on IP
  punix:FILE              listen on Unix domain socket FILE

Other options:
  --commands                  list commands for completion by a shell
  --options                   list options
  -h, --help                  display this help message
  -V, --version               display version information
";

/// The ways to name a row, table by table.
fn row_names() -> String {
    let mut text =
        "Database commands may reference a row in each table in the following ways:\n".to_string();
    let schema = Schema::from_text(ovsdb::schema::OPEN_VSWITCH);
    for table in schema.iter().flat_map(|schema| &schema.tables) {
        let mut ways = vec!["by UUID".to_string()];
        if table.max_rows == 1 {
            ways.push("as \".\"".into());
        }
        for id in ROW_IDS.iter().filter(|id| id.table == table.name) {
            let name = id.name_column;
            ways.push(match id.uuid_column {
                Some(column) => {
                    format!(
                        "via \"{column}\" of {} with matching \"{name}\"",
                        id.name_table
                    )
                }
                None => format!("by \"{name}\""),
            });
        }
        text.push_str(&format!("  {}:\n    {}\n", table.name, ways.join("\n    ")));
    }
    text
}
