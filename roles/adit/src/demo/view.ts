import { fitted, formatHashrate, renderConnection } from "../render.ts";
import { type RoleSnapshot, resultOf, type Snapshot } from "./snapshot.ts";

const BITCOIN = 100_000_000n;

/** The whole live view, one string a line, none wider than `width`. */
export function renderView(snapshot: Snapshot, width: number): readonly string[] {
  const result = resultOf(snapshot);
  const lines = [
    `Adit demo, ${Math.floor(snapshot.seconds)} s    Ctrl-C stops it`,
    "",
    ...snapshot.roles.flatMap(renderRole),
    "",
    `shares   ${result.shares_accepted} accepted, ${result.shares_rejected} rejected by the pool`,
    `blocks   ${result.blocks} found here, tip at height ${result.tip_height}`,
    ...renderCoinbase(snapshot),
  ];
  return fitted(lines, width);
}

/** One plain line for an output that is no terminal. */
export function renderLine(snapshot: Snapshot): string {
  const result = resultOf(snapshot);
  const states = snapshot.roles.map(({ name, state }) => `${name}=${state}`).join(" ");
  const via =
    result.upstream_transport === null
      ? "none"
      : [result.upstream_transport, result.upstream_path].filter(Boolean).join("/");
  const hashrate = formatHashrate(snapshot.roles.find(({ name }) => name === "mining-device")?.status.hashrate ?? 0);
  const shares = `shares=${result.shares_accepted}+${result.shares_rejected}`;
  return `${Math.floor(result.seconds)} s  ${states}  upstream=${via}  hashrate=${hashrate}  ${shares}  blocks=${result.blocks}  tip=${result.tip_height}`;
}

function renderRole({ name, state, status }: RoleSnapshot): readonly string[] {
  const hashrate = status.hashrate === undefined ? "" : formatHashrate(status.hashrate);
  const head = `${name.padEnd(18)} ${state.padEnd(9)} ${hashrate}`.trimEnd();
  return [head, ...(status.connections ?? []).map((connection) => `  ${renderConnection(connection)}`)];
}

function renderCoinbase(snapshot: Snapshot): readonly string[] {
  const block = snapshot.roles.find(({ name }) => name === "template-provider")?.status.last_block;
  if (block == null) return ["last     no block yet"];
  const outputs = block.coinbase.outputs.map(({ address, value, type }) => {
    return `           ${formatBitcoin(value).padStart(14)}  ${address ?? type}`;
  });
  return [
    `last     ${block.height}  ${block.hash}`,
    `coinbase height ${block.coinbase.height}, "${block.coinbase.tag}", pays`,
    ...outputs,
  ];
}

function formatBitcoin(satoshis: string): string {
  const value = BigInt(satoshis);
  return `${value / BITCOIN}.${(value % BITCOIN).toString().padStart(8, "0")}`;
}
