import { AcceptQueue } from "../accept-queue.ts";
import type { ByteStream, Listener } from "../byte-stream.ts";
import { NetworkError } from "../errors.ts";
import { formatIrohAddress } from "./address.ts";
import { encodeTicket, type IrohAddress } from "./ticket.ts";

/** Accepted streams nobody has pulled yet. */
const BACKLOG = 128;

/** What a listener needs of its node. */
export interface IrohListenerOptions {
  /** Where the node is reachable now. */
  readonly address: () => IrohAddress;
  /** Endpoint ids that may connect to it, in place of those of the node; absent: those of the node. */
  readonly allowedPeers?: ReadonlySet<string> | undefined;
  /** Called once when the listener ends. */
  readonly onEnded: (listener: IrohListener) => void;
}

/** Takes the streams of one ALPN of a node. Disposing it leaves the node and its UDP port as they are. */
export class IrohListener implements Listener {
  readonly streams: AsyncIterable<ByteStream>;
  readonly #options: IrohListenerOptions;
  readonly #queue = new AcceptQueue<ByteStream>(BACKLOG);
  #ended = false;

  constructor(options: IrohListenerOptions) {
    this.#options = options;
    this.streams = this.#queue.items;
  }

  /** `<endpoint id>?relay=...&addr=...` as of now: addresses may change while the node runs. */
  get address(): string {
    return formatIrohAddress(this.#options.address());
  }

  /** Endpoint ids that may connect to it, in place of those of the node. */
  get allowedPeers(): ReadonlySet<string> | undefined {
    return this.#options.allowedPeers;
  }

  /** The node's endpoint id, 64 hex digits. */
  get endpointId(): string {
    return this.#options.address().endpointId;
  }

  /** The node's ticket as of now. */
  get ticket(): string {
    return encodeTicket(this.#options.address());
  }

  /** Hands over a stream; false when nobody pulls and the backlog is full, or the listener has ended. */
  offer(stream: ByteStream): boolean {
    return this.#queue.push(stream);
  }

  /** Ends the listener now. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.onEnded(this);
    for (const stream of this.#queue.end()) {
      const message = `${stream.peer}: the listener stopped before the connection was served`;
      stream.abort(new NetworkError("closed", { peer: stream.peer, message }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
  }
}
