/** A message as far as the order matters: what it is, whom it is for, and what it says. */
export interface Event {
  /** The message's name in the codec's tables; "unknown" for a frame of an extension nobody knows. */
  readonly name: string;
  /** Channel or group it is addressed to, or the channel it opens; a template's number. */
  readonly id?: number;
  /** The group of an opened channel. */
  readonly group?: number;
  /** The channels a SetGroupChannel moves. */
  readonly members?: readonly number[];
  /** The job it brings, activates or accepts. */
  readonly job?: number;
  /** Whether the job waits for a SetNewPrevHash. */
  readonly future?: boolean;
  /** A target or an extranonce prefix. */
  readonly value?: number;
}

interface Channel {
  group: number;
  target: number;
  prefix: number;
  readonly jobs: Map<number, { readonly prefix: number; target: number | null }>;
}

/**
 * What messages mean to whoever hears them one after the other, after the specification and without a look at the table
 * of the order: the same message heard in another state means something else. It is what the tests of the order compare.
 */
class Hearer {
  readonly #channels = new Map<number, Channel>();
  readonly #templates = new Set<number>();
  /** Counts the messages after which all others may be read differently: set-up, extensions, moved channel endpoints. */
  #era = 0;
  #left = false;

  /** Hears a message and says all that it does. Messages heard after a Reconnect may be "lost": the client has left. */
  hear(event: Event): string {
    const heard = `${event.name} in era ${this.#era}: ${this.#effect(event)}`;
    return this.#left ? `${heard} (lost)` : heard;
  }

  #effect(event: Event): string {
    const { name, id = 0, value = 0 } = event;
    switch (name) {
      case "OpenStandardMiningChannelSuccess":
      case "OpenExtendedMiningChannelSuccess":
        this.#channels.set(id, { group: event.group ?? 0, target: value, prefix: value, jobs: new Map() });
        return `channel ${id}`;
      case "SetGroupChannel":
        return this.#each(this.#named(event.members ?? []), (channel) => (channel.group = id));
      case "CloseChannel":
        return this.#each(this.#addressed(id), (_, key) => this.#channels.delete(key));
      case "NewMiningJob":
      case "NewExtendedMiningJob":
      case "SetCustomMiningJobSuccess":
        return this.#each(this.#addressed(id), (channel) => takeJob(channel, event));
      case "SetNewPrevHash":
        return this.#each(this.#addressed(id), (channel) => activate(channel, event.job ?? 0));
      case "SetTarget":
        return this.#each(this.#addressed(id), (channel) => (channel.target = value));
      case "SetExtranoncePrefix":
        return this.#each(this.#addressed(id), (channel) => (channel.prefix = value));
      case "NewTemplate":
        this.#templates.add(id);
        return `template ${id}`;
      case "RequestTransactionDataSuccess":
      case "RequestTransactionDataError":
        return `for a template that is ${this.#templates.has(id) ? "known" : "unknown"}`;
      case "Reconnect":
        this.#left = true;
        return "the client may leave";
      case "SubmitSharesStandard":
      case "SubmitSharesExtended":
      case "SubmitSharesSuccess":
      case "SubmitSharesError":
      case "SetCustomMiningJob":
      case "SetCustomMiningJobError":
        return `for a channel that is ${this.#channels.has(id) ? "open" : "closed"}`;
      case "OpenMiningChannelError":
      case "UpdateChannel":
      case "UpdateChannelError":
      case "OpenStandardMiningChannel":
      case "OpenExtendedMiningChannel":
        return "an answer or a wish";
      default:
        this.#era += 1;
        return "a new era";
    }
  }

  #named(ids: readonly number[]): readonly (readonly [number, Channel])[] {
    return [...this.#channels].filter(([id]) => ids.includes(id));
  }

  /** Whom a message to a channel or to a group is for. */
  #addressed(id: number): readonly (readonly [number, Channel])[] {
    return [...this.#channels].filter(([key, { group }]) => key === id || group === id);
  }

  #each(channels: readonly (readonly [number, Channel])[], act: (channel: Channel, id: number) => unknown): string {
    return channels
      .toSorted(([a], [b]) => a - b)
      .map(([id, channel]) => `${id} ${JSON.stringify(act(channel, id))}`)
      .join(", ");
  }
}

/** A job keeps the prefix of its time, and the target too unless it waits for a prevhash (spec 5.3.10, 5.3.21). */
function takeJob(channel: Channel, { job = 0, future = false }: Event): object {
  const taken = { prefix: channel.prefix, target: future ? null : channel.target };
  channel.jobs.set(job, taken);
  return { ...taken };
}

/** Only the named job stays valid (spec 5.3.17). */
function activate(channel: Channel, job: number): object | null {
  const named = channel.jobs.get(job);
  channel.jobs.clear();
  if (named === undefined) return null;
  named.target = channel.target;
  channel.jobs.set(job, named);
  return { ...named };
}

/** The first message that means something else as it was received, or is missing; undefined when there is none. Both sides have heard `before`. */
export function difference(
  before: readonly Event[],
  history: readonly Event[],
  got: readonly Event[],
): string | undefined {
  if (got.length !== history.length) return `${got.length} of ${history.length} messages`;
  const [sender, receiver] = [new Hearer(), new Hearer()];
  for (const event of before) {
    sender.hear(event);
    receiver.hear(event);
  }
  const meant = new Map(history.map((event) => [event, sender.hear(event)]));
  for (const event of got) {
    const heard = receiver.hear(event);
    const original = meant.get(event);
    if (original === undefined || !keepsMeaning(original, heard)) return `${heard}, but meant was: ${original}`;
  }
  return undefined;
}

/** Whether what was heard of one message is what its sender meant, or better: not lost. */
function keepsMeaning(meant: string, heard: string): boolean {
  return heard === meant || `${heard} (lost)` === meant;
}
