import { createHash, createPublicKey, randomBytes, verify } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { blake3 } from "@noble/hashes/blake3.js";

/** A relay that speaks enough of iroh's relay protocol, version 1 and 2, for tests. */
export interface TestRelay extends AsyncDisposable {
  readonly url: string;
  /** Datagrams forwarded so far. */
  forwarded(): number;
}

/** Types of relay messages, each the first byte of a binary WebSocket message. */
const CHALLENGE = 0;
const AUTHENTICATE = 1;
const CONFIRM = 2;
const DENY = 3;
const SEND = 4;
const SEND_BATCH = 5;
/** What a sent datagram's type becomes when it is delivered. */
const DELIVERED = 2;
const PING = 9;
const PONG = 10;

const CONTEXT = new TextEncoder().encode("iroh-relay handshake v1 challenge signature");
const ED25519_SPKI = Buffer.from("302a300506032b6570032100", "hex");

/** How a relay is set up. */
export interface TestRelayOptions {
  /** Clients must send it as bearer token. */
  readonly token?: string;
  /** Address to listen on: loopback unless told. */
  readonly host?: string;
  /** A free one unless told. */
  readonly port?: number;
}

/** Starts a relay. */
export async function testRelay({ token, host = "127.0.0.1", port = 0 }: TestRelayOptions = {}): Promise<TestRelay> {
  const clients = new Map<string, WebSocketPeer>();
  const sockets = new Set<Duplex>();
  let forwarded = 0;
  const server = createServer((request, response) => {
    const challenge = request.headers["x-iroh-challenge"];
    if (challenge !== undefined) response.setHeader("X-Iroh-Response", `response ${String(challenge)}`);
    const status = { "/ping": 200, "/generate_204": 204 }[request.url ?? ""] ?? 404;
    response.writeHead(status).end();
  });
  server.on("upgrade", (request, socket: Duplex) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    const { "sec-websocket-key": key = "", "sec-websocket-protocol": offered = "" } = request.headers;
    const authorised = token === undefined || request.headers.authorization === `Bearer ${token}`;
    const peer = new WebSocketPeer(socket, { key, protocol: offered.split(",")[0]?.trim() ?? "" });
    const challenge = randomBytes(16);
    peer.send(Buffer.from([CHALLENGE, ...challenge]));
    let id: Buffer | undefined;
    peer.onMessage = (message) => {
      const type = message[0];
      if (id === undefined) {
        const claimed = message.subarray(1, 33);
        if (type !== AUTHENTICATE || !authorised || !signed(claimed, challenge, message.subarray(34))) {
          peer.send(Buffer.concat([Buffer.from([DENY, 6]), Buffer.from("denied")]));
          socket.end();
          return;
        }
        id = Buffer.from(claimed);
        clients.set(id.toString("hex"), peer);
        peer.send(Buffer.from([CONFIRM]));
      } else if (type === SEND || type === SEND_BATCH) {
        forwarded += 1;
        const header = Buffer.concat([Buffer.from([type + DELIVERED]), id]);
        const to = clients.get(message.subarray(1, 33).toString("hex"));
        to?.send(Buffer.concat([header, message.subarray(33)]));
      } else if (type === PING) {
        peer.send(Buffer.concat([Buffer.from([PONG]), message.subarray(1)]));
      }
    };
  });
  server.listen(port, host);
  await once(server, "listening");
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}/`,
    forwarded: () => forwarded,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function signed(publicKey: Buffer, challenge: Uint8Array, signature: Uint8Array): boolean {
  const message = blake3(challenge, { context: CONTEXT });
  const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI, publicKey]), format: "der", type: "spki" });
  return verify(null, message, key, signature);
}

/** The server's end of one WebSocket (RFC 6455): whole binary messages only, as iroh sends them. */
class WebSocketPeer {
  onMessage: (message: Buffer) => void = () => undefined;
  readonly #socket: Duplex;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(socket: Duplex, { key, protocol }: { readonly key: string; readonly protocol: string }) {
    this.#socket = socket;
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    head.push(`Sec-WebSocket-Accept: ${accept}`, `Sec-WebSocket-Protocol: ${protocol}`, "", "");
    socket.write(head.join("\r\n"));
    socket.on("data", (bytes: Buffer) => {
      this.#buffered = Buffer.concat([this.#buffered, bytes]);
      while (this.#readFrame());
    });
  }

  send(message: Buffer): void {
    this.#frame(2, message);
  }

  #frame(opcode: number, payload: Buffer): void {
    const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
    if (!this.#socket.destroyed) this.#socket.write(Buffer.concat([Buffer.from([0x80 | opcode, ...length]), payload]));
  }

  /** False when no whole frame is buffered. Client frames are always masked. */
  #readFrame(): boolean {
    const bytes = this.#buffered;
    if (bytes.length < 8) return false;
    const short = (bytes[1] ?? 0) & 127;
    if (short === 127) throw new Error("the test relay takes no message above 64 KiB");
    const start = short === 126 ? 8 : 6;
    const length = short === 126 ? bytes.readUInt16BE(2) : short;
    if (bytes.length < start + length) return false;
    const mask = bytes.subarray(start - 4, start);
    const payload = Buffer.from(bytes.subarray(start, start + length).map((byte, at) => byte ^ (mask[at & 3] ?? 0)));
    this.#buffered = bytes.subarray(start + length);
    const opcode = (bytes[0] ?? 0) & 15;
    if (opcode === 2) this.onMessage(payload);
    else if (opcode === 8) this.#socket.end();
    else if (opcode === 9) this.#frame(10, payload);
    return true;
  }
}
