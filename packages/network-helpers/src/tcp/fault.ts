import { NetworkError, type NetworkErrorCode } from "../errors.ts";

const faults: Readonly<Record<string, readonly [NetworkErrorCode, string]>> = {
  ECONNREFUSED: ["connection-failed", "nothing listens there; start the peer, or correct host and port"],
  ECONNRESET: ["closed", "the peer broke the connection; its log says why"],
  EPIPE: ["closed", "the peer closed the connection; its log says why"],
  ETIMEDOUT: ["timed-out", "no answer; check that the host is up and no firewall drops the packets"],
  EHOSTUNREACH: ["connection-failed", "no route to the host; check the address and this machine's network"],
  ENETUNREACH: ["connection-failed", "no route to the network; check the address and this machine's network"],
  ENOTFOUND: ["peer-discovery-failed", "the host name does not exist; check its spelling"],
  EAI_AGAIN: ["peer-discovery-failed", "the name server does not answer; check this machine's DNS settings"],
  EADDRINUSE: ["node-initialisation", "the address is in use; stop the other program or choose another port"],
  EADDRNOTAVAIL: ["node-initialisation", "this machine does not have the address; listen on one it has, or 0.0.0.0"],
  EACCES: ["node-initialisation", "not permitted; choose a port above 1023 or grant the permission"],
  EMFILE: ["refused", "no file descriptor is left; raise the limit (ulimit -n) or lower max connections"],
  ENFILE: ["refused", "the system has no file descriptor left; raise its limit or lower max connections"],
};

/** The NetworkError for what the operating system said. `fallback` is the code when it is none of the known ones. */
export function tcpFault(cause: unknown, peer: string, fallback: NetworkErrorCode): NetworkError {
  if (cause instanceof NetworkError) return cause;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const [networkCode, advice] = faults[code] ?? [fallback, "check the address and this machine's network"];
  const said = code === "" && cause instanceof Error ? cause.message : code;
  return new NetworkError(networkCode, { peer, message: `${peer}: ${said}: ${advice}`, cause });
}
