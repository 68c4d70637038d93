//! The reference implementation's Noise as a program: one connection, over TCP or one bidirectional stream of Iroh, on
//! which every frame is sent back. Prints lines of JSON: where it listens, what became of the handshake, how it ended.

mod session;

use iroh::{
    Endpoint, EndpointAddr, PublicKey, RelayMode,
    endpoint::{Connection, presets},
};
use serde_json::{Value, json};
use session::{Failure, Role, echo, said, shake_hands};
use std::{env, process::ExitCode, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const USAGE: &str = "noise-peer dial tcp ADDRESS AUTHORITY
noise-peer dial iroh ALPN ENDPOINT_ID,ADDRESS... AUTHORITY
noise-peer listen tcp PUBLIC SECRET VALIDITY CLOCK
noise-peer listen iroh ALPN PUBLIC SECRET VALIDITY CLOCK

AUTHORITY, PUBLIC and SECRET are 32 bytes in hex, AUTHORITY may be any; VALIDITY and CLOCK are seconds.";

const GOODBYE: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(json!({ "error": failure }));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[&str]) -> Result<(), Failure> {
    match *arguments {
        ["dial", "tcp", address, authority] => {
            let role = initiator(authority)?;
            speak_tcp(&role, TcpStream::connect(address).await.map_err(said)?).await
        }
        ["dial", "iroh", alpn, address, authority] => {
            let role = initiator(authority)?;
            let endpoint = endpoint(alpn).await?;
            let connection = endpoint
                .connect(endpoint_address(address)?, alpn.as_bytes())
                .await
                .map_err(said)?;
            let streams = connection.open_bi().await.map_err(said)?;
            speak_iroh(&role, (endpoint, connection), streams).await
        }
        ["listen", "tcp", ref keys @ ..] => {
            let role = responder(keys)?;
            let listener = TcpListener::bind("127.0.0.1:0").await.map_err(said)?;
            say(json!({ "listening": listener.local_addr().map_err(said)?.to_string() }));
            let (stream, _) = listener.accept().await.map_err(said)?;
            speak_tcp(&role, stream).await
        }
        ["listen", "iroh", alpn, ref keys @ ..] => {
            let role = responder(keys)?;
            let endpoint = endpoint(alpn).await?;
            let addresses: Vec<String> = endpoint
                .bound_sockets()
                .iter()
                .map(ToString::to_string)
                .collect();
            say(json!({ "listening": endpoint.id().to_string(), "addresses": addresses }));
            let incoming = endpoint.accept().await.ok_or("the endpoint is closed")?;
            let connection = incoming.await.map_err(said)?;
            let streams = connection.accept_bi().await.map_err(said)?;
            speak_iroh(&role, (endpoint, connection), streams).await
        }
        _ => Err(USAGE.into()),
    }
}

async fn speak_tcp(role: &Role, mut stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true).map_err(said)?;
    let (mut reader, mut writer) = stream.split();
    speak(role, &mut reader, &mut writer).await
}

async fn speak_iroh(
    role: &Role,
    (endpoint, connection): (Endpoint, Connection),
    (mut writer, mut reader): (iroh::endpoint::SendStream, iroh::endpoint::RecvStream),
) -> Result<(), Failure> {
    let outcome = speak(role, &mut reader, &mut writer).await;
    if outcome.is_ok() {
        // What was written last is lost unless the peer is the one that closes.
        let _ = timeout(GOODBYE, connection.closed()).await;
    }
    endpoint.close().await;
    outcome
}

async fn speak<R, W>(role: &Role, reader: &mut R, writer: &mut W) -> Result<(), Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let secured = shake_hands(role, reader, writer).await?;
    say(json!({ "handshake": "done" }));
    let frames = echo(secured, reader, writer).await?;
    writer.shutdown().await.map_err(said)?;
    say(json!({ "ended": frames }));
    Ok(())
}

async fn endpoint(alpn: &str) -> Result<Endpoint, Failure> {
    Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .alpns(vec![alpn.as_bytes().to_vec()])
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .map_err(said)?
        .bind()
        .await
        .map_err(said)
}

fn endpoint_address(text: &str) -> Result<EndpointAddr, Failure> {
    let mut parts = text.split(',');
    let id: PublicKey = parts.next().unwrap_or("").parse().map_err(said)?;
    parts.try_fold(EndpointAddr::new(id), |address, socket| {
        Ok(address.with_ip_addr(socket.parse().map_err(said)?))
    })
}

fn initiator(authority: &str) -> Result<Role, Failure> {
    let authority = match authority {
        "any" => None,
        key => Some(key_of(key)?),
    };
    Ok(Role::Initiator { authority })
}

fn responder(keys: &[&str]) -> Result<Role, Failure> {
    let [public, secret, validity, clock] = *keys else {
        return Err(USAGE.into());
    };
    Ok(Role::Responder {
        public: key_of(public)?,
        secret: key_of(secret)?,
        validity: validity.parse().map_err(said)?,
        clock: clock.parse().map_err(said)?,
    })
}

fn key_of(hex: &str) -> Result<[u8; 32], Failure> {
    let byte = |at: usize| {
        hex.get(2 * at..2 * at + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    bytes
        .filter(|_| hex.len() == 64)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| USAGE.into())
}

fn say(line: Value) {
    println!("{line}");
}
