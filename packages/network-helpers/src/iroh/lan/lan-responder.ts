import type { Answer, Question } from "dns-packet";
import { responsePacket } from "./packet.ts";
import { asksFor, type LanService, recordsOf, type ServiceRecords } from "./records.ts";

/** A record is multicast at most once in this time (RFC 6762, 6). */
const ANSWER_GAP_MS = 1000;

type Kind = keyof ServiceRecords;

interface Announced {
  readonly current: () => LanService;
  /** When each kind of answer was given last. */
  readonly answeredAt: Map<Kind, number>;
  /** What was announced last, to see when it has changed. */
  told: string;
}

/**
 * Answers for the nodes of this process (RFC 6762 and 6763). Names are made of endpoint ids, which nobody else has, so
 * they are not probed for. Pure: time is an argument, in milliseconds, never going back.
 */
export class LanResponder {
  readonly #services = new Map<string, Announced>();

  /** Nodes that are announced. */
  get size(): number {
    return this.#services.size;
  }

  /** Answers for a node from now on. `current` is asked at each answer, since addresses change. */
  add(endpointId: string, current: () => LanService): void {
    this.#services.set(endpointId, { current, answeredAt: new Map(), told: "" });
  }

  /** Answers for a node no more. Returns the packet that says goodbye, if there was one. */
  remove(endpointId: string): readonly Uint8Array[] {
    const service = this.#services.get(endpointId);
    this.#services.delete(endpointId);
    if (service === undefined) return [];
    const { pointer, instance, hosts } = recordsOf(service.current());
    const gone = [...pointer, ...instance, ...hosts].map((record) => ({ ...record, ttl: 0 }) as Answer);
    return [responsePacket(gone, [])];
  }

  /** Answers for no node any more. Returns the goodbyes. */
  removeAll(): readonly Uint8Array[] {
    return [...this.#services.keys()].flatMap((endpointId) => this.remove(endpointId));
  }

  /** What to say unasked: at the start, and when a network has come. */
  announce(): readonly Uint8Array[] {
    return [...this.#services.values()].map((service) => {
      const current = service.current();
      service.told = JSON.stringify(current);
      const { pointer, instance, hosts } = recordsOf(current);
      return responsePacket([...pointer, ...instance, ...hosts], []);
    });
  }

  /** Whether a node has other addresses or listeners than were announced. */
  hasChanged(): boolean {
    return [...this.#services.values()].some(({ current, told }) => JSON.stringify(current()) !== told);
  }

  /** The answers to a query, leaving out what the asker `knows`. */
  answer(questions: readonly Question[], knows: readonly Answer[], now: number): readonly Uint8Array[] {
    return [...this.#services.values()].flatMap((service) => {
      const records = recordsOf(service.current());
      const asked = new Set(questions.flatMap((question) => asksFor(records, question) ?? []));
      const kinds = [...asked].filter((kind) => this.#isDue(service, kind, now) && !isKnown(records, kind, knows));
      if (kinds.length === 0) return [];
      for (const kind of kinds) service.answeredAt.set(kind, now);
      const answers = kinds.flatMap((kind) => records[kind]);
      return [responsePacket(answers, additionsTo(kinds, records))];
    });
  }

  #isDue({ answeredAt }: Announced, kind: Kind, now: number): boolean {
    const last = answeredAt.get(kind);
    return last === undefined || now - last >= ANSWER_GAP_MS;
  }
}

/** What the asker will want next. */
function additionsTo(kinds: readonly Kind[], records: ServiceRecords): readonly Answer[] {
  const next: Kind[] = kinds.includes("pointer") ? ["instance", "hosts"] : kinds.includes("instance") ? ["hosts"] : [];
  return next.filter((kind) => !kinds.includes(kind)).flatMap((kind) => records[kind]);
}

/** Pointers are known when the asker says so with at least half of their time left (RFC 6762, 7.1). */
function isKnown(records: ServiceRecords, kind: Kind, knows: readonly Answer[]): boolean {
  if (kind !== "pointer" && kind !== "types") return false;
  return records[kind].every((record) =>
    knows.some(
      (known) =>
        known.type === "PTR" &&
        record.type === "PTR" &&
        known.name.toLowerCase() === record.name &&
        known.data.toLowerCase() === record.data &&
        (known.ttl ?? 0) * 2 >= (record.ttl ?? 0),
    ),
  );
}
