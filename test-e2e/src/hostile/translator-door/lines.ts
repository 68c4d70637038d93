import { systemEntropy } from "@adit/network-helpers";
import { initiator, pureCrypto } from "@adit/noise";
import { expect, test } from "vitest";
import type { Sv1Client } from "../../harness/sv1-client.ts";
import { PATIENCE_MS, type Sv1DoorScene } from "../../harness/sv1-door-scene.ts";
import { until } from "../../harness/until.ts";

const line = (id: number, rest: string): string => `{"id":${id},${rest}}\n`;
const act1 = (): Uint8Array => initiator({ crypto: pureCrypto, entropy: systemEntropy, authority: null }).act1().bytes;

/** What strangers say first, and what becomes of them. */
const strangers: Record<string, readonly [() => string | Uint8Array, RegExp]> = {
  text: [() => "hello, is this a pool?\n", /not-stratum/],
  "plain HTTP": [() => "GET / HTTP/1.1\r\nHost: pool\r\n\r\n", /not-stratum/],
  "zero bytes": [() => "\u0000\u0000\u0000\u0000\n", /not-stratum/],
  "a number": [() => "7\n", /not-stratum/],
  "a list": [() => '["mining.subscribe"]\n', /not-stratum/],
  "bytes that are no text": [() => Uint8Array.of(0x7b, 0xc0, 0xaf, 0xff, 0x7d, 0x0a), /not-utf8/],
  "a megabyte without a newline": [() => "x".repeat(1_000_000), /line-too-long/],
  "a line of a megabyte": [
    () => line(1, `"method":"mining.subscribe","params":["${"x".repeat(1_000_000)}"]`),
    /line-too-long/,
  ],
};

/** What may yet become a line, and bombs that are no message: borne until the time for a handshake is over. */
const mutterings: readonly (string | Uint8Array)[] = [
  Buffer.concat([Buffer.from("160301020001", "hex"), new Uint8Array(500).fill(0x2a)]),
  // A Stratum V2 handshake; what looks like a newline in it would end it sooner.
  act1().map((byte) => (byte === 0x0a ? 0 : byte)),
  `${"[".repeat(2000)}${"]".repeat(2000)}\n`,
  '{"id":1,"method":"mining.subscribe"',
  '{"id":1,"method":"mining.authorize","params":["hostile.worker","x"]}\n',
  '{"id":1,"method":"mining.configure","params":[["version-rolling"],{}]}\n',
  "",
];

const submit = (params: string): string => `"method":"mining.submit","params":${params}`;

/** Lines that a parser might choke on. Whoever sends one is answered, or not, and stays. */
const bombs: Record<string, string> = {
  "nested brackets": line(10, submit("[".repeat(1000) + "]".repeat(1000))),
  "nested objects": line(10, submit(`[${'{"a":'.repeat(500)}1${"}".repeat(500)}]`)),
  "numbers without bounds": line(10, submit(`["w",1e999,-1e999,${"9".repeat(1500)},1e-999]`)),
  "an endless list": line(10, submit(`[${"0,".repeat(1500)}0]`)),
  "a list of lists": line(10, submit(`[${"[[[]]],".repeat(500)}[]]`)),
  "a prototype in params": line(10, submit('{"__proto__":{"polluted":1}}')),
  "a prototype at the top": line(
    10,
    '"__proto__":{"method":"mining.ping"},"method":"mining.configure","params":[["__proto__","constructor"],{"__proto__":{"x":1},"version-rolling.mask":"__proto__"}]',
  ),
  "a method of every object": line(10, '"method":"__proto__","params":[]'),
  another: line(10, '"method":"constructor","params":["toString"]'),
  "everything twice": '{"id":8,"id":10,"method":"mining.ping","method":"mining.submit","params":[1],"params":[]}\n',
  "an id that is an object": '{"id":{"a":[1]},"method":"mining.ping","params":[]}\n',
  "an id of 3,000 digits": `{"id":${"7".repeat(3000)},"method":"mining.ping","params":[]}\n`,
  "an id beyond numbers": '{"id":1e400,"method":"mining.ping","params":[]}\n',
  "half a surrogate": line(10, '"method":"mining.authorize","params":["\\ud800","\\udfff"]'),
  "control characters": line(10, '"method":"mining.authorize","params":["\\u0000\\u001b[2J\\u202e","x"]'),
  "raw control characters": `{"id":10,"method":"mining.ping","params":["\u0000\u0007"]}\n`,
  "a string of 3,000": line(10, submit(`["${"y".repeat(3000)}"]`)),
  "a user agent of objects": line(10, '"method":"mining.subscribe","params":[{"a":1},[2]]'),
  "answers to nothing": '{"id":99,"result":[[["a"]]],"error":{"code":1e99}}\n',
  nothing: "   \n\r\n\n",
};

/** Sends a character now and then, never the end of a line, until hung up on. */
async function drip(client: Sv1Client): Promise<void> {
  client.send('{"id":1,"method":"');
  await until(
    "the slow one is hung up on",
    () => {
      client.send("x");
      return client.isClosed;
    },
    PATIENCE_MS,
  );
}

/** Tests of what a translator makes of lines that are none, and of silence. */
export function linesSuite(scene: () => Sv1DoorScene): void {
  test.each(Object.entries(strangers))("hangs up on %s, and logs why", async (_name, [bytes, reason]) => {
    const { translator } = scene();
    const from = translator.log().length;
    using client = await scene().dial();
    client.send(bytes());
    await client.closed(PATIENCE_MS);
    await translator.logged(reason, from);
  });

  test("bears every bomb, and goes on with who sent it", async () => {
    using client = await scene().authorized();
    for (const [at, [name, bomb]] of Object.entries(bombs).entries()) {
      client.send(bomb);
      expect([name, await client.ask(100 + at, "mining.ping", [])]).toEqual([
        name,
        expect.objectContaining({ result: "pong" }),
      ]);
    }
    // Some are proper requests in a strange dress, and some no request at all.
    const refused = client.received.filter(({ error }) => (error ?? null) !== null);
    expect(refused.length).toBeGreaterThan(10);
  });

  test("hangs up on who sends them without end", async () => {
    const { translator } = scene();
    const from = translator.log().length;
    using client = await scene().authorized();
    client.send(Object.values(bombs).join("").repeat(5));
    await client.closed(PATIENCE_MS);
    await translator.logged(/too-many-faults|message-rate/, from);
  });

  test("hangs up on bytes that are no text in the middle of a session, and logs why", async () => {
    const { translator } = scene();
    const from = translator.log().length;
    using client = await scene().authorized();
    client.send(Uint8Array.of(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d, 0x0a));
    await client.closed(PATIENCE_MS);
    await translator.logged(/not-utf8/, from);
  });

  test("hangs up on the silent and the slow at every step, and logs why", async () => {
    const { translator } = scene();
    const from = translator.log().length;
    const muttering = await Promise.all(
      mutterings.map(async (bytes) => {
        const client = await scene().dial();
        client.send(bytes);
        return client;
      }),
    );
    const nameless = await scene().subscribed();
    const slow = await scene().dial();
    const shaking = [...muttering, nameless, slow];
    const idle = await scene().authorized();
    const idleAndSlow = await scene().authorized();
    const dripping = [drip(slow), drip(idleAndSlow)];
    await Promise.all([...shaking, idle, idleAndSlow].map((client) => client.closed(PATIENCE_MS)));
    await Promise.all(dripping);
    const reasons = (): string => translator.log().slice(from);
    await until("all in the log", () => reasons().split('"handshake-timeout"').length > shaking.length);
    await until("both in the log", () => reasons().split('"idle"').length > 2);
    for (const client of [...shaking, idle, idleAndSlow]) client[Symbol.dispose]();
  });
}
