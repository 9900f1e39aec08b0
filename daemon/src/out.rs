//! Standard output that may fail: nobody reads it any more, or there is no room for it.
//!
//! A program whose reader has gone away has nothing left to do and ends quietly. One that cannot
//! write what it was asked for says so and fails.

use crate::{log, options, process};
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// A line on standard output.
#[macro_export]
macro_rules! say {
    () => { $crate::out::put(::std::format_args!("\n")) };
    ($($text:tt)+) => {
        $crate::out::put(::std::format_args!("{}\n", ::std::format_args!($($text)+)))
    };
}

/// Text on standard output, without a line break.
#[macro_export]
macro_rules! put {
    ($($text:tt)+) => { $crate::out::put(::std::format_args!($($text)+)) };
}

/// Writes to standard output, or ends the program.
pub fn put(text: Arguments<'_>) {
    end_if_failed(io::stdout().lock().write_fmt(text));
}

/// Sees to it that all that was written has left, or ends the program.
pub fn flush() {
    end_if_failed(io::stdout().lock().flush());
}

fn end_if_failed(result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::BrokenPipe => process::exit(0),
        Err(e) => {
            eprintln!(
                "{}: write failed ({})",
                options::program_name(),
                log::reason(&e)
            );
            process::exit(1)
        }
    }
}
