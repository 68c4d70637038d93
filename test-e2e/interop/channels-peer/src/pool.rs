//! The channels of one role, told of templates and tips in the order in which the reference pool tells them.

use crate::{
    channel::{Channel, Failure, said},
    command::{Bytes, Command, Open, Output, Settings, hex},
};
use binary_sv2::{from_bytes, to_bytes};
use bitcoin::{Amount, ScriptBuf, Target, TxOut};
use channels_sv2::server::{group::GroupChannel, jobs::extended::ExtendedJob};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use template_distribution_sv2::{NewTemplate, NewTemplateOwned, SetNewPrevHash, SetNewPrevHashOwned};

const GROUP: u32 = 1;

/// A template with the outputs that the pool adds.
#[derive(Clone)]
struct Work {
    template: NewTemplateOwned,
    outputs: Vec<TxOut>,
}

pub struct Pool {
    settings: Settings,
    group: GroupChannel,
    channels: BTreeMap<u32, Channel>,
    /// What is mined.
    active: Option<Work>,
    futures: Vec<Work>,
    tip: Option<SetNewPrevHashOwned>,
}

impl Pool {
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let group = GroupChannel::new_for_pool(
            GROUP,
            settings.full_extranonce_size,
            settings.version_rolling_allowed,
            settings.pool_tag.clone(),
        );
        Ok(Self {
            settings,
            group: group.map_err(said)?,
            channels: BTreeMap::new(),
            active: None,
            futures: Vec::new(),
            tip: None,
        })
    }

    pub fn answer(&mut self, command: Command) -> Result<Value, Failure> {
        match command {
            Command::Open(open) => self.open(&open),
            Command::Template { payload, outputs } => self.on_template(payload, outputs),
            Command::PrevHash { payload } => self.on_prev_hash(payload),
            Command::Share {
                channel,
                template,
                payload,
            } => self.channel(channel)?.on_share(template, payload.0),
            Command::Custom {
                channel,
                template,
                payload,
            } => self.channel(channel)?.on_custom_job(template, payload.0),
            Command::Update {
                channel,
                nominal_hash_rate,
                target,
            } => {
                let channel = self.channel(channel)?;
                channel.update(nominal_hash_rate)?;
                let own = hex(&channel.target());
                channel.set_target(target_of(&target)?)?;
                Ok(json!({ "target": own }))
            }
            Command::Prefix {
                channel,
                extranonce_prefix,
            } => {
                self.channel(channel)?.set_prefix(&extranonce_prefix.0)?;
                Ok(json!({}))
            }
            Command::Totals { channel } => Ok(self.channel(channel)?.totals()),
        }
    }

    fn channel(&mut self, name: u32) -> Result<&mut Channel, Failure> {
        let channel = self.channels.get_mut(&name);
        channel.ok_or_else(|| format!("no channel {name}"))
    }

    /// A channel is given the active job, the tip, and the future jobs.
    fn open(&mut self, open: &Open) -> Result<Value, Failure> {
        let mut channel = Channel::open(open, &self.settings)?;
        let own = hex(&channel.target());
        if let Some(target) = &open.target {
            channel.set_target(target_of(target)?)?;
        }
        if channel.grouped {
            let size = open.extranonce_prefix.0.len() + usize::from(open.rollable_extranonce_size);
            self.group.add_channel_id(open.channel, size).map_err(said)?;
        }
        if let Some(tip) = &self.tip {
            channel.on_prev_hash(tip.clone())?;
        }
        if !channel.custom {
            self.give_all(&mut channel)?;
        }
        self.channels.insert(open.channel, channel);
        Ok(json!({ "target": own }))
    }

    fn give_all(&self, channel: &mut Channel) -> Result<(), Failure> {
        if let (Some(work), Some(_)) = (&self.active, &self.tip) {
            let mut work = work.clone();
            work.template.future_template = false;
            self.give(channel, &work)?;
        }
        for work in &self.futures {
            self.give(channel, work)?;
        }
        Ok(())
    }

    /// Gives one channel what its group has, or the template itself.
    fn give(&self, channel: &mut Channel, work: &Work) -> Result<(), Failure> {
        if channel.grouped {
            let job = group_job(&self.group, &work.template)?;
            channel.on_group_job(work.template.template_id, job)?;
        } else {
            channel.on_template(work.template.clone(), work.outputs.clone())?;
        }
        Ok(())
    }

    fn on_template(&mut self, payload: Bytes, outputs: Vec<Output>) -> Result<Value, Failure> {
        let mut payload = payload.0;
        let template: NewTemplate = from_bytes(&mut payload).map_err(said)?;
        let work = Work {
            template: template.into_owned(),
            outputs: outputs.into_iter().map(tx_out).collect(),
        };
        let id = work.template.template_id;
        let (template, outputs) = (work.template.clone(), work.outputs.clone());
        self.group.on_new_template(template, outputs).map_err(said)?;
        let job = group_job(&self.group, &work.template)?;
        let message = to_bytes(job.get_job_message().clone()).map_err(said)?;
        let mut told = Map::new();
        for (name, channel) in &mut self.channels {
            let tells = if channel.custom {
                Value::Null
            } else if channel.grouped {
                channel.on_group_job(id, job.clone())?
            } else {
                channel.on_template(work.template.clone(), work.outputs.clone())?
            };
            told.insert(name.to_string(), tells);
        }
        if work.template.future_template {
            self.futures.push(work);
        } else {
            self.active = Some(work);
        }
        Ok(json!({ "group": hex(&message), "channels": told }))
    }

    fn on_prev_hash(&mut self, payload: Bytes) -> Result<Value, Failure> {
        let mut payload = payload.0;
        let tip: SetNewPrevHash = from_bytes(&mut payload).map_err(said)?;
        let tip = tip.into_owned();
        self.group.on_set_new_prev_hash(tip.clone()).map_err(said)?;
        for channel in self.channels.values_mut().filter(|channel| !channel.custom) {
            channel.on_prev_hash(tip.clone())?;
        }
        let named = |work: &&Work| work.template.template_id == tip.template_id;
        self.active = self.futures.iter().find(named).cloned();
        self.futures.clear();
        self.tip = Some(tip);
        Ok(json!({}))
    }
}

fn group_job(group: &GroupChannel, template: &NewTemplateOwned) -> Result<ExtendedJob, Failure> {
    let job = if template.future_template {
        let job_id = group.get_future_job_id_from_template_id(template.template_id);
        job_id.and_then(|job_id| group.get_future_job(job_id))
    } else {
        group.get_active_job()
    };
    job.cloned().ok_or_else(|| "no job".to_owned())
}

fn tx_out(output: Output) -> TxOut {
    TxOut {
        value: Amount::from_sat(output.value),
        script_pubkey: ScriptBuf::from_bytes(output.script.0),
    }
}

fn target_of(bytes: &Bytes) -> Result<Target, Failure> {
    let bytes = bytes.array().ok_or("a target of another size")?;
    Ok(Target::from_le_bytes(bytes))
}
