import type { AllocateMiningJobTokenSuccess, CommonMessage, JobDeclarationMessage } from "@adit/codec";
import type { Failure } from "./failure.ts";
import type { JobDesk } from "./job-desk.ts";
import type { SessionNews } from "./session-types.ts";
import type { TokenPurse } from "./token-purse.ts";

/** What a {@link JdsSide} works with. */
export interface JdsSideParts {
  readonly purse: TokenPurse;
  /** What takes jobs to the pool; undefined until the channel is open. */
  readonly desk: () => JobDesk | undefined;
  /** Says what an answer about a job has come to. */
  readonly judge: (failure: Failure | undefined) => SessionNews | undefined;
  /** A token came that is in order. */
  readonly tokenCame: () => SessionNews | undefined;
  /** The job declarator broke a rule. Says so if it was one too many. */
  readonly broke: (code: string, detail: string) => SessionNews | undefined;
}

/** A session's conversation with its job declarator: what that says of tokens and declarations. */
export class JdsSide {
  readonly #parts: JdsSideParts;

  constructor(parts: JdsSideParts) {
    this.#parts = parts;
  }

  /** The job declarator sent a message. */
  message(message: JobDeclarationMessage | CommonMessage): SessionNews | undefined {
    const { desk, judge, broke } = this.#parts;
    switch (message.name) {
      case "AllocateMiningJobTokenSuccess":
        return this.#onToken(message);
      case "DeclareMiningJobSuccess":
        return judge(desk()?.declared(message));
      case "DeclareMiningJobError":
        return judge(desk()?.declarationRefused(message));
      case "ProvideMissingTransactions":
        return judge(desk()?.reveal(message));
      case "Reconnect":
        return { type: "asked", part: "jds", to: { newHost: message.newHost, newPort: message.newPort } };
      default:
        return broke("unexpected-message", message.name);
    }
  }

  #onToken(message: AllocateMiningJobTokenSuccess): SessionNews | undefined {
    const { purse, desk, tokenCame } = this.#parts;
    const failure = purse.receive(message);
    if (failure !== undefined) return { type: "failed", failure };
    desk()?.pump();
    return tokenCame();
  }
}
