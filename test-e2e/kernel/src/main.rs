//! Bitcoin Core's validation as a program: blocks in hexadecimal on standard input, a line each, from the child of
//! regtest's first block on; a line of JSON for each that says what became of it.

mod complaints;

use bitcoinkernel::{
    Block, BlockValidationStateRef, ChainType, ChainstateManager, ContextBuilder, Logger,
    ProcessBlockResult, ValidationMode, prelude::*,
};
use complaints::Complaints;
use serde_json::{Value, json};
use std::{
    error::Error,
    io::{self, BufRead, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    match replay() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Feeds every block into a chain in a folder that is gone afterwards.
fn replay() -> Result<(), Box<dyn Error>> {
    let complaints = Complaints::default();
    let _logger = Logger::new(complaints.clone())?;
    let checks = complaints.clone();
    let context = ContextBuilder::new()
        .chain_type(ChainType::Regtest)
        .with_block_checked_validation(move |_block, state: BlockValidationStateRef<'_>| {
            if state.mode() != ValidationMode::Valid {
                checks.refuse(state.result());
            }
        })
        .build()?;
    let folder = tempfile::tempdir()?;
    let data = folder
        .path()
        .to_str()
        .ok_or("the temporary folder has no name in UTF-8")?;
    let chain = ChainstateManager::builder(&context, data, &format!("{data}/blocks"))?
        .block_tree_db_in_memory(true)
        .chainstate_db_in_memory(true)
        .build()?;
    chain.import_blocks()?;
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        writeln!(output, "{}", process(&chain, &complaints, line?.trim()))?;
    }
    Ok(())
}

fn process(chain: &ChainstateManager, complaints: &Complaints, line: &str) -> Value {
    let Some(block) = hex::decode(line)
        .ok()
        .and_then(|bytes| Block::new(&bytes).ok())
    else {
        return json!({ "outcome": "refused", "why": ["the line is no serialized block"] });
    };
    complaints.take();
    let processed = chain.process_block(&block);
    let said = complaints.take();
    let is_tip = chain.active_chain().tip().block_hash().to_owned() == block.hash();
    let outcome = match processed {
        ProcessBlockResult::Rejected => "refused",
        ProcessBlockResult::Duplicate => "known",
        ProcessBlockResult::NewBlock if is_tip => "connected",
        ProcessBlockResult::NewBlock if said.is_invalid => "refused",
        ProcessBlockResult::NewBlock => "aside",
    };
    json!({ "hash": block.hash().to_string(), "outcome": outcome, "why": if outcome == "refused" { said.lines } else { vec![] } })
}
