import type { CustomJobPolicy, CustomJobRequest, FoundBlock, TokenVerdict } from "@adit/channels";
import {
  type DeclaratorStatus,
  type DeclaratorTip,
  JobDeclaratorServer,
  jdsServerSettings,
  judgeCustomJob,
  UsedTokens,
} from "@adit/job-declarator";
import type { RewardScript } from "@adit/mining-shell";
import { aborted } from "@adit/network-helpers";
import { decodeAuthorityPublicKey } from "@adit/noise";
import type { RoleContext } from "@adit/role-kit";
import { listenLimitKeys, loadAuthority, type Network, type Served } from "@adit/role-network";
import type { PoolConfig } from "./config.ts";

/** What {@link JobDeclaration.open} works with. */
export interface JobDeclarationParts {
  readonly config: PoolConfig;
  readonly context: RoleContext<PoolConfig>;
  readonly network: Network;
  readonly reward: RewardScript;
}

interface Opened {
  readonly authorities: readonly Uint8Array[];
  readonly declarator: JobDeclaratorServer | undefined;
}

/**
 * Job declaration as the pool has part in it: whose declarations it believes, which tokens it has taken, and the
 * job-declarator server in the same process, if there is one. Whatever becomes of that, the pool goes on.
 */
export class JobDeclaration implements AsyncDisposable {
  readonly #parts: JobDeclarationParts;
  readonly #authorities: readonly Uint8Array[];
  readonly #declarator: JobDeclaratorServer | undefined;
  readonly #used = new UsedTokens();
  #served: Served | undefined;
  #failure: string | null = null;

  private constructor(parts: JobDeclarationParts, { authorities, declarator }: Opened) {
    this.#parts = parts;
    this.#authorities = authorities;
    this.#declarator = declarator;
  }

  /** Undefined when the config names neither `[jds]` nor a jd-server to believe. Errors of the file system as they are. */
  static async open(parts: JobDeclarationParts): Promise<JobDeclaration | undefined> {
    const { config, context, network, reward } = parts;
    const elsewhere = config.jobDeclaration.authorityPubkeys.map(decodeAuthorityPublicKey);
    if (config.jds === undefined) {
      return elsewhere.length === 0
        ? undefined
        : new JobDeclaration(parts, { authorities: elsewhere, declarator: undefined });
    }
    const authority = await loadAuthority(config);
    const declarator = await JobDeclaratorServer.open(
      {
        settings: config.jds,
        network: reward.network,
        payoutScript: reward.script,
        authoritySecretKey: authority.secretKey,
        crypto: network.crypto,
        hashing: network.hashing,
      },
      context,
    );
    const own = decodeAuthorityPublicKey(authority.publicKey);
    return new JobDeclaration(parts, { authorities: [own, ...elsewhere], declarator });
  }

  /** How the mining core deals with custom jobs. */
  get policy(): CustomJobPolicy {
    const { reward, config } = this.#parts;
    const { minPayoutPercent } = config.jobDeclaration;
    return { payoutScript: reward.script, minPayoutPercent, judge: (request) => this.#judge(request) };
  }

  /** Where job-declarator clients are served; undefined without `[jds]`, and before it is. */
  get served(): Served | undefined {
    return this.#served;
  }

  /**
   * Serves job-declarator clients until the signal aborts, when there is a server for them; `onChange` is called once it
   * does. A failure of the server is told, and ends it alone.
   */
  async serve(signal: AbortSignal, onChange: () => void): Promise<void> {
    const { config, network, context } = this.#parts;
    const declarator = this.#declarator;
    if (config.jds === undefined || declarator === undefined) return onChange();
    try {
      await using served = await network.serve({
        settings: jdsServerSettings(config.jds, config),
        limits: config.jds.limits,
        server: declarator.server,
        handler: (connection) => declarator.serve(connection),
        signal,
      });
      context.onReload(listenLimitKeys("jds.limits"), ({ jds }) => {
        if (jds !== undefined) served.setLimits(jds.limits);
      });
      this.#served = served;
      onChange();
      await Promise.race([aborted(signal), declarator.failure]);
      await Promise.race([declarator.takeLeave(), declarator.failure]);
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error);
      context.log.error(
        { error },
        "the job-declarator server has stopped; the pool goes on without; restart it to have it again",
      );
      onChange();
    } finally {
      this.#served = undefined;
    }
  }

  /** A miner has found a block on a declared job. Of a coinbase-only one nobody here has the transactions. */
  solve({ declaration, header, extranonce }: FoundBlock): void {
    if (declaration !== undefined) this.#declarator?.solve({ tokenId: declaration.id, header, extranonce });
  }

  /** What the pool's template provider builds on. It counts only where the job-declarator server has no node to ask. */
  setTip(tip: DeclaratorTip): void {
    if (this.#parts.config.jds?.bitcoinNode === undefined) this.#declarator?.setTip(tip);
  }

  /** The embedded server's part of the status document; null without one. */
  status(): (DeclaratorStatus & { readonly trouble: string | null }) | null {
    if (this.#declarator === undefined) return null;
    return { ...this.#declarator.status(), trouble: this.#failure ?? this.#declarator.trouble };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#declarator?.[Symbol.asyncDispose]();
  }

  #judge({ message, userIdentity, extranonceSize, now }: CustomJobRequest): TokenVerdict {
    const { network, context } = this.#parts;
    const { crypto } = network;
    const judged = { userIdentity, extranonceSize, now, authorities: this.#authorities, used: this.#used, crypto };
    const verdict = judgeCustomJob(message, judged);
    if (verdict.kind === "refused") {
      context.log.debug({ errorCode: verdict.errorCode, detail: verdict.detail }, "token of a custom job refused");
      return { kind: "refused", errorCode: verdict.errorCode };
    }
    this.#used.add(verdict.token, now);
    return { kind: "accepted", declarationId: verdict.token.id };
  }
}
