import {
  type CommonMessage,
  dialect,
  type Frame,
  type Protocol,
  protocolNumber,
  type SetupConnection,
  type SetupConnectionError,
} from "@adit/codec";
import type { ByteStream } from "./byte-stream.ts";
import { Deadline } from "./deadline.ts";
import { abortError, NetworkError, printable } from "./errors.ts";
import type { FrameConnection } from "./frame-connection.ts";
import { Inbox } from "./inbox.ts";
import { breakOnAbort, type Opened, respondOver, type ServerSecurity } from "./secure.ts";
import { protocolFault, type Sv2Connection, TypedConnection } from "./sv2-connection.ts";

/** What a server is, and what it grants. */
export interface Sv2Server<P extends Protocol> {
  /** The sub-protocol it serves. */
  readonly protocol: P;
  /** The SetupConnection.flags it can grant; others are refused by name. */
  readonly supportedFlags: number;
  /** Why it does not serve a client that it could serve otherwise: SetupConnection.Error. Left out, it serves them all. */
  refuse?(setup: SetupConnection): Pick<SetupConnectionError, "errorCode" | "flags"> | undefined;
  /** SetupConnection.Success.flags for a client, e.g. REQUIRES_FIXED_VERSION. */
  successFlags(setup: SetupConnection): number;
  /** Extensions it grants when asked. */
  readonly supportedExtensions: readonly number[];
  /** Extensions without which a client is disconnected at its first message. */
  readonly requiredExtensions: readonly number[];
  /** Longest payload accepted from a client once it is set up, in bytes. */
  maxPayload(setup: SetupConnection): number;
}

const PROTOCOL_VERSION = 2;

/**
 * The listening side of `dialSv2`: handshake and SetupConnection under one deadline. What it does not serve it answers
 * with SetupConnection.Error before it closes. RequestExtensions is answered as messages are pulled. Takes `stream` over,
 * and ends it when it rejects: with what `secureResponder` rejects with, `setup-refused`, `protocol-violation`,
 * `frame-too-large`, `timed-out` or `closed`. `signal` covers the set-up only.
 */
export async function acceptSv2<P extends Protocol>(
  stream: ByteStream,
  server: Sv2Server<P>,
  options: { readonly security: ServerSecurity; readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<Sv2Connection<P>> {
  using deadline = new Deadline(options.signal, options.deadlineMs);
  const opened = { stream, inbox: new Inbox(stream.source) };
  const { signal } = deadline;
  await awaitFirstByte(opened, { signal });
  return await answerSetup(await respondOver(opened, options.security, { signal }), server, { signal });
}

/** Waits until the peer says anything; aborts the stream and rejects when it ends or `signal` aborts before. */
export async function awaitFirstByte({ stream, inbox }: Opened, { signal }: { signal: AbortSignal }): Promise<void> {
  using _ = breakOnAbort(stream, signal, "waiting for its first byte");
  const { peer } = stream;
  if (await inbox.fill(1)) return;
  const error = new NetworkError("closed", {
    peer,
    message: `${peer}: the peer left without a word; port scans and health checks look like this`,
  });
  stream.abort(error);
  throw error;
}

/** Takes SetupConnection and answers it. Takes `frames` over, and ends them when it rejects. */
export async function answerSetup<P extends Protocol>(
  frames: FrameConnection,
  server: Sv2Server<P>,
  { signal }: { readonly signal: AbortSignal },
): Promise<Sv2Connection<P>> {
  using _ = breakOnAbort(frames, signal, "waiting for SetupConnection");
  try {
    return await setUp(frames, server);
  } catch (cause) {
    const error = signal.aborted ? abortError(signal, frames.peer, "waiting for SetupConnection") : cause;
    const fault = protocolFault(error, frames.peer);
    frames.abort(fault);
    throw fault;
  }
}

async function setUp<P extends Protocol>(frames: FrameConnection, server: Sv2Server<P>): Promise<Sv2Connection<P>> {
  const incoming = frames.reader.frames[Symbol.asyncIterator]() as AsyncIterator<Frame, undefined>;
  const setup = await receiveSetup(frames, incoming);
  const refusal = refusalOf(setup, server);
  if (refusal !== undefined) {
    await frames.writer.write(encode(refusal));
    await frames[Symbol.asyncDispose]();
    throw refused(frames.peer, setup, refusal);
  }
  const accepted = {
    name: "SetupConnectionSuccess",
    usedVersion: PROTOCOL_VERSION,
    flags: server.successFlags(setup),
  } as const;
  await frames.writer.write(encode(accepted));
  frames.reader.setMaxPayload(server.maxPayload(setup));
  return new TypedConnection({
    frames,
    incoming,
    protocol: server.protocol,
    setup,
    accepted,
    extensions: new Set(),
    server: { supported: server.supportedExtensions, required: server.requiredExtensions },
  });
}

async function receiveSetup(
  { peer }: FrameConnection,
  incoming: AsyncIterator<Frame, undefined>,
): Promise<SetupConnection> {
  const first = await incoming.next();
  if (first.done === true) {
    throw new NetworkError("closed", {
      peer,
      message: `${peer}: the peer left before SetupConnection; its log says why`,
    });
  }
  const decoded = dialect("mining").decode(first.value);
  if (decoded.kind === "message" && decoded.message.name === "SetupConnection") return decoded.message;
  const what = decoded.kind === "message" ? decoded.message.name : "a frame nobody knows";
  const message = `${peer}: the first frame is ${what}, not SetupConnection; the peer is disconnected`;
  throw new NetworkError("protocol-violation", { peer, message });
}

/** Spec 3.6.3; the error codes are those of the reference implementation. */
function refusalOf<P extends Protocol>(setup: SetupConnection, server: Sv2Server<P>): SetupConnectionError | undefined {
  const unsupported = (setup.flags & ~server.supportedFlags) >>> 0;
  const name = "SetupConnectionError";
  if (setup.protocol !== protocolNumber[server.protocol]) return { name, flags: 0, errorCode: "unsupported-protocol" };
  if (setup.minVersion > PROTOCOL_VERSION || setup.maxVersion < PROTOCOL_VERSION) {
    return { name, flags: 0, errorCode: "protocol-version-mismatch" };
  }
  if (unsupported !== 0) return { name, flags: unsupported, errorCode: "unsupported-feature-flags" };
  const refusal = server.refuse?.(setup);
  return refusal === undefined ? undefined : { name, ...refusal };
}

function refused(peer: string, setup: SetupConnection, { errorCode, flags }: SetupConnectionError): NetworkError {
  const detail = flags === 0 ? "" : ` 0x${flags.toString(16)}`;
  const who = printable(`${setup.vendor} ${setup.firmware}`);
  const message = `${peer}: refused ${JSON.stringify(who)} with ${errorCode}${detail}; its configuration does not fit`;
  return new NetworkError("setup-refused", { peer, message });
}

function encode(message: CommonMessage): Uint8Array {
  return dialect("mining").encode(message);
}
