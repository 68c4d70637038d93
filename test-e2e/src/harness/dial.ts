import type { Protocol } from "@adit/codec";
import { type ByteStream, dialSv2, type Sv2Client, type Sv2Connection } from "@adit/network-helpers";
import { alpns, IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { decodeAuthorityPublicKey, pureCrypto } from "@adit/noise";
import type { ReadyDetails, ReadyListener } from "./test-role.ts";

const DIAL_MS = 20_000;

/** A server role as far as reaching it goes, or whatever stands in its place. */
export interface Reachable {
  readonly details: Pick<ReadyDetails, "authority_public_key">;
  /** The listener of one transport. Throws when there is none. */
  listener(transport: "tcp" | "iroh"): Pick<ReadyListener, "address" | "endpoint_id" | "ticket">;
}

/** An Iroh node on loopback, of a new identity. */
export async function loopbackNode(): Promise<IrohNodeManager> {
  return await IrohNodeManager.start({
    env: {},
    relay: "disabled",
    bind: ["127.0.0.1:0", "[::1]:0"],
    allowedPeers: [],
    maxConnectionsPerPeer: 8,
    signal: new AbortController().signal,
  });
}

/** A bare stream to a server role, over TCP or from an Iroh node. */
export async function dialStream(
  role: Reachable,
  node: IrohNodeManager | undefined,
  alpn: string = alpns.mining.noise,
): Promise<ByteStream> {
  const signal = AbortSignal.timeout(DIAL_MS);
  if (node === undefined) return await tcp().dial(role.listener("tcp").address, { signal });
  return await node.transport(alpn).dial(role.listener("iroh").ticket ?? "", { signal });
}

/** A connection to a pool as an honest miner makes it. */
export async function dialPool(
  pool: Reachable,
  node?: IrohNodeManager,
  authority: string = pool.details.authority_public_key,
): Promise<Sv2Connection<"mining">> {
  return await setUpMining(await dialStream(pool, node), authority);
}

/** {@link dialPool} over a stream that is there already, which it takes over. */
export async function setUpMining(stream: ByteStream, authority: string): Promise<Sv2Connection<"mining">> {
  return await setUp(stream, "mining", authority);
}

/** What a scenario's client says of itself. */
export type Hello<P extends Protocol> = { readonly protocol: P } & Partial<Sv2Client<P>>;

/** A secured connection of one protocol over a stream that is there already, which it takes over. */
export async function setUp<P extends Protocol>(
  stream: ByteStream,
  hello: P | Hello<P>,
  authority: string,
): Promise<Sv2Connection<P>> {
  return await dialSv2(
    stream,
    { ...client, ...(typeof hello === "string" ? { protocol: hello } : hello) },
    {
      security: { noise: { crypto: pureCrypto, authority: decodeAuthorityPublicKey(authority) } },
      signal: new AbortController().signal,
      deadlineMs: DIAL_MS,
    },
  );
}

const client = {
  flags: 0,
  endpointHost: "127.0.0.1",
  endpointPort: 0,
  vendor: "e2e",
  hardwareVersion: "",
  firmware: "",
  deviceId: "",
  requestExtensions: [],
} as const;
