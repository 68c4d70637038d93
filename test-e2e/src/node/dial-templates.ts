import { dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { alpns } from "@adit/network-helpers/iroh";
import { decodeAuthorityPublicKey, pureCrypto } from "@adit/noise";
import { dialStream } from "../harness/dial.ts";
import type { TestRole } from "../harness/test-role.ts";

/** What a template client says that it will add to a coinbase's outputs. */
export interface CoinbaseRoom {
  /** Most serialized bytes. */
  readonly size: number;
  /** Most signature operations. */
  readonly sigops: number;
}

const DIAL_MS = 20_000;

/** Connects to a template provider over TCP and asks for templates that leave the room. */
export async function dialTemplates(
  templateProvider: Pick<TestRole, "details" | "listener">,
  room: CoinbaseRoom,
): Promise<Sv2Connection<"template_distribution">> {
  const stream = await dialStream(templateProvider, undefined, alpns.template_distribution.noise);
  const authority = decodeAuthorityPublicKey(templateProvider.details.authority_public_key);
  const connection = await dialSv2(stream, client, {
    security: { noise: { crypto: pureCrypto, authority } },
    signal: new AbortController().signal,
    deadlineMs: DIAL_MS,
  });
  await connection.write({
    name: "CoinbaseOutputConstraints",
    coinbaseOutputMaxAdditionalSize: room.size,
    coinbaseOutputMaxAdditionalSigops: room.sigops,
  });
  return connection;
}

const client = {
  protocol: "template_distribution",
  flags: 0,
  endpointHost: "127.0.0.1",
  endpointPort: 0,
  vendor: "e2e",
  hardwareVersion: "",
  firmware: "",
  deviceId: "",
  requestExtensions: [],
} as const;
