import { decodeHeader, encodeHeader, type Frame, HEADER_SIZE } from "@adit/codec";
import { type ByteStream, systemEntropy } from "@adit/network-helpers";
import {
  ACT2_SIZE,
  type Ciphers,
  decodeAuthorityPublicKey,
  initiator,
  pureCrypto,
  SEALED_HEADER_SIZE,
  sealedPayloadLength,
} from "@adit/noise";
import { until } from "./until.ts";

/** A client that says whatever it is told, sealed properly or not at all. */
export class RawPeer implements Disposable {
  /** Everything sent so far, write by write, as it went over the wire. */
  readonly sent: Uint8Array[] = [];
  readonly #stream: ByteStream;
  #received: Uint8Array = new Uint8Array(0);
  #ciphers: Ciphers | undefined;
  #closed = false;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    void this.#read();
  }

  /** Whether the connection is over, whoever ended it. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Shakes hands as an honest client does. */
  async shakeHands(authority: string): Promise<this> {
    const { bytes, next } = initiator({
      crypto: pureCrypto,
      entropy: systemEntropy,
      authority: decodeAuthorityPublicKey(authority),
    }).act1();
    await this.send(bytes);
    this.#ciphers = next.act2(await this.#take(ACT2_SIZE), Date.now()).ciphers;
    return this;
  }

  /** Sends bytes as they are. A peer that has hung up takes none, which is no fault. */
  async send(bytes: Uint8Array): Promise<void> {
    this.sent.push(bytes.slice());
    await this.#stream.write(bytes).catch(() => {});
  }

  /** Sends one frame, sealed when there was a handshake. */
  async sendFrame(messageType: number, payload: Uint8Array, channelMsg = false): Promise<void> {
    const header = encodeHeader({ extensionType: 0, channelMsg, messageType, length: payload.length });
    await this.sendWhole(Buffer.concat([header, payload]));
  }

  /** Sends a frame that is encoded already. */
  async sendWhole(frame: Uint8Array): Promise<void> {
    await this.send(this.seal(frame));
  }

  /** Seals a frame as the next one when there was a handshake, and sends nothing. */
  seal(frame: Uint8Array): Uint8Array {
    return this.#ciphers === undefined ? frame : this.#ciphers.sealer.seal(frame);
  }

  /** Sends only the header of a frame of `length` bytes. */
  async announce(messageType: number, length: number): Promise<void> {
    const frame = new Uint8Array(HEADER_SIZE + length);
    frame.set(encodeHeader({ extensionType: 0, channelMsg: false, messageType, length }));
    const header = this.#ciphers === undefined ? HEADER_SIZE : SEALED_HEADER_SIZE;
    await this.send(this.seal(frame).subarray(0, header));
  }

  /** Resolves to the next frame. */
  async receive(): Promise<Frame> {
    const opener = this.#ciphers?.opener;
    if (opener === undefined) throw new Error("no handshake yet");
    const { length, ...header } = decodeHeader(opener.openHeader(await this.#take(SEALED_HEADER_SIZE)));
    return { ...header, payload: opener.openPayload(await this.#take(sealedPayloadLength(length)), length) };
  }

  /** Resolves when the other side has ended the connection. */
  async closed(timeoutMs = 20_000): Promise<void> {
    await until("the other side closes the connection", () => this.#closed, timeoutMs);
  }

  /** Ends the connection as a peer does that has said all it has to say. */
  async end(): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
  }

  [Symbol.dispose](): void {
    this.#stream.abort(new Error("done"));
  }

  async #take(size: number): Promise<Uint8Array> {
    await until(`${size} bytes`, () => this.#received.length >= size || this.#closed, 20_000);
    if (this.#received.length < size) throw new Error("the connection ended");
    const taken = this.#received.slice(0, size);
    this.#received = this.#received.subarray(size);
    return taken;
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.#stream.source) this.#received = Buffer.concat([this.#received, chunk]);
    } catch {
      // Broken off: closed, as far as these scenarios care.
    } finally {
      this.#closed = true;
    }
  }
}
