import { CoreOutbox } from "@adit/channels";
import type { CounterName, JdClientEffect } from "./effects.ts";

/** Collects what the parts of the core ask for while one input is handled, and keeps the counts. */
export class Outbox extends CoreOutbox<CounterName, JdClientEffect> {}
