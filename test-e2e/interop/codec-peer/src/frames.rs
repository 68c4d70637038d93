//! Frames through the crates' own encoder, decoder and parser.

use crate::{
    messages,
    neutral::{from_hex, hex},
    random::Rng,
};
use serde_json::{Map, Value, json};
use stratum_core::{
    codec_sv2::{Decoded, Decoder, Encoder, MessageFrame, SerializedFrame},
    extensions_sv2::{EXTENSION_TYPE_WORKER_HASHRATE_TRACKING, UserIdentity},
    parsers_sv2::{AnyMessage, AnyMessageOwned, TlvField, TlvList, parse_message_frame_with_tlvs},
};

/// Message `index` of the run with that seed; the messages take turns. A SubmitSharesExtended carries the worker's name
/// half of the time.
pub fn generate(seed: u64, index: u64, small: bool) -> Map<String, Value> {
    let names = messages::all();
    let (protocol, name) = names[(index % names.len() as u64) as usize];
    let mut rng = Rng::new(seed, index, small);
    let message = messages::random(protocol, name, &mut rng).expect("a name of the table");
    let mut described = messages::describe(&message);
    let frame = if name == "SubmitSharesExtended" && rng.one_in(2) {
        let length = rng.length(32);
        let identity = UserIdentity::from_bytes(&rng.utf8(length)).expect("at most 32 bytes");
        described.insert("user_identity".into(), hex(identity.as_bytes()).into());
        let tlv = identity.to_tlv().expect("a name that fits");
        let tlvs = TlvList::from_slice(&[tlv]).expect("a TLV that encodes");
        tlvs.build_frame_bytes_with_tlvs(message)
            .expect("a message that encodes")
    } else {
        encode(message).expect("a message that encodes")
    };
    described.insert("frame".into(), hex(&frame).into());
    described
}

/// What the crates make of a frame in hex: the message, the worker's name, and the frame that they write for both. Or
/// the error.
pub fn decode(line: &str) -> Value {
    let outcome = from_hex(line).ok_or_else(|| "not hex".to_owned());
    match outcome.and_then(|bytes| read(&bytes)) {
        Ok(described) => described.into(),
        Err(error) => json!({ "error": error }),
    }
}

fn encode(message: AnyMessageOwned) -> Result<Vec<u8>, String> {
    let frame = MessageFrame::try_from(message).map_err(|error| format!("{error:?}"))?;
    Encoder::new()
        .encode(frame)
        .map_err(|error| format!("{error:?}"))
}

fn encode_borrowed(message: AnyMessage<'_>) -> Result<Vec<u8>, String> {
    let frame = MessageFrame::try_from(message).map_err(|error| format!("{error:?}"))?;
    Encoder::new()
        .encode(frame)
        .map_err(|error| format!("{error:?}"))
}

/// Hands the bytes to the stream decoder in the portions that it asks for.
fn frame_of(bytes: &[u8]) -> Result<SerializedFrame, String> {
    let mut decoder = Decoder::new();
    let mut rest = bytes;
    loop {
        let writable = decoder.writable();
        let (portion, left) = rest
            .split_at_checked(writable.len())
            .ok_or("Frame(Missing)")?;
        writable.copy_from_slice(portion);
        rest = left;
        match decoder.next_frame() {
            Ok(Decoded::Frame(frame)) if rest.is_empty() => return Ok(frame),
            Ok(Decoded::Frame(_)) => return Err("Frame(Surplus)".to_owned()),
            Ok(Decoded::Incomplete(_)) => {}
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}

fn read(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut frame = frame_of(bytes)?;
    let negotiated = [EXTENSION_TYPE_WORKER_HASHRATE_TRACKING];
    let header = frame.header();
    let (message, tlvs) = parse_message_frame_with_tlvs(header, frame.payload(), &negotiated)
        .map_err(|error| format!("{error:?}"))?;
    let bare = encode_borrowed(message.clone())?;
    let message = messages::owned(message);
    let mut described = messages::describe(&message);
    described.insert("bare_frame".into(), hex(&bare).into());
    let tlvs = tlvs.unwrap_or_default();
    let identities = tlvs.iter().map(|tlv| match UserIdentity::from_tlv(tlv) {
        Ok(identity) => json!({ "user_identity": hex(identity.as_bytes()) }),
        Err(error) => json!({ "error": format!("{error:?}") }),
    });
    described.insert("tlvs".into(), identities.collect());
    let again = TlvList::from_slice(&tlvs)
        .and_then(|list| list.build_frame_bytes_with_tlvs(message.clone()))
        .map_err(|error| format!("{error:?}"))?;
    let frame = if tlvs.is_empty() {
        encode(message)?
    } else {
        again
    };
    described.insert("frame".into(), hex(&frame).into());
    Ok(described)
}
