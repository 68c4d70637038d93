import { sweep } from "./namespace.ts";

/** Before the tests: what runs left behind that were killed. */
export async function setup(): Promise<void> {
  await sweep();
}

/** After them: what a test left behind that did not end in time. */
export async function teardown(): Promise<void> {
  await sweep();
}
