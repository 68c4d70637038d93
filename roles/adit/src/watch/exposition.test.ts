import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_SAMPLES, parseExposition } from "./exposition.ts";
import { farmPage, targetPage } from "./farm-page.ts";

const page = `# HELP sv2_shares_total Shares
# TYPE sv2_shares_total counter
sv2_shares_total{result="ok"} 5
sv2_shares_total{result="a \\"b\\" \\\\ c"} 1.5e3

# HELP sv2_wait_seconds Waits
# TYPE sv2_wait_seconds histogram
sv2_wait_seconds_bucket{le="0.1"} 1
sv2_wait_seconds_bucket{le="+Inf"} 2
sv2_wait_seconds_sum 0.3
sv2_wait_seconds_count 2
up NaN 1700000000000
`;

describe("a metrics page taken apart", () => {
  test("has each metric with its help, type and samples", () => {
    const { families, refused } = parseExposition(page);
    expect(refused).toBe(0);
    expect([...families.values()]).toEqual([
      {
        name: "sv2_shares_total",
        type: "counter",
        help: "Shares",
        samples: [
          { name: "sv2_shares_total", labels: 'result="ok"', value: "5" },
          { name: "sv2_shares_total", labels: 'result="a \\"b\\" \\\\ c"', value: "1.5e3" },
        ],
      },
      {
        name: "sv2_wait_seconds",
        type: "histogram",
        help: "Waits",
        samples: [
          { name: "sv2_wait_seconds_bucket", labels: 'le="0.1"', value: "1" },
          { name: "sv2_wait_seconds_bucket", labels: 'le="+Inf"', value: "2" },
          { name: "sv2_wait_seconds_sum", labels: "", value: "0.3" },
          { name: "sv2_wait_seconds_count", labels: "", value: "2" },
        ],
      },
      { name: "up", type: "untyped", help: "", samples: [{ name: "up", labels: "", value: "NaN" }] },
    ]);
  });

  test.each(["0", "-1.", ".5", "+1e-7", "Nan", "NaN", "nan", "+Inf", "-inf"])("takes %s for a number", (value) => {
    const { families, refused } = parseExposition(`a ${value}`);
    expect([refused, families.get("a")?.samples]).toEqual([0, [{ name: "a", labels: "", value }]]);
  });

  test.each([
    "up",
    "up{} one",
    'up{a="1" 1',
    'up{a="1"b="2"} 1',
    'up{a="\\x"} 1',
    'up{a="\u0007"} 1',
    'up{a="1"} 1 2 3',
    "1up 1",
    'up{1a="1"} 1',
    "up 1\r",
    "<html>",
  ])("refuses the line %j, and nothing else", (line) => {
    const { families, refused } = parseExposition(`before 1\n${line}\nafter 2`);
    expect([refused, [...families.keys()]]).toEqual([1, ["before", "after"]]);
  });

  test("takes a sample once, and no more than so many", () => {
    expect(parseExposition("a 1\na 2\n").refused).toBe(1);
    const many = Array.from({ length: MAX_SAMPLES + 3 }, (_, index) => `a{i="${index}"} 1`).join("\n");
    const { families, refused } = parseExposition(many);
    expect([families.get("a")?.samples.length, refused]).toEqual([MAX_SAMPLES, 3]);
  });
});

describe("a page of many targets", () => {
  test("has each metric once, the own samples as they are and those of targets with their names", () => {
    const own = '# HELP up Up\n# TYPE up gauge\nup{target="a"} 1\n';
    const theirs = "# HELP up Up\n# TYPE up gauge\nup 1\n# TYPE b counter\nb 7 1700\n";
    expect(
      farmPage(own, [targetPage("a", theirs), targetPage("c", '# TYPE b counter\nb{x="}\\""} 8\n')]),
    ).toBe(`# HELP up Up
# TYPE up gauge
up{target="a"} 1

# TYPE b counter
b{target="a"} 7
b{target="c",x="}\\""} 8
`);
  });

  test("lets no target speak for another, and hands nothing around among watches", () => {
    const text = `up{target="b"} 1
up{x="target=\\"c\\"",target="b"} 1
up{target="b",exported_target="d"} 1
down{exported_target="d"} 1
`;
    expect(farmPage("", [targetPage("a", text)])).toBe(`# TYPE up untyped
up{target="a",exported_target="b"} 1
up{target="a",x="target=\\"c\\"",exported_target="b"} 1
`);
  });

  test("leaves out a metric that is of another type than before", () => {
    const merged = farmPage("# TYPE a gauge\na 1\n", [targetPage("x", "# TYPE a counter\na 2\nb 3\n")]);
    expect(merged).toBe('# TYPE a gauge\na 1\n\n# TYPE b untyped\nb{target="x"} 3\n');
  });

  const name = fc.constantFrom("up", "a_total", "h", "h_sum", "h_bucket", "h_count");
  const value = fc.constantFrom("1", "NaN", "+Inf", "x", "1e5", "");
  const label = fc.oneof(
    fc.constantFrom('target="b"', 'le="1"', 'exported_target="b"', 'x="}"', "x", 'x="\\""'),
    fc.string({ maxLength: 8 }),
  );
  const line = fc.oneof(
    fc.tuple(name, fc.array(label, { maxLength: 3 }), value).map(([n, ls, v]) => `${n}{${ls.join(",")}} ${v}`),
    fc.tuple(fc.constantFrom("HELP", "TYPE"), name, fc.constantFrom("gauge", "histogram", "x", "")).map((all) => {
      return `# ${all.join(" ")}`;
    }),
    fc.string(),
  );
  const pages = fc.array(
    fc.array(line).map((lines) => lines.join("\n")),
    { maxLength: 4 },
  );

  test("is a page whatever its targets say: every sample once, under its own target, nothing refused", () => {
    fc.assert(
      fc.property(pages, (texts) => {
        const merged = farmPage(
          "",
          texts.map((text, index) => targetPage(`t${index}`, text)),
        );
        const again = parseExposition(merged);
        expect(again.refused).toBe(0);
        const samples = merged.split("\n").filter((one) => one !== "" && !one.startsWith("#"));
        for (const one of samples) expect(one).toMatch(/^\w+\{target="t\d"/);
        expect([...again.families.values()].flatMap((family) => family.samples)).toHaveLength(samples.length);
        const heads = merged.split("\n").filter((one) => one.startsWith("# TYPE "));
        expect(new Set(heads.map((one) => one.split(" ")[2])).size).toBe(heads.length);
      }),
    );
  });
});
