//! A channel of either kind, with the names the tests have for its jobs.

use crate::command::{Open, Settings, hex};
use binary_sv2::{from_bytes, to_bytes};
use bitcoin::{Target, TxOut, hashes::Hash};
use channels_sv2::{
    extranonce_manager::{AllocatedExtranoncePrefix, ExtranonceAllocator},
    server::{
        error::{ExtendedChannelError, StandardChannelError},
        extended::ExtendedChannel,
        jobs::extended::ExtendedJob,
        share_accounting::{ShareAccounting, ShareValidationError, ShareValidationResult},
        standard::StandardChannel,
    },
};
use mining_sv2::{SetCustomMiningJob, SubmitSharesExtended, SubmitSharesStandard};
use serde_json::{Value, json};
use std::collections::HashMap;
use template_distribution_sv2::{NewTemplateOwned, SetNewPrevHashOwned};

/// What went wrong, in the words of the crates.
pub type Failure = String;

enum Kind {
    Extended(Box<ExtendedChannel>),
    Standard(Box<StandardChannel>),
}

/// A channel of either kind.
pub struct Channel {
    pub grouped: bool,
    pub custom: bool,
    kind: Kind,
    /// Job ids by template id.
    jobs: HashMap<u64, u32>,
}

/// An id that no job of a test gets.
const NO_JOB: u32 = u32::MAX;

impl Channel {
    pub fn open(open: &Open, settings: &Settings) -> Result<Self, Failure> {
        let max_target = Target::from_le_bytes(open.max_target.array().ok_or("bad max_target")?);
        let prefix = prefix_of(&open.extranonce_prefix.0)?;
        let past_jobs = Some(settings.max_past_jobs);
        let tag = settings.pool_tag.clone();
        let identity = open.user_identity.clone();
        let hash_rate = open.nominal_hash_rate as f32;
        let kind = if open.extended {
            let channel = ExtendedChannel::new_for_pool(
                open.channel,
                identity,
                prefix,
                max_target,
                hash_rate,
                settings.version_rolling_allowed,
                open.rollable_extranonce_size,
                settings.share_batch_size,
                settings.shares_per_minute,
                tag,
                past_jobs,
            );
            Kind::Extended(Box::new(channel.map_err(extended_fault)?))
        } else {
            let channel = StandardChannel::new_for_pool(
                open.channel,
                identity,
                prefix,
                max_target,
                hash_rate,
                settings.share_batch_size,
                settings.shares_per_minute,
                tag,
                past_jobs,
            );
            Kind::Standard(Box::new(channel.map_err(standard_fault)?))
        };
        let jobs = HashMap::new();
        let (grouped, custom) = (open.grouped, open.custom);
        Ok(Self {
            grouped,
            custom,
            kind,
            jobs,
        })
    }

    /// Takes a job that the whole group was sent.
    pub fn on_group_job(&mut self, template: u64, job: ExtendedJob) -> Result<Value, Failure> {
        self.jobs.insert(template, job.get_job_id());
        match &mut self.kind {
            Kind::Extended(channel) => {
                channel.on_group_channel_job(job).map_err(extended_fault)?;
                Ok(Value::Null)
            }
            Kind::Standard(channel) => {
                let prefix = channel.get_extranonce_prefix().to_vec();
                let standard = job
                    .clone()
                    .into_standard_job(channel.get_channel_id(), prefix)
                    .map_err(said)?;
                channel.on_group_channel_job(job).map_err(standard_fault)?;
                Ok(json!(hex(&standard.get_merkle_root().to_array())))
            }
        }
    }

    /// Takes a template on its own. Returns the payload of the message that its client is sent.
    pub fn on_template(
        &mut self,
        template: NewTemplateOwned,
        outputs: Vec<TxOut>,
    ) -> Result<Value, Failure> {
        let (id, future) = (template.template_id, template.future_template);
        let (job_id, payload) = match &mut self.kind {
            Kind::Extended(channel) => {
                channel
                    .on_new_template(template, outputs)
                    .map_err(extended_fault)?;
                let job = if future {
                    let job_id = channel.get_future_job_id_from_template_id(id);
                    job_id.and_then(|job_id| channel.get_future_job(job_id))
                } else {
                    channel.get_active_job()
                };
                let message = job.ok_or("no job")?.get_job_message();
                (message.job_id, to_bytes(message.clone()))
            }
            Kind::Standard(channel) => {
                channel
                    .on_new_template(template, outputs)
                    .map_err(standard_fault)?;
                let job = if future {
                    let job_id = channel.get_future_job_id_from_template_id(id);
                    job_id.and_then(|job_id| channel.get_future_job(job_id))
                } else {
                    channel.get_active_job()
                };
                let message = job.ok_or("no job")?.get_job_message();
                (message.job_id, to_bytes(message.clone()))
            }
        };
        self.jobs.insert(id, job_id);
        Ok(json!(hex(&payload.map_err(said)?)))
    }

    pub fn on_prev_hash(&mut self, tip: SetNewPrevHashOwned) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Extended(channel) => channel.on_set_new_prev_hash(tip).map_err(extended_fault),
            Kind::Standard(channel) => channel.on_set_new_prev_hash(tip).map_err(standard_fault),
        }
    }

    /// Takes a job that its client has declared.
    pub fn on_custom_job(&mut self, name: u64, mut payload: Vec<u8>) -> Result<Value, Failure> {
        let job: SetCustomMiningJob = from_bytes(&mut payload).map_err(said)?;
        let mut job = job.into_owned();
        let Kind::Extended(channel) = &mut self.kind else {
            return Err("a standard channel".into());
        };
        job.channel_id = channel.get_channel_id();
        let job_id = channel.on_set_custom_mining_job(job).map_err(extended_fault)?;
        self.jobs.insert(name, job_id);
        Ok(json!({}))
    }

    /// What becomes of a share.
    pub fn on_share(&mut self, template: u64, mut payload: Vec<u8>) -> Result<Value, Failure> {
        let job_id = self.jobs.get(&template).copied().unwrap_or(NO_JOB);
        let verdict = match &mut self.kind {
            Kind::Extended(channel) => {
                let share: SubmitSharesExtended = from_bytes(&mut payload).map_err(said)?;
                let mut share = share.into_owned();
                share.job_id = job_id;
                channel.validate_share(share)
            }
            Kind::Standard(channel) => {
                let mut share: SubmitSharesStandard = from_bytes(&mut payload).map_err(said)?;
                share.job_id = job_id;
                channel.validate_share(share)
            }
        };
        Ok(match verdict {
            Ok(ShareValidationResult::Valid(hash)) => json!({ "valid": hex(hash.as_byte_array()) }),
            Ok(ShareValidationResult::BlockFound(hash, template, coinbase)) => json!({
                "valid": hex(hash.as_byte_array()),
                "block": { "template": template, "coinbase": hex(&coinbase) },
            }),
            Err(error) => json!({ "refused": code_of(&error) }),
        })
    }

    /// The target that follows from a hashrate.
    pub fn update(&mut self, nominal_hash_rate: f64) -> Result<(), Failure> {
        let hash_rate = nominal_hash_rate as f32;
        match &mut self.kind {
            Kind::Extended(channel) => channel.update_channel(hash_rate, None).map_err(extended_fault),
            Kind::Standard(channel) => channel.update_channel(hash_rate, None).map_err(standard_fault),
        }
    }

    pub fn target(&self) -> [u8; 32] {
        match &self.kind {
            Kind::Extended(channel) => channel.get_target().to_le_bytes(),
            Kind::Standard(channel) => channel.get_target().to_le_bytes(),
        }
    }

    pub fn set_target(&mut self, target: Target) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Extended(channel) => channel.set_target(target).map_err(extended_fault),
            Kind::Standard(channel) => channel.set_target(target).map_err(standard_fault),
        }
    }

    pub fn set_prefix(&mut self, prefix: &[u8]) -> Result<(), Failure> {
        let prefix = prefix_of(prefix)?;
        match &mut self.kind {
            Kind::Extended(channel) => channel.set_extranonce_prefix(prefix).map_err(extended_fault),
            Kind::Standard(channel) => channel.set_extranonce_prefix(prefix).map_err(standard_fault),
        }
    }

    pub fn totals(&self) -> Value {
        let accounting: &ShareAccounting = match &self.kind {
            Kind::Extended(channel) => channel.get_share_accounting(),
            Kind::Standard(channel) => channel.get_share_accounting(),
        };
        let rejected: HashMap<&str, u32> = accounting.get_rejected_shares().collect();
        json!({
            "accepted": accounting.get_shares_accepted(),
            "difficulty_sum": accounting.get_share_work_sum(),
            "blocks": accounting.get_blocks_found(),
            "rejected": rejected,
        })
    }
}

/// A prefix of these bytes: an allocator gives out only what it counts up to.
fn prefix_of(bytes: &[u8]) -> Result<AllocatedExtranoncePrefix, Failure> {
    let (last, first) = bytes.split_last().ok_or("an empty prefix")?;
    let mut allocator =
        ExtranonceAllocator::new(first.to_vec(), bytes.len() as u8, 256).map_err(said)?;
    for _ in 0..*last {
        // Given back at once, but the allocator counts on.
        allocator.allocate_extended(0).map_err(said)?;
    }
    allocator.allocate_extended(0).map_err(said)
}

/// The code that a client is sent, or the name of an error that has none.
fn code_of(error: &ShareValidationError) -> String {
    match error {
        ShareValidationError::Invalid(code)
        | ShareValidationError::Stale(code)
        | ShareValidationError::InvalidJobId(code)
        | ShareValidationError::DoesNotMeetTarget(code)
        | ShareValidationError::VersionRollingNotAllowed(code)
        | ShareValidationError::DuplicateShare(code)
        | ShareValidationError::BadExtranonceSize(code) => (*code).to_owned(),
        other => said(other),
    }
}

fn extended_fault(error: ExtendedChannelError) -> Failure {
    match error {
        ExtendedChannelError::OpenChannelInvalidNominalHashrate(code)
        | ExtendedChannelError::UpdateChannelInvalidNominalHashrate(code)
        | ExtendedChannelError::OpenChannelInvalidMaxTarget(code)
        | ExtendedChannelError::UpdateChannelInvalidMaxTarget(code)
        | ExtendedChannelError::RequestedMinExtranonceSizeTooLarge(code) => code.to_owned(),
        other => said(other),
    }
}

fn standard_fault(error: StandardChannelError) -> Failure {
    match error {
        StandardChannelError::OpenChannelInvalidNominalHashrate(code)
        | StandardChannelError::UpdateChannelInvalidNominalHashrate(code)
        | StandardChannelError::OpenChannelInvalidMaxTarget(code)
        | StandardChannelError::UpdateChannelInvalidMaxTarget(code) => code.to_owned(),
        other => said(other),
    }
}

/// An error as text.
pub fn said<E: std::fmt::Debug>(error: E) -> Failure {
    format!("{error:?}")
}
