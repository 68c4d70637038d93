import { DECLARE_TX_DATA, dialect } from "@adit/codec";
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from "vitest";
import { jdClientToml, upstream } from "../harness/configs.ts";
import { embeddedJds } from "../harness/declaring-miner.ts";
import { DEADLINES, DoorScene, SHARES_PER_MINUTE, transports } from "../harness/door-scene.ts";
import { miningDoor, setupFor, sv2DoorSuite } from "../harness/sv2-door-suite.ts";
import type { TestRole } from "../harness/test-role.ts";

const declaration = dialect("job_declaration");
const declarer = { ...setupFor(1), flags: DECLARE_TX_DATA };

let scene: DoorScene;
let jdClient: TestRole;

beforeAll(async () => {
  scene = await DoorScene.open({ jobDeclaration: "first_request_secs = 4" });
  jdClient = await scene.stage.start("jd-client", (folder) =>
    jdClientToml(folder, scene.templateProvider, {
      upstreams: [{ pool: upstream(scene.pool, "tcp"), jds: upstream(scene.jdServer, "iroh") }],
      sharesPerMinute: SHARES_PER_MINUTE,
      limits: `${DEADLINES}\nfirst_channel_secs = 4`,
    }),
  );
  await scene.add(jdClient, "honest.jd-client");
  await scene.measure();
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

/** What clients of job declaration may say and hear, whoever runs the server. */
const declaring = {
  protocol: "job_declaration",
  setup: declarer,
  hello: declaration.encode(declarer),
  // Nobody waits for these: not looked at, and no reason to hang up.
  ordinary: declaration.encode({ name: "ProvideMissingTransactionsSuccess", requestId: 77, transactionList: [] }),
  ordinaryName: "ProvideMissingTransactions.Success",
  serverOnly: {
    frame: declaration.encode({ name: "ProvideMissingTransactions", requestId: 1, unknownTxPositionList: [] }),
    reason: /ProvideMissingTransactions is not for it to send/,
  },
  largest: { type: 0x57, bytes: 4_100_000 },
  idle: /sends no request for a token in 4 s/,
} as const;

describe.each(transports)("a jd-server over %s", (over) => {
  sv2DoorSuite({ ...declaring, scene: () => scene, role: () => scene.jdServer, over });
});

describe.each(transports)("a pool's job-declarator server over %s", (over) => {
  sv2DoorSuite({ ...declaring, scene: () => scene, role: () => scene.pool, at: () => embeddedJds(scene.pool), over });
});

describe.each(transports)("a jd-client over %s", (over) => {
  sv2DoorSuite({ ...miningDoor, scene: () => scene, role: () => jdClient, over });
});

test("all of them have in use what they had at the start, and no honest share is lost", () => scene.everythingIsBack());
