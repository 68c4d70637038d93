import type { IrohNodeManager } from "../iroh-node-manager.ts";
import type { IrohOptions } from "../settings.ts";
import { loopbackNode } from "./loopback.ts";
import { type LinkConditions, UdpLink } from "./udp-link.ts";

/** Two nodes with nothing but one link between them. */
export interface LinkedNodes extends AsyncDisposable {
  readonly client: IrohNodeManager;
  readonly server: IrohNodeManager;
  readonly link: UdpLink;
  /** Where the client dials the server: through the link. */
  readonly address: string;
}

/**
 * Starts both nodes and the link. Iroh would find the direct path around the link within milliseconds; it cannot here, as
 * the client receives on IPv6 only and the server on IPv4 only: a socket bound to a multicast address gets no unicast.
 */
export async function linkedNodes(
  link: { readonly conditions: LinkConditions; readonly seed: number },
  options: Partial<IrohOptions> = {},
): Promise<LinkedNodes> {
  const server = await loopbackNode({ ...options, bind: ["127.0.0.1:0", "[ff05::1]:0"] });
  const client = await loopbackNode({ ...options, bind: ["224.0.0.251:0", "[::1]:0"] });
  const [, port] = /^127\.0\.0\.1:(\d+)$/.exec(server.boundAddresses().find((at) => at.startsWith("127.")) ?? "") ?? [];
  const target = { host: "127.0.0.1", port: Number(port) };
  const between = await UdpLink.open({ ...link, host: "::1", target });
  return {
    client,
    server,
    link: between,
    address: `${server.endpointId}?addr=${between.address}`,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([server[Symbol.asyncDispose](), client[Symbol.asyncDispose]()]);
      await between[Symbol.asyncDispose]();
    },
  };
}
