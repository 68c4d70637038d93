import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { topCommand } from "./top-command.ts";

/** A terminal that remembers what was written. */
function terminal(): { readonly output: NodeJS.WriteStream; readonly text: () => string } {
  let text = "";
  const output = { isTTY: true, columns: 60, write: (more: string) => (text += more).length > 0 };
  return { output: output as unknown as NodeJS.WriteStream, text: () => text };
}

/** A role that finds a share each time it is asked. */
async function serve(port = 0): Promise<{ readonly server: Server; readonly port: number }> {
  let shares = 0;
  const readiness = { role: "pool", version: "0.1.0", uptime_secs: 1, ready: true, reason: null };
  const server = createServer((_request, response) => {
    const document = { shares_accepted: shares++ };
    response.end(JSON.stringify({ ...readiness, endpoint_id: null, ticket: null, cut: {}, document }));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** Longer than the pauses between the few dials that it takes until a role is back. */
const patient = { timeout: 20_000 };

async function close(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

test("the live view follows a role that goes and comes back, and gives the terminal back at the end", async () => {
  const { output, text } = terminal();
  const before = process.listenerCount("SIGINT");
  const first = await serve();
  const running = topCommand([`http://127.0.0.1:${first.port}`, "--interval", "0.02"], output);
  await vi.waitFor(() => expect(text()).toMatch(/shares a minute/), patient);
  await close(first.server);
  await vi.waitFor(() => expect(text()).toMatch(/cannot be reached/), patient);
  const { server } = await serve(first.port);
  const away = text().length;
  const drawn = (): string => text().slice(away).split("\u001b[J").at(-2) ?? "";
  await vi.waitFor(() => expect(drawn()).toMatch(/shares a minute/), patient);
  expect(drawn()).not.toMatch(/no answer|cannot be reached/);
  process.emit("SIGINT", "SIGINT");
  expect(await running).toBe(0);
  expect(text().endsWith("\u001b[?25h")).toBe(true);
  expect(process.listenerCount("SIGINT")).toBe(before);
  await close(server);
});

test("the live view of several shows which is left alone and which is on trial, and goes on with the others", async () => {
  const { output, text } = terminal();
  const [first, other] = [await serve(), await serve()];
  const folder = await mkdtemp(join(tmpdir(), "adit-top-"));
  const config = join(folder, "farm.toml");
  const target = (name: string, port: number): string =>
    `[[targets]]\nname = "${name}"\ntarget = "http://127.0.0.1:${port}"\n`;
  const peers = "[peers]\nbreaker_failures = 1\nbreaker_open_secs = 0.3\n";
  await writeFile(config, `${target("north", first.port)}${target("south", other.port)}${peers}`);
  const running = topCommand(["-c", config, "--interval", "0.02"], output);
  const drawn = (): string => text().split("\u001b[J").at(-2) ?? "";
  await vi.waitFor(() => expect(drawn()).toMatch(/north {2}pool[^]*shares a minute[^]*south {2}pool/), patient);
  await close(first.server);
  await vi.waitFor(() => expect(drawn()).toMatch(/north {2}no answer, breaker open/), patient);
  const shares = (): number => Number(/south[^]*shares +(\d+) accepted/.exec(drawn())?.[1]);
  const before = shares();
  await vi.waitFor(() => expect(text()).toMatch(/north {2}no answer, breaker half-open/), patient);
  await vi.waitFor(() => expect(shares()).toBeGreaterThan(before), patient);
  expect(drawn()).toMatch(/south {2}pool .*ready/);
  const { server } = await serve(first.port);
  await vi.waitFor(() => expect(drawn()).toMatch(/north {2}pool .*ready/), patient);
  process.emit("SIGINT", "SIGINT");
  expect(await running).toBe(0);
  await Promise.all([close(server), close(other.server)]);
  await rm(folder, { recursive: true });
});
