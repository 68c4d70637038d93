import { NetworkError } from "../errors.ts";

/** Bytes as the binding takes and gives them: arrays of numbers in 1.1.0, Uint8Array once its next major is out. */
export type NativeBytes = readonly number[] | Uint8Array;

/** The part of `@number0/iroh` 1.1.0 this folder uses. Left out on purpose: everything that can abort the process. */
export interface Binding {
  readonly Endpoint: { builder(): NativeBuilder };
  readonly EndpointAddr: new (
    id: NativeEndpointId,
    relayUrl: string | null,
    addresses: readonly string[],
  ) => NativeAddress;
  readonly EndpointId: { fromString(text: string): NativeEndpointId };
  readonly SecretKey: { fromBytes(bytes: NativeBytes): unknown };
  readonly RelayMap: { empty(): NativeRelayMap };
  readonly RelayMode: { disabled(): NativeRelayMode; custom(map: NativeRelayMap): NativeRelayMode };
}

/** Opaque native value. */
export interface NativeRelayMode {
  toString(): string;
}
/** Relays to use. */
export interface NativeRelayMap {
  insert(relay: { readonly url: string; readonly quicPort?: number; readonly authToken?: string }): void;
}
/** A public key. */
export interface NativeEndpointId {
  toString(): string;
}
/** An endpoint id with where to reach it. */
export interface NativeAddress {
  id(): NativeEndpointId;
  directAddresses(): string[];
  relayUrl(): string | null;
}
/** Collects settings. Any call after `bind`, or a second `bindAddr` of one family, aborts the process. */
export interface NativeBuilder {
  applyN0(): void;
  applyMinimal(): void;
  secretKey(bytes: NativeBytes): void;
  alpns(alpns: readonly NativeBytes[]): void;
  relayMode(mode: NativeRelayMode): void;
  bindAddr(address: string): void;
  bind(): Promise<NativeEndpoint>;
}
/** A UDP endpoint. Dropped by the garbage collector, it kills its connections without telling the peers. */
export interface NativeEndpoint {
  addr(): NativeAddress;
  setAlpns(alpns: readonly NativeBytes[]): void;
  addExternalAddr(address: string): Promise<void>;
  boundSockets(): string[];
  online(): Promise<void>;
  connect(address: NativeAddress, alpn: NativeBytes): Promise<NativeConnection>;
  acceptNext(): Promise<NativeIncoming | null>;
  close(): Promise<void>;
}
/** A connection attempt of a peer, before any cryptography. */
export interface NativeIncoming {
  accept(): Promise<{ connect(): Promise<NativeConnection> }>;
  refuse(): Promise<void>;
  retry(): Promise<void>;
  remoteAddr(): Promise<{ readonly kind: string; readonly addr?: string; readonly endpointId?: string }>;
  remoteAddrValidated(): Promise<boolean>;
}
/** A QUIC connection. `close` is the one call that never waits. */
export interface NativeConnection {
  alpn(): NativeBytes;
  remoteId(): NativeEndpointId;
  openBi(): Promise<NativeBiStream>;
  acceptBi(): Promise<NativeBiStream>;
  closeReason(): string | null;
  close(code: bigint, reason: NativeBytes): void;
  sendDatagram(data: NativeBytes): void;
  stats(): { readonly udpRxDatagrams: number; readonly udpRxBytes: number };
  rtt(): number | null;
  paths(): readonly { readonly isSelected: boolean; readonly isRelay: boolean; readonly rttMs: number }[];
  setMaxConcurrentUniStreams(count: bigint): void;
  setMaxConcurrentBiStreams(count: bigint): void;
}
/** Both halves of a QUIC stream; each is closed when the garbage collector drops it. */
export interface NativeBiStream {
  readonly send: NativeSendStream;
  readonly recv: NativeRecvStream;
}
/** One lock is held for the whole of each call, so a call waits for the one before it. */
export interface NativeSendStream {
  writeAll(bytes: NativeBytes): Promise<void>;
  finish(): Promise<void>;
  stopped(): Promise<number | null>;
}
/** An abandoned `read` eats the next data. */
export interface NativeRecvStream {
  read(limit: number): Promise<NativeBytes>;
}

/** The loaded binding and the one place where bytes change form. */
export interface Iroh {
  readonly binding: Binding;
  /** Bytes in the form this build of the binding takes. */
  readonly toNative: (bytes: Uint8Array) => NativeBytes;
  /** UTF-8 of a text in that form: ALPNs and close reasons. */
  readonly nativeText: (text: string) => NativeBytes;
  /** A plain copy of what the binding gave. */
  readonly fromNative: (bytes: NativeBytes) => Uint8Array;
}

/** The package and the exact version this software was written against; later ones may differ in ways that abort. */
const IROH_PACKAGE = "@number0/iroh@1.1.0";

let loaded: Iroh | undefined;

/**
 * Loads the native binding on first use. Throws NetworkError "iroh-unavailable" when the optional package is not
 * installed, has no build for this platform, or does not load.
 */
export async function loadIroh(): Promise<Iroh> {
  loaded ??= await loadBinding(importPackage);
  return loaded;
}

/** `loadIroh` without its memory; `load` imports the package. */
export async function loadBinding(load: () => Promise<unknown>): Promise<Iroh> {
  // Read once, when the native code first makes an error: without it every error carries a native backtrace.
  process.env["RUST_LIB_BACKTRACE"] = "0";
  try {
    const binding = (await load()) as Binding;
    const toNative = takesUint8Array(binding) ? (bytes: Uint8Array) => bytes : toNumbers;
    return { binding, toNative, nativeText: (text) => toNative(new TextEncoder().encode(text)), fromNative };
  } catch (cause) {
    const message =
      `Iroh is configured but its native package did not load; install it with "npm install ${IROH_PACKAGE}" ` +
      "(builds exist for linux-x64 and darwin-arm64), or configure TCP, which works without it";
    throw new NetworkError("iroh-unavailable", { peer: "", message, cause });
  }
}

/** The file by name: the package's `main` field points at one that does not exist. */
function importPackage(): Promise<unknown> {
  return import("@number0/iroh/index.js");
}

/** Also proves that the module is usable: it throws when the class is missing. */
function takesUint8Array({ SecretKey }: Binding): boolean {
  const bytes = new Uint8Array(32).fill(1);
  try {
    SecretKey.fromBytes(bytes);
    return true;
  } catch {
    SecretKey.fromBytes(toNumbers(bytes));
    return false;
  }
}

/** A loop over a preallocated array is ten times as fast as Array.from. */
function toNumbers(bytes: Uint8Array): readonly number[] {
  const length = bytes.length;
  // oxlint-disable-next-line unicorn/no-new-array -- the growing kinds take twice as long
  const numbers = new Array<number>(length);
  for (let index = 0; index < length; index += 1) numbers[index] = bytes[index] ?? 0;
  return numbers;
}

/** The same on the way back: for the arrays that native code fills, `set` takes ten times as long as a loop. */
function fromNative(bytes: NativeBytes): Uint8Array {
  const length = bytes.length;
  const copy = new Uint8Array(length);
  if (bytes instanceof Uint8Array) copy.set(bytes);
  else for (let index = 0; index < length; index += 1) copy[index] = bytes[index] ?? 0;
  return copy;
}
