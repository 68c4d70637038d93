import type { BlockTemplate, CoinbaseRoom } from "./template/block-template.ts";

/** A template a client was sent, and the time it was told to start at. */
export interface SentTemplate {
  readonly template: BlockTemplate;
  /** `header_timestamp` of the client's last SetNewPrevHash, Unix seconds. */
  readonly headerTimestamp: number;
}

const MINUTE_MS = 60_000;

/** What one client has been told. */
export class TemplateClient {
  /** When it connected, Unix milliseconds. */
  readonly since: number;
  /** What it asked for with CoinbaseOutputConstraints; undefined before the first. */
  room: CoinbaseRoom | undefined;
  /** Nothing came in since its last template was considered. */
  upToDate = true;
  /** Whether it was closed for its many requests; what it sent meanwhile is ignored. */
  isClosed = false;
  readonly #maxTemplates: number;
  readonly #templates = new Map<bigint, SentTemplate>();
  #headerTimestamp = 0;
  #lastSentAt = 0;
  #lastFees = 0n;
  #lastTemplateId: bigint | undefined;
  #sent = 0;
  #minuteBegan: number;
  #requests = 0;

  constructor(now: number, maxTemplates: number) {
    this.since = now;
    this.#minuteBegan = now;
    this.#maxTemplates = maxTemplates;
  }

  /** Its templates on the current tip, oldest first. */
  get templates(): ReadonlyMap<bigint, SentTemplate> {
    return this.#templates;
  }

  /** When its last template was sent, Unix milliseconds. */
  get lastSentAt(): number {
    return this.#lastSentAt;
  }

  /** Fees of its last template, in satoshi. */
  get lastFees(): bigint {
    return this.#lastFees;
  }

  /** Id of its last template; undefined before the first. */
  get lastTemplateId(): bigint | undefined {
    return this.#lastTemplateId;
  }

  /** Templates it was sent so far. */
  get templatesSent(): number {
    return this.#sent;
  }

  /** Counts a message of the client: how many there were in the running minute, this one among them. */
  request(now: number): number {
    if (now - this.#minuteBegan >= MINUTE_MS) {
      this.#minuteBegan = now;
      this.#requests = 0;
    }
    this.#requests += 1;
    return this.#requests;
  }

  /** A template on a tip that is told with it. Unless it is told again, all earlier templates are worthless. */
  startTip(start: NewlySent & { readonly headerTimestamp: number; readonly isToldAgain: boolean }): void {
    if (!start.isToldAgain) this.#templates.clear();
    this.#headerTimestamp = start.headerTimestamp;
    this.addTemplate(start);
  }

  /** A template on the same tip. The oldest goes when there are too many. */
  addTemplate({ templateId, template, now }: NewlySent): void {
    this.#templates.set(templateId, { template, headerTimestamp: this.#headerTimestamp });
    const [oldest] = this.#templates.keys();
    if (this.#templates.size > this.#maxTemplates && oldest !== undefined) this.#templates.delete(oldest);
    this.#lastTemplateId = templateId;
    this.#lastSentAt = now;
    this.#lastFees = template.fees;
    this.#sent += 1;
    this.upToDate = true;
  }
}

interface NewlySent {
  readonly templateId: bigint;
  readonly template: BlockTemplate;
  /** Unix milliseconds. */
  readonly now: number;
}
