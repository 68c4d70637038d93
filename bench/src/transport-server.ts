import { type ByteStream, type FrameConnection, type Listener, secureResponder } from "@adit/network-helpers";
import { answer } from "./frame-line.ts";
import { type LinkAddress, openLinks } from "./transport-links.ts";

/** What the server's process sends its parent once it listens. */
export interface ServerReady {
  readonly addresses: readonly LinkAddress[];
  /** Why there are no Iroh links, if so. */
  readonly withoutIroh: string | undefined;
}

const { links, withoutIroh, authorityPublicKey } = await openLinks();
const never = new AbortController().signal;
const addresses: LinkAddress[] = [];
for (const { name, transport, listenAddress, serverSecurity } of links) {
  const listener = await transport.listen(listenAddress, { signal: never });
  addresses.push({ name, address: listener.address, authorityPublicKey });
  void accept(listener, (stream) => secureResponder(stream, serverSecurity, { signal: never }));
}
const ready: ServerReady = { addresses, withoutIroh };
process.send?.(ready);
// The parent is done with this process, or dead.
process.once("disconnect", () => process.exit());

async function accept(listener: Listener, secure: (stream: ByteStream) => Promise<FrameConnection>): Promise<void> {
  for await (const stream of listener.streams) void answer(await secure(stream));
}
