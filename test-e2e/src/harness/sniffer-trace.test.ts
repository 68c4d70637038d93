import { u256, workerIdentityTlv } from "@adit/codec";
import { expect, test } from "vitest";
import type { Sighting } from "./sniffer-sighting.ts";
import { type Entry, type Note, Trace } from "./sniffer-trace.ts";

function note(text: string): Note {
  return { type: "note", connection: null, at: 1234, text };
}

function noted(text: string): (entry: Entry<"job_declaration">) => Note | undefined {
  return (entry) => (entry.type === "note" && entry.text === text ? entry : undefined);
}

/** A sighting of a frame with so many bytes, which nobody knows unless told. */
function seen(size: number, changes: Partial<Sighting<"job_declaration">> = {}): Sighting<"job_declaration"> {
  const frame = { extensionType: 3, channelMsg: false, messageType: 0x7f, payload: new Uint8Array(size) };
  const content = { frame, message: undefined, tlvs: [] };
  return { type: "seen", connection: 1, direction: "up", at: 0, ...content, fate: "passed", by: undefined, ...changes };
}

test("a trace answers with the first entry behind a mark, be it there or yet to come", async () => {
  const trace = new Trace<"job_declaration">();
  trace.add(note("a"));
  const since = trace.mark();
  const second = trace.next(noted("a"), { since, what: "a second a" });
  const again = note("a");
  trace.add(again);
  expect(await second).toBe(again);
  expect(await trace.next(noted("a"), { since: 0, what: "a" })).not.toBe(again);
  expect(await trace.next(noted("a"), { since, what: "a" })).toBe(again);
});

test("a wait for what does not come ends with its signal, and shows the trace", async () => {
  const trace = new Trace<"job_declaration">();
  trace.add(note("something else"));
  const patience = new AbortController();
  const waiting = trace.next(noted("a"), { since: 0, what: "an a", signal: patience.signal });
  patience.abort();
  const message = "waited in vain for an a; the trace:\n   1.234 s something else";
  await expect(waiting).rejects.toThrow(message);
  await expect(trace.next(noted("a"), { since: 0, what: "an a", signal: patience.signal })).rejects.toThrow(message);
});

test("a wait whose own question fails fails with it", async () => {
  const trace = new Trace<"job_declaration">();
  const slip = (): never => {
    throw new Error("a slip");
  };
  const waiting = trace.next(slip, { since: 0, what: "anything" });
  trace.add(note("a"));
  await expect(waiting).rejects.toThrow("a slip");
});

test("a trace forgets the oldest entries beyond its limits, and does not answer for them", () => {
  const few = new Trace<"job_declaration">({ entries: 2, bytes: 100 });
  for (const text of ["a", "b", "c"]) few.add(note(text));
  expect(few.text()).toBe("(1 entries before)\n   1.234 s b\n   1.234 s c");
  expect(() => few.find(noted("a"), 0)).toThrow("the trace has forgotten its first 1 entries");
  expect(few.entries(1)).toHaveLength(2);
  const small = new Trace<"job_declaration">({ entries: 10, bytes: 100 });
  for (const size of [60, 40, 1]) small.add(seen(size));
  expect(small.entries(1)).toHaveLength(2);
  expect(small.mark()).toBe(3);
});

test("a trace reads as a protocol trace, a line a message", () => {
  const trace = new Trace<"job_declaration">();
  const requestId = 7;
  const wtxidList = [u256(new Uint8Array(32))];
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => index);
  trace.add(
    seen(0, {
      message: {
        name: "DeclareMiningJob",
        requestId,
        miningJobToken: bytes,
        version: 2,
        coinbaseTxPrefix: bytes,
        coinbaseTxSuffix: bytes,
        wtxidList,
        excessData: bytes,
      },
    }),
  );
  const errorDetails = new Uint8Array(0);
  const refusal = { name: "DeclareMiningJobError", requestId, errorCode: "x".repeat(50), errorDetails } as const;
  trace.add(seen(0, { direction: "down", message: refusal, fate: "replaced" }));
  const said = { name: "DeclareMiningJobSuccess", requestId, newMiningJobToken: bytes.subarray(0, 4) } as const;
  const tlvs = [workerIdentityTlv("me")];
  trace.add({ type: "said", connection: 1, direction: "down", at: 61_500, message: said, tlvs });
  trace.add(seen(12, { connection: 2, fate: "held" }));
  trace.add({ type: "ended", connection: 2, at: 100_000, by: "upstream", reason: "closed" });
  expect(trace.text().split("\n")).toEqual([
    "   0.000 s #1 -> DeclareMiningJob request_id=7 mining_job_token=00010203...(300) version=2 wtxid_list=[1]",
    `   0.000 s #1 <- DeclareMiningJobError request_id=7 error_code="${"x".repeat(40)}..." error_details=empty [replaced]`,
    "  61.500 s #1 <- DeclareMiningJobSuccess request_id=7 new_mining_job_token=00010203 tlv 0x02/1=6d65 [by the sniffer]",
    "   0.000 s #2 -> unknown message 0x7f of extension 0x03, 12 bytes [held]",
    " 100.000 s #2 ended by the upstream: closed",
  ]);
});
