import fc from "fast-check";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { changedKeys, valuesOf } from "./config/config-diff.ts";
import { parseConfig } from "./config/load-config.ts";
import { LiveConfig } from "./live-config.ts";
import { metricsRegister } from "./metrics.ts";

const schema = z.strictObject({
  listenAddress: z.string(),
  note: z.exactOptional(z.string()),
  iroh: z.strictObject({ allowedPeers: z.array(z.string()).default([]), maxPeers: z.int().default(8) }).prefault({}),
  upstreams: z.array(z.strictObject({ port: z.int() })).default([]),
});
type Sample = z.output<typeof schema>;

const parse = (text: string): Sample =>
  parseConfig({ config: schema, envPrefix: "S" }, { text, file: "s.toml", env: {} });

const log = pino({ level: "silent" });

/** A live config whose file is `text`. */
class Scene {
  text = 'listen_address = "a"';
  readonly metrics = metricsRegister();
  readonly live: LiveConfig<Sample>;
  loads = 0;

  constructor() {
    this.live = new LiveConfig({
      schema,
      config: parse(this.text),
      load: async () => {
        this.loads += 1;
        return parse(this.text);
      },
      log,
      metrics: this.metrics,
    });
  }

  async count(result: string): Promise<number> {
    const line = (await this.metrics.expose()).body.split("\n").find((one) => one.includes(`result="${result}"`));
    return Number(line?.split(" ").at(-1) ?? 0);
  }
}

test("a value that somebody else gave a key is what a reload compares with", async () => {
  const scene = new Scene();
  const applied: string[] = [];
  scene.live.onReload(["listen_address"], ({ listenAddress }) => void applied.push(listenAddress));
  scene.live.tookOver("listen_address", "b");
  expect(await scene.live.reload()).toMatchObject({ result: "applied", applied: ["listen_address"] });
  expect(await scene.live.reload()).toMatchObject({ result: "unchanged" });
  expect(applied).toEqual(["a"]);
  expect(() => scene.live.tookOver("lisen_address", "b")).toThrow(/no key lisen_address/);
});

describe("what changed between two configs", () => {
  const keys = (before: string, after: string): readonly string[] =>
    changedKeys(valuesOf(parse(before)), valuesOf(parse(after)));

  test("is named by key in the file's spelling, a list as one", () => {
    expect(keys('listen_address = "a"', 'listen_address = "a"')).toEqual([]);
    const after = 'note = "n"\nlisten_address = "b"\n[iroh]\nallowed_peers = ["p"]\n[[upstreams]]\nport = 1';
    expect(keys('listen_address = "a"', after)).toEqual(["iroh.allowed_peers", "listen_address", "note", "upstreams"]);
    expect(keys(after, 'listen_address = "b"')).toEqual(["iroh.allowed_peers", "note", "upstreams"]);
    const ports = (port: number): string => `listen_address = "a"\n[[upstreams]]\nport = ${port}`;
    expect(keys(ports(1), ports(2))).toEqual(["upstreams"]);
  });

  test("is nothing for a config and itself, and the same both ways", () => {
    const config = fc.letrec((tie) => ({
      table: fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), tie("value"), { maxKeys: 4, noNullPrototype: true }),
      value: fc.oneof({ maxDepth: 3 }, fc.integer(), fc.string(), fc.array(fc.integer()), tie("table")),
    })).table as fc.Arbitrary<object>;
    fc.assert(
      fc.property(config, config, (one, other) => {
        const [a, b] = [valuesOf(one), valuesOf(other)];
        expect(changedKeys(a, valuesOf(structuredClone(one)))).toEqual([]);
        expect(changedKeys(a, b)).toEqual(changedKeys(b, a));
      }),
    );
  });
});

describe("a reload", () => {
  test("applies what can change live and names the rest, again until a restart or until the file says the former", async () => {
    const scene = new Scene();
    const peers: (readonly string[])[] = [];
    scene.live.onReload(["iroh.allowed_peers"], ({ iroh }) => peers.push(iroh.allowedPeers));
    expect(await scene.live.reload()).toMatchObject({ result: "unchanged" });

    scene.text = 'listen_address = "b"\n[iroh]\nallowed_peers = ["p"]';
    expect(await scene.live.reload()).toEqual({
      result: "partly",
      applied: ["iroh.allowed_peers"],
      needsRestart: ["listen_address"],
      problems: [],
    });
    expect(await scene.live.reload()).toMatchObject({
      result: "partly",
      applied: [],
      needsRestart: ["listen_address"],
    });
    scene.text = 'listen_address = "a"\n[iroh]\nallowed_peers = ["q"]';
    expect(await scene.live.reload()).toMatchObject({ result: "applied", applied: ["iroh.allowed_peers"] });
    scene.text = 'listen_address = "a"';
    expect(await scene.live.reload()).toMatchObject({ result: "applied", needsRestart: [] });
    expect(peers).toEqual([["p"], ["q"], []]);
    expect([await scene.count("applied"), await scene.count("partly"), await scene.count("unchanged")]).toEqual([
      2, 2, 1,
    ]);
  });

  test("of a bad file is refused with the message of a start, and nothing changes", async () => {
    const scene = new Scene();
    let applied = 0;
    scene.live.onReload(["note"], () => {
      applied += 1;
    });
    scene.text = 'note = "new"\nlisten_adress = "a"';
    const report = await scene.live.reload();
    expect(report).toMatchObject({ result: "refused", applied: [], needsRestart: [] });
    expect(report.problems).toEqual([
      "s.toml: listen_address: expected string, received undefined",
      "s.toml: listen_adress: unknown key (did you mean listen_address?)",
    ]);
    scene.text = "listen_address =";
    expect((await scene.live.reload()).problems).toHaveLength(1);
    expect([applied, await scene.count("refused")]).toEqual([0, 2]);
    scene.text = 'listen_address = "a"\nnote = "new"';
    expect(await scene.live.reload()).toMatchObject({ result: "applied", applied: ["note"] });
  });

  test("leaves a key as it was when taking it over fails, says why, and tries again the next time", async () => {
    const scene = new Scene();
    let fails = true;
    scene.live.onReload(["note", "iroh.max_peers"], () => {
      if (fails) throw new Error("no room");
    });
    scene.text = 'listen_address = "a"\nnote = "n"';
    expect(await scene.live.reload()).toEqual({
      result: "partly",
      applied: [],
      needsRestart: [],
      problems: ["note: no room"],
    });
    fails = false;
    expect(await scene.live.reload()).toMatchObject({ result: "applied", applied: ["note"] });
  });

  test("is one at a time: asked for a hundred times while one is under way, one more follows", async () => {
    const scene = new Scene();
    const first = scene.live.reload();
    await Promise.resolve();
    await Promise.all([first, ...Array.from({ length: 100 }, () => scene.live.reload())]);
    expect(scene.loads).toBe(2);
  });

  test("that fails for another reason than the config is refused, too", async () => {
    const load = (): Promise<Sample> => Promise.reject(new Error("out of files"));
    const live = new LiveConfig({
      schema,
      config: parse('listen_address = "a"'),
      load,
      log,
      metrics: metricsRegister(),
    });
    expect(await live.reload()).toMatchObject({ result: "refused", problems: ["out of files"] });
  });

  test("knows no handler for a key that the config does not have", () => {
    const { live } = new Scene();
    expect(() => live.onReload(["iroh.allowed_peer"], () => {})).toThrow("no key iroh.allowed_peer");
    expect(() => live.onReload(["upstreams"], () => {})).not.toThrow();
  });
});
