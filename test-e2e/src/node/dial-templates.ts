import type { Sv2Connection } from "@adit/network-helpers";
import { alpns } from "@adit/network-helpers/iroh";
import { dialStream, setUp } from "../harness/dial.ts";
import type { TestRole } from "../harness/test-role.ts";

/** What a template client says that it will add to a coinbase's outputs. */
export interface CoinbaseRoom {
  /** Most serialized bytes. */
  readonly size: number;
  /** Most signature operations. */
  readonly sigops: number;
}

/** Connects to a template provider over TCP and asks for templates that leave the room. */
export async function dialTemplates(
  templateProvider: Pick<TestRole, "details" | "listener">,
  room: CoinbaseRoom,
): Promise<Sv2Connection<"template_distribution">> {
  const stream = await dialStream(templateProvider, undefined, alpns.template_distribution.noise);
  const connection = await setUp(stream, "template_distribution", templateProvider.details.authority_public_key);
  await connection.write({
    name: "CoinbaseOutputConstraints",
    coinbaseOutputMaxAdditionalSize: room.size,
    coinbaseOutputMaxAdditionalSigops: room.sigops,
  });
  return connection;
}
