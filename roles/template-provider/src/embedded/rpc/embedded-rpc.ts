import type { CounterMetric, MetricsRegister, RoleContext } from "@adit/role-kit";
import type { BackendRpc } from "../../backend.ts";
import type { RpcMethods } from "./rpc-call.ts";
import { cookieLogin, passwordLogin, type RpcLogin } from "./rpc-login.ts";
import { RpcServer } from "./rpc-server.ts";
import type { EmbeddedRpcSettings } from "./rpc-settings.ts";

/** What the RPC of the embedded chain is made of. */
export interface EmbeddedRpcOptions {
  readonly settings: EmbeddedRpcSettings & { readonly rpcListenAddress: string };
  /** Where the cookie file goes. */
  readonly folder: string;
  readonly methods: RpcMethods;
  readonly log: RoleContext["log"];
  readonly metrics: MetricsRegister;
}

/** Writes the cookie if there is to be one, and serves. Errors of the system as they are. */
export async function serveEmbeddedRpc(options: EmbeddedRpcOptions): Promise<BackendRpc> {
  const { settings, methods, log } = options;
  const login = await loginOf(options);
  const calls = callsMetric(options.metrics);
  try {
    const server = await RpcServer.start({
      listen: settings.rpcListenAddress,
      login: login.login,
      methods,
      onCall: ({ method = "unknown", outcome }) => calls.inc({ method, outcome }),
      onFault: (error) => log.error({ error }, "rpc call failed"),
    });
    log.info({ address: server.address, cookie: login.cookiePath }, "serving json-rpc");
    return {
      address: server.address,
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]();
        await login[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await login[Symbol.asyncDispose]();
    throw error;
  }
}

async function loginOf({ settings: { rpcUser, rpcPass }, folder }: EmbeddedRpcOptions): Promise<RpcLogin> {
  if (rpcUser !== undefined && rpcPass !== undefined) return passwordLogin(rpcUser, rpcPass);
  return await cookieLogin(folder);
}

function callsMetric(register: MetricsRegister): CounterMetric<"method" | "outcome"> {
  return register.counter({
    name: "sv2_template_provider_rpc_calls_total",
    help: "JSON-RPC calls answered; `unknown` for methods that are not served",
    labels: ["method", "outcome"],
  });
}
