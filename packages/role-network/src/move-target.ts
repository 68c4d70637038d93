import { address, splitAddress } from "@adit/role-kit";
import { z } from "zod";
import { isIrohPeer, type ReconnectTarget } from "./reconnect.ts";

/** A key that says where clients are asked to connect when their server stops. `whom` they are, as the reference page says it. */
export function moveTo(whom: string, where: string): z.ZodExactOptional<z.ZodString> {
  return z
    .exactOptional(
      z.string().max(255).refine(isTarget, "expected host:port, an Iroh endpoint id (64 hex digits) or an Iroh ticket"),
    )
    .describe(
      `where ${whom} are asked to connect when this role stops: host:port, or an Iroh endpoint id or ticket, of a ${where} with the same authority key; absent: here again`,
    );
}

/** What the value of such a key says in a Reconnect; undefined when it is absent. */
export function moveTarget(value: string | undefined): ReconnectTarget | undefined {
  if (value === undefined) return undefined;
  if (isIrohPeer(value)) return { newHost: value, newPort: 0 };
  const { host, port } = splitAddress(value);
  return { newHost: host, newPort: port };
}

function isTarget(text: string): boolean {
  return isIrohPeer(text) || address.safeParse(text).success;
}
