import type { DialectMessage, Frame, Protocol, Tlv } from "@adit/codec";

/** Which way a message travels: `up` from downstream to upstream, `down` the other way. */
export type Direction = "up" | "down";

/** The name of a message of one sub-protocol, or `any` for all of them. */
export type MessagePattern<P extends Protocol> = DialectMessage<P>["name"] | "any";

/** The messages that a pattern stands for. */
export type MessageLike<P extends Protocol, N extends MessagePattern<P>> = N extends "any"
  ? DialectMessage<P>
  : Extract<DialectMessage<P>, { readonly name: N }>;

/** What becomes of a frame: it travels on as it came, or what an interception made of it. */
export type Fate = "passed" | "dropped" | "replaced" | "held" | "cut";

/** A frame as it came from one of the two roles. */
export interface Sighting<P extends Protocol> {
  readonly type: "seen";
  /** Number of the connection it came over, from 1 on in the order of their coming. */
  readonly connection: number;
  readonly direction: Direction;
  /** Milliseconds since the sniffer started. */
  readonly at: number;
  /** A copy of the frame. */
  readonly frame: Frame;
  /** What the frame says; undefined when nobody here knows. */
  readonly message: DialectMessage<P> | undefined;
  /** The TLV fields behind the message, those of unknown extensions included. */
  readonly tlvs: readonly Tlv[];
  readonly fate: Fate;
  /** The interception that decided its fate; undefined when it passed by itself. */
  readonly by: unknown;
}

/** A sighting of a message that was looked for. */
export type SightingOf<P extends Protocol, N extends MessagePattern<P>> = Sighting<P> & {
  readonly message: MessageLike<P, N>;
};

/** Tells the messages that are meant from others of their name. */
export type Where<P extends Protocol, N extends MessagePattern<P>> = (
  message: MessageLike<P, N>,
  sighting: Sighting<P>,
) => boolean;

/** Which messages are meant. */
export interface Wanted<P extends Protocol, N extends MessagePattern<P>> {
  readonly direction: Direction;
  readonly name: N;
  readonly where?: Where<P, N>;
}

/** The sighting, if its message is meant. A frame nobody knows never is. Throws what `where` throws. */
export function ifWanted<P extends Protocol, N extends MessagePattern<P>>(
  sighting: Sighting<P>,
  { direction, name, where }: Wanted<P, N>,
): SightingOf<P, N> | undefined {
  if (sighting.direction !== direction || sighting.message === undefined) return undefined;
  if (name !== "any" && sighting.message.name !== name) return undefined;
  // The name tells the type, which the compiler cannot follow for a sub-protocol that is a parameter.
  const found = sighting as SightingOf<P, N>;
  return where === undefined || where(found.message, found) ? found : undefined;
}
