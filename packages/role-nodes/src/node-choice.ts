import { type Hash, type Network, sameBytes } from "@adit/bitcoin";
import type { ChainInfo, NodeError, NodeEvent, NodeHeader } from "@adit/bitcoin-node";
import type { ReceivedTemplate } from "./received-template.ts";
import { stopgapTemplate } from "./stopgap-template.ts";

/** What {@link NodeChoice} knows beforehand. */
export interface NodeChoiceOptions {
  /** How many nodes there are; they are numbered from 0, the most preferred first. */
  readonly nodes: number;
  readonly network: Network;
  /** Longest wait for a new tip's full template before a stopgap is made, in milliseconds; 0 for never. */
  readonly emptyTemplateAfterMs: number;
}

/** What happens. */
export type ChoiceInput =
  | { readonly type: "node"; readonly node: number; readonly event: NodeEvent }
  /** The answer to `ask-header`; undefined when the node has none. */
  | { readonly type: "header"; readonly node: number; readonly header: NodeHeader | undefined }
  /** Time passes; a few times a second. */
  | { readonly type: "tick" };

/** What the shell has to do, in order. */
export type ChoiceEffect =
  | { readonly type: "want-templates"; readonly node: number; readonly wanted: boolean }
  | { readonly type: "serve"; readonly node: number; readonly received: ReceivedTemplate }
  | { readonly type: "ask-header"; readonly node: number; readonly hash: Hash }
  /** Templates come from this node from now on. */
  | { readonly type: "chosen"; readonly node: number }
  | { readonly type: "node-up"; readonly node: number }
  | { readonly type: "node-down"; readonly node: number; readonly error: NodeError }
  /** The node answers, but not with a template, or something beside it fails. */
  | { readonly type: "node-fault"; readonly node: number; readonly error: NodeError }
  /** A template came that does not build on the best known tip. */
  | { readonly type: "template-behind"; readonly node: number; readonly height: number; readonly bestHeight: number };

/** Where a node stands. */
export type NodeState = "active" | "standby" | "behind" | "down";

/** A node as the status document shows it. */
export interface NodeView {
  readonly state: NodeState;
  readonly tip: { readonly hash: Hash; readonly height: number } | undefined;
  /** Why the last thing that was asked of it failed; undefined once that works again. */
  readonly error: NodeError | undefined;
}

interface Followed {
  tip: { readonly hash: Hash; readonly height: number; readonly at: number } | undefined;
  isUp: boolean;
  /** Since when, without a break, it has answered and had the best known tip. */
  fitSince: number | undefined;
  down: NodeError | undefined;
  /** The tip it had when it went away; a node that comes back with less has lost it and is about to get it again. */
  left: { readonly height: number; readonly at: number } | undefined;
  /** Why its last long poll failed; requests go on without them. */
  noLongPoll: NodeError | undefined;
  /** `trials`: how often in a row it was gone back to for a template in vain. */
  noTemplate: { readonly error: NodeError; readonly at: number; readonly trials: number } | undefined;
}

/** The tip a node had when it went away counts this long: nobody is led back from it in the meantime. */
const TIP_MEMORY_MS = 600_000;
/** A more preferred node has to answer and to keep up this long before it is gone back to. */
const RETURN_MS = 10_000;
/** A node that gave no template is not asked again for this long while another can; twice as long after each trial. */
const NO_TEMPLATE_MS = 30_000;
const MAX_NO_TEMPLATE_MS = 480_000;

/**
 * Decides which of several nodes templates come from: the most preferred one that answers and has the best known tip.
 * A template that does not build on that tip is never served. Pure.
 */
export class NodeChoice {
  readonly #options: NodeChoiceOptions;
  readonly #nodes: readonly Followed[];
  #active: number | undefined;
  #served: ReceivedTemplate | undefined;
  /** A tip the active node has and nobody has a template for. */
  #awaited: { readonly hash: Hash; readonly since: number; readonly asked: boolean } | undefined;

  constructor(options: NodeChoiceOptions) {
    this.#options = options;
    this.#nodes = Array.from({ length: options.nodes }, () => ({
      tip: undefined,
      isUp: false,
      fitSince: undefined,
      down: undefined,
      left: undefined,
      noLongPoll: undefined,
      noTemplate: undefined,
    }));
  }

  /** Where each node stands, in order. `now` is in milliseconds and never goes back, here and in {@link handle}. */
  views(now: number): readonly NodeView[] {
    const best = this.#bestHeight(now);
    return this.#nodes.map((node, at) => ({
      state: this.#stateOf(node, { at, best }),
      tip: node.tip,
      error: node.down ?? node.noTemplate?.error,
    }));
  }

  /** Takes one input and returns what follows from it. */
  handle(input: ChoiceInput, now: number): readonly ChoiceEffect[] {
    switch (input.type) {
      case "node":
        return this.#onEvent(input.node, input.event, now);
      case "header":
        return this.#onHeader(input.node, input.header, now);
      case "tick":
        return [...this.#choose(now), ...this.#askForHeader(now)];
      default:
        return input satisfies never;
    }
  }

  #onEvent(at: number, event: NodeEvent, now: number): readonly ChoiceEffect[] {
    switch (event.type) {
      case "chain":
        return this.#onChain(at, event.info, now);
      case "tip-seen":
        this.#await(at, event.hash, now);
        return [];
      case "template":
        return this.#onTemplate(at, event, now);
      case "failed":
        return this.#onFailed(at, event, now);
      default:
        return event satisfies never;
    }
  }

  #onChain(at: number, info: ChainInfo, now: number): readonly ChoiceEffect[] {
    this.#node(at).tip = { hash: info.tip, height: info.height, at: now };
    const effects = [...this.#answered(at), ...this.#choose(now)];
    this.#await(at, info.tip, now);
    return effects;
  }

  #onTemplate(
    at: number,
    { template, tookMs, by }: NodeEvent & { readonly type: "template" },
    now: number,
  ): readonly ChoiceEffect[] {
    const node = this.#node(at);
    const height = template.height - 1;
    // One that was asked for before the tip was seen may be of the tip before.
    const isOlder = by === "request" && node.tip !== undefined && node.tip.at > now - tookMs;
    if (isOlder && height < (node.tip?.height ?? 0)) return [];
    node.tip = { hash: template.prevHash, height, at: now };
    node.noTemplate = undefined;
    if (by === "long-poll") node.noLongPoll = undefined;
    const effects = [...this.#answered(at), ...this.#choose(now)];
    if (at !== this.#active) return effects;
    const bestHeight = this.#bestHeight(now);
    if (height < bestHeight) return [...effects, { type: "template-behind", node: at, height, bestHeight }];
    return [...effects, this.#serve(at, { template, at: now, isStopgap: false })];
  }

  #serve(node: number, received: ReceivedTemplate): ChoiceEffect {
    this.#served = received;
    if (this.#awaited !== undefined && sameBytes(this.#awaited.hash, received.template.prevHash))
      this.#awaited = undefined;
    return { type: "serve", node, received };
  }

  #onFailed(at: number, { error, by }: NodeEvent & { readonly type: "failed" }, now: number): readonly ChoiceEffect[] {
    switch (by) {
      case "poll":
        return this.#onDown(at, error, now);
      case "request":
        return this.#onNoTemplate(at, error, now);
      case "long-poll":
        return this.#onNoLongPoll(at, error);
      case "zmq":
        return [{ type: "node-fault", node: at, error }];
      default:
        return by satisfies never;
    }
  }

  #onDown(at: number, error: NodeError, now: number): readonly ChoiceEffect[] {
    const node = this.#node(at);
    const isNews = node.down?.code !== error.code;
    if (node.isUp) this.#noteLeft(node, now);
    // A node that goes away gives no template either: that says nothing of it once it is back.
    if (node.isUp) node.noTemplate = undefined;
    node.down = error;
    node.isUp = false;
    return [...(isNews ? [{ type: "node-down", node: at, error } as const] : []), ...this.#choose(now)];
  }

  #onNoTemplate(at: number, error: NodeError, now: number): readonly ChoiceEffect[] {
    const node = this.#node(at);
    const isNews = node.noTemplate?.error.code !== error.code;
    const isTrial = !this.#lacksTemplate(node, now);
    node.noTemplate = { error, at: now, trials: (node.noTemplate?.trials ?? 0) + (isTrial ? 1 : 0) };
    return [...(isNews ? [{ type: "node-fault", node: at, error } as const] : []), ...this.#choose(now)];
  }

  /** Something in between may cut off what is silent for long: that is told once, and no reason to leave the node. */
  #onNoLongPoll(at: number, error: NodeError): readonly ChoiceEffect[] {
    const node = this.#node(at);
    const isNews = node.noLongPoll?.code !== error.code;
    node.noLongPoll = error;
    return isNews ? [{ type: "node-fault", node: at, error }] : [];
  }

  #answered(at: number): readonly ChoiceEffect[] {
    const node = this.#node(at);
    node.down = undefined;
    if (node.left !== undefined && (node.tip?.height ?? -1) >= node.left.height) node.left = undefined;
    if (node.isUp) return [];
    node.isUp = true;
    return [{ type: "node-up", node: at }];
  }

  /** Without any node that will do, the last one goes on being asked. */
  #choose(now: number): readonly ChoiceEffect[] {
    const best = this.#bestHeight(now);
    for (const node of this.#nodes) node.fitSince = this.#isFit(node, best) ? (node.fitSince ?? now) : undefined;
    const fit = this.#nodes.flatMap(({ fitSince }, at) => (fitSince === undefined ? [] : [at]));
    const giving = fit.filter((at) => !this.#lacksTemplate(this.#node(at), now));
    const choices = giving.length > 0 ? giving : fit;
    const current = this.#active;
    const isCurrentFit = current !== undefined && choices.includes(current);
    const chosen = choices.find((at) => !isCurrentFit || at === current || this.#isSteady(this.#node(at), now));
    if (chosen === undefined || chosen === current) return [];
    this.#active = chosen;
    this.#awaitAnew(chosen, now);
    const leave = current === undefined ? [] : [{ type: "want-templates", node: current, wanted: false } as const];
    return [...leave, { type: "chosen", node: chosen }, { type: "want-templates", node: chosen, wanted: true }];
  }

  /** What the former node was asked, and when, says nothing of this one. */
  #awaitAnew(at: number, now: number): void {
    this.#awaited = undefined;
    const { tip } = this.#node(at);
    if (tip !== undefined) this.#await(at, tip.hash, now);
  }

  #await(at: number, hash: Hash, now: number): void {
    if (at !== this.#active) return;
    const isServed = this.#served !== undefined && sameBytes(this.#served.template.prevHash, hash);
    if (isServed) this.#awaited = undefined;
    else if (this.#awaited === undefined || !sameBytes(this.#awaited.hash, hash)) {
      this.#awaited = { hash, since: now, asked: false };
    }
  }

  #askForHeader(now: number): readonly ChoiceEffect[] {
    const { emptyTemplateAfterMs } = this.#options;
    const awaited = this.#awaited;
    if (awaited === undefined || awaited.asked || this.#active === undefined || emptyTemplateAfterMs === 0) return [];
    if (this.#served === undefined || now - awaited.since < emptyTemplateAfterMs) return [];
    this.#awaited = { ...awaited, asked: true };
    return [{ type: "ask-header", node: this.#active, hash: awaited.hash }];
  }

  #onHeader(at: number, header: NodeHeader | undefined, now: number): readonly ChoiceEffect[] {
    const served = this.#served;
    if (header === undefined || served === undefined || at !== this.#active) return [];
    const isWanted = this.#awaited?.asked === true && sameBytes(this.#awaited.hash, header.hash);
    if (!isWanted || header.confirmations < 1 || header.height < this.#bestHeight(now)) return [];
    const curTime = served.template.curTime + Math.max(0, Math.floor((now - served.at) / 1000));
    const template = stopgapTemplate(header, { network: this.#options.network, last: served.template, curTime });
    return template === undefined ? [] : [this.#serve(at, { template, at: now, isStopgap: true })];
  }

  /** A tip that it left before and has not been back at since counts on. */
  #noteLeft(node: Followed, now: number): void {
    const height = node.tip?.height ?? -1;
    if (height >= this.#leftHeight(node, now)) node.left = { height, at: now };
  }

  #bestHeight(now: number): number {
    const present = this.#nodes.map(({ isUp, tip }) => (isUp ? (tip?.height ?? -1) : -1));
    return Math.max(-1, ...present, ...this.#nodes.map((node) => this.#leftHeight(node, now)));
  }

  #leftHeight({ left }: Followed, now: number): number {
    return left !== undefined && now - left.at < TIP_MEMORY_MS ? left.height : -1;
  }

  #isFit({ isUp, tip }: Followed, best: number): boolean {
    return isUp && tip !== undefined && tip.height >= best;
  }

  #lacksTemplate({ noTemplate }: Followed, now: number): boolean {
    if (noTemplate === undefined) return false;
    const { at, trials } = noTemplate;
    return now - at < Math.min(NO_TEMPLATE_MS * 2 ** (trials - 1), MAX_NO_TEMPLATE_MS);
  }

  #isSteady({ fitSince }: Followed, now: number): boolean {
    return fitSince !== undefined && now - fitSince >= RETURN_MS;
  }

  #stateOf(node: Followed, { at, best }: { readonly at: number; readonly best: number }): NodeState {
    if (!node.isUp) return "down";
    if (!this.#isFit(node, best)) return "behind";
    return at === this.#active ? "active" : "standby";
  }

  #node(at: number): Followed {
    const node = this.#nodes[at];
    if (node === undefined) throw new RangeError(`there is no node ${at}`);
    return node;
  }
}
