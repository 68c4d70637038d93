//! One connection over any byte stream: the handshake in either role, then every frame sent back as it came.

use codec_sv2::{
    Decoded, Decrypted, ExpectsHandshakeMessage, Handshake, InitiatorSent, NoiseDecoder,
    NoiseEncoder, Transport,
};
use noise_sv2::{Initiator, Responder};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Who this side is in the handshake.
pub enum Role {
    /// Expects a certificate of this authority, if there is one.
    Initiator { authority: Option<[u8; 32]> },
    /// Shows a certificate that is valid from `clock` seconds from now, for `validity` seconds.
    Responder {
        public: [u8; 32],
        secret: [u8; 32],
        validity: u32,
        clock: i64,
    },
}

/// What went wrong, in the words of whoever found it.
pub type Failure = String;

/// Shakes hands. The decoder has the bytes that came with the last message.
pub async fn shake_hands<R, W>(
    role: &Role,
    reader: &mut R,
    writer: &mut W,
) -> Result<(Transport, NoiseDecoder, NoiseEncoder), Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut decoder = NoiseDecoder::new();
    let mut encoder = NoiseEncoder::new();
    let transport = match role {
        Role::Initiator { authority } => {
            let initiator = match authority {
                Some(key) => Initiator::from_raw_k(*key),
                None => Initiator::without_pk(),
            };
            let (message, handshake) = Handshake::initiator(initiator.map_err(said)?)
                .step_0()
                .map_err(said)?;
            send(writer, encoder.encode_handshake(message).as_ref()).await?;
            let answer = handshake_message::<InitiatorSent, _>(reader, &mut decoder).await?;
            handshake
                .step_2(answer.as_slice().try_into().map_err(said)?)
                .map_err(said)?
        }
        Role::Responder {
            public,
            secret,
            validity,
            clock,
        } => {
            let validity_time = std::time::Duration::from_secs((*validity).into());
            let responder =
                Responder::from_authority_kp(public, secret, validity_time).map_err(said)?;
            let first = handshake_message::<Responder, _>(reader, &mut decoder).await?;
            let (answer, transport) = Handshake::responder(responder)
                .step_1_with_now_rng(
                    first.as_slice().try_into().map_err(said)?,
                    seconds_now(*clock),
                    &mut rand::thread_rng(),
                )
                .map_err(said)?;
            send(writer, encoder.encode_handshake(answer).as_ref()).await?;
            transport
        }
    };
    Ok((transport, decoder, encoder))
}

/// Sends every frame back until the peer ends the stream between two of them. Returns how many there were.
pub async fn echo<R, W>(
    (transport, mut decoder, mut encoder): (Transport, NoiseDecoder, NoiseEncoder),
    reader: &mut R,
    writer: &mut W,
) -> Result<u64, Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut sealing, mut opening) = transport.split();
    let mut frames = 0;
    let mut between_frames = true;
    loop {
        match decoder.next_transport_frame(opening).map_err(said)? {
            Decrypted::Frame(frame, state) => {
                opening = state;
                frames += 1;
                between_frames = true;
                let sealed = encoder
                    .encode_transport(frame, &mut sealing)
                    .map_err(said)?;
                send(writer, sealed.as_ref()).await?;
            }
            Decrypted::Incomplete(0, state) => opening = state,
            Decrypted::Incomplete(_, state) => {
                opening = state;
                if !fill(reader, &mut decoder).await? {
                    return if between_frames {
                        Ok(frames)
                    } else {
                        Err("ended in the middle of a frame".into())
                    };
                }
                between_frames = false;
            }
        }
    }
}

async fn handshake_message<M, R>(
    reader: &mut R,
    decoder: &mut NoiseDecoder,
) -> Result<Vec<u8>, Failure>
where
    M: ExpectsHandshakeMessage,
    R: AsyncRead + Unpin,
{
    loop {
        match decoder.next_handshake_frame::<M>().map_err(said)? {
            Decoded::Frame(message) => return Ok(message.payload().to_vec()),
            Decoded::Incomplete(0) => {}
            Decoded::Incomplete(_) => {
                if !fill(reader, decoder).await? {
                    return Err("ended in the handshake".into());
                }
            }
        }
    }
}

/// Reads as much as the decoder asks for. False when the stream ended before the first byte of it.
async fn fill<R: AsyncRead + Unpin>(
    reader: &mut R,
    decoder: &mut NoiseDecoder,
) -> Result<bool, Failure> {
    let mut wanted = vec![0; decoder.writable_len()];
    let mut at = 0;
    while at < wanted.len() {
        let got = reader.read(&mut wanted[at..]).await.map_err(said)?;
        match (got, at) {
            (0, 0) => return Ok(false),
            (0, _) => return Err("ended in the middle of a frame".into()),
            _ => at += got,
        }
    }
    decoder.writable().copy_from_slice(&wanted);
    Ok(true)
}

async fn send<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> Result<(), Failure> {
    writer.write_all(bytes).await.map_err(said)?;
    writer.flush().await.map_err(said)
}

fn seconds_now(offset: i64) -> u32 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is behind 1970")
        .as_secs();
    (now as i64 + offset) as u32
}

/// An error as text.
pub fn said<E: std::fmt::Debug>(error: E) -> Failure {
    format!("{error:?}")
}
