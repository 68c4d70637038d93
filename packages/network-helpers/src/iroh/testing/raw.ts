import { formatIrohAddress, parseIrohAddress } from "../address.ts";
import { loadIroh, type NativeConnection, type NativeEndpoint } from "../binding.ts";

/** A bare endpoint of the binding, to misbehave with. */
export interface RawEndpoint extends AsyncDisposable {
  readonly native: NativeEndpoint;
  /** Where to dial it. */
  readonly address: string;
  /** Connects and opens nothing. */
  connect(address: string, alpn: string): Promise<NativeConnection>;
}

/** Binds a bare endpoint of a new identity on both loopback addresses. */
export async function rawEndpoint(): Promise<RawEndpoint> {
  const { binding, nativeText } = await loadIroh();
  const builder = binding.Endpoint.builder();
  builder.applyMinimal();
  builder.relayMode(binding.RelayMode.disabled());
  builder.bindAddr("127.0.0.1:0");
  builder.bindAddr("[::1]:0");
  const native = await builder.bind();
  const addr = native.addr();
  return {
    native,
    address: formatIrohAddress({ endpointId: addr.id().toString(), relayUrls: [], addresses: addr.directAddresses() }),
    connect: (address, alpn) => {
      const { endpointId, addresses } = parseIrohAddress(address);
      const { EndpointAddr, EndpointId } = binding;
      return native.connect(new EndpointAddr(EndpointId.fromString(endpointId), null, addresses), nativeText(alpn));
    },
    [Symbol.asyncDispose]: () => native.close(),
  };
}
