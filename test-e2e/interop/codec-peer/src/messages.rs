//! Every message of the crates by name: a random one, and its fields one by one.

use crate::{neutral::Neutral, random::Random, random::Rng};
use serde_json::{Map, Value};
use stratum_core::parsers_sv2::{
    AnyMessage, AnyMessageOwned, Extensions, ExtensionsOwned, IsSv2Message,
};

macro_rules! value {
    ($rng:ident) => {
        Random::random($rng)
    };
    ($rng:ident text) => {
        $rng.text()
    };
}

/// One sub-protocol: `Name NameOwned { fields }`. Fields are taken apart without `..`, so that one forgotten here, or
/// new in the crate, does not compile; nor does a message that is.
macro_rules! message_set {
    ($module:ident from $crate_name:ident, $set:ident, $set_owned:ident {
        $($name:ident $owned:ident { $($field:ident $(= $kind:ident)?),* })*
    }) => {
        mod $module {
            use super::{Map, Neutral, Random, Rng, Value};
            use stratum_core::{$crate_name::*, parsers_sv2::{$set, $set_owned}};

            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            pub fn random(name: &str, rng: &mut Rng) -> Option<$set_owned> {
                match name {
                    $(stringify!($name) => Some($set_owned::$name($owned {
                        $($field: value!(rng $($kind)?)),*
                    })),)*
                    _ => None,
                }
            }

            pub fn owned(message: $set<'_>) -> $set_owned {
                match message {
                    $($set::$name(message) => $set_owned::$name(message.into_owned())),*
                }
            }

            pub fn describe(message: &$set_owned) -> (&'static str, Map<String, Value>) {
                let mut fields = Map::new();
                let name = match message {
                    $($set_owned::$name($owned { $($field),* }) => {
                        $(fields.insert(stringify!($field).into(), $field.neutral());)*
                        stringify!($name)
                    })*
                };
                (name, fields)
            }
        }
    };
}

message_set!(common from common_messages_sv2, CommonMessages, CommonMessagesOwned {
    SetupConnection SetupConnectionOwned {
        protocol, min_version, max_version, flags, endpoint_host = text, endpoint_port, vendor = text,
        hardware_version = text, firmware = text, device_id = text
    }
    SetupConnectionSuccess SetupConnectionSuccessOwned { used_version, flags }
    SetupConnectionError SetupConnectionErrorOwned { flags, error_code = text }
    ChannelEndpointChanged ChannelEndpointChangedOwned { channel_id }
    Reconnect ReconnectOwned { new_host = text, new_port }
});

message_set!(mining from mining_sv2, Mining, MiningOwned {
    OpenStandardMiningChannel OpenStandardMiningChannelOwned {
        request_id, user_identity = text, nominal_hash_rate, max_target
    }
    OpenStandardMiningChannelSuccess OpenStandardMiningChannelSuccessOwned {
        request_id, channel_id, target, extranonce_prefix, group_channel_id
    }
    OpenMiningChannelError OpenMiningChannelErrorOwned { request_id, error_code = text }
    OpenExtendedMiningChannel OpenExtendedMiningChannelOwned {
        request_id, user_identity = text, nominal_hash_rate, max_target, min_extranonce_size
    }
    OpenExtendedMiningChannelSuccess OpenExtendedMiningChannelSuccessOwned {
        request_id, channel_id, target, extranonce_size, extranonce_prefix, group_channel_id
    }
    NewMiningJob NewMiningJobOwned { channel_id, job_id, min_ntime, version, merkle_root }
    UpdateChannel UpdateChannelOwned { channel_id, nominal_hash_rate, maximum_target }
    UpdateChannelError UpdateChannelErrorOwned { channel_id, error_code = text }
    CloseChannel CloseChannelOwned { channel_id, reason_code = text }
    SetExtranoncePrefix SetExtranoncePrefixOwned { channel_id, extranonce_prefix }
    SubmitSharesStandard SubmitSharesStandardOwned {
        channel_id, sequence_number, job_id, nonce, ntime, version
    }
    SubmitSharesExtended SubmitSharesExtendedOwned {
        channel_id, sequence_number, job_id, nonce, ntime, version, extranonce
    }
    SubmitSharesSuccess SubmitSharesSuccessOwned {
        channel_id, last_sequence_number, new_submits_accepted_count, new_shares_sum
    }
    SubmitSharesError SubmitSharesErrorOwned { channel_id, sequence_number, error_code = text }
    NewExtendedMiningJob NewExtendedMiningJobOwned {
        channel_id, job_id, min_ntime, version, version_rolling_allowed, merkle_path, coinbase_tx_prefix,
        coinbase_tx_suffix
    }
    SetNewPrevHash SetNewPrevHashOwned { channel_id, job_id, prev_hash, min_ntime, nbits }
    SetTarget SetTargetOwned { channel_id, maximum_target }
    SetCustomMiningJob SetCustomMiningJobOwned {
        channel_id, request_id, token, version, prev_hash, min_ntime, nbits, coinbase_tx_version,
        coinbase_prefix, coinbase_tx_input_n_sequence, coinbase_tx_outputs, coinbase_tx_locktime,
        merkle_path
    }
    SetCustomMiningJobSuccess SetCustomMiningJobSuccessOwned { channel_id, request_id, job_id }
    SetCustomMiningJobError SetCustomMiningJobErrorOwned { channel_id, request_id, error_code = text }
    SetGroupChannel SetGroupChannelOwned { group_channel_id, channel_ids }
});

message_set!(job_declaration from job_declaration_sv2, JobDeclaration, JobDeclarationOwned {
    AllocateMiningJobToken AllocateMiningJobTokenOwned { user_identifier = text, request_id }
    AllocateMiningJobTokenSuccess AllocateMiningJobTokenSuccessOwned {
        request_id, mining_job_token, coinbase_outputs
    }
    DeclareMiningJob DeclareMiningJobOwned {
        request_id, mining_job_token, version, coinbase_tx_prefix, coinbase_tx_suffix, wtxid_list,
        excess_data
    }
    DeclareMiningJobSuccess DeclareMiningJobSuccessOwned { request_id, new_mining_job_token }
    DeclareMiningJobError DeclareMiningJobErrorOwned { request_id, error_code = text, error_details }
    ProvideMissingTransactions ProvideMissingTransactionsOwned { request_id, unknown_tx_position_list }
    ProvideMissingTransactionsSuccess ProvideMissingTransactionsSuccessOwned {
        request_id, transaction_list
    }
    PushSolution PushSolutionOwned { extranonce, prev_hash, nonce, ntime, nbits, version }
});

message_set!(template_distribution from template_distribution_sv2, TemplateDistribution, TemplateDistributionOwned {
    CoinbaseOutputConstraints CoinbaseOutputConstraintsOwned {
        coinbase_output_max_additional_size, coinbase_output_max_additional_sigops
    }
    NewTemplate NewTemplateOwned {
        template_id, future_template, version, coinbase_tx_version, coinbase_prefix,
        coinbase_tx_input_sequence, coinbase_tx_value_remaining, coinbase_tx_outputs_count,
        coinbase_tx_outputs, coinbase_tx_locktime, merkle_path
    }
    SetNewPrevHash SetNewPrevHashOwned { template_id, prev_hash, header_timestamp, n_bits, target }
    RequestTransactionData RequestTransactionDataOwned { template_id }
    RequestTransactionDataSuccess RequestTransactionDataSuccessOwned {
        template_id, excess_data, transaction_list
    }
    RequestTransactionDataError RequestTransactionDataErrorOwned { template_id, error_code = text }
    SubmitSolution SubmitSolutionOwned {
        template_id, version, header_timestamp, header_nonce, coinbase_tx
    }
});

message_set!(extensions_negotiation from extensions_sv2, ExtensionsNegotiation, ExtensionsNegotiationOwned {
    RequestExtensions RequestExtensionsOwned { request_id, requested_extensions }
    RequestExtensionsSuccess RequestExtensionsSuccessOwned { request_id, supported_extensions }
    RequestExtensionsError RequestExtensionsErrorOwned {
        request_id, unsupported_extensions, required_extensions
    }
});

/// Every message as the sub-protocol that defines it and its name.
pub fn all() -> Vec<(&'static str, &'static str)> {
    let sets = [
        ("common", common::NAMES),
        ("mining", mining::NAMES),
        ("job_declaration", job_declaration::NAMES),
        ("template_distribution", template_distribution::NAMES),
        ("extensions_negotiation", extensions_negotiation::NAMES),
    ];
    let named = |(set, names): (_, &'static [_])| names.iter().map(move |name| (set, *name));
    sets.into_iter().flat_map(named).collect()
}

/// A random message of that name.
pub fn random(protocol: &str, name: &str, rng: &mut Rng) -> Option<AnyMessageOwned> {
    match protocol {
        "common" => common::random(name, rng).map(AnyMessageOwned::Common),
        "mining" => mining::random(name, rng).map(AnyMessageOwned::Mining),
        "job_declaration" => {
            job_declaration::random(name, rng).map(AnyMessageOwned::JobDeclaration)
        }
        "template_distribution" => {
            template_distribution::random(name, rng).map(AnyMessageOwned::TemplateDistribution)
        }
        "extensions_negotiation" => extensions_negotiation::random(name, rng)
            .map(ExtensionsOwned::ExtensionsNegotiation)
            .map(AnyMessageOwned::Extensions),
        _ => None,
    }
}

/// A decoded message that no longer borrows from its frame.
pub fn owned(message: AnyMessage<'_>) -> AnyMessageOwned {
    match message {
        AnyMessage::Common(message) => AnyMessageOwned::Common(common::owned(message)),
        AnyMessage::Mining(message) => AnyMessageOwned::Mining(mining::owned(message)),
        AnyMessage::JobDeclaration(message) => {
            AnyMessageOwned::JobDeclaration(job_declaration::owned(message))
        }
        AnyMessage::TemplateDistribution(message) => {
            AnyMessageOwned::TemplateDistribution(template_distribution::owned(message))
        }
        AnyMessage::Extensions(Extensions::ExtensionsNegotiation(message)) => {
            AnyMessageOwned::Extensions(ExtensionsOwned::ExtensionsNegotiation(
                extensions_negotiation::owned(message),
            ))
        }
    }
}

/// A message as JSON: where it is defined, its name, its header's numbers and its fields in neutral form.
pub fn describe(message: &AnyMessageOwned) -> Map<String, Value> {
    let (protocol, (name, fields)) = match message {
        AnyMessageOwned::Common(message) => ("common", common::describe(message)),
        AnyMessageOwned::Mining(message) => ("mining", mining::describe(message)),
        AnyMessageOwned::JobDeclaration(message) => {
            ("job_declaration", job_declaration::describe(message))
        }
        AnyMessageOwned::TemplateDistribution(message) => (
            "template_distribution",
            template_distribution::describe(message),
        ),
        AnyMessageOwned::Extensions(ExtensionsOwned::ExtensionsNegotiation(message)) => (
            "extensions_negotiation",
            extensions_negotiation::describe(message),
        ),
    };
    let mut described = Map::new();
    described.insert("protocol".into(), protocol.into());
    described.insert("name".into(), name.into());
    described.insert("extension_type".into(), message.extension_type().into());
    described.insert("message_type".into(), message.message_type().into());
    described.insert("channel_msg".into(), message.channel_bit().into());
    described.insert("fields".into(), fields.into());
    described
}
