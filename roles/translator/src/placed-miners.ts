import type { SessionId } from "./effects.ts";
import { assumedLayout, type ExtranonceLayout } from "./extranonce-layout.ts";
import type { MinedLink } from "./link-state.ts";
import type { Miner } from "./miner.ts";
import { MinerIndexes } from "./miner-indexes.ts";
import type { Outbox } from "./outbox.ts";
import { Uplink } from "./uplink.ts";
import type { UpstreamLink } from "./upstream-link.ts";
import type { UpstreamRules } from "./upstream-rules.ts";
import type { UpstreamWork } from "./upstream-work.ts";

/** A miner whose channel takes longer than this is answered without it. */
const PLACING_PATIENCE_MS = 5000;

/** The miners that want work: which of them share a channel, whose jobs they have, and who waits for an extranonce. */
export class PlacedMiners {
  readonly #rules: UpstreamRules;
  readonly #outbox: Outbox;
  readonly #uplinks = new Set<Uplink>();
  readonly #byMiner = new Map<Miner, { readonly uplink: Uplink; readonly since: number }>();
  /** Miners that wait for their extranonce. */
  readonly #waiting = new Set<Miner>();
  readonly #indexes: MinerIndexes;
  /** What to tell a miner that cannot wait for its channel: what channels were like so far. */
  #usualLayout: ExtranonceLayout;

  constructor(rules: UpstreamRules, outbox: Outbox) {
    this.#rules = rules;
    this.#outbox = outbox;
    this.#indexes = new MinerIndexes(Math.floor(rules.random() * 0xffff));
    this.#usualLayout = assumedLayout(rules.extranonce2Size);
    if (rules.aggregateChannels) this.#uplinks.add(new Uplink());
  }

  /** Those that share a channel, whatever session that is in. */
  get uplinks(): ReadonlySet<Uplink> {
    return this.#uplinks;
  }

  /** How many there are. */
  get count(): number {
    return this.#byMiner.size;
  }

  /** Takes a miner in. False when it is closed instead, as there is no extranonce left for it. */
  add(miner: Miner): boolean {
    const index = this.#indexes.take();
    if (index === undefined) {
      miner.close("no-extranonce-left");
      return false;
    }
    miner.index = index;
    const uplink = this.#uplinkForOneMore();
    uplink.miners.add(miner);
    this.#byMiner.set(miner, { uplink, since: this.#outbox.now });
    this.#waiting.add(miner);
    return true;
  }

  /** Gives a miner that was taken in what there is for it; what it waits for only when it `mayWait`. */
  welcome(miner: Miner, mayWait: boolean): void {
    const active = this.#byMiner.get(miner)?.uplink.active;
    if (active?.state.phase === "open") this.#settle(miner, active);
    else if (!mayWait) this.#placeAnyway(miner);
  }

  /** Forgets a miner. Returns the uplink that went with it, if it had one to itself. */
  remove(miner: Miner): Uplink | undefined {
    const uplink = this.#byMiner.get(miner)?.uplink;
    this.#byMiner.delete(miner);
    this.#waiting.delete(miner);
    if (miner.index !== undefined) this.#indexes.retire(miner.index);
    uplink?.miners.delete(miner);
    if (uplink === undefined || this.#rules.aggregateChannels) return undefined;
    this.#uplinks.delete(uplink);
    return uplink;
  }

  /** A channel is open. Its miners are placed in it when they may mine there, and have no other. */
  opened(link: UpstreamLink, mayMine: boolean): void {
    const { uplink, state } = link;
    if (state.phase === "open" && state.layout.fixedExtranonce1 === null) this.#usualLayout = state.layout;
    if (!mayMine || (uplink.active !== undefined && uplink.active !== link)) return;
    uplink.active = link;
    for (const miner of uplink.miners) this.#settle(miner, link);
  }

  /** A channel was refused: nobody waits for it. */
  refused({ uplink }: UpstreamLink): void {
    for (const miner of uplink.miners) if (this.#waiting.has(miner)) this.#placeAnyway(miner);
  }

  /** There is a job on the channel that an uplink's miners have. */
  tell({ uplink, session }: UpstreamLink, work: UpstreamWork, tipChanged: boolean): void {
    // Jobs of the old tip are dead for every channel of the connection, which all build on the same one.
    if (tipChanged && this.#mineOnlyIn(session)) this.#indexes.releaseRetired();
    if (!uplink.mayTell(work.fresh.clean)) return;
    for (const miner of uplink.miners) if (miner.placed) miner.give(work, false);
  }

  /** Gives an uplink's miners the work of another channel than they had. */
  move(link: UpstreamLink): void {
    link.uplink.moveTo(link);
    for (const miner of link.uplink.miners) {
      this.#waiting.delete(miner);
      if (link.work !== undefined) miner.give(link.work, false);
    }
  }

  /** Whether any have work of a session. */
  mineIn(session: SessionId): boolean {
    return [...this.#uplinks].some(({ active }) => active?.session === session);
  }

  /** A session is over: its jobs are dead. */
  retire(session: SessionId): void {
    for (const uplink of this.#uplinks) {
      if (uplink.active?.session === session) {
        uplink.active = undefined;
        uplink.retire();
      } else for (const miner of uplink.miners) miner.retireSession(session);
    }
  }

  /** The session that was mined in is over, after {@link retire}: nobody waits for its channels. */
  lost(session: SessionId): void {
    if (this.#mineOnlyIn(session)) this.#indexes.releaseRetired();
    for (const miner of this.#waiting) this.#placeAnyway(miner);
  }

  /** Gives what came faster than miners are told of it. */
  giveHeld(): void {
    for (const uplink of this.#uplinks) {
      const work = uplink.active?.work;
      if (!uplink.nextSecond() || work === undefined) continue;
      for (const miner of uplink.miners) if (miner.placed) miner.give(work, false);
    }
  }

  /** Answers those that have waited for long. */
  placeOverdue(): void {
    const { now } = this.#outbox;
    for (const miner of this.#waiting) {
      const since = this.#byMiner.get(miner)?.since ?? now;
      if (now - since >= PLACING_PATIENCE_MS) this.#placeAnyway(miner);
    }
  }

  #uplinkForOneMore(): Uplink {
    if (this.#rules.aggregateChannels) for (const shared of this.#uplinks) return shared;
    const own = new Uplink();
    this.#uplinks.add(own);
    return own;
  }

  /** Gives a miner its extranonce and the work there is. */
  #settle(miner: Miner, { state }: MinedLink): void {
    if (state.phase !== "open") return;
    this.#waiting.delete(miner);
    miner.place(state.layout);
    if (state.work !== undefined && miner.placed) miner.give(state.work, true);
  }

  /** Answers a miner's subscription before its channel is there; its work will come when the upstream does. */
  #placeAnyway(miner: Miner): void {
    this.#waiting.delete(miner);
    miner.place(this.#usualLayout);
  }

  #mineOnlyIn(session: SessionId): boolean {
    return [...this.#uplinks].every(({ active }) => active === undefined || active.session === session);
  }
}
