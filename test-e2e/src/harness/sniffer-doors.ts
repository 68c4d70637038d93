import type { Protocol } from "@adit/codec";
import {
  type ByteStream,
  type ClientSecurity,
  Deadline,
  type FrameConnection,
  type Listener,
  type ServerSecurity,
  secureInitiator,
  secureResponder,
  systemEntropy,
  type Transport,
} from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { decodeAuthorityPublicKey, encodeAuthorityPublicKey, pureCrypto, ResponderIdentity } from "@adit/noise";
import { loopbackNode, type Reachable } from "./dial.ts";
import { freePort } from "./free-port.ts";

/** How one of its two connections is made. */
export interface SnifferSide {
  readonly transport: "tcp" | "iroh";
  /** Noise unless told. */
  readonly encryption?: "noise" | "plain";
}

/** Where a sniffer stands. */
export interface SnifferPlace<P extends Protocol> {
  readonly protocol: P;
  /** Where it listens for downstreams. */
  readonly listen: SnifferSide;
  /** The server it stands in front of. */
  readonly upstream: SnifferSide & { readonly role: Reachable };
}

/** Time for a handshake, or for reaching the upstream. */
const SETUP_MS = 20_000;

/** The two ways out of a sniffer: the address downstreams dial, which stays the same, and the way to the upstream. */
export class SnifferDoors implements AsyncDisposable {
  /** What downstreams are to check the sniffer's certificate against. */
  readonly authority: string;
  readonly #place: SnifferPlace<Protocol>;
  readonly #node: IrohNodeManager | undefined;
  readonly #address: string;
  readonly #security: ServerSecurity;
  #listener: Listener | undefined;

  private constructor(place: SnifferPlace<Protocol>, node: IrohNodeManager | undefined, address: string) {
    const identity = new ResponderIdentity({
      crypto: pureCrypto,
      entropy: systemEntropy,
      authoritySecretKey: systemEntropy(32).map((byte, at) => (at === 0 ? 1 : byte)),
      certValiditySec: 3600,
    });
    this.authority = encodeAuthorityPublicKey(identity.authorityPublicKey);
    this.#security = place.listen.encryption === "plain" ? "plain" : { noise: { crypto: pureCrypto, identity } };
    this.#place = place;
    this.#node = node;
    this.#address = address;
  }

  static async open(place: SnifferPlace<Protocol>): Promise<SnifferDoors> {
    const usesIroh = [place.listen, place.upstream].some(({ transport }) => transport === "iroh");
    const address = place.listen.transport === "iroh" ? "" : `127.0.0.1:${await freePort()}`;
    return new SnifferDoors(place, usesIroh ? await loopbackNode() : undefined, address);
  }

  /** Where downstreams find the sniffer, whether it accepts them or not. */
  get reachable(): ReturnType<Reachable["listener"]> {
    const { transport } = this.#place.listen;
    if (this.#node === undefined || transport === "tcp")
      return { address: this.#address, endpoint_id: null, ticket: null };
    return { address: "", endpoint_id: this.#node.endpointId, ticket: this.#node.ticket() };
  }

  /** Starts to accept; each stream is `serve`'s. Does nothing when it accepts already. */
  async unlock(serve: (stream: ByteStream) => void): Promise<void> {
    if (this.#listener !== undefined) return;
    const { signal } = new AbortController();
    const listener = await this.#transport(this.#place.listen).listen(this.#address, { signal });
    this.#listener = listener;
    const accept = async (): Promise<void> => {
      for await (const stream of listener.streams) serve(stream);
    };
    void accept();
  }

  /** Stops to accept: who dials from now on finds nobody. */
  async lock(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.[Symbol.asyncDispose]();
  }

  /** Shakes hands with a downstream. Takes the stream over. Rejects with a NetworkError. */
  async welcome(stream: ByteStream, { signal }: { readonly signal: AbortSignal }): Promise<FrameConnection> {
    using deadline = new Deadline(signal, SETUP_MS);
    return await secureResponder(stream, this.#security, deadline);
  }

  /** Dials the upstream and shakes hands with it. Rejects with a NetworkError. */
  async dial({ signal }: { readonly signal: AbortSignal }): Promise<FrameConnection> {
    using deadline = new Deadline(signal, SETUP_MS);
    const { transport, encryption, role } = this.#place.upstream;
    const { address, ticket } = role.listener(transport);
    const to = transport === "tcp" ? address : (ticket ?? "");
    const stream = await this.#transport(this.#place.upstream).dial(to, deadline);
    const authority = role.details.authority_public_key;
    return await secureInitiator(stream, encryption === "plain" ? "plain" : trusting(authority), deadline);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lock();
    await this.#node?.[Symbol.asyncDispose]();
  }

  #transport({ transport, encryption = "noise" }: SnifferSide): Transport {
    if (transport === "tcp" || this.#node === undefined) return tcp();
    return this.#node.transport(alpns[this.#place.protocol][encryption]);
  }
}

function trusting(authority: string): ClientSecurity {
  return { noise: { crypto: pureCrypto, authority: decodeAuthorityPublicKey(authority) } };
}
