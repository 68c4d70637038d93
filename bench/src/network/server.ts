import { answer } from "./answer.ts";
import { rssBytes } from "./rss.ts";
import { openEnd, unavailable, variants } from "./variants.ts";

/**
 * What the server's process tells its parent: where it listens for each variant (null where Iroh is not installed), and how
 * much memory it holds whenever it is asked.
 */
export type ServerMessage =
  | { readonly type: "ready"; readonly addresses: readonly (string | null)[]; readonly authority: readonly number[] }
  | { readonly type: "rss"; readonly bytes: number };

const [host = "", maxConnections = ""] = process.argv.slice(2);
const end = await openEnd(host, Number(maxConnections));
const addresses: (string | null)[] = [];
for (const variant of variants) {
  const address = await variant.serve(end, answer).catch(unavailable);
  addresses.push(typeof address === "string" ? address : null);
}
tell({ type: "ready", addresses, authority: [...end.identity.authorityPublicKey] });
process.on("message", () => tell({ type: "rss", bytes: rssBytes() }));
process.once("disconnect", () => process.exit());

function tell(message: ServerMessage): void {
  process.send?.(message);
}
