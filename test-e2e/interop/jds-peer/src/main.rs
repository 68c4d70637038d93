//! The reference implementation's pool with its job-declarator server inside, as a program: `pool_sv2` for
//! `[template_provider_type.Sv2Tp]` with `[jds]`, a pair that `pool_sv2` itself refuses to start with, as its server wants
//! Bitcoin Core. All of the protocol is theirs; what Bitcoin Core would be asked is judged here. Takes the config file of
//! `pool_sv2`, orders as lines of JSON on stdin, and prints what the judge saw as lines of JSON.

mod declared;
mod judge;
mod order;
mod pool;
mod tip;

use judge::Judge;
use serde_json::{Value, json};
use std::{env, process::ExitCode, sync::Arc};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

/// What went wrong, in the words of the crates.
pub type Failure = String;

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [flag, path] = arguments.as_slice() else {
        return Err("jds-peer -c FILE".into());
    };
    if flag != "-c" {
        return Err("jds-peer -c FILE".into());
    }
    let judge = Arc::new(Judge::new());
    let _pool = pool::start(path, Arc::clone(&judge)).await?;
    say(json!({ "ready": true }));
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await.map_err(said)? {
        judge.obey(serde_json::from_str(&line).map_err(said)?);
    }
    Ok(())
}

/// Prints a line.
pub fn say(line: Value) {
    println!("{line}");
}

/// An error as text.
pub fn said<E: std::fmt::Debug>(error: E) -> Failure {
    format!("{error:?}")
}
