import type { Protocol } from "@adit/codec";
import type { Script } from "./hostile-server.ts";

/**
 * Frames that no upstream may send, whatever its protocol, and what is said of it. `when` puts them where they belong in
 * a script; `largest` is the type of a message that the client would hear.
 */
export function brokenFrames<P extends Protocol, S>(
  when: (talk: Script<P>) => S,
  largest: number,
): Readonly<Record<string, [S, RegExp]>> {
  return {
    "announces a frame of five megabytes": [
      when((client) => client.frame(largest, new Uint8Array(5_000_000))),
      /a frame of 5000000 bytes/,
    ],
    "sends frames that nobody knows, without end": [
      when(async (client) => {
        for (let sent = 0; sent < 20; sent += 1) await client.frame(0xee, new Uint8Array(9));
      }),
      /too many frames that nobody knows/,
    ],
    "turns bits over": [when((client) => client.unsealed(new Uint8Array(200).fill(7))), /could not be decrypted/],
  };
}
