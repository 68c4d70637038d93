import { type Hash, hash } from "@adit/bitcoin";
import type * as Zeromq from "zeromq";
import { NodeError } from "./errors.ts";

/** What {@link followHashblock} listens to. */
export interface HashblockOptions {
  /** `host:port` of the node, for errors. */
  readonly node: string;
  /** The address of `zmqpubhashblock`, like `tcp://127.0.0.1:28332`. */
  readonly address: string;
  /** Called with the hash of every block that becomes the tip, also while a reorganisation passes over it. */
  readonly onHash: (hash: Hash) => void;
  readonly signal: AbortSignal;
  /** Loads the optional package; tests have it fail. */
  readonly load?: () => Promise<typeof Zeromq>;
}

/** What waits to be read at most. Only the newest tip counts, and polling finds that as well. */
const MAX_WAITING = 64;

/**
 * Follows a node's `hashblock` notifications until the signal aborts. A node that is gone is not noticed and is
 * connected to again when it is back: polling has to tell.
 *
 * @throws NodeError `zmq-unavailable` when the package `zeromq` is not installed or does not load, or for a bad address.
 */
export async function followHashblock({ load = loadZeromq, ...options }: HashblockOptions): Promise<void> {
  const { node, address, signal } = options;
  const site = { node, method: `ZMQ ${address}` };
  let zeromq: typeof Zeromq;
  try {
    zeromq = await load();
  } catch (cause) {
    const message = "the optional package zeromq is missing or does not load: npm install zeromq; polling goes on";
    throw new NodeError("zmq-unavailable", { ...site, message, cause });
  }
  if (signal.aborted) return;
  const socket = new zeromq.Subscriber({ receiveHighWaterMark: MAX_WAITING });
  const close = (): void => socket.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    socket.connect(address);
    socket.subscribe("hashblock");
    for await (const [topic, body] of socket) if (topic !== undefined) notify(topic, body, options.onHash);
  } catch (cause) {
    const message =
      `the notifications cannot be followed (${(cause as Error).message}); ` +
      "write the address as in the node's zmqpubhashblock, like tcp://127.0.0.1:28332; polling goes on";
    throw new NodeError("zmq-unavailable", { ...site, message, cause });
  } finally {
    signal.removeEventListener("abort", close);
    if (!socket.closed) close();
  }
}

/** A subscription is a prefix, so other topics can come too. The hash is in display order (doc/zmq.md of Bitcoin Core). */
function notify(topic: Uint8Array, body: Uint8Array | undefined, onHash: (hash: Hash) => void): void {
  if (new TextDecoder().decode(topic) === "hashblock" && body?.length === 32) onHash(hash(body.toReversed()));
}

function loadZeromq(): Promise<typeof Zeromq> {
  return import("zeromq");
}
