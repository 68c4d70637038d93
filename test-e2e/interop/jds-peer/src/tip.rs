//! The chain tip, as the template provider of the pool tells of it.

use std::collections::HashMap;
use stratum_apps::stratum_core::{
    bitcoin::{BlockHash, CompactTarget, hashes::Hash},
    parsers_sv2::TemplateDistributionOwned,
    template_distribution_sv2::SetNewPrevHashOwned,
};

/// Future templates kept for the tip that names one of them.
const MAX_TEMPLATES: usize = 64;

/// What jobs are to build on.
#[derive(Clone)]
pub struct Tip {
    pub prev_hash: BlockHash,
    pub bits: CompactTarget,
    pub min_ntime: u32,
    /// First bytes of every coinbase's script: the height (BIP34).
    pub coinbase_prefix: Vec<u8>,
}

/// Follows templates, so that the height of a tip is known.
#[derive(Default)]
pub struct TipWatch {
    tip: Option<Tip>,
    prefixes: HashMap<u64, Vec<u8>>,
}

impl TipWatch {
    pub fn tip(&self) -> Option<&Tip> {
        self.tip.as_ref()
    }

    /// Takes what the template provider sent. True when the block to build on is another one.
    pub fn on_message(&mut self, message: &TemplateDistributionOwned) -> bool {
        match message {
            TemplateDistributionOwned::NewTemplate(template) => {
                if self.prefixes.len() == MAX_TEMPLATES {
                    self.prefixes.clear();
                }
                let prefix = template.coinbase_prefix.as_bytes().to_vec();
                self.prefixes.insert(template.template_id, prefix);
                false
            }
            TemplateDistributionOwned::SetNewPrevHash(message) => self.on_prev_hash(message),
            _ => false,
        }
    }

    fn on_prev_hash(&mut self, message: &SetNewPrevHashOwned) -> bool {
        let prev_hash = BlockHash::from_byte_array(message.prev_hash.to_array());
        let is_other = self
            .tip
            .as_ref()
            .is_none_or(|tip| tip.prev_hash != prev_hash);
        self.tip = Some(Tip {
            prev_hash,
            bits: CompactTarget::from_consensus(message.n_bits),
            min_ntime: message.header_timestamp,
            coinbase_prefix: self
                .prefixes
                .remove(&message.template_id)
                .unwrap_or_default(),
        });
        is_other
    }
}
