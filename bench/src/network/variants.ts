import { loadCrypto } from "@adit/fast-crypto";
import {
  type ByteStream,
  type FrameConnection,
  NetworkError,
  secureInitiator,
  secureResponder,
  systemEntropy,
  type Transport,
} from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { type NoiseCrypto, ResponderIdentity } from "@adit/noise";
import { bytes } from "../samples.ts";
import { startNode } from "../transport-links.ts";

const never = new AbortController().signal;

/** What a variant is made of, at one end. */
export interface End {
  /** The address of this end. */
  readonly host: string;
  readonly crypto: NoiseCrypto;
  readonly identity: ResponderIdentity;
  /** This process's Iroh node. Throws NetworkError `iroh-unavailable` where its package is not installed. */
  iroh(): IrohNodeManager;
}

/** One way to carry frames. */
export interface Variant {
  readonly name: string;
  /** Starts to listen, hands each connection to `answer`, and returns where to dial. */
  serve(end: End, answer: (connection: FrameConnection) => Promise<void>): Promise<string>;
  /** Opens a connection; the server's authority key is `authority`. */
  dial(end: End, address: string, authority: Uint8Array): Promise<FrameConnection>;
}

/** Everything that is compared; the first is what the others are compared with. A line here is all a new one takes. */
export const variants: readonly Variant[] = [
  singleStream("TCP", "plain", { transport: () => tcp(), listenOn: ({ host }) => `${host}:0` }),
  singleStream("TCP + Noise", "noise", { transport: () => tcp(), listenOn: ({ host }) => `${host}:0` }),
  singleStream("Iroh", "plain", { transport: (end) => end.iroh().transport(alpns.mining.plain), listenOn: () => "" }),
  singleStream("Iroh + Noise", "noise", {
    transport: (end) => end.iroh().transport(alpns.mining.noise),
    listenOn: () => "",
  }),
];

/** Opens what this process needs for any variant. */
export async function openEnd(host: string, maxConnections: number): Promise<End> {
  const { noise: crypto } = await loadCrypto();
  const authoritySecretKey = bytes(32, 77);
  const identity = new ResponderIdentity({ crypto, entropy: systemEntropy, authoritySecretKey, certValiditySec: 3600 });
  const node = await startNode(host, maxConnections).catch(unavailable);
  const iroh = (): IrohNodeManager => {
    if (node instanceof NetworkError) throw node;
    return node;
  };
  return { host, crypto, identity, iroh };
}

/** The error when it says that Iroh is not installed; throws any other. */
export function unavailable(error: unknown): NetworkError {
  if (error instanceof NetworkError && error.code === "iroh-unavailable") return error;
  throw error;
}

function singleStream(
  name: string,
  security: "plain" | "noise",
  on: { readonly transport: (end: End) => Transport; readonly listenOn: (end: End) => string },
): Variant {
  return {
    name,
    serve: async (end, answer) => {
      const { crypto, identity } = end;
      const listener = await on.transport(end).listen(on.listenOn(end), { signal: never });
      const secured = security === "plain" ? security : { noise: { crypto, identity } };
      void acceptAll(listener.streams, async (stream) =>
        answer(await secureResponder(stream, secured, { signal: never })),
      );
      return listener.address;
    },
    dial: async (end, address, authority) => {
      const stream = await on.transport(end).dial(address, { signal: never });
      const secured = security === "plain" ? security : { noise: { crypto: end.crypto, authority } };
      return await secureInitiator(stream, secured, { signal: never });
    },
  };
}

/** Serves each stream on its own; how one ends is the client's business. */
async function acceptAll(
  streams: AsyncIterable<ByteStream>,
  serve: (stream: ByteStream) => Promise<void>,
): Promise<void> {
  for await (const stream of streams) {
    serve(stream).catch((error: unknown) => {
      if (!(error instanceof NetworkError)) throw error;
    });
  }
}
