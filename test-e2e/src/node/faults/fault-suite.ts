import { afterAll, afterEach, beforeAll, describe, test } from "vitest";
import { failoverScenarios } from "./failover.ts";
import { FaultScene, type StartNode } from "./fault-scene.ts";
import { fullDiskScenarios } from "./full-disk.ts";
import { nodeOutageScenarios } from "./node-outage.ts";
import { refusedBlockScenarios } from "./refused-block.ts";
import { reorganisationScenarios } from "./reorganisation.ts";
import { slowNodeScenarios } from "./slow-node.ts";
import { templateProviderCrashScenarios } from "./template-provider-crash.ts";
import { unusableNodeScenarios } from "./unusable-node.ts";

/** Faults of nodes, disks and processes, which neither shares nor blocks nor miners may be lost to. */
export function faultSuite(name: string, start: StartNode): void {
  describe(`A mining line on ${name}, which lives through one fault after the other,`, () => {
    let scene: FaultScene;
    beforeAll(async () => {
      scene = await FaultScene.open(start);
    });
    afterEach(() => scene.proxy.relent());
    afterAll(() => scene[Symbol.asyncDispose]());

    slowNodeScenarios(() => scene);
    reorganisationScenarios(() => scene);
    refusedBlockScenarios(() => scene);
    fullDiskScenarios(() => scene);
    nodeOutageScenarios(() => scene);
    templateProviderCrashScenarios(() => scene);

    test("has lost no share that was acknowledged, and neither of its miners", async () => {
      await scene.line.expectNothingLost();
    });
  });

  describe(`A template provider on ${name}`, () => {
    unusableNodeScenarios(start);
    failoverScenarios(start);
  });
}
