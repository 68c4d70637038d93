import type { SubmitSolution } from "@adit/codec";
import { pause, type Sv2Connection } from "@adit/network-helpers";

/** Miners go on with a provider's work for a moment after they were given another's: less than it waits for clients that it sent away. */
const STAY_MS = 3_000;

/**
 * Connections to template providers that were left for another with nothing wrong. Of a block that is found on their work
 * only they have the transactions.
 */
export class LeftProviders {
  readonly #connections = new Set<Sv2Connection<"template_distribution">>();

  /** Keeps a connection, and resolves when it is needed no more, or the signal aborts. */
  async keep(connection: Sv2Connection<"template_distribution">, signal: AbortSignal): Promise<void> {
    this.#connections.add(connection);
    await pause(STAY_MS, signal);
    this.#connections.delete(connection);
  }

  /** Offers a block to each. One that does not know the template refuses it, and one that is gone is none. */
  submit(solution: SubmitSolution): void {
    for (const connection of this.#connections) connection.write(solution).catch(() => {});
  }
}
