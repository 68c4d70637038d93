export type { AcceptCounts } from "./acceptor.ts";
export { formatIrohAddress, parseIrohAddress } from "./address.ts";
export type { Refusal } from "./admission.ts";
export { alpns, dualAlpn, type ProtocolAlpns } from "./alpns.ts";
export {
  type Discovery,
  DiscoveryFailure,
  type DiscoverySource,
  type DiscoveryStep,
  describeSteps,
} from "./discovery.ts";
export { endpointIdOf, parseEndpointId } from "./endpoint-id.ts";
export { type DualStreamsOptions, IrohNodeManager, type IrohStats } from "./iroh-node-manager.ts";
export {
  endRotation,
  type FormerKey,
  type IdentityKeys,
  loadIdentityKeys,
  type Rotation,
  rotateKey,
} from "./key-rotation.ts";
export { LanCore, type LanCounts } from "./lan/lan-core.ts";
export { LanDiscovery, type LanDiscoveryOptions, type LanEvent } from "./lan/lan-discovery.ts";
export { IrohListener } from "./listener.ts";
export { defaultLiveness, type LivenessOptions } from "./liveness.ts";
export { loadOrCreateSecretKey } from "./secret-key.ts";
export type { IrohOptions, IrohRelay } from "./settings.ts";
export { encodeTicket, type IrohAddress, parseTicket } from "./ticket.ts";
