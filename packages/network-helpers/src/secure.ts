import { maxPayloadOf } from "@adit/codec";
import {
  ACT1_SIZE,
  ACT2_SIZE,
  type Ciphers,
  type Entropy,
  initiator,
  type NoiseCrypto,
  NoiseError,
  type NoiseErrorCode,
  type ResponderIdentity,
} from "@adit/noise";
import type { ByteStream } from "./byte-stream.ts";
import { DualFrameConnection, type DualStreams } from "./dual/dual-frame-connection.ts";
import { abortError, NetworkError, type NetworkErrorCode } from "./errors.ts";
import { type FrameCipher, noiseCipher, plainCipher } from "./frame-cipher.ts";
import { type FrameConnection, StreamFrameConnection } from "./frame-connection.ts";
import type { HandshakeGate } from "./handshake-gate.ts";
import { Inbox } from "./inbox.ts";

/** How a dialler secures its connections: Noise against an authority key (null: any, the caller has warned), or not. */
export type ClientSecurity =
  | { readonly noise: { readonly crypto: NoiseCrypto; readonly authority: Uint8Array | null } }
  | "plain";

/** How a listener secures its connections. Without a gate, handshakes are computed as they come. */
export type ServerSecurity =
  | {
      readonly noise: {
        readonly crypto: NoiseCrypto;
        readonly identity: ResponderIdentity;
        readonly gate?: HandshakeGate;
      };
    }
  | "plain";

/** Most payload bytes a server takes before SetupConnection has come: that message's own maximum. */
export const MAX_PAYLOAD_BEFORE_SETUP: number = maxPayloadOf("SetupConnection");
/** Most payload bytes a client takes unless told: a full template's transactions with room to spare. */
export const MAX_PAYLOAD_FROM_SERVER = 4_200_000;

/** 32 bytes and such from the platform's generator of random numbers. */
export const systemEntropy: Entropy = (length) => globalThis.crypto.getRandomValues(new Uint8Array(length));

/**
 * The dialling side: shakes hands over `stream` and hands out frames. It is the same over every transport, with the same
 * errors (requirement A3): what other suites call NoiseTcpStream and NoiseIrohStream is this function over a stream of
 * `tcp()` or of an Iroh node. Takes `stream` over, and aborts it when it rejects: with `handshake-failed`,
 * `authority-mismatch`, `certificate-expired`, `timed-out` or `closed` (by `signal`, which covers the handshake only).
 */
export function secureInitiator(
  stream: ByteStream,
  security: ClientSecurity,
  options: { readonly signal: AbortSignal },
): Promise<FrameConnection> {
  const inbox = new Inbox(stream.source);
  return shakingHands({ stream, inbox, signal: options.signal }, async () => {
    const session = security === "plain" ? plainSession : await initiate({ stream, inbox }, security.noise);
    const opened = { stream, inbox, maxPayload: MAX_PAYLOAD_FROM_SERVER, hint: "" };
    const streams = await bothStreams(opened, session, options);
    return streams === null ? oneStream(opened, session) : DualFrameConnection.dial(streams);
  });
}

/** The listening side of {@link secureInitiator}, with the same errors, and `refused` when the gate is full. */
export function secureResponder(
  stream: ByteStream,
  security: ServerSecurity,
  options: { readonly signal: AbortSignal },
): Promise<FrameConnection> {
  return respondOver({ stream, inbox: new Inbox(stream.source) }, security, options);
}

/** A stream of which some bytes may have been pulled already. */
export interface Opened {
  readonly stream: ByteStream;
  readonly inbox: Inbox;
}

/** {@link secureResponder} for a stream whose first bytes have been waited for. */
export function respondOver(
  { stream, inbox }: Opened,
  security: ServerSecurity,
  { signal }: { readonly signal: AbortSignal },
): Promise<FrameConnection> {
  return shakingHands({ stream, inbox, signal }, async () => {
    if (security !== "plain" && !(await inbox.fill(ACT1_SIZE))) throw endedEarly(stream.peer);
    const hint = foreignProtocol(inbox);
    const session = security === "plain" ? plainSession : await respond({ stream, inbox }, security.noise, signal);
    const opened = { stream, inbox, maxPayload: MAX_PAYLOAD_BEFORE_SETUP, hint };
    const streams = await bothStreams(opened, session, { signal });
    return streams === null ? oneStream(opened, session) : DualFrameConnection.accept(streams);
  });
}

/** What both sides have agreed on: a cipher for each stream. */
interface Session {
  readonly cipher: FrameCipher;
  /** To be called once. */
  secondCipher(): FrameCipher;
}

const plainSession: Session = { cipher: plainCipher, secondCipher: () => plainCipher };

function noiseSession(ciphers: Ciphers): Session {
  return { cipher: noiseCipher(ciphers), secondCipher: () => noiseCipher(ciphers.secondStream()) };
}

/** A stream with what its frames are read with. */
interface Ready extends Opened {
  readonly maxPayload: number;
  readonly hint: string;
}

function oneStream(opened: Ready, { cipher }: Session): FrameConnection {
  return new StreamFrameConnection(opened.stream, { ...opened, cipher });
}

/** Where the protocol name stands for two streams: the second one too, with the keys of the same handshake. */
async function bothStreams(
  first: Ready,
  session: Session,
  options: { readonly signal: AbortSignal },
): Promise<DualStreams | null> {
  const stream = await first.stream.secondStream?.(options);
  if (stream === undefined) return null;
  const { maxPayload } = first;
  return {
    control: { ...first, cipher: session.cipher },
    data: { stream, inbox: new Inbox(stream.source), cipher: session.secondCipher(), maxPayload, hint: "" },
  };
}

async function initiate({ stream, inbox }: Opened, noise: Exclude<ClientSecurity, "plain">["noise"]): Promise<Session> {
  const { bytes, next } = initiator({ ...noise, entropy: systemEntropy }).act1();
  await stream.write(bytes);
  if (!(await inbox.fill(ACT2_SIZE))) throw endedEarly(stream.peer);
  return noiseSession(next.act2(inbox.take(ACT2_SIZE), Date.now()).ciphers);
}

async function respond(
  { stream, inbox }: Opened,
  { identity, gate }: Exclude<ServerSecurity, "plain">["noise"],
  signal: AbortSignal,
): Promise<Session> {
  const act1 = inbox.take(ACT1_SIZE);
  const compute = (): ReturnType<ReturnType<ResponderIdentity["begin"]>["act1"]> =>
    identity.begin(Date.now()).act1(act1);
  const { bytes, ciphers } = await (gate === undefined ? compute() : gate.run(compute, { signal, peer: stream.peer }));
  await stream.write(bytes);
  return noiseSession(ciphers);
}

/** Breaks the stream when `signal` aborts or `work` fails, and gives every failure its NetworkError. */
async function shakingHands<T>(
  { stream, inbox, signal }: Opened & { readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  using _ = breakOnAbort(stream, signal, "shaking hands");
  try {
    return await work();
  } catch (cause) {
    const error = signal.aborted
      ? abortError(signal, stream.peer, `shaking hands${foreignProtocol(inbox)}`)
      : handshakeFault(cause, stream.peer);
    stream.abort(error);
    throw error;
  }
}

/** Aborts `stream` with the right error when `signal` aborts, until it is disposed. */
export function breakOnAbort(
  stream: Pick<ByteStream, "abort" | "peer">,
  signal: AbortSignal,
  doing: string,
): Disposable {
  const stop = (): void => stream.abort(abortError(signal, stream.peer, doing));
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", stop) };
}

const noiseFaults: Partial<Record<NoiseErrorCode, readonly [NetworkErrorCode, string]>> = {
  "authority-mismatch": [
    "authority-mismatch",
    "the server's certificate is not signed by the authority key in the config; compare that with what the server logs at its start, and if it is right, somebody sits in between",
  ],
  "certificate-expired": [
    "certificate-expired",
    "the server's certificate has expired; check the clocks of both machines",
  ],
  "certificate-not-yet-valid": [
    "certificate-expired",
    "the server's certificate is not valid yet; check the clocks of both machines",
  ],
};

function handshakeFault(cause: unknown, peer: string): NetworkError {
  if (cause instanceof NetworkError && cause.code !== "closed") return cause;
  const advice = "the handshake failed; check that host and port are those of a Stratum V2 port with Noise";
  const known = cause instanceof NoiseError ? noiseFaults[cause.code] : undefined;
  const [code, what] = known ?? (["handshake-failed", advice] as const);
  return new NetworkError(code, { peer, message: `${peer}: ${what}`, cause });
}

function endedEarly(peer: string): NetworkError {
  const message = `${peer}: the peer ended before the handshake was complete; its log says why, if it is one of Stratum V2`;
  return new NetworkError("closed", { peer, message });
}

/** What a stranger seems to speak, for the error message; random bytes of a real handshake may look alike once in a while. */
function foreignProtocol(inbox: Inbox): string {
  const bytes = inbox.peek(8);
  const text = String.fromCharCode(...bytes);
  const isTls = bytes[0] === 0x16 && bytes[1] === 3;
  const isHttp = /^(GET|POST|PUT|HEAD|OPTIONS|CONNECT|PRI) /.test(text);
  const found = isTls ? "TLS" : isHttp ? "HTTP" : /^\s*\{\s*"/.test(text) ? "Stratum V1" : undefined;
  return found === undefined ? "" : ` (the peer seems to speak ${found}; this port is for Stratum V2)`;
}
