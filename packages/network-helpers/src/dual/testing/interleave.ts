import { type MessageProtocol, messageSets } from "@adit/codec";
import {
  classOf,
  type MessageNumbers,
  type OrderClass,
  type OrderRules,
  orderedProtocols,
  type StreamName,
} from "../message-order.ts";
import { ReceiveOrder } from "../receive-order.ts";
import { SendOrder } from "../send-order.ts";
import type { Event } from "./meaning.ts";

/** A frame of a test on its stream, with the order in front of it if one was sent. */
interface OnStream {
  readonly event: Event;
  readonly after: number | null;
}

/** What a history puts on each stream. */
export type Streams = Readonly<Record<StreamName, readonly OnStream[]>>;

/** One step of a run: something arrives on a stream, or the receiver is asked for its next frame. */
export type Step = StreamName | "pull";

/** Sends a history. Without the orders, the streams are what a sender that knows no order would make of them. */
export function send(history: readonly Event[], rules: OrderRules): Streams {
  const order = new SendOrder(rules);
  const streams: Record<StreamName, OnStream[]> = { control: [], data: [] };
  for (const event of history) {
    const { stream, after } = order.place(numbersOf(event.name));
    streams[stream].push({ event, after });
  }
  return streams;
}

/**
 * Receives: `choose` picks each step of those that are possible. Ends when everything has been handed out, and throws when
 * the receiver finds itself stuck or a hold does not end.
 */
export function receive(streams: Streams, choose: (possible: readonly Step[]) => Step): readonly Event[] {
  const order = new ReceiveOrder<Event>();
  const waiting: Record<StreamName, OnStream[]> = { control: [...streams.control], data: [...streams.data] };
  const out: Event[] = [];
  let dry = false;
  const arrive = (stream: StreamName): void => {
    const next = waiting[stream].shift();
    if (next === undefined) return order.end(stream);
    if (next.after !== null && !order.order(stream, next.after)) throw new Error("an order that is none");
    order.arrive(stream, next.event);
  };
  for (;;) {
    const possible: Step[] = (["control", "data"] as const).filter((stream) => order.wants(stream));
    if (!dry) possible.push("pull");
    if (possible.length === 0) throw new Error("nothing is possible any more");
    const step = choose(possible);
    dry = false;
    if (step !== "pull") {
      arrive(step);
      continue;
    }
    const turn = order.next(0);
    if (turn.kind === "stuck") throw new Error("the receiver is stuck");
    if (turn.kind === "end") return out;
    if (turn.kind === "frame") out.push(turn.frame);
    // Asking again before anything has arrived changes nothing.
    else dry = true;
  }
}

/** Every order in which a receiver may hand out a history, as the streams bring it in every interleaving. */
export class Interleavings {
  readonly #rules: OrderRules;
  /** By what decides it: which message is on which stream, behind which order. */
  readonly #known = new Map<string, readonly (readonly number[])[]>();

  constructor(rules: OrderRules) {
    this.#rules = rules;
  }

  of(history: readonly Event[]): readonly (readonly Event[])[] {
    const streams = send(history, this.#rules);
    const key = JSON.stringify(streams, (name, value: unknown) =>
      name === "event" ? history.indexOf(value as Event) : value,
    );
    const orders = this.#known.get(key) ?? distinctOrders(streams, history);
    this.#known.set(key, orders);
    return orders.map((order) => order.flatMap((index) => history[index] ?? []));
  }
}

function distinctOrders(streams: Streams, history: readonly Event[]): readonly (readonly number[])[] {
  const orders = new Map<string, readonly number[]>();
  for (const got of everyRun(streams)) {
    const order = got.map((event) => history.indexOf(event));
    orders.set(order.join(), order);
  }
  return [...orders.values()];
}

/** Tries every choice of every step, depth first. */
function* everyRun(streams: Streams): Generator<readonly Event[]> {
  const path: { readonly step: number; readonly of: number }[] = [];
  for (;;) {
    let at = 0;
    yield receive(streams, (possible) => {
      path[at] ??= { step: 0, of: possible.length };
      return possible[path[at++]?.step ?? 0] ?? "pull";
    });
    path.length = at;
    let last = path.pop();
    while (last !== undefined && last.step + 1 >= last.of) last = path.pop();
    if (last === undefined) return;
    path.push({ step: last.step + 1, of: last.of });
  }
}

/** The class of a message by its name. */
export function classIn(name: string): OrderClass {
  return classOf(numbersOf(name));
}

/** The numbers of a message by its name; those of an unknown extension when there is none. */
export function numbersOf(name: string): MessageNumbers {
  return numbers.get(name) ?? { extensionType: 0x4001, messageType: 7 };
}

const numbers: ReadonlyMap<string, MessageNumbers> = new Map(
  // Mining comes after template distribution: its SetNewPrevHash is the one the tests mean.
  orderedProtocols
    .toReversed()
    .flatMap((protocol: MessageProtocol) =>
      Object.values(messageSets[protocol].rows).map(
        ({ name, extensionType, type }) => [name, { extensionType, messageType: type }] as const,
      ),
    ),
);
