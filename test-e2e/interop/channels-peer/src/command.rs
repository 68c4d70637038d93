//! What the tests can ask for, a line of JSON each. Bytes are hex, in the order of the wire.

use bitcoin::hex::{DisplayHex, FromHex};
use serde::{Deserialize, Deserializer, de::Error};

/// Names of channels and templates are the tests' own; jobs are named by the template they were made of.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Opens a channel, gives it the work there is, and then the target that the tests say.
    Open(Open),
    /// A template from the template provider: the payload of `NewTemplate`, and the pool's outputs.
    Template {
        payload: Bytes,
        outputs: Vec<Output>,
    },
    /// The payload of `SetNewPrevHash`.
    PrevHash { payload: Bytes },
    /// The payload of a share; its job id is put in here.
    Share {
        channel: u32,
        template: u64,
        payload: Bytes,
    },
    /// The payload of `SetCustomMiningJob`, whose channel is put in here. Shares name its job as they do a template.
    Custom {
        channel: u32,
        template: u64,
        payload: Bytes,
    },
    /// A new hashrate of a channel, and then the target that the tests say.
    Update {
        channel: u32,
        nominal_hash_rate: f64,
        target: Bytes,
    },
    /// Another extranonce prefix.
    Prefix {
        channel: u32,
        extranonce_prefix: Bytes,
    },
    /// What was counted on a channel.
    Totals { channel: u32 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    pub channel: u32,
    pub extended: bool,
    /// Whether it is given the jobs of the group.
    pub grouped: bool,
    /// Whether it is given custom jobs and nothing else: then it is told of no template, and of the tip when it opens.
    #[serde(default)]
    pub custom: bool,
    pub user_identity: String,
    pub nominal_hash_rate: f64,
    pub max_target: Bytes,
    pub extranonce_prefix: Bytes,
    pub rollable_extranonce_size: u16,
    /// Absent: the one that follows from the hashrate stays.
    pub target: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub value: u64,
    pub script: Bytes,
}

/// What the role that holds the channels is configured with, the first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub pool_tag: String,
    pub shares_per_minute: f32,
    pub share_batch_size: usize,
    pub version_rolling_allowed: bool,
    pub full_extranonce_size: usize,
    pub max_past_jobs: usize,
}

/// Bytes that are written in hex.
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn array(&self) -> Option<[u8; 32]> {
        self.0.as_slice().try_into().ok()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Vec::from_hex(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.to_lower_hex_string()
}
