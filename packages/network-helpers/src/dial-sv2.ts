import {
  type CommonMessage,
  dialect,
  EXTENSIONS_NEGOTIATION,
  type ExtensionsNegotiationMessage,
  type Frame,
  type Protocol,
  protocolNumber,
  type RequestExtensionsError,
  type RequestExtensionsSuccess,
  type SetupConnection,
  type SetupConnectionSuccess,
} from "@adit/codec";
import type { ByteStream } from "./byte-stream.ts";
import { Deadline } from "./deadline.ts";
import { abortError, NetworkError, printable } from "./errors.ts";
import type { FrameConnection } from "./frame-connection.ts";
import { breakOnAbort, type ClientSecurity, MAX_PAYLOAD_FROM_SERVER, secureInitiator } from "./secure.ts";
import { protocolFault, type Sv2Connection, TypedConnection } from "./sv2-connection.ts";

/** What a client says of itself, and asks for. */
export interface Sv2Client<P extends Protocol> {
  /** The sub-protocol of the connection. */
  readonly protocol: P;
  /** SetupConnection.flags. */
  readonly flags: number;
  /** The host that was dialled, ASCII. */
  readonly endpointHost: string;
  /** The port that was dialled. */
  readonly endpointPort: number;
  /** Who made this software, with its version. */
  readonly vendor: string;
  /** The hardware or software package in use. */
  readonly hardwareVersion: string;
  /** The firmware, or the version of this software. */
  readonly firmware: string;
  /** A unique id of the device; empty for no telemetry. */
  readonly deviceId: string;
  /** Extensions to ask for with RequestExtensions; none asks nothing. */
  readonly requestExtensions: readonly number[];
  /** Those of them without which the connection is of no use. */
  readonly requiredExtensions?: readonly number[];
}

/** How `dialSv2` goes about it. */
export interface DialSv2Options {
  readonly security: ClientSecurity;
  /** Covers the set-up only; later the connection is ended by disposing or aborting it. */
  readonly signal: AbortSignal;
  /** Time for handshake, SetupConnection and extensions together, in milliseconds. */
  readonly deadlineMs: number;
  /** Longest payload accepted from the server, in bytes; 4.2 MB unless told. */
  readonly maxPayload?: number;
}

/** The part of the deadline after which a server that ignores RequestExtensions is taken to know none. */
const EXTENSIONS_SHARE = 0.3;
const PROTOCOL_VERSION = 2;

/**
 * Handshake, SetupConnection and extension negotiation over a fresh stream, under one deadline. A server that does not
 * answer RequestExtensions is taken to support none. Takes `stream` over, and aborts it when it rejects: with what
 * {@link secureInitiator} rejects with, `setup-refused`, `protocol-violation`, `timed-out` or `closed`.
 */
export async function dialSv2<P extends Protocol>(
  stream: ByteStream,
  client: Sv2Client<P>,
  options: DialSv2Options,
): Promise<Sv2Connection<P>> {
  using deadline = new Deadline(options.signal, options.deadlineMs);
  const { signal } = deadline;
  const frames = await secureInitiator(stream, options.security, { signal });
  frames.reader.setMaxPayload(options.maxPayload ?? MAX_PAYLOAD_FROM_SERVER);
  using _ = breakOnAbort(frames, signal, "setting up the connection");
  try {
    return await new ClientSetup(frames, client).run(options.deadlineMs * EXTENSIONS_SHARE, signal);
  } catch (cause) {
    const error = signal.aborted ? abortError(signal, stream.peer, "setting up the connection") : cause;
    const fault = protocolFault(error, stream.peer);
    frames.abort(fault);
    throw fault;
  }
}

class ClientSetup<P extends Protocol> {
  readonly #frames: FrameConnection;
  readonly #client: Sv2Client<P>;
  readonly #incoming: AsyncIterator<Frame, undefined>;
  /** Pulled but not used: the connection starts with them. */
  readonly #held: Promise<IteratorResult<Frame, undefined>>[] = [];

  constructor(frames: FrameConnection, client: Sv2Client<P>) {
    this.#frames = frames;
    this.#client = client;
    this.#incoming = frames.reader.frames[Symbol.asyncIterator]();
  }

  async run(extensionsMs: number, signal: AbortSignal): Promise<Sv2Connection<P>> {
    const setup = setupConnection(this.#client);
    const accepted = await this.#setUp(setup);
    const extensions = await this.#negotiate(extensionsMs, signal);
    const missing = (this.#client.requiredExtensions ?? []).filter((extension) => !extensions.has(extension));
    if (missing.length > 0) throw this.#refused(`it does not support the extensions ${missing.join(", ")}`);
    return new TypedConnection({
      frames: this.#frames,
      incoming: { next: () => this.#held.shift() ?? this.#incoming.next() },
      protocol: this.#client.protocol,
      setup,
      accepted,
      extensions,
      server: null,
    });
  }

  async #setUp(setup: SetupConnection): Promise<SetupConnectionSuccess> {
    await this.#send(setup);
    const answer = await this.#incoming.next();
    if (answer.done === true) throw this.#refused("it closed the connection instead of answering SetupConnection");
    const decoded = dialect(this.#client.protocol).decode(answer.value);
    const message: { readonly name: string } | undefined = decoded.kind === "message" ? decoded.message : undefined;
    if (message !== undefined && isAnswer(message, "SetupConnectionSuccess")) {
      if (message.usedVersion === PROTOCOL_VERSION) return message;
      throw this.#violation(`the server chose protocol version ${message.usedVersion}, which was not offered`);
    }
    if (message !== undefined && isAnswer(message, "SetupConnectionError")) {
      const flags = message.flags === 0 ? "" : `, flags it does not support: 0x${message.flags.toString(16)}`;
      throw this.#refused(`its answer is "${printable(message.errorCode)}"${flags}`);
    }
    throw this.#violation(`the answer to SetupConnection is ${message?.name ?? "a frame nobody knows"}`);
  }

  async #negotiate(patienceMs: number, signal: AbortSignal): Promise<Set<number>> {
    const { requestExtensions } = this.#client;
    if (requestExtensions.length === 0) return new Set();
    await this.#send({ name: "RequestExtensions", requestId: 0, requestedExtensions: [...requestExtensions] });
    const answer = await this.#extensionsAnswer(patienceMs, signal);
    if (answer === undefined) return new Set();
    if (answer.name === "RequestExtensionsSuccess") {
      return new Set(answer.supportedExtensions.filter((extension) => requestExtensions.includes(extension)));
    }
    if (answer.requiredExtensions.length === 0) return new Set();
    throw this.#refused(`it requires the extensions ${answer.requiredExtensions.slice(0, 16).join(", ")}`);
  }

  /** The next frame if it is the answer. Whatever else comes, or comes too late, stays for the connection. */
  async #extensionsAnswer(
    patienceMs: number,
    signal: AbortSignal,
  ): Promise<RequestExtensionsSuccess | RequestExtensionsError | undefined> {
    const pulling = this.#incoming.next();
    const next = await orUndefined(pulling, { patienceMs, signal });
    if (next?.done === false && next.value.extensionType === EXTENSIONS_NEGOTIATION) {
      const decoded = dialect(this.#client.protocol).decode(next.value);
      const message: { readonly name: string } | undefined = decoded.kind === "message" ? decoded.message : undefined;
      if (message !== undefined && isAnswer(message, "RequestExtensionsSuccess")) return message;
      if (message !== undefined && isAnswer(message, "RequestExtensionsError")) return message;
    }
    this.#held.push(pulling);
    return undefined;
  }

  #send(message: CommonMessage | ExtensionsNegotiationMessage): Promise<void> {
    return this.#frames.writer.write(dialect("mining").encode(message));
  }

  #refused(why: string): NetworkError {
    const { peer } = this.#frames;
    const message = `${peer}: the server refuses the connection: ${why}; check that it is the right server and port`;
    return new NetworkError("setup-refused", { peer, message });
  }

  #violation(what: string): NetworkError {
    const { peer } = this.#frames;
    return new NetworkError("protocol-violation", { peer, message: `${peer}: ${what}` });
  }
}

function setupConnection<P extends Protocol>(client: Sv2Client<P>): SetupConnection {
  return {
    name: "SetupConnection",
    protocol: protocolNumber[client.protocol],
    minVersion: PROTOCOL_VERSION,
    maxVersion: PROTOCOL_VERSION,
    flags: client.flags,
    endpointHost: client.endpointHost,
    endpointPort: client.endpointPort,
    vendor: client.vendor,
    hardwareVersion: client.hardwareVersion,
    firmware: client.firmware,
    deviceId: client.deviceId,
  };
}

type Control = CommonMessage | ExtensionsNegotiationMessage;

function isAnswer<Name extends Control["name"]>(
  message: { readonly name: string },
  name: Name,
): message is Extract<Control, { readonly name: Name }> {
  return message.name === name;
}

async function orUndefined<T>(
  work: Promise<T>,
  options: { readonly patienceMs: number; readonly signal: AbortSignal },
): Promise<T | undefined> {
  using patience = new Deadline(options.signal, options.patienceMs);
  const { signal } = patience;
  return await Promise.race([
    work,
    new Promise<undefined>((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true })),
  ]);
}
