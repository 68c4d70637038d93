//! Puts the pool together as `pool_sv2` itself does, but for the judge behind its job-declarator server.

use crate::{Failure, judge::Judge, said};
use async_channel::{Receiver, Sender, unbounded};
use jd_server_sv2::{config::JDSConfig, job_declarator::JobDeclarator};
use pool_sv2::{
    channel_manager::ChannelManager, config::PoolConfig, template_receiver::sv2_tp::Sv2Tp,
};
use std::{sync::Arc, time::Duration};
use stratum_apps::{
    bitcoin_core_sv2::CancellationToken,
    config_helpers::load_config,
    monitoring::MonitoringServer,
    stratum_core::{bitcoin::consensus::serialize, parsers_sv2::TemplateDistributionOwned},
    task_manager::TaskManager,
    tp_type::TemplateProviderType,
};

/// Lists and enumerations of the config, which its loader has to be told.
const LISTS: &[&str] = &[
    "supported_extensions",
    "required_extensions",
    "jds.supported_extensions",
    "jds.required_extensions",
];
const ENUMS: &[&str] = &["template_provider_type"];

/// A pool that serves until it is dropped.
pub struct Pool {
    tasks: Arc<TaskManager>,
    cancellation: CancellationToken,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.cancellation.cancel();
    }
}

/// Starts a pool from a config file of `pool_sv2`.
pub async fn start(config: &str, judge: Arc<Judge>) -> Result<Pool, Failure> {
    let config: PoolConfig = load_config(config, "POOL", LISTS, ENUMS).map_err(said)?;
    let pool = Pool {
        tasks: Arc::new(TaskManager::new()),
        cancellation: CancellationToken::new(),
    };
    let jds = config
        .build_jds_config()
        .map_err(said)?
        .ok_or("there is no [jds]")?;
    let declarator = pool.start_declarator(&jds, Arc::clone(&judge)).await?;
    let (to_provider, from_pool) = unbounded();
    let from_provider = pool.start_templates(&config, from_pool, judge).await?;
    pool.start_channels(&config, declarator, (to_provider, from_provider))
        .await?;
    Ok(pool)
}

impl Pool {
    async fn start_declarator(
        &self,
        jds: &JDSConfig,
        judge: Arc<Judge>,
    ) -> Result<JobDeclarator, Failure> {
        let declarator = JobDeclarator::new(
            judge,
            self.cancellation.clone(),
            jds.coinbase_reward_script().clone(),
            self.tasks.clone(),
        );
        let declarator = declarator.await.map_err(said)?;
        let serving = declarator
            .clone()
            .start(self.cancellation.clone(), self.tasks.clone());
        serving.await.map_err(said)?;
        let listening = declarator.clone().start_downstream_server(
            *jds.authority_public_key(),
            *jds.authority_secret_key(),
            jds.cert_validity_sec(),
            *jds.listen_address(),
            self.tasks.clone(),
            self.cancellation.clone(),
            jds.supported_extensions().to_vec(),
            jds.required_extensions().to_vec(),
        );
        listening.await.map_err(said)?;
        Ok(declarator)
    }

    /// Connects with the template provider. What it says goes by way of the judge.
    async fn start_templates(
        &self,
        config: &PoolConfig,
        from_pool: Receiver<TemplateDistributionOwned>,
        judge: Arc<Judge>,
    ) -> Result<Receiver<TemplateDistributionOwned>, Failure> {
        let TemplateProviderType::Sv2Tp {
            address,
            public_key,
        } = config.template_provider_type().clone()
        else {
            return Err("only [template_provider_type.Sv2Tp] is of use here".into());
        };
        let (to_judge, heard) = unbounded();
        let (to_pool, for_pool) = unbounded();
        let provider = Sv2Tp::new(
            address.clone(),
            public_key,
            from_pool,
            to_judge,
            self.cancellation.clone(),
            self.tasks.clone(),
        );
        let provider = provider.await.map_err(said)?;
        let serving = provider.start(address, self.cancellation.clone(), self.tasks.clone());
        serving.await.map_err(said)?;
        self.tasks.spawn(async move {
            while let Ok(message) = heard.recv().await {
                judge.on_template_message(&message);
                if to_pool.send(message).await.is_err() {
                    break;
                }
            }
        });
        Ok(for_pool)
    }

    async fn start_channels(
        &self,
        config: &PoolConfig,
        declarator: JobDeclarator,
        (to_provider, from_provider): (
            Sender<TemplateDistributionOwned>,
            Receiver<TemplateDistributionOwned>,
        ),
    ) -> Result<(), Failure> {
        let outputs = vec![config.get_txout()];
        let (from_miners, for_channels) = unbounded();
        let channels = ChannelManager::new(
            config.clone(),
            to_provider,
            from_provider,
            for_channels,
            serialize(&outputs),
            Some(declarator),
        );
        let channels = channels.await.map_err(said)?;
        self.start_monitoring(config, &channels)?;
        let serving =
            channels
                .clone()
                .start(self.cancellation.clone(), self.tasks.clone(), outputs);
        serving.await.map_err(said)?;
        let listening = channels.start_downstream_server(
            *config.authority_public_key(),
            *config.authority_secret_key(),
            config.cert_validity_sec(),
            *config.listen_address(),
            self.tasks.clone(),
            self.cancellation.clone(),
            from_miners,
        );
        listening.await.map_err(said)
    }

    fn start_monitoring(
        &self,
        config: &PoolConfig,
        channels: &ChannelManager,
    ) -> Result<(), Failure> {
        let address = config
            .monitoring_address()
            .ok_or("there is no monitoring_address")?;
        let refresh = Duration::from_secs(config.monitoring_cache_refresh_secs().unwrap_or(1));
        let monitored = Some(Arc::new(channels.clone()) as _);
        let server = MonitoringServer::new(address, None, monitored, refresh).map_err(said)?;
        let cancellation = self.cancellation.clone();
        self.tasks.spawn(async move {
            let ended = async move { cancellation.cancelled().await };
            if let Err(error) = server.run(ended).await {
                eprintln!("{error}");
            }
        });
        Ok(())
    }
}
