import { LanDiscovery, type LanEvent } from "@adit/network-helpers/iroh";
import type { IrohSettings, MetricsRegister, RoleContext } from "@adit/role-kit";

/** Opens LAN discovery as the config has it, with its log lines and metrics. */
export async function openLan(
  { lanInterfaces: interfaces }: IrohSettings,
  { log, metrics }: Pick<RoleContext, "log" | "metrics">,
): Promise<LanDiscovery> {
  const onEvent = (event: LanEvent): void => {
    if (event.type === "lan-up") log.info({ interface: event.interface }, "lan discovery up");
    else log.warn({ interface: event.interface, error: event.error }, "lan discovery failed; it is tried again");
  };
  const lan = await LanDiscovery.open({ interfaces, onEvent });
  lanMetrics(metrics, () => lan.counts());
  return lan;
}

/** Registers the metrics of LAN discovery; `counts` are totals. */
export function lanMetrics(register: MetricsRegister, counts: () => LanCounts): void {
  const packets = register.counter({
    name: "sv2_lan_packets_total",
    help: "mDNS packets by outcome: read, ignored as malformed or not mDNS's, dropped because they came too fast",
    labels: ["outcome"],
  });
  let told: LanCounts = { read: 0, ignored: 0, dropped: 0 };
  register.onCollect(() => {
    const now = counts();
    for (const outcome of ["read", "ignored", "dropped"] as const)
      packets.inc({ outcome }, now[outcome] - told[outcome]);
    told = now;
  });
}

type LanCounts = Readonly<Record<"read" | "ignored" | "dropped", number>>;
