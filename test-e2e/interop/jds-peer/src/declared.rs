//! A declared job put together: its coinbase, its transactions, and what makes them a block.

use crate::tip::Tip;
use stratum_apps::stratum_core::{
    bitcoin::{
        Block, Target, Transaction, TxMerkleNode, VarInt,
        block::{Header, Version},
        consensus::{Decodable, deserialize, serialize},
        hashes::Hash,
    },
    job_declaration_sv2::{
        DeclareMiningJobOwned, ERROR_CODE_DECLARE_MINING_JOB_INVALID_COINBASE_TX,
        ERROR_CODE_DECLARE_MINING_JOB_INVALID_COINBASE_TX_INPUT,
        ERROR_CODE_DECLARE_MINING_JOB_INVALID_JOB, ERROR_CODE_DECLARE_MINING_JOB_STALE_CHAIN_TIP,
        PushSolutionOwned,
    },
    mining_sv2::*,
};

/// Bytes of a serialized coinbase before its script's length: version, marker and flag, count, null outpoint.
const BEFORE_SCRIPT: usize = 4 + 2 + 1 + 36;

/// A job that was declared on a tip, with all of its transactions.
pub struct Declared {
    message: DeclareMiningJobOwned,
    tip: Tip,
    transactions: Vec<Transaction>,
    /// With zeros for the extranonce.
    coinbase: Transaction,
    extranonce_size: usize,
}

/// An error code of the wire.
pub type Refusal = &'static str;

impl Declared {
    /// Checks a declaration as `jd_server_sv2` and then Bitcoin Core do, as far as no unspent outputs are needed for it.
    pub fn new(
        message: DeclareMiningJobOwned,
        transactions: Vec<Transaction>,
        tip: Tip,
    ) -> Result<Self, Refusal> {
        let extranonce_size =
            extranonce_size(&message).ok_or(ERROR_CODE_DECLARE_MINING_JOB_INVALID_COINBASE_TX)?;
        let coinbase = coinbase_with(&message, &vec![0; extranonce_size])
            .ok_or(ERROR_CODE_DECLARE_MINING_JOB_INVALID_COINBASE_TX)?;
        let [input] = coinbase.input.as_slice() else {
            return Err(ERROR_CODE_DECLARE_MINING_JOB_INVALID_COINBASE_TX_INPUT);
        };
        if !input
            .script_sig
            .as_bytes()
            .starts_with(&tip.coinbase_prefix)
        {
            return Err(ERROR_CODE_DECLARE_MINING_JOB_STALE_CHAIN_TIP);
        }
        let declared = Self {
            message,
            tip,
            transactions,
            coinbase,
            extranonce_size,
        };
        let block = declared.block(declared.coinbase.clone(), declared.header());
        let is_sound = declared.coinbase.is_coinbase() && block.check_witness_commitment();
        is_sound
            .then_some(declared)
            .ok_or(ERROR_CODE_DECLARE_MINING_JOB_INVALID_JOB)
    }

    pub fn extranonce_size(&self) -> usize {
        self.extranonce_size
    }

    pub fn coinbase(&self) -> &Transaction {
        &self.coinbase
    }

    pub fn transaction_count(&self) -> usize {
        self.transactions.len()
    }

    /// Whether a custom job is the declared one, in the order in which `jd_server_sv2` compares.
    pub fn admits(&self, job: &SetCustomMiningJobOwned) -> Result<(), Refusal> {
        let input = &self.coinbase.input[0];
        let script = input.script_sig.as_bytes();
        let prefix = job.coinbase_prefix.as_bytes();
        let path: Vec<[u8; 32]> = job.merkle_path.iter().map(|one| one.to_array()).collect();
        let checks = [
            (
                job.prev_hash.to_array() == self.tip.prev_hash.to_byte_array(),
                ERROR_CODE_SET_CUSTOM_MINING_JOB_STALE_CHAIN_TIP,
            ),
            (
                job.nbits == self.tip.bits.to_consensus(),
                ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_NBITS,
            ),
            (
                job.version == self.message.version,
                ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_VERSION,
            ),
            (
                job.coinbase_tx_version as i32 == self.coinbase.version.0,
                ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_COINBASE_TX_VERSION,
            ),
            (
                // Theirs takes any beginning of the script; all of it is what shares are rebuilt from.
                prefix == &script[..script.len() - self.extranonce_size],
                ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_COINBASE_PREFIX,
            ),
            (
                job.coinbase_tx_input_n_sequence == input.sequence.0,
                ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_COINBASE_TX_INPUT_N_SEQUENCE,
            ),
            (
                job.coinbase_tx_outputs.as_bytes() == serialize(&self.coinbase.output),
                ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_COINBASE_TX_OUTPUTS,
            ),
            (
                job.coinbase_tx_locktime == self.coinbase.lock_time.to_consensus_u32(),
                ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_COINBASE_TX_LOCKTIME,
            ),
            (
                path == self.merkle_path(),
                ERROR_CODE_SET_CUSTOM_MINING_JOB_INVALID_MERKLE_PATH,
            ),
        ];
        let refusal = checks.into_iter().find(|(holds, _)| !holds);
        refusal.map_or(Ok(()), |(_, code)| Err(code))
    }

    /// The block that a solution makes of this job; nothing when it is one of another.
    pub fn solved_by(&self, solution: &PushSolutionOwned) -> Option<Block> {
        let extranonce = solution.extranonce.as_bytes();
        if extranonce.len() != self.extranonce_size {
            return None;
        }
        let header = Header {
            version: Version::from_consensus(solution.version as i32),
            time: solution.ntime,
            nonce: solution.nonce,
            ..self.header()
        };
        let mut block = self.block(coinbase_with(&self.message, extranonce)?, header);
        block.header.merkle_root = block.compute_merkle_root()?;
        let target = Target::from_compact(self.tip.bits);
        block.header.validate_pow(target).ok().map(|_| block)
    }

    fn header(&self) -> Header {
        Header {
            version: Version::from_consensus(self.message.version as i32),
            prev_blockhash: self.tip.prev_hash,
            merkle_root: TxMerkleNode::all_zeros(),
            time: self.tip.min_ntime,
            bits: self.tip.bits,
            nonce: 0,
        }
    }

    fn block(&self, coinbase: Transaction, header: Header) -> Block {
        let txdata = [vec![coinbase], self.transactions.clone()].concat();
        Block { header, txdata }
    }

    /// What stands beside the coinbase on each level of the tree.
    fn merkle_path(&self) -> Vec<[u8; 32]> {
        let ids = self.transactions.iter().map(|tx| tx.compute_txid().into());
        let mut level: Vec<TxMerkleNode> = std::iter::once(TxMerkleNode::all_zeros())
            .chain(ids)
            .collect();
        let mut path = Vec::new();
        while level.len() > 1 {
            path.push(level[1].to_byte_array());
            level = level
                .chunks(2)
                .map(|pair| {
                    let both = [
                        pair[0].to_byte_array(),
                        pair[pair.len() - 1].to_byte_array(),
                    ];
                    TxMerkleNode::hash(&both.concat())
                })
                .collect();
        }
        path
    }
}

/// Bytes that the script's length leaves to the extranonce.
fn extranonce_size(message: &DeclareMiningJobOwned) -> Option<usize> {
    let mut rest = message.coinbase_tx_prefix.as_bytes().get(BEFORE_SCRIPT..)?;
    let script_size = VarInt::consensus_decode(&mut rest).ok()?.0;
    usize::try_from(script_size).ok()?.checked_sub(rest.len())
}

fn coinbase_with(message: &DeclareMiningJobOwned, extranonce: &[u8]) -> Option<Transaction> {
    let prefix = message.coinbase_tx_prefix.as_bytes();
    let suffix = message.coinbase_tx_suffix.as_bytes();
    deserialize(&[prefix, extranonce, suffix].concat()).ok()
}
