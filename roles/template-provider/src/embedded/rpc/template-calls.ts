import { displayHash } from "@adit/bitcoin";
import { bytesOfHex } from "@adit/bitcoin-node";
import { z } from "zod";
import type { EmbeddedChain } from "../embedded-chain.ts";
import { type BlockGround, type BlockVerdict, judgeProposal } from "../submitted-block.ts";
import type { RpcMethod, RpcRequest } from "./rpc-call.ts";
import { parameters, RpcError } from "./rpc-error.ts";
import { coreRoom, templateJson } from "./template-json.ts";

/** What the calls about templates and blocks work with. */
export interface TemplateSourcePorts {
  readonly chain: EmbeddedChain;
  /** What a block would be held against now. */
  readonly ground: () => BlockGround;
  /** Judges a block when its turn comes, and puts it on the chain when it is good. */
  readonly submit: (block: Uint8Array) => Promise<BlockVerdict>;
  /** Unix milliseconds. */
  readonly now: () => number;
}

const templateBy = z.tuple([
  z.looseObject({
    mode: z.enum(["template", "proposal"], "mode: expected template or proposal").default("template"),
    rules: z.array(z.string()).default([]),
    longpollid: z.string().optional(),
    data: z.unknown().optional(),
  }),
]);
const blockBy = z.tuple([z.string("expected a block in hexadecimal")]).rest(z.unknown());

/** `getblocktemplate` with long polls and proposals, and `submitblock`, as Bitcoin Core has them. */
export class TemplateCalls {
  readonly #ports: TemplateSourcePorts;
  /** Counts what makes an earlier template old; begins at the time of the start, so that a restart makes all of them old. */
  #revision: number;
  #waiting: (() => void)[] = [];

  constructor(ports: TemplateSourcePorts) {
    this.#ports = ports;
    this.#revision = ports.now();
  }

  /** The calls by name. */
  get methods(): readonly (readonly [string, RpcMethod])[] {
    return [
      ["getblocktemplate", (request) => this.#template(request)],
      ["submitblock", (request) => this.#submit(request)],
    ];
  }

  /** There is another tip, or other transactions wait. */
  changed(): void {
    this.#revision += 1;
    // Clients of Template Distribution are told first, and a large template takes a while to write.
    setImmediate(() => {
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  get #longPollId(): string {
    return `${displayHash(this.#ports.chain.tip.hash)}${this.#revision}`;
  }

  async #template({ params, signal }: RpcRequest): Promise<unknown> {
    const [request] = parameters(templateBy, params);
    if (request.mode === "proposal") return this.#propose(request.data);
    if (!request.rules.includes("segwit")) {
      throw new RpcError("invalidParameter", 'getblocktemplate needs the segwit rule: {"rules": ["segwit"]}');
    }
    if (request.longpollid !== undefined) await this.#untilOld(request.longpollid, signal);
    const { chain, now } = this.#ports;
    return templateJson(chain.template(coreRoom), { longPollId: this.#longPollId, curTime: chain.startTime(now()) });
  }

  async #untilOld(longPollId: string, signal: AbortSignal): Promise<void> {
    while (longPollId === this.#longPollId) {
      if (signal.aborted) throw new RpcError("stopping", "the template provider stops, or nobody waits");
      await this.#change(signal);
    }
  }

  async #change(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener("abort", done);
        this.#waiting = this.#waiting.filter((other) => other !== done);
        resolve();
      };
      this.#waiting.push(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #propose(data: unknown): string | null {
    if (typeof data !== "string") throw new RpcError("typeError", "Missing data String key for proposal");
    const verdict = judgeProposal(bytesOf(data), this.#ports.ground());
    if (verdict.kind === "undecodable") throw undecodable();
    return verdict.reason;
  }

  async #submit({ params }: RpcRequest): Promise<string | null> {
    const [block] = parameters(blockBy, params);
    const verdict = await this.#ports.submit(bytesOf(block));
    if (verdict.kind === "undecodable") throw undecodable();
    return verdict.kind === "block" ? null : verdict.reason;
  }
}

function bytesOf(text: string): Uint8Array {
  try {
    return bytesOfHex(text);
  } catch {
    throw undecodable();
  }
}

function undecodable(): RpcError {
  return new RpcError("undecodable", "Block decode failed");
}
