//! Takes the place of Bitcoin Core behind `jd_server_sv2`: knows transactions once it was given them, checks what is declared,
//! and tells of it.

use crate::{
    declared::{Declared, Refusal},
    order::Order,
    say,
    tip::TipWatch,
};
use async_trait::async_trait;
use jd_server_sv2::job_declarator::job_validation::{
    DeclareMiningJobResult, JobValidationEngine, SetCustomMiningJobResult,
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};
use stratum_apps::{
    stratum_core::{
        bitcoin::{Transaction, Wtxid, consensus::deserialize, hashes::Hash, hex::DisplayHex},
        job_declaration_sv2::{
            DeclareMiningJobOwned, ERROR_CODE_DECLARE_MINING_JOB_INTERNAL_ERROR,
            ERROR_CODE_DECLARE_MINING_JOB_INVALID_JOB,
            ERROR_CODE_DECLARE_MINING_JOB_INVALID_MINING_JOB_TOKEN,
            ProvideMissingTransactionsSuccessOwned, PushSolutionOwned,
        },
        mining_sv2::{
            ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_COINBASE_TX_OUTPUTS,
            ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_MINING_JOB_TOKEN, SetCustomMiningJobOwned,
        },
        parsers_sv2::TemplateDistributionOwned,
    },
    utils::types::{DownstreamId, JdToken},
};

/// Transactions known, and declared jobs that a solution may still be for; of more, all or the oldest are forgotten.
const MAX_KNOWN: usize = 10_000;
const MAX_JOBS: usize = 64;

/// The judge of declared jobs.
pub struct Judge {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watch: TipWatch,
    known: HashMap<Wtxid, Transaction>,
    /// By the token that the job was declared with, until its custom job is set.
    waiting: HashMap<(DownstreamId, JdToken), Arc<Declared>>,
    jobs: VecDeque<Arc<Declared>>,
    refuses_declarations: bool,
    refuses_custom_jobs: bool,
}

impl Judge {
    pub fn new() -> Self {
        let state = Mutex::default();
        Self { state }
    }

    /// Does as the tests say.
    pub fn obey(&self, order: Order) {
        let mut state = self.state();
        match order {
            Order::RefuseDeclarations { yes } => state.refuses_declarations = yes,
            Order::RefuseCustomJobs { yes } => state.refuses_custom_jobs = yes,
            Order::ForgetTransactions => state.known.clear(),
        }
    }

    /// Hears what the pool's template provider says.
    pub fn on_template_message(&self, message: &TemplateDistributionOwned) {
        let mut state = self.state();
        if state.watch.on_message(message) {
            state.jobs.clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with the state")
    }
}

impl State {
    fn declare(
        &mut self,
        client: DownstreamId,
        message: DeclareMiningJobOwned,
        given: Vec<Transaction>,
    ) -> DeclareMiningJobResult {
        let wtxids: Vec<Wtxid> = message
            .wtxid_list
            .iter()
            .map(|one| Wtxid::from_byte_array(one.to_array()))
            .collect();
        if self.known.len() + given.len() > MAX_KNOWN {
            self.known.clear();
        }
        let given_count = given.len();
        self.known
            .extend(given.into_iter().map(|tx| (tx.compute_wtxid(), tx)));
        let unknown: Vec<Wtxid> = wtxids
            .iter()
            .filter(|wtxid| !self.known.contains_key(*wtxid))
            .copied()
            .collect();
        if !unknown.is_empty() {
            say(json!({ "asked": unknown.len() }));
            return DeclareMiningJobResult::MissingTransactions(unknown);
        }
        let transactions = wtxids
            .iter()
            .map(|wtxid| self.known[wtxid].clone())
            .collect();
        match self.judge(client, message, transactions) {
            Ok(declared) => {
                let outputs = declared
                    .coinbase()
                    .output
                    .iter()
                    .map(output)
                    .collect::<Vec<_>>();
                say(json!({ "declared": {
                    "transactions": declared.transaction_count(),
                    "given": given_count,
                    "extranonce_size": declared.extranonce_size(),
                    "outputs": outputs,
                } }));
                DeclareMiningJobResult::Success
            }
            Err(code) => {
                say(json!({ "declaration_refused": code }));
                DeclareMiningJobResult::Error(code)
            }
        }
    }

    fn judge(
        &mut self,
        client: DownstreamId,
        message: DeclareMiningJobOwned,
        transactions: Vec<Transaction>,
    ) -> Result<Arc<Declared>, Refusal> {
        if self.refuses_declarations {
            return Err(ERROR_CODE_DECLARE_MINING_JOB_INVALID_JOB);
        }
        let token = message
            .mining_job_token
            .try_as_array::<8>()
            .map(u64::from_le_bytes);
        let token = token.map_err(|_| ERROR_CODE_DECLARE_MINING_JOB_INVALID_MINING_JOB_TOKEN)?;
        let tip = self
            .watch
            .tip()
            .ok_or(ERROR_CODE_DECLARE_MINING_JOB_INTERNAL_ERROR)?
            .clone();
        let declared = Arc::new(Declared::new(message, transactions, tip)?);
        self.waiting.insert((client, token), Arc::clone(&declared));
        if self.jobs.len() == MAX_JOBS {
            self.jobs.pop_front();
        }
        self.jobs.push_back(Arc::clone(&declared));
        Ok(declared)
    }

    fn set(
        &mut self,
        client: DownstreamId,
        job: &SetCustomMiningJobOwned,
        token: JdToken,
    ) -> Result<(), Refusal> {
        if self.refuses_custom_jobs {
            return Err(ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_COINBASE_TX_OUTPUTS);
        }
        let declared = self.waiting.remove(&(client, token));
        declared
            .ok_or(ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_MINING_JOB_TOKEN)?
            .admits(job)
    }

    fn solve(&self, solution: &PushSolutionOwned) -> Value {
        let block = self
            .jobs
            .iter()
            .rev()
            .find_map(|job| job.solved_by(solution));
        match block {
            Some(block) => json!({ "solution": {
                "hash": block.block_hash().to_string(),
                "transactions": block.txdata.len() - 1,
            } }),
            None => json!({ "solution": null }),
        }
    }
}

#[async_trait]
impl JobValidationEngine for Judge {
    async fn handle_declare_mining_job(
        &self,
        downstream_id: DownstreamId,
        declare_mining_job: DeclareMiningJobOwned,
        provided: Option<ProvideMissingTransactionsSuccessOwned>,
    ) -> DeclareMiningJobResult {
        let given: Result<Vec<Transaction>, _> = match &provided {
            Some(provided) => provided
                .transaction_list
                .iter_bytes()
                .map(deserialize)
                .collect(),
            None => Ok(Vec::new()),
        };
        match given {
            Ok(given) => self
                .state()
                .declare(downstream_id, declare_mining_job, given),
            Err(_) => {
                say(json!({ "declaration_refused": "unreadable transactions" }));
                DeclareMiningJobResult::Error(ERROR_CODE_DECLARE_MINING_JOB_INVALID_JOB)
            }
        }
    }

    async fn handle_push_solution(&self, _: DownstreamId, push_solution: PushSolutionOwned) {
        say(self.state().solve(&push_solution));
    }

    async fn handle_set_custom_mining_job(
        &self,
        downstream_id: DownstreamId,
        set_custom_mining_job: SetCustomMiningJobOwned,
        allocated_token: JdToken,
    ) -> SetCustomMiningJobResult {
        let verdict = self
            .state()
            .set(downstream_id, &set_custom_mining_job, allocated_token);
        match verdict {
            Ok(()) => {
                say(json!({ "custom_job": "taken" }));
                SetCustomMiningJobResult::Success
            }
            Err(code) => {
                say(json!({ "custom_job": code }));
                SetCustomMiningJobResult::Error(code)
            }
        }
    }

    fn cleanup_downstream(&self, downstream_id: DownstreamId) {
        self.state()
            .waiting
            .retain(|(client, _), _| *client != downstream_id);
    }
}

fn output(output: &stratum_apps::stratum_core::bitcoin::TxOut) -> Value {
    json!({
        "value": output.value.to_sat(),
        "script": output.script_pubkey.as_bytes().to_lower_hex_string(),
    })
}
