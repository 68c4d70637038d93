import type { Backend, BackendStatus } from "./backend.ts";
import type { TemplateServer } from "./template-server.ts";

/** The role's part of the status document. */
export interface TemplateProviderStatus extends Omit<BackendStatus, "accepted" | "elsewhere"> {
  readonly blocks: {
    readonly accepted: number;
    readonly rejected: number;
    readonly rejected_by_reason: Readonly<Record<string, number>>;
    readonly elsewhere: number;
  };
  readonly clients: readonly {
    readonly id: number;
    readonly since: number;
    readonly template_id: string | null;
    readonly templates_sent: number;
    readonly coinbase_output_max_additional_size: number | null;
    readonly coinbase_output_max_additional_sigops: number | null;
  }[];
}

/** The status document, made afresh. */
export function templateProviderStatus(backend: Backend, server: TemplateServer): TemplateProviderStatus {
  const { accepted, elsewhere, ...status } = backend.status();
  const { total: rejected, byReason } = server.refused;
  return {
    ...status,
    blocks: { accepted, rejected, rejected_by_reason: Object.fromEntries(byReason), elsewhere },
    clients: [...server.clients].map(([id, client]) => ({
      id,
      since: client.since,
      template_id: client.lastTemplateId?.toString() ?? null,
      templates_sent: client.templatesSent,
      coinbase_output_max_additional_size: client.room?.maxAdditionalSize ?? null,
      coinbase_output_max_additional_sigops: client.room?.maxAdditionalSigops ?? null,
    })),
  };
}
