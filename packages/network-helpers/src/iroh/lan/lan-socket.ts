import { createSocket, type Socket } from "node:dgram";
import { MDNS_PORT } from "./lan-core.ts";

/** The group of mDNS over IPv4. */
const GROUP = "224.0.0.251";
/** As RFC 6762, 11 wants it: a receiver can tell that a packet has crossed no router. */
const MULTICAST_TTL = 255;

/** What a socket on one interface tells. */
export interface LanSocketOptions {
  /** IPv4 address of the interface. */
  readonly address: string;
  /** Another port than mDNS's own, for tests. */
  readonly port?: number | undefined;
  readonly onPacket: (bytes: Uint8Array, from: { readonly address: string; readonly port: number }) => void;
  /** It is of no use any more. */
  readonly onFailure: (error: Error) => void;
}

/** A socket that speaks mDNS on one interface, beside whatever else does so on this host. */
export class LanSocket {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #onFailure: (error: Error) => void;
  #closed = false;

  private constructor(socket: Socket, { port = MDNS_PORT, onFailure }: LanSocketOptions) {
    this.#socket = socket;
    this.#port = port;
    this.#onFailure = onFailure;
  }

  /** Rejects when the port cannot be bound or the interface has no multicast. */
  static async open(options: LanSocketOptions): Promise<LanSocket> {
    const { address, port = MDNS_PORT, onPacket, onFailure } = options;
    const socket = createSocket({ type: "udp4", reuseAddr: true });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind({ port, address: "0.0.0.0" }, () => {
          socket.off("error", reject);
          resolve();
        });
      });
      socket.setMulticastTTL(MULTICAST_TTL);
      // Processes on one host find each other, too.
      socket.setMulticastLoopback(true);
      socket.setMulticastInterface(address);
      socket.addMembership(GROUP, address);
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.on("error", onFailure);
    socket.on("message", onPacket);
    return new LanSocket(socket, options);
  }

  /** Resolves when the packet is out or has failed. */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#socket.send(bytes, this.#port, GROUP, (error) => {
        if (error !== null && !this.#closed) this.#onFailure(error);
        resolve();
      });
    });
  }

  /** Closes it; leaving the group is the kernel's. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.off("error", this.#onFailure);
    this.#socket.on("error", () => {});
    this.#socket.close();
  }
}
