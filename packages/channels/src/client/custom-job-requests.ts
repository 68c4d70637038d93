import type { SetCustomMiningJob, SetCustomMiningJobError, SetCustomMiningJobSuccess } from "@adit/codec";
import type { ClientChannel } from "./client-channel.ts";
import { MiningClientError } from "./client-error.ts";
import type { ClientEvent } from "./client-event.ts";

/** Custom jobs that were set and wait for their answers (spec 5.3.18), each on the channel it was set on. */
export class CustomJobRequests {
  readonly #limit: number;
  readonly #waiting = new Map<number, ClientChannel>();

  /** `limit`: requests that may wait at once. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Makes the message, and waits for its answer. Throws MiningClientError `channel-closed`, `wrong-channel-kind`,
   * `request-id-in-use` or `too-many-requests`.
   */
  request(channel: ClientChannel, job: Omit<SetCustomMiningJob, "name" | "channelId">): SetCustomMiningJob {
    const { channelId, kind, open } = channel;
    const { requestId } = job;
    if (!open) throw failed("channel-closed", `channel ${channelId} is closed`);
    if (kind !== "extended") throw failed("wrong-channel-kind", `channel ${channelId} is a standard channel`);
    if (this.#waiting.has(requestId)) {
      throw failed("request-id-in-use", `custom job ${requestId} still waits for its answer`);
    }
    if (this.#waiting.size >= this.#limit) {
      throw failed("too-many-requests", `${this.#waiting.size} custom jobs wait for their answers`);
    }
    this.#waiting.set(requestId, channel);
    return { ...job, name: "SetCustomMiningJob", channelId };
  }

  /**
   * What an answer means; undefined when no such request waits on that channel. The server makes the job when it answers,
   * so target and extranonce prefix are the channel's of this moment (spec 5.3.10 and 5.3.21).
   */
  answered(message: SetCustomMiningJobSuccess | SetCustomMiningJobError): ClientEvent | undefined {
    const { requestId, channelId } = message;
    const channel = this.#waiting.get(requestId);
    if (channel?.channelId !== channelId) return undefined;
    this.#waiting.delete(requestId);
    if (message.name === "SetCustomMiningJobError") {
      return { type: "custom-job-refused", channel, requestId, errorCode: message.errorCode };
    }
    const { target, extranoncePrefix } = channel;
    return { type: "custom-job-accepted", channel, requestId, jobId: message.jobId, target, extranoncePrefix };
  }

  /** A closed channel answers nothing any more. */
  forget(channel: ClientChannel): void {
    for (const [requestId, asked] of this.#waiting) if (asked === channel) this.#waiting.delete(requestId);
  }
}

function failed(code: ConstructorParameters<typeof MiningClientError>[0], detail: string): MiningClientError {
  return new MiningClientError(code, "MiningClient.setCustomMiningJob", detail);
}
