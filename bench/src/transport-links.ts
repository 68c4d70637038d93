import { encodeHeader } from "@adit/codec";
import { loadCrypto } from "@adit/fast-crypto";
import {
  type ClientSecurity,
  NetworkError,
  type ServerSecurity,
  systemEntropy,
  type Transport,
} from "@adit/network-helpers";
import { alpns, IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { type NoiseCrypto, ResponderIdentity } from "@adit/noise";
import { bytes } from "./samples.ts";

/** Longest payload of a frame of this benchmark. */
export const MAX_FRAME_PAYLOAD = 1 << 20;

/** What the server does with a frame: send it back, or nothing. */
export const messageTypes = { echo: 1, sink: 2 } as const;

/** The four ways that are compared. */
export type LinkName = "TCP" | "TCP + Noise" | "Iroh" | "Iroh + Noise";

/** One of them, for both ends. */
export interface Link {
  readonly name: LinkName;
  readonly transport: Transport;
  readonly listenAddress: string;
  readonly serverSecurity: ServerSecurity;
  readonly clientSecurity: (authority: Uint8Array) => ClientSecurity;
}

/** Where the server's end of a link is. */
export interface LinkAddress {
  readonly name: LinkName;
  readonly address: string;
  /** 32 bytes as plain numbers: they travel between processes as JSON. */
  readonly authorityPublicKey: readonly number[];
}

/** The links of this process; those over Iroh only where its package is installed. Disposing it closes the Iroh node. */
export interface Links extends AsyncDisposable {
  readonly links: readonly Link[];
  readonly withoutIroh: string | undefined;
  readonly crypto: string;
  readonly authorityPublicKey: readonly number[];
}

/** Opens the transports of this process. Each end calls it for itself. */
export async function openLinks(): Promise<Links> {
  const { noise, report } = await loadCrypto();
  const identity = new ResponderIdentity({
    crypto: noise,
    entropy: systemEntropy,
    authoritySecretKey: bytes(32, 77),
    certValiditySec: 3600,
  });
  const pair = pairOf(noise, identity);
  const overTcp = pair(["TCP", "TCP + Noise"], { plain: tcp(), noise: tcp(), listenAddress: "127.0.0.1:0" });
  const rest = { crypto: report, authorityPublicKey: [...identity.authorityPublicKey] };
  try {
    const node = await startNode();
    const { plain, noise } = alpns.mining;
    const transports = { plain: node.transport(plain), noise: node.transport(noise), listenAddress: "" };
    const overIroh = pair(["Iroh", "Iroh + Noise"], transports);
    const close = (): Promise<void> => node[Symbol.asyncDispose]();
    return { links: [...overTcp, ...overIroh], withoutIroh: undefined, ...rest, [Symbol.asyncDispose]: close };
  } catch (error) {
    if (!(error instanceof NetworkError) || error.code !== "iroh-unavailable") throw error;
    return { links: overTcp, withoutIroh: error.message, ...rest, [Symbol.asyncDispose]: async () => {} };
  }
}

type Transports = { readonly plain: Transport; readonly noise: Transport; readonly listenAddress: string };

function pairOf(crypto: NoiseCrypto, identity: ResponderIdentity) {
  return ([plain, sealed]: readonly [LinkName, LinkName], transports: Transports): readonly Link[] => {
    const { listenAddress } = transports;
    return [
      {
        name: plain,
        transport: transports.plain,
        listenAddress,
        serverSecurity: "plain",
        clientSecurity: () => "plain",
      },
      {
        name: sealed,
        transport: transports.noise,
        listenAddress,
        serverSecurity: { noise: { crypto, identity } },
        clientSecurity: (authority) => ({ noise: { crypto, authority } }),
      },
    ];
  };
}

/** An Iroh node that reaches this machine and nothing else. */
export function startNode(host = "127.0.0.1", maxConnectionsPerPeer = 16): Promise<IrohNodeManager> {
  return IrohNodeManager.start({
    env: {},
    relay: "disabled",
    bind: [`${host}:0`, "[::1]:0"],
    allowedPeers: [],
    maxConnectionsPerPeer,
    signal: new AbortController().signal,
  });
}

/** A frame with nothing in it that any protocol knows. */
export function encodeFrame(messageType: number, payload: Uint8Array): Uint8Array {
  const header = encodeHeader({ extensionType: 0, channelMsg: false, messageType, length: payload.length });
  const frame = new Uint8Array(header.length + payload.length);
  frame.set(header);
  frame.set(payload, header.length);
  return frame;
}
