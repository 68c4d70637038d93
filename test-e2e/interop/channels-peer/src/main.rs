//! The reference implementation's channels as a program: settings on the first line of stdin, a command on every other,
//! and an answer for each.

mod channel;
mod command;
mod pool;

use command::{Command, Settings};
use pool::Pool;
use serde_json::{Value, json};
use std::{
    io::{self, BufRead, BufWriter, Write},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let mut lines = io::stdin().lock().lines();
    let mut output = BufWriter::new(io::stdout().lock());
    let Some(first) = lines.next() else {
        return Ok(());
    };
    let settings: Settings = serde_json::from_str(&first?)?;
    let mut pool = Pool::new(settings).map_err(io::Error::other)?;
    panic::set_hook(Box::new(|_| {}));
    for line in lines {
        let command: Command = serde_json::from_str(&line?)?;
        writeln!(output, "{}", answer(&mut pool, command))?;
    }
    output.flush()
}

/// One answer a command, also when the crates panic over it.
fn answer(pool: &mut Pool, command: Command) -> Value {
    let answered = panic::catch_unwind(AssertUnwindSafe(|| pool.answer(command)));
    match answered {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => json!({ "error": error }),
        Err(_) => json!({ "panic": true }),
    }
}
