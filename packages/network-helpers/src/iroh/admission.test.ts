import { expect, test } from "vitest";
import { Admission } from "./admission.ts";

const limits = { allowedPeers: [], maxConnectionsPerPeer: 2, maxPending: 4, maxPendingPerSource: 3 };

test("caps pending connections of one source and of all, and gives places back", () => {
  const admission = new Admission(limits);
  expect(["a", "a", "a", "a"].map((source) => admission.begin(source))).toEqual([
    undefined,
    undefined,
    undefined,
    "too-many-pending",
  ]);
  expect(admission.begin("b")).toBeUndefined();
  expect(admission.begin("c")).toBe("too-many-pending");
  admission.finish("a");
  expect(admission.begin("c")).toBeUndefined();
  expect(admission.pending).toBe(4);
});

test("asks for proof of address once more than half of the places are taken", () => {
  const admission = new Admission(limits);
  admission.begin("a");
  admission.begin("b");
  expect(admission.crowded).toBe(false);
  admission.begin("c");
  expect(admission.crowded).toBe(true);
});

test("caps connections of one endpoint id and leaves others alone", () => {
  const admission = new Admission(limits);
  expect([admission.connect("a"), admission.connect("a"), admission.connect("a")]).toEqual([
    undefined,
    undefined,
    "too-many-connections",
  ]);
  expect(admission.connect("b")).toBeUndefined();
  admission.disconnect("a");
  expect(admission.connect("a")).toBeUndefined();
});

test("lets everyone in without a list, only the listed with one, and takes a new list at run time", () => {
  const admission = new Admission(limits);
  expect(admission.connect("a")).toBeUndefined();
  admission.setAllowedPeers(["b"]);
  expect(admission.connect("a")).toBe("not-allowed");
  expect(admission.connect("b")).toBeUndefined();
  admission.setAllowedPeers([]);
  expect(admission.connect("a")).toBeUndefined();
});
