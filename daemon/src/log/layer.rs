//! The way in from `tracing`: events become lines of the module that their target names.

use super::level::Level;
use std::fmt::{Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

struct Lines;

pub(super) fn install() {
    // A second subscriber is refused, which is what a second call should do.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(Lines.boxed()));
}

fn wanted(metadata: &Metadata<'_>) -> bool {
    let Some(log) = super::current() else {
        return false;
    };
    // Libraries' modules are named by paths; they are not a program's own and stay quiet below
    // a warning.
    let level = Level::from(*metadata.level());
    if metadata.target().contains("::") && level > Level::Warn {
        return false;
    }
    metadata.is_event() && log.enabled(&log.module(metadata.target()), level)
}

impl<S: Subscriber> Layer<S> for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The answer is kept by `tracing` until levels change, so a statement that is not shown
        // costs one load.
        if wanted(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        wanted(metadata)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(log) = super::current() else { return };
        let mut text = Text::default();
        event.record(&mut text);
        let module = log.module(event.metadata().target());
        log.write(&module, Level::from(*event.metadata().level()), &text.0);
    }
}

/// The message, and any further fields behind it as `name=value`.
#[derive(Default)]
struct Text(String);

impl Text {
    fn add(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let rest = std::mem::take(&mut self.0);
            let _ = write!(self.0, "{value:?}{rest}");
        } else {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, &format_args!("{value}"));
    }
}
