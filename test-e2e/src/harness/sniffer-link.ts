import {
  CodecError,
  type DialectMessage,
  dialect,
  encodeHeader,
  type Frame,
  MAX_PAYLOAD,
  type Protocol,
  type Tlv,
} from "@adit/codec";
import { type FrameConnection, NetworkError } from "@adit/network-helpers";
import type { Interceptions, Judgement } from "./sniffer-interception.ts";
import type { Direction, Sighting } from "./sniffer-sighting.ts";
import type { Ended, Trace } from "./sniffer-trace.ts";

/** What a link is made of. */
export interface LinkParts<P extends Protocol> {
  /** Its number among the sniffer's connections. */
  readonly id: number;
  readonly protocol: P;
  /** The connection of the downstream; the link takes it over. */
  readonly downstream: FrameConnection;
  /** The connection to the upstream; the link takes it over. */
  readonly upstream: FrameConnection;
  readonly trace: Trace<P>;
  readonly interceptions: Interceptions<P>;
  /** Milliseconds since the sniffer started. */
  readonly now: () => number;
  /** Told what the scenario's own functions threw; the link is cut then. */
  readonly onFault: (fault: unknown) => void;
  /** Told of the end when it has come to that; closing both connections takes a while longer. */
  readonly onEnd: (end: LinkEnd) => void;
}

/** How a link ended. */
export type LinkEnd = Pick<Ended, "by" | "reason"> & {
  /** Whether it ended between frames and by intent, and not because something broke. */
  readonly isClean: boolean;
};

const sender = { up: "downstream", down: "upstream" } as const;
const receiver = { up: "upstream", down: "downstream" } as const;

/**
 * One downstream's connection through a sniffer, and its own to the upstream. Frames stay in order each way; the next one
 * is read when the last one has been taken, so that a slow reader slows the other side down as it would without a sniffer.
 */
export class Link<P extends Protocol> {
  readonly id: number;
  readonly #parts: LinkParts<P>;
  /** Resolves once the link is to end, whoever wants it. */
  readonly #ending: Promise<LinkEnd>;
  #end!: (end: LinkEnd) => void;

  constructor(parts: LinkParts<P>) {
    this.id = parts.id;
    this.#parts = parts;
    this.#ending = new Promise((resolve) => {
      this.#end = resolve;
    });
    for (const side of [parts.downstream, parts.upstream]) side.reader.setMaxPayload(MAX_PAYLOAD);
  }

  /** Carries frames until either side ends or the link is cut. Resolves when both connections are closed. */
  async run(): Promise<void> {
    const pumps = [this.#pump("up"), this.#pump("down")];
    const end = await this.#ending;
    this.#parts.onEnd(end);
    const sides = [this.#parts.downstream, this.#parts.upstream];
    if (!end.isClean) {
      const message = `the sniffer breaks the connection: ${end.reason}`;
      for (const side of sides) side.abort(new NetworkError("closed", { peer: side.peer, message }));
    }
    await Promise.all(sides.map((side) => side[Symbol.asyncDispose]()));
    await Promise.all(pumps);
  }

  /** Breaks both connections. */
  cut(reason: string): void {
    this.#end({ by: "sniffer", reason, isClean: false });
  }

  /** Sends a message of the sniffer's own, behind what has been carried so far. Rejects with CodecError or NetworkError. */
  async say(direction: Direction, message: DialectMessage<P>, tlvs: readonly Tlv[] = []): Promise<void> {
    const frame = dialect(this.#parts.protocol).encode(message, tlvs);
    this.#takeDown(direction, { message, tlvs });
    await this.#parts[receiver[direction]].writer.write(frame);
  }

  async #pump(direction: Direction): Promise<void> {
    const by = sender[direction];
    try {
      for await (const frame of this.#parts[by].reader.frames) {
        const goesOn = await this.#carry(direction, { ...frame, payload: frame.payload.slice() });
        if (!goesOn) return;
      }
      this.#end({ by, reason: "closed", isClean: true });
    } catch (cause) {
      this.#end({ by, reason: reasonOf(cause), isClean: false });
    }
  }

  /** Does with a frame what is to be done with it. Resolves to whether the link goes on. */
  async #carry(direction: Direction, frame: Frame): Promise<boolean> {
    const course = this.#courseOf(direction, frame);
    switch (course.fate) {
      case "passed":
        return await this.#write(direction, [wholeFrame(frame)]);
      case "replaced":
        return await this.#write(direction, course.frames);
      case "dropped":
        return true;
      case "held":
        await Promise.race([course.released, this.#ending]);
        return await this.#write(direction, [wholeFrame(frame)]);
      case "cut":
        this.cut("it was to be cut at this message");
        return false;
      default:
        return course satisfies never;
    }
  }

  async #write(direction: Direction, frames: readonly Uint8Array[]): Promise<boolean> {
    const by = receiver[direction];
    try {
      await this.#parts[by].writer.writeAll(frames);
      return true;
    } catch (cause) {
      this.#end({ by, reason: reasonOf(cause), isClean: false });
      return false;
    }
  }

  /** Takes a frame down in the trace, with what is to be done with it. */
  #courseOf(direction: Direction, frame: Frame): Course {
    const { id, protocol, trace, interceptions, now, onFault } = this.#parts;
    const seen = { type: "seen", connection: id, direction, at: now(), frame, ...contentOf(protocol, frame) } as const;
    try {
      const judgement = interceptions.judge({ ...seen, fate: "passed", by: undefined });
      const substitutes = substitutesOf(judgement, seen);
      const frames = substitutes.map(({ message, tlvs }) => dialect(protocol).encode(message, tlvs));
      trace.add({ ...seen, fate: judgement.fate, by: judgement.by });
      for (const substitute of substitutes) this.#takeDown(direction, substitute);
      return judgement.fate === "replaced" ? { fate: "replaced", frames } : judgement;
    } catch (fault) {
      trace.add({ ...seen, fate: "cut", by: undefined });
      onFault(fault);
      return { fate: "cut" };
    }
  }

  #takeDown(direction: Direction, { message, tlvs }: Spoken<P>): void {
    const { id, trace, now } = this.#parts;
    trace.add({ type: "said", connection: id, direction, at: now(), message, tlvs });
  }
}

/** A message and its TLV fields. */
interface Spoken<P extends Protocol> {
  readonly message: DialectMessage<P>;
  readonly tlvs: readonly Tlv[];
}

type Course =
  | { readonly fate: "passed" | "dropped" | "cut" }
  | { readonly fate: "held"; readonly released: Promise<void> }
  | { readonly fate: "replaced"; readonly frames: readonly Uint8Array[] };

/** TLV fields stay behind a message that keeps its name. */
function substitutesOf<P extends Protocol>(
  judgement: Judgement<P>,
  seen: Pick<Sighting<P>, "message" | "tlvs">,
): readonly Spoken<P>[] {
  if (judgement.fate !== "replaced") return [];
  return judgement.messages.map((message) => ({
    message,
    tlvs: message.name === seen.message?.name ? seen.tlvs : [],
  }));
}

/** What a frame says, as far as anybody here knows. What cannot be read travels on all the same. */
function contentOf<P extends Protocol>(protocol: P, frame: Frame): Pick<Sighting<P>, "message" | "tlvs"> {
  try {
    const decoded = dialect(protocol).decode(frame);
    if (decoded.kind === "message") return { message: decoded.message, tlvs: decoded.tlvs };
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
  }
  return { message: undefined, tlvs: [] };
}

function wholeFrame({ payload, ...header }: Frame): Uint8Array {
  return Buffer.concat([encodeHeader({ ...header, length: payload.length }), payload]);
}

/** Why something failed, for the trace. */
export function reasonOf(cause: unknown): string {
  return cause instanceof NetworkError ? `${cause.code}: ${cause.message}` : String(cause);
}
