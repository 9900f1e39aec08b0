//! What happens, line by line on standard error.

use std::fmt::{Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

struct Lines {
    most: Level,
}

/// Shows warnings and errors from now on; if `verbose`, all there is.
pub fn start(verbose: bool) {
    let most = if verbose { Level::DEBUG } else { Level::WARN };
    // A second subscriber is refused, and there is only this one.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(Lines { most }));
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.most
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        eprintln!("nic-sim: {}", text.0);
    }
}

/// The message, and any further fields behind it as `name=value`.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}
