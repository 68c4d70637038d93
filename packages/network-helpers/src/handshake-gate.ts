import { abortError, NetworkError } from "./errors.ts";

/** Settings of a HandshakeGate. */
export interface HandshakeGateOptions {
  /** Handshakes computed in one turn of the event loop; each costs up to 10 ms without fast crypto. */
  readonly perTurn: number;
  /** Handshakes that may wait; more are refused. */
  readonly maxQueue: number;
  /**
   * Makes one key ready and returns how many are still missing, as `() => identity.prepare(1)` does. Called once a turn
   * while no handshake waits.
   */
  readonly prepare?: () => number;
  /** Runs a function in a later turn, after I/O; the platform's way unless told. */
  readonly nextTurn?: (run: () => void) => void;
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly run: () => void;
  readonly refuse: () => void;
}

/**
 * Spreads the computing of responder handshakes over turns of the event loop, so that a thousand miners that reconnect
 * at once do not stall those already connected.
 */
export class HandshakeGate {
  readonly #options: HandshakeGateOptions;
  readonly #nextTurn: (run: () => void) => void;
  readonly #queue: Waiting[] = [];
  #scheduled = false;
  #keysMissing: boolean;

  constructor(options: HandshakeGateOptions) {
    this.#options = options;
    this.#nextTurn = options.nextTurn ?? laterTurn;
    this.#keysMissing = options.prepare !== undefined;
    this.#schedule();
  }

  /** Handshakes that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * Runs `work` in a coming turn and resolves to its result. Rejects with what it throws, with `refused` when the queue
   * is full, and as `abortError` says when `signal` aborts before its turn.
   */
  run<T>(work: () => T, options: { readonly signal: AbortSignal; readonly peer: string }): Promise<T> {
    const { peer, signal } = options;
    if (this.#queue.length >= this.#options.maxQueue) {
      const message = `${peer}: refused, ${this.#queue.length} handshakes wait already; the peer may try again later`;
      return Promise.reject(new NetworkError("refused", { peer, message }));
    }
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      const refuse = (): void => reject(abortError(signal, peer, "waiting for its handshake"));
      this.#queue.push({ signal, run, refuse });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || (this.#queue.length === 0 && !this.#keysMissing)) return;
    this.#scheduled = true;
    this.#nextTurn(() => {
      this.#scheduled = false;
      this.#turn();
      this.#schedule();
    });
  }

  #turn(): void {
    const ran = this.#runWaiting();
    const { prepare } = this.#options;
    if (prepare === undefined) return;
    this.#keysMissing = ran > 0 || prepare() > 0;
  }

  #runWaiting(): number {
    let ran = 0;
    while (ran < this.#options.perTurn) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      if (next.signal.aborted) next.refuse();
      else {
        next.run();
        ran++;
      }
    }
    return ran;
  }
}

function laterTurn(run: () => void): void {
  if (typeof setImmediate === "function") setImmediate(run);
  else setTimeout(run, 0);
}
