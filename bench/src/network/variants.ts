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
import { alpns, dualAlpn, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { type NoiseCrypto, ResponderIdentity } from "@adit/noise";
import { startNode } from "../iroh-node.ts";
import { bytes } from "../samples.ts";

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
  /** Where this one has two streams: the name of the same with one. */
  readonly single?: string;
  /** Starts to listen, hands each connection to `answer`, and returns where to dial. */
  serve(end: End, answer: (connection: FrameConnection) => Promise<void>): Promise<string>;
  /** Opens a connection; the server's authority key is `authority`. */
  dial(end: End, address: string, authority: Uint8Array): Promise<FrameConnection>;
}

/** Everything that is compared; the first is what the others are compared with. A line here is all a new one takes. */
export const variants: readonly Variant[] = [
  variant("TCP", "plain", overTcp),
  variant("TCP + Noise", "noise", overTcp),
  variant("Iroh", "plain", overIroh(alpns.mining.plain)),
  variant("Iroh + Noise", "noise", overIroh(alpns.mining.noise)),
  { ...variant("Iroh dual", "plain", overDualIroh("plain")), single: "Iroh" },
  { ...variant("Iroh dual + Noise", "noise", overDualIroh("noise")), single: "Iroh + Noise" },
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

/** The transport of an end, and the address it listens on. */
type Carrier = (end: End) => { readonly transport: Transport; readonly listenOn: string };

function overTcp({ host }: End): ReturnType<Carrier> {
  return { transport: tcp(), listenOn: `${host}:0` };
}

function overIroh(alpn: string): Carrier {
  return (end) => ({ transport: end.iroh().transport(alpn), listenOn: "" });
}

/** Under the names of another protocol: a listener for two streams takes the name for one as well. */
function overDualIroh(security: "plain" | "noise"): Carrier {
  const name = alpns.template_distribution[security];
  const dual = { alpn: dualAlpn("template_distribution", name) ?? name, dial: true, onFallback: fellBack };
  return (end) => ({ transport: end.iroh().transport(name, dual), listenOn: "" });
}

function fellBack(): never {
  throw new Error("the server does not know the protocol name for two streams");
}

function variant(name: string, security: "plain" | "noise", over: Carrier): Variant {
  return {
    name,
    serve: async (end, answer) => {
      const { crypto, identity } = end;
      const { transport, listenOn } = over(end);
      const listener = await transport.listen(listenOn, { signal: never });
      const secured = security === "plain" ? security : { noise: { crypto, identity } };
      void acceptAll(listener.streams, async (stream) =>
        answer(await secureResponder(stream, secured, { signal: never })),
      );
      return listener.address;
    },
    dial: async (end, address, authority) => {
      const stream = await over(end).transport.dial(address, { signal: never });
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
