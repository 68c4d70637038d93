//! Stratum V1 lines through `sv1_api`: read as either side reads them, written as a client writes them.

use crate::neutral::{from_hex, hex};
use serde_json::{Value, json};
use sv1_api::{
    Message, Method,
    client_to_server::{
        Authorize, Configure, ConfigureExtension, ExtranonceSubscribe, Submit, Subscribe,
    },
    methods::{Client2Server, Server2Client, Server2ClientResponse},
    utils::{Extranonce, HexU32Be},
};

/// What a line means to `sv1_api`, or its error.
pub fn read(line: &str) -> Value {
    let message = match serde_json::from_str::<Message>(line) {
        Ok(message) => message,
        Err(error) => return json!({ "error": format!("{error}") }),
    };
    match Method::try_from(message) {
        Ok(Method::Server2Client(notification)) => notification_of(notification),
        Ok(Method::Server2ClientResponse(response)) => response_of(response),
        Ok(Method::Client2Server(request)) => request_of(request),
        Ok(Method::ErrorMessage(Message::ErrorResponse(response))) => {
            let error = response
                .error
                .map(|error| json!([error.code, error.message]));
            json!({ "kind": "error", "id": response.id, "error": error })
        }
        Ok(Method::ErrorMessage(_)) => json!({ "error": "an error without a response" }),
        Err(error) => json!({ "error": format!("{error:?}") }),
    }
}

/// The line that `sv1_api` writes for a request described in JSON.
pub fn write(description: &str) -> Value {
    let described: Value = match serde_json::from_str(description) {
        Ok(described) => described,
        Err(error) => return json!({ "error": format!("{error}") }),
    };
    match message_of(&described) {
        Some(message) => {
            json!({ "line": serde_json::to_string(&message).expect("a message is JSON") })
        }
        None => json!({ "error": "not a request" }),
    }
}

fn notification_of(notification: Server2Client) -> Value {
    match notification {
        Server2Client::Notify(notify) => json!({
            "kind": "notify",
            "job_id": notify.job_id,
            "prev_hash": hex(notify.prev_hash.as_ref()),
            "coinb1": hex(notify.coin_base1.as_ref()),
            "coinb2": hex(notify.coin_base2.as_ref()),
            "merkle_path": notify.merkle_branch.iter().map(|node| hex(node.as_ref())).collect::<Vec<_>>(),
            "version": notify.version.0,
            "nbits": notify.bits.0,
            "ntime": notify.time.0,
            "clean": notify.clean_jobs,
        }),
        Server2Client::SetDifficulty(set) => {
            json!({ "kind": "set_difficulty", "difficulty": set.value })
        }
        Server2Client::SetExtranonce(set) => json!({
            "kind": "set_extranonce",
            "extranonce1": hex(set.extra_nonce1.as_ref()),
            "extranonce2_size": set.extra_nonce2_size,
        }),
        Server2Client::SetVersionMask(set) => {
            json!({ "kind": "set_version_mask", "mask": set.version_mask.0 })
        }
    }
}

fn response_of(response: Server2ClientResponse) -> Value {
    match response {
        Server2ClientResponse::Subscribe(subscribe) => json!({
            "kind": "subscribe",
            "id": subscribe.id,
            "extranonce1": hex(subscribe.extra_nonce1.as_ref()),
            "extranonce2_size": subscribe.extra_nonce2_size,
            "subscriptions": subscribe.subscriptions,
        }),
        Server2ClientResponse::Configure(configure) => json!({
            "kind": "configure",
            "id": configure.id,
            "mask": configure.version_rolling_mask().map(|mask| mask.0),
            "minimum_difficulty": configure.minimum_difficulty,
        }),
        Server2ClientResponse::GeneralResponse(general) => {
            json!({ "kind": "general", "id": general.id, "result": general.result })
        }
        other => json!({ "error": format!("{other:?}") }),
    }
}

fn request_of(request: Client2Server) -> Value {
    match request {
        Client2Server::Configure(configure) => json!({
            "kind": "configure",
            "id": configure.id,
            "mask": configure.version_rolling_mask().map(|mask| mask.0),
            "min_bit_count": configure.version_rolling_min_bit_count().map(|count| count.0),
            "subscribe_extranonce": configure
                .extensions
                .iter()
                .any(|extension| matches!(extension, ConfigureExtension::SubcribeExtraNonce)),
        }),
        Client2Server::Subscribe(subscribe) => json!({
            "kind": "subscribe",
            "id": subscribe.id,
            "user_agent": subscribe.agent_signature,
            "extranonce1": subscribe.extranonce1.map(|extranonce| hex(extranonce.as_ref())),
        }),
        Client2Server::Authorize(authorize) => json!({
            "kind": "authorize",
            "id": authorize.id,
            "user_name": authorize.name,
            "password": authorize.password,
        }),
        Client2Server::ExtranonceSubscribe(subscribe) => {
            json!({ "kind": "extranonce_subscribe", "id": subscribe.id })
        }
        Client2Server::Submit(submit) => json!({
            "kind": "submit",
            "id": submit.id,
            "user_name": submit.user_name,
            "job_id": submit.job_id,
            "extranonce2": hex(submit.extra_nonce2.as_ref()),
            "ntime": submit.time.0,
            "nonce": submit.nonce.0,
            "version_bits": submit.version_bits.map(|bits| bits.0),
        }),
        Client2Server::SuggestDifficulty() => json!({ "kind": "suggest_difficulty" }),
    }
}

/// The request that [`request_of`] describes so.
fn message_of(described: &Value) -> Option<Message> {
    let number = |name: &str| described[name].as_u64();
    let text = |name: &str| described[name].as_str().map(str::to_owned);
    let uint32 = |name: &str| {
        number(name)
            .and_then(|value| u32::try_from(value).ok())
            .map(HexU32Be)
    };
    let extranonce = |name: &str| Extranonce::try_from(from_hex(described[name].as_str()?)?).ok();
    let id = number("id")?;
    match described["kind"].as_str()? {
        "configure" => Some(Configure::new(id, uint32("mask"), uint32("min_bit_count")).into()),
        "configure_nothing" => Some(Configure::void(id).into()),
        "subscribe" => {
            let (agent_signature, extranonce1) = (text("user_agent")?, extranonce("extranonce1"));
            Subscribe {
                id,
                agent_signature,
                extranonce1,
            }
            .try_into()
            .ok()
        }
        "authorize" => {
            let (name, password) = (text("user_name")?, text("password")?);
            Some(Authorize { id, name, password }.into())
        }
        "extranonce_subscribe" => Some(ExtranonceSubscribe { id }.into()),
        "submit" => Some(
            Submit {
                id,
                user_name: text("user_name")?,
                job_id: text("job_id")?,
                extra_nonce2: extranonce("extranonce2")?,
                time: uint32("ntime")?,
                nonce: uint32("nonce")?,
                version_bits: uint32("version_bits"),
            }
            .into(),
        ),
        _ => None,
    }
}
