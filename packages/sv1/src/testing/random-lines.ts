import fc from "fast-check";
import { bitaxeGamma } from "../vectors/bitaxe-gamma.ts";
import { findShare, testJob } from "./miner-bench.ts";

const share = findShare(testJob("a"));

/** Lines that miners send; the submit is a share of `testJob("a")`. */
export const fromMiner: readonly string[] = [
  '{"id":1,"method":"mining.configure","params":[["version-rolling","info"],{"version-rolling.mask":"1fffe000"}]}',
  '{"id":2,"method":"mining.subscribe","params":["ua/1","01"]}',
  '{"id":3,"method":"mining.authorize","params":["w.1","x"]}',
  `{"id":4,"method":"mining.submit","params":["w.1","a","${share.extranonce2}","${share.ntime}","${share.nonce}","00000000"]}`,
  '{"id":null,"method":"mining.suggest_difficulty","params":[0.5]}',
  `{"id":"x","method":"mining.suggest_target","params":["${"0f".repeat(32)}"]}`,
  '{"id":5,"method":"mining.extranonce.subscribe","params":[]}',
  '{"id":6,"result":true,"error":null}',
];

/** Lines that pools send. */
export const fromPool: readonly string[] = [
  bitaxeGamma.notify,
  '{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},"error":null}',
  '{"id":2,"result":[[["mining.notify","1"]],"4128064f",4],"error":null}',
  '{"id":3,"result":true,"error":null}',
  '{"id":null,"method":"mining.set_difficulty","params":[8192]}',
  '{"id":null,"method":"mining.set_extranonce","params":["0102",4]}',
  '{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}',
  '{"id":null,"method":"client.reconnect","params":["a",1,1]}',
  '{"id":null,"method":"client.show_message","params":["hello"]}',
];

/** Any JSON in any place, with the names and numbers that have hurt others. */
const nasty = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.nat(40),
  fc.constantFrom<unknown>(
    "__proto__",
    "constructor",
    "toString",
    1,
    -1,
    1e308,
    -0,
    "",
    [],
    {},
    null,
    true,
    "f".repeat(511),
  ),
);

/** A line: noise, an arbitrary message, or a valid one with a param replaced or text cut, doubled or overwritten. */
export function lineFrom(valid: readonly string[]): fc.Arbitrary<string> {
  const methods = valid.flatMap((line) => JSON.parse(line).method ?? []);
  const base = fc.constantFrom(...valid);
  return fc.oneof(
    { weight: 4, arbitrary: base },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) },
    {
      weight: 3,
      arbitrary: fc
        .record({ id: nasty, method: fc.constantFrom<unknown>(...methods), params: fc.array(nasty, { maxLength: 10 }) })
        .map((message) => JSON.stringify(message)),
    },
    {
      weight: 4,
      arbitrary: fc.tuple(base, fc.nat(10), nasty).map(([line, at, value]) => {
        const message = JSON.parse(line);
        const holder = Array.isArray(message.params) ? message.params : message;
        holder[Array.isArray(message.params) ? at : "result"] = value;
        return JSON.stringify(message);
      }),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(base, fc.nat(400), fc.nat(20), fc.string({ maxLength: 8 }))
        .map(([line, at, length, text]) => line.slice(0, at) + text + line.slice(at + length)),
    },
  );
}
