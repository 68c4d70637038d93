import { readdirSync, readFileSync } from "node:fs";
import { roles } from "@adit/adit";
import { ConfigError, configReference, parseConfig } from "@adit/role-kit";
import fc from "fast-check";
import { anyBytes, damagedOneOf, textOf, utf8 } from "../arbitraries.ts";
import { rule, type Target, unlessRefused } from "../target.ts";

const folder = new URL("../../../../config-examples/", import.meta.url);
const examples: readonly string[] = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), "utf8"));
/** Every key there is, as the reference pages spell them. */
const keys = [
  ...new Set(
    roles.flatMap((role) => [...configReference(role).matchAll(/`([a-z0-9_.[\]]+)`/g)].map(([, key = ""]) => key)),
  ),
];

const value = fc.oneof(
  fc.constantFrom(
    "true",
    "0",
    "-1",
    "1e400",
    "nan",
    "inf",
    '""',
    "[]",
    "{}",
    "1979-05-27T07:32:00Z",
    "[[1], [{}]]",
    '"""\n"""',
    "0x7fffffffffffffff",
    '"\\u0000"',
  ),
  fc.string({ maxLength: 20 }).map((text) => JSON.stringify(text)),
  fc.integer().map(String),
);
const key = fc.oneof(
  fc.constantFrom(...keys),
  fc.constantFrom(
    "__proto__",
    "constructor",
    "a.b.c",
    '"quoted key"',
    "toString",
    "camelCase",
    '""',
    "limits.__proto__",
  ),
  fc.string({ maxLength: 8 }).map((text) => JSON.stringify(text)),
);
/** A key once only: TOML has no second one, and would hide all the rest. */
const pairs = fc.uniqueArray(fc.tuple(key, value), { maxLength: 6, selector: ([name]) => name });
const table = fc.oneof(
  key.map((name) => `[${name}]`),
  key.map((name) => `[[${name}]]`),
  fc.nat(200).map((depth) => `deep = ${"[".repeat(depth)}${"]".repeat(depth)}`),
);

/** An example with some of its values changed, keys put before it and tables behind it. */
const altered = fc
  .record({
    example: fc.constantFrom(...examples),
    values: fc.array(fc.tuple(fc.nat(40), value), { maxLength: 3 }),
    before: pairs,
    behind: fc.array(table, { maxLength: 2 }),
  })
  .map(({ example, values, before, behind }) => {
    const settings = example.split("\n").filter((line) => /^[^#]/.test(line));
    for (const [at, given] of values) {
      const index = at % settings.length;
      settings[index] = settings[index]?.replace(/=.*/, () => `= ${given}`) ?? "";
    }
    const first = before
      .filter(([name]) => !example.includes(`\n${name} =`))
      .map(([name, given]) => `${name} = ${given}`);
    return utf8([...first, ...settings, ...behind].join("\n"));
  });

/** A config file of any role. */
export const configText: Target<Uint8Array> = {
  inputs: fc.oneof(
    { weight: 4, arbitrary: damagedOneOf(fc.constantFrom(...examples).map(utf8)) },
    { weight: 4, arbitrary: altered },
    { weight: 2, arbitrary: damagedOneOf(altered) },
    { weight: 1, arbitrary: anyBytes(300) },
  ),
  run(bytes) {
    const text = textOf(bytes);
    for (const role of roles) {
      const config = unlessRefused([ConfigError], () => parseConfig(role, { text, file: "fuzz.toml", env: {} }));
      if (config !== undefined) rule(typeof config === "object" && config !== null, "a config that is none");
    }
    rule(Object.keys(Object.prototype).length === 0, "every object has a new member");
  },
  guided: {
    maxLength: 2_500,
    dictionary: [...keys, " = 0\n", " = -1\n", ' = ""\n', " = []\n", "[[", "]]\n", "= 1e9\n"].map(utf8),
  },
};

interface Overrides {
  readonly role: number;
  readonly entries: readonly (readonly [string, string])[];
}

const variable = fc.oneof(
  fc.constantFrom(...keys).map((name) => name.replaceAll(/[.[\]]+/g, "__").toUpperCase()),
  fc.stringMatching(/^[A-Z_0-9]{0,30}$/),
  fc.constantFrom(
    "__PROTO__",
    "LIMITS__CONSTRUCTOR",
    "UPSTREAMS__0__PORT",
    "UPSTREAMS__99999999__PORT",
    "LISTEN_ADDRESS__0",
    "",
  ),
);

/** Environment variables over an example of each role. */
export const configOverrides: Target<Overrides> = {
  inputs: fc.record({
    role: fc.nat(roles.length - 1),
    entries: fc.array(
      fc.tuple(variable, fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom("1", "true", "a,b", "1e999", ""))),
      { maxLength: 6 },
    ),
  }),
  run({ role: at, entries }) {
    const role = roles[at];
    if (role === undefined) return;
    const env = Object.fromEntries(entries.map(([name, text]) => [`${role.envPrefix}__${name}`, text]));
    for (const text of ["", ...examples])
      unlessRefused([ConfigError], () => parseConfig(role, { text, file: "fuzz.toml", env }));
    rule(Object.keys(Object.prototype).length === 0, "every object has a new member");
  },
};
