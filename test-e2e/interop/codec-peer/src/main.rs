//! The reference implementation's codec as a program: lines in, lines of JSON out. Reads no faster than its output is
//! taken.

mod frames;
mod messages;
mod neutral;
mod random;
mod sv1;

use serde_json::{Value, json};
use std::{
    env,
    io::{self, BufRead, BufWriter, Write},
    panic,
    process::ExitCode,
};

const USAGE: &str = "codec-peer messages                            every message the crates know
codec-peer generate SEED FROM COUNT [small]    random messages and their frames
codec-peer decode                              frames in hex on stdin
codec-peer sv1-read                            Stratum V1 lines on stdin
codec-peer sv1-write                           descriptions of Stratum V1 requests on stdin";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["messages"] => print(
            messages::all()
                .into_iter()
                .map(|(set, name)| json!([set, name])),
        ),
        ["generate", seed, from, count] => generate([seed, from, count], false),
        ["generate", seed, from, count, "small"] => generate([seed, from, count], true),
        ["decode"] => answer(frames::decode),
        ["sv1-read"] => answer(sv1::read),
        ["sv1-write"] => answer(sv1::write),
        _ => Err(io::Error::other(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(numbers: [&str; 3], small: bool) -> io::Result<()> {
    let [seed, from, count] = numbers.map(str::parse::<u64>);
    let (Ok(seed), Ok(from), Ok(count)) = (seed, from, count) else {
        return Err(io::Error::other(USAGE));
    };
    print((from..from + count).map(|index| frames::generate(seed, index, small).into()))
}

fn print(values: impl Iterator<Item = Value>) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for value in values {
        writeln!(output, "{value}")?;
    }
    output.flush()
}

/// One answer a line, also when the crates panic over it.
fn answer(respond: fn(&str) -> Value) -> io::Result<()> {
    panic::set_hook(Box::new(|_| {}));
    let lines = io::stdin().lock().lines();
    let mut output = BufWriter::new(io::stdout().lock());
    for line in lines {
        let line = line?;
        let answer = panic::catch_unwind(|| respond(&line)).unwrap_or_else(|fault| {
            let literal = fault.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = fault.downcast_ref::<String>().cloned().or(literal);
            json!({ "panic": text })
        });
        writeln!(output, "{answer}")?;
    }
    output.flush()
}
