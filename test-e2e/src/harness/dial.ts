import { type ByteStream, dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { alpns, IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { decodeAuthorityPublicKey, pureCrypto } from "@adit/noise";
import type { TestRole } from "./test-role.ts";

const DIAL_MS = 20_000;

/** A role as far as dialling it goes. */
type Dialled = Pick<TestRole, "details" | "listener">;

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
  role: Dialled,
  node: IrohNodeManager | undefined,
  alpn: string = alpns.mining.noise,
): Promise<ByteStream> {
  const signal = AbortSignal.timeout(DIAL_MS);
  if (node === undefined) return await tcp().dial(role.listener("tcp").address, { signal });
  return await node.transport(alpn).dial(role.listener("iroh").ticket ?? "", { signal });
}

/** A connection to a pool as an honest miner makes it. */
export async function dialPool(
  pool: Dialled,
  node?: IrohNodeManager,
  authority: string = pool.details.authority_public_key,
): Promise<Sv2Connection<"mining">> {
  return await setUpMining(await dialStream(pool, node), authority);
}

/** {@link dialPool} over a stream that is there already, which it takes over. */
export async function setUpMining(stream: ByteStream, authority: string): Promise<Sv2Connection<"mining">> {
  return await setUp(stream, "mining", authority);
}

/** A secured connection of one protocol over a stream that is there already, which it takes over. */
export async function setUp<P extends "mining" | "template_distribution">(
  stream: ByteStream,
  protocol: P,
  authority: string,
): Promise<Sv2Connection<P>> {
  return await dialSv2(
    stream,
    { ...client, protocol },
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
