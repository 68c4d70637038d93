import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tipOf } from "../chain-view.ts";
import { Wallet } from "../wallet.ts";
import type { FaultScene } from "./fault-scene.ts";

/** What the process may still write into one file: its log is far below, the file of a block with a big transaction above. */
const ROOM = 150_000;
/** Weight units of the transactions that make the block's file bigger than that. */
const WEIGHT = 600_000;

const run = promisify(execFile);

/** No room for the file of a block. A limit of the process stands for the disk: it needs no root, and Linux only. */
export function fullDiskScenarios(scene: () => FaultScene): void {
  test.runIf(process.platform === "linux")(
    "a block that the disk has no room for is submitted and accepted all the same, and the operator is told",
    async () => {
      const { node, line } = scene();
      const { templateProvider } = line;
      await scene().workOnTip();
      await (await Wallet.open(node)).sendWeight(WEIGHT, { kinds: ["legacy"] });
      const tip = await scene().foreignBlock();
      const work = await line.watch.given("a full template", ({ parent, template }) => {
        return parent === tip.hash && template.merklePath.length > 0;
      });
      const written = line.blocks.files();
      const failures = await scene().metric("block_files_failed_total");
      const logSize = (await stat(templateProvider.logFile)).size;
      await limitFiles(templateProvider.pid, String(logSize + ROOM));

      const blockHash = await line.watch.mine(work);
      await templateProvider.logged(
        new RegExp(`${blockHash}.*EFBIG.*block not written to disk, it is submitted all the same`),
      );
      await templateProvider.logged(new RegExp(`${blockHash}.*block accepted`));
      expect(await tipOf(node)).toMatchObject({ hash: blockHash });
      const [submission] = (await templateProvider.status()).submissions;
      expect(submission).toMatchObject({ hash: blockHash, outcome: "accepted", file: null });
      expect(await scene().metric("block_files_failed_total")).toBe(failures + 1);
      expect(line.blocks.files()).toEqual(written);
      await scene().workOnTip();
      await line.goesOn();

      await limitFiles(templateProvider.pid, "unlimited");
      const next = await line.watch.mine(await scene().workOnTip());
      await line.blocks.outcome(next, "accepted");
    },
  );
}

/** Sets the soft limit for what a process may write into one file, in bytes. */
async function limitFiles(pid: number, bytes: string): Promise<void> {
  await run("prlimit", ["--pid", String(pid), `--fsize=${bytes}:`]);
}
